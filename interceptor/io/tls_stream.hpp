// SPDX-License-Identifier: Apache-2.0
// TlsStream: TLS over a socket, either side. OpenSSL reads and writes the socket itself, so bytes are copied once.
#pragma once

#include "interceptor/io/socket_stream.hpp"
#include "network/openssl_types.hpp"

namespace sanctum::interceptor {

class TlsStream final : public SocketStream {
public:
    /// `ssl` is set to accept or connect state and not yet bound to a socket.
    TlsStream(Loop& loop, Descriptor socket, network::SslPtr ssl);
    ~TlsStream() override;

    /// Runs the handshake; reads at most `bytes_max` for it. Errors: Timeout, Cancelled, Limit, Io (the other side
    /// closed or reset), Denied (it does not accept our certificate; by TLS 1.3 a client hears so when it reads),
    /// Protocol (another alert, bad bytes, or verification failed; see SSL_get_verify_result(3)).
    [[nodiscard]] net::awaitable<Status> handshake(std::size_t bytes_max);
    /// After a handshake that failed: the other side's alert says that it does not accept our certificate (RFC 8446
    /// 6.2: bad_certificate to certificate_unknown, unknown_ca, access_denied), or that it wanted one and got none
    /// (certificate_required).
    [[nodiscard]] bool is_certificate_refused() const { return is_certificate_refused_; }

    net::awaitable<Result<std::size_t>> read_some(std::span<char> into) override;
    net::awaitable<Status> wait_to_read() override;
    net::awaitable<Status> write_all(std::string_view bytes) override;
    net::awaitable<void> finish() override;
    [[nodiscard]] bool is_quiet() const override;

    [[nodiscard]] SSL* ssl() const { return ssl_.get(); }

private:
    [[nodiscard]] net::awaitable<Result<std::size_t>> read(std::span<char> into);
    /// What a failed SSL call wants: waits for it, or says why it cannot go on.
    [[nodiscard]] net::awaitable<Status> wait_or_fail(int returned);

    network::SslPtr ssl_;
    bool is_broken_ = false;
    bool is_certificate_refused_ = false;
};

}  // namespace sanctum::interceptor
