// SPDX-License-Identifier: Apache-2.0
// WireRecorder: records go to the launcher, which is the only writer of the ledger.
#pragma once

#include "interceptor/io/wire_port.hpp"
#include "interceptor/services.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

namespace sanctum::interceptor {

class WireRecorder final : public Recorder {
public:
    /// `on_broken` is called once, when a record can no longer be handed over: the mission must end.
    WireRecorder(Loop& loop, WirePort& launcher, std::function<void(const Error&)> on_broken);

    std::uint64_t next_exchange() override { return ++last_exchange_; }
    void connection_opened(const wire::ConnectionOpened& record) override { hand_over(record); }
    void connection_refused(const wire::ConnectionRefused& record) override { hand_over(record); }
    net::awaitable<Status> intent(const wire::ExchangeIntent& record) override;
    void refused(const wire::ExchangeRefused& record) override { hand_over(record); }
    void outcome(const wire::ExchangeOutcome& record) override;

    /// The launcher's answer to a durable intent. Errors: Protocol (none waits for it).
    [[nodiscard]] Status recorded(const wire::Recorded& message);
    /// Completes when no exchange is between its intent and its outcome, or after `timeout`.
    [[nodiscard]] net::awaitable<void> wait_idle(std::chrono::milliseconds timeout);
    /// Every wait ends with Cancelled, and nothing more can be recorded.
    void close();
    [[nodiscard]] std::uint64_t exchanges() const { return last_exchange_; }

private:
    struct Waiting;
    template <class Record>
    void hand_over(const Record& record) {
        const Result<std::uint64_t> sent = launcher_.send(record);
        if (!sent) break_off(sent.error());
    }
    [[nodiscard]] net::awaitable<Status> hand_over_intent(const wire::ExchangeIntent& record);
    void break_off(const Error& error);

    Loop& loop_;
    WirePort& launcher_;
    std::function<void(const Error&)> on_broken_;
    std::uint64_t last_exchange_ = 0;
    std::uint64_t under_way_ = 0;
    bool is_closed_ = false;
    Event idle_;
    std::unordered_map<std::uint64_t, std::shared_ptr<Waiting>> waiting_;
};

}  // namespace sanctum::interceptor
