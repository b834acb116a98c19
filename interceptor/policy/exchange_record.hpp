// SPDX-License-Identifier: Apache-2.0
// The record of one exchange: either one refusal, or one intent and one outcome, on every path.
#pragma once

#include "interceptor/http/message.hpp"
#include "interceptor/policy/refusal.hpp"
#include "interceptor/services.hpp"

#include <string>

namespace sanctum::interceptor {

class ExchangeRecord {
public:
    ExchangeRecord(Recorder& recorder, std::uint64_t connection);
    /// An exchange that is dropped between intent and outcome (the process ends) is closed as `mission_ended`.
    ~ExchangeRecord();
    ExchangeRecord(const ExchangeRecord&) = delete;
    ExchangeRecord& operator=(const ExchangeRecord&) = delete;

    [[nodiscard]] std::uint64_t id() const { return id_; }
    /// What is known of the request; repeated in the refusal.
    void describe(const profiles::Request& request);
    void describe(const profiles::Operation& operation);

    /// Completes when something may be sent. Errors: Io, Cancelled.
    [[nodiscard]] net::awaitable<Status> intent(const profiles::Operation& operation,
                                                const profiles::Decision& decision, const std::string& lease,
                                                const wire::Digest& head);
    /// `sent_status`: of the answer that the agent gets; the record's own status is the reason's.
    void refused(const Refusal& refusal, std::uint16_t sent_status);
    /// Exactly once behind intent(). `outcome.exchange` is filled in here.
    void finish(wire::ExchangeOutcome outcome);

private:
    Recorder& recorder_;
    std::uint64_t id_;
    std::uint64_t connection_;
    std::string service_, operation_, method_, host_, path_;
    enum class State : std::uint8_t { Open, Intended, Closed } state_ = State::Open;
};

}  // namespace sanctum::interceptor
