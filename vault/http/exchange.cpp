// SPDX-License-Identifier: Apache-2.0
#include "vault/http/exchange.hpp"

#include "network/client_certificate.hpp"
#include "network/upstream_tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>

namespace sanctum::vault {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;  // one TLS record, RFC 8446 5.1

}  // namespace

Exchange::Exchange(PollLoop& loop, UniqueFd socket, network::SslPtr ssl, WipedBytes request,
                   Completion<ExchangeEnd> done)
    : loop_(loop), socket_(std::move(socket)), ssl_(std::move(ssl)), request_(std::move(request)),
      done_(std::move(done)) {
    BIO* const bio = BIO_new_socket(socket_.get(), BIO_NOCLOSE);
    SANCTUM_ASSERT(bio != nullptr);
    SSL_set_bio(ssl_.get(), bio, bio);
    // What was deciphered does not stay in OpenSSL's buffers.
    SSL_set_options(ssl_.get(), SSL_OP_CLEANSE_PLAINTEXT);
    wait_until(Ready::Writable);
}

Exchange::~Exchange() { loop_.forget(socket_.get()); }

void Exchange::wait_until(Ready ready) {
    loop_.watch(socket_.get(), [this] { step(); }, ready);
}

void Exchange::step() {
    std::optional<ExchangeEnd> end;
    if (stage_ == Stage::Handshake) end = shake_hands();
    if (!end && stage_ == Stage::Sending) end = send_some();
    if (!end && stage_ == Stage::Receiving) end = receive_some();
    if (!end) return;
    loop_.forget(socket_.get());
    // The last use of this object: it may be gone when `done` returns.
    const Completion<ExchangeEnd> done = std::move(done_);
    done(std::move(*end));
}

std::optional<ExchangeEnd> Exchange::shake_hands() {
    ERR_clear_error();
    const int shaken = SSL_do_handshake(ssl_.get());
    if (shaken == 1) {
        // SECURITY: who is not asked for the certificate by which it asks would be answered as anybody.
        const bool has_certificate = SSL_get_certificate(ssl_.get()) != nullptr;
        const std::string_view why = has_certificate ? network::why_not_shown(ssl_.get()) : std::string_view();
        if (!why.empty()) return ExchangeEnd{TryEnd::NotShown, Error{Errc::InvalidProfile, std::string(why)}};
        stage_ = Stage::Sending;
        return std::nullopt;
    }
    if (is_waiting(shaken)) return std::nullopt;
    Error why = network::UpstreamTls::explain_failure(ssl_.get(), Error{Errc::Io, network::take_openssl_error()});
    const TryEnd end = why.code == Errc::Denied ? TryEnd::NotTrusted : TryEnd::NotReached;
    why.code = Errc::Io;
    return ExchangeEnd{end, std::move(why)};
}

std::optional<ExchangeEnd> Exchange::send_some() {
    const std::string_view bytes = request_.reveal();
    while (sent_ < bytes.size()) {
        ERR_clear_error();
        const int written = SSL_write(ssl_.get(), bytes.data() + sent_, static_cast<int>(bytes.size() - sent_));
        if (written <= 0 && is_waiting(written)) return std::nullopt;
        if (written <= 0) return explain_loss(SSL_get_error(ssl_.get(), written));
        sent_ += static_cast<std::size_t>(written);
    }
    request_.clear();
    stage_ = Stage::Receiving;
    return std::nullopt;
}

std::optional<ExchangeEnd> Exchange::receive_some() {
    for (;;) {
        std::array<char, kReadBytes> buffer;
        ERR_clear_error();
        const int size = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
        if (size <= 0 && is_waiting(size)) return std::nullopt;
        if (size <= 0) {
            const int problem = SSL_get_error(ssl_.get(), size);
            if (problem != SSL_ERROR_ZERO_RETURN) return explain_loss(problem);
            if (Status whole = parser_.end(); !whole) return ExchangeEnd{TryEnd::Lost, std::move(whole).error()};
        } else {
            const std::size_t count = static_cast<std::size_t>(size);
            const Status taken = parser_.feed({buffer.data(), count});
            wipe({buffer.data(), count});
            if (!taken) return ExchangeEnd{TryEnd::Malformed, taken.error()};
        }
        if (!parser_.is_done()) continue;
        ERR_clear_error();
        SSL_shutdown(ssl_.get());  // a courtesy; the connection ends with this object
        return ExchangeEnd{TryEnd::Answered, parser_.take()};
    }
}

// SECURITY: an end without TLS's own word for it may be an attacker's cut (RFC 8446 6.1); it is never the end of an
// answer, also where the answer has no length.
ExchangeEnd Exchange::explain_loss(int problem) {
    const Errc code = parser_.has_started() ? Errc::Protocol : Errc::Cancelled;
    std::string what = parser_.has_started() ? "the connection broke within the answer"
                                             : "the connection broke before an answer came";
    if (problem == SSL_ERROR_SSL) what.append(": ").append(network::take_openssl_error());
    return {TryEnd::Lost, Error{code, std::move(what)}};
}

bool Exchange::is_waiting(int result) {
    const int problem = SSL_get_error(ssl_.get(), result);
    if (problem == SSL_ERROR_WANT_READ) wait_until(Ready::Readable);
    else if (problem == SSL_ERROR_WANT_WRITE) wait_until(Ready::Writable);
    else return false;
    return true;
}

}  // namespace sanctum::vault
