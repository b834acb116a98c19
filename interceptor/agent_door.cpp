// SPDX-License-Identifier: Apache-2.0
#include "interceptor/agent_door.hpp"

#include "base/limits.hpp"
#include "base/log.hpp"
#include "interceptor/io/socket_cookie.hpp"
#include "interceptor/io/tls_stream.hpp"

#include <cstring>
#include <netinet/in.h>

namespace sanctum::interceptor {
namespace {

constexpr unsigned char kTlsHandshakeRecord = 0x16;
constexpr std::uint16_t kHttpsPort = 443;
constexpr std::string_view kNotTls =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 69\r\nConnection: close\r\n\r\n"
    "sanctum: plain HTTP was sent to the HTTPS port; use https:// instead\n";
static_assert(kNotTls.size() - kNotTls.find("\r\n\r\n") - 4 == 69);

// A method's first letter: what an HTTP client that took the wrong port sends.
bool looks_like_http(unsigned char first) { return first >= 'A' && first <= 'Z'; }

std::uint32_t v4_of(const sockaddr_storage& address) {
    if (address.ss_family != AF_INET) return 0;
    sockaddr_in four{};
    std::memcpy(&four, &address, sizeof(four));
    return ntohl(four.sin_addr.s_addr);
}

}  // namespace

class AgentDoor::HeldName {
public:
    HeldName(AddressPool& pool, std::uint32_t address) : pool_(pool), address_(address) { pool_.hold(address_); }
    ~HeldName() { pool_.release(address_); }
    HeldName(const HeldName&) = delete;
    HeldName& operator=(const HeldName&) = delete;

private:
    AddressPool& pool_;
    std::uint32_t address_;
};

AgentDoor::AgentDoor(Loop& loop, ConnectionGate& gate, AddressPool& pool, const AgentTls& tls, UniqueFd sock_diag,
                     Services& services)
    : loop_(loop), gate_(gate), pool_(pool), tls_(tls), sock_diag_(std::move(sock_diag)), services_(services) {}

void AgentDoor::admit(AcceptedSocket socket) { loop_.spawn(serve(std::move(socket))); }

net::awaitable<void> AgentDoor::serve(AcceptedSocket socket) {
    struct Leave {
        ConnectionGate& gate;
        ~Leave() { gate.leave(); }
    } leave{gate_};
    const std::uint32_t dialled = v4_of(socket.dialled);
    const HeldName held(pool_, dialled);

    AgentConnection connection;
    connection.id = ++last_connection_;
    connection.cookie = find_socket_cookie(sock_diag_.get(), socket.agent, socket.dialled);
    connection.dialled = address_text(socket.dialled);
    connection.name = pool_.name_of(dialled).value_or("");
    connection.port = port_of(socket.dialled);
    connection.is_tls = false;
    services_.recorder.connection_opened(
        {connection.id, connection.cookie, connection.dialled, connection.name});

    auto plain = std::make_unique<PlainStream>(loop_, Descriptor(loop_, std::move(socket.fd)));
    plain->set_deadline(kHandshakeTimeout);
    const Result<std::optional<unsigned char>> first = co_await plain->peek_first_byte();
    if (!first || !*first) co_return;
    if (**first == kTlsHandshakeRecord) {
        co_await serve_tls(std::move(plain), std::move(connection), host_text(socket.dialled));
        co_return;
    }
    if (connection.port != kHttpsPort) {
        plain->clear_deadline();
        co_await serve_connection(std::move(plain), std::move(connection), services_);
        co_return;
    }
    // SECURITY: no tunnels: what is neither TLS nor HTTP ends here.
    services_.recorder.connection_refused({connection.id, connection.dialled, "not_tls"});
    if (!looks_like_http(**first)) co_return;
    const Status written = co_await plain->write_all(kNotTls);
    if (written) co_await plain->finish();
}

net::awaitable<void> AgentDoor::serve_tls(std::unique_ptr<PlainStream> plain, AgentConnection connection,
                                          std::string dialled_host) {
    AgentHandshake handshake{connection.name, std::move(dialled_host), {}};
    Result<network::SslPtr> ssl = tls_.start(handshake);
    if (!ssl) {
        log::error(ssl.error().what);
        co_return;
    }
    auto stream = std::make_unique<TlsStream>(loop_, plain->release(), std::move(*ssl));
    plain.reset();
    stream->set_deadline(kHandshakeTimeout);
    const Status shaken = co_await stream->handshake(kClientHelloBytesMax);
    if (!shaken) {
        log::debug("connection c" + std::to_string(connection.id) + ": " + shaken.error().what);
        if (shaken.error().code == Errc::Cancelled) co_return;  // the mission has ended
        const char* reason = stream->is_certificate_refused() ? "certificate_not_trusted" : "tls_handshake";
        services_.recorder.connection_refused({connection.id, connection.dialled, reason});
        co_return;
    }
    stream->clear_deadline();
    connection.is_tls = true;
    connection.server_name = std::move(handshake.server_name);
    co_await serve_connection(std::move(stream), std::move(connection), services_);
}

}  // namespace sanctum::interceptor
