// SPDX-License-Identifier: Apache-2.0
#include "interceptor/io/tls_stream.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>

namespace sanctum::interceptor {
namespace {

// The other side's alert about a certificate; OpenSSL adds its number (RFC 8446 6) to SSL_AD_REASON_OFFSET.
bool is_certificate_alert(unsigned long error) {
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) return false;
    const int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
    return (alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_CERTIFICATE_UNKNOWN) || alert == SSL_AD_UNKNOWN_CA ||
           alert == SSL_AD_ACCESS_DENIED || alert == SSL_AD_CERTIFICATE_REQUIRED;
}

}  // namespace

TlsStream::TlsStream(Loop& loop, Descriptor socket, network::SslPtr ssl)
    : SocketStream(loop, std::move(socket)), ssl_(std::move(ssl)) {
    // BIO_NOCLOSE: the descriptor belongs to SocketStream.
    SSL_set_fd(ssl_.get(), fd());
}

TlsStream::~TlsStream() {
    // Closing without close_notify is usual for a kept connection; OpenSSL would take its session for a bad one and
    // never resume it. After a real fault it may.
    if (!is_broken_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

net::awaitable<Status> TlsStream::handshake(std::size_t bytes_max) {
    for (;;) {
        if (std::optional<Error> error = ended()) co_return std::move(*error);
        ERR_clear_error();
        const int returned = SSL_do_handshake(ssl_.get());
        if (returned == 1) co_return Status{};
        if (BIO_number_read(SSL_get_rbio(ssl_.get())) > bytes_max) {
            is_broken_ = true;
            co_return Error{Errc::Limit, "tls: the handshake is longer than allowed"};
        }
        SANCTUM_CO_CHECK(co_await wait_or_fail(returned));
    }
}

net::awaitable<Result<std::size_t>> TlsStream::read_some(std::span<char> into) {
    Reading reading(*this);
    Result<std::size_t> size = co_await read(into);
    co_return reading.done(std::move(size));
}

net::awaitable<Status> TlsStream::wait_to_read() {
    if (!is_drained() || SSL_has_pending(ssl_.get()) == 1) co_return Status{};
    co_return co_await wait_as_reader();
}

net::awaitable<Result<std::size_t>> TlsStream::read(std::span<char> into) {
    if (is_turn_over()) co_await share_turn();
    for (;;) {
        if (std::optional<Error> error = ended()) co_return std::move(*error);
        ERR_clear_error();
        std::size_t size = 0;
        const int returned = SSL_read_ex(ssl_.get(), into.data(), into.size(), &size);
        if (returned == 1) {
            note_read(size, into.size());
            co_return size;
        }
        // The one orderly end: OpenSSL takes a fatal alert for a shutdown, too.
        if (SSL_get_error(ssl_.get(), returned) == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
        SANCTUM_CO_CHECK(co_await wait_or_fail(returned));
    }
}

net::awaitable<Status> TlsStream::write_all(std::string_view bytes) {
    while (!bytes.empty()) {
        if (std::optional<Error> error = ended()) co_return std::move(*error);
        ERR_clear_error();
        std::size_t size = 0;
        const int returned = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &size);
        if (returned == 1) {
            bytes.remove_prefix(size);
            continue;
        }
        SANCTUM_CO_CHECK(co_await wait_or_fail(returned));
    }
    co_return Status{};
}

net::awaitable<void> TlsStream::finish() {
    // SSL_shutdown after a fatal error is not allowed (SSL_shutdown(3)).
    if (is_open() && !is_broken_ && SSL_is_init_finished(ssl_.get()) == 1) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
        ERR_clear_error();
    }
    co_await linger();
}

bool TlsStream::is_quiet() const {
    return !is_broken_ && SSL_has_pending(ssl_.get()) == 0 && SocketStream::is_quiet();
}

net::awaitable<Status> TlsStream::wait_or_fail(int returned) {
    const int sys_errno = errno;
    switch (SSL_get_error(ssl_.get(), returned)) {
        case SSL_ERROR_WANT_READ: co_return co_await wait(Descriptor::For::Reading);
        case SSL_ERROR_WANT_WRITE: co_return co_await wait(Descriptor::For::Writing);
        case SSL_ERROR_ZERO_RETURN: co_return Error{Errc::Io, "tls: the other side has closed"};
        case SSL_ERROR_SYSCALL:
            is_broken_ = true;
            co_return sys_errno != 0 ? io_error("tls", sys_errno) : Error{Errc::Io, "tls: the other side has closed"};
        default: break;
    }
    is_broken_ = true;
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        ERR_clear_error();
        // SECURITY: an end without close_notify may be a cut; codecs that need no more bytes do not ask for them.
        co_return Error{Errc::Protocol, "tls: the connection ended without close_notify"};
    }
    is_certificate_refused_ = is_certificate_alert(ERR_peek_error());
    const std::string why = network::take_openssl_error();
    if (!is_certificate_refused_) co_return Error{Errc::Protocol, "tls: " + why};
    co_return Error{Errc::Denied, "tls: the other side was shown no certificate that it accepts: " + why};
}

}  // namespace sanctum::interceptor
