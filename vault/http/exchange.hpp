// SPDX-License-Identifier: Apache-2.0
// Exchange: one connection's life: handshake, request, answer. No deadline of its own: its owner destroys it.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "network/openssl_types.hpp"
#include "vault/http/answer_parser.hpp"
#include "vault/http/retry.hpp"
#include "vault/http/wiped_bytes.hpp"
#include "vault/poll_loop.hpp"

#include <optional>

namespace sanctum::vault {

/// How an exchange ended; `end` says more about a failure than its error code.
struct ExchangeEnd {
    TryEnd end = TryEnd::Lost;
    Result<HttpResponse> answer;
};

class Exchange {
public:
    /// `socket` is connected and non-blocking, `ssl` from UpstreamTls::start, `request` whole. `done` is called once,
    /// from the loop, and may destroy this object. `loop` must outlive it. Where `ssl` has a certificate of ours, which
    /// then resumes no session, nothing is sent to a server that did not ask for it.
    Exchange(PollLoop& loop, UniqueFd socket, network::SslPtr ssl, WipedBytes request, Completion<ExchangeEnd> done);
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    /// Closes the connection, whatever it was doing.
    ~Exchange();

    /// A byte of the request may have left.
    [[nodiscard]] bool has_sent() const { return stage_ == Stage::Receiving || sent_ > 0; }

private:
    enum class Stage : std::uint8_t { Handshake, Sending, Receiving };

    void step();
    [[nodiscard]] std::optional<ExchangeEnd> shake_hands();
    [[nodiscard]] std::optional<ExchangeEnd> send_some();
    [[nodiscard]] std::optional<ExchangeEnd> receive_some();
    [[nodiscard]] ExchangeEnd explain_loss(int problem);
    [[nodiscard]] bool is_waiting(int result);
    void wait_until(Ready ready);

    PollLoop& loop_;
    UniqueFd socket_;
    network::SslPtr ssl_;
    WipedBytes request_;
    Completion<ExchangeEnd> done_;
    AnswerParser parser_;
    Stage stage_ = Stage::Handshake;
    std::size_t sent_ = 0;
};

}  // namespace sanctum::vault
