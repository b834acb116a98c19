// SPDX-License-Identifier: Apache-2.0
#include "interceptor/policy/exchange_record.hpp"

#include <utility>

namespace sanctum::interceptor {

ExchangeRecord::ExchangeRecord(Recorder& recorder, std::uint64_t connection)
    : recorder_(recorder), id_(recorder.next_exchange()), connection_(connection) {}

ExchangeRecord::~ExchangeRecord() {
    if (state_ != State::Intended) return;
    wire::ExchangeOutcome outcome;
    outcome.outcome = "mission_ended";
    finish(std::move(outcome));
}

void ExchangeRecord::describe(const profiles::Request& request) {
    method_ = request.method;
    host_ = request.host;
    path_ = request.path;
}

void ExchangeRecord::describe(const profiles::Operation& operation) {
    service_ = operation.name;
    operation_ = operation.id;
}

net::awaitable<Status> ExchangeRecord::intent(const profiles::Operation& operation, const profiles::Decision& decision,
                                              const std::string& lease, const wire::Digest& head) {
    SANCTUM_ASSERT(state_ == State::Open);
    wire::ExchangeIntent record;
    record.exchange = id_;
    record.connection = connection_;
    // For anything above low risk the record is on disk before the first byte leaves.
    record.durable = decision.risk != profiles::Risk::Low;
    record.service = service_;
    record.operation = operation_;
    record.method = method_;
    record.host = host_;
    record.path = path_;
    record.query = operation.resource_query;
    record.needed = operation.needed;
    record.resources = operation.resources;
    record.risk = profiles::name_of(decision.risk);
    record.verdict = profiles::name_of(decision.verdict);
    record.rule = decision.rule;
    record.lease = lease;
    record.head = head;
    state_ = State::Intended;
    Status status = co_await recorder_.intent(record);
    // Whatever the reason, an intent that was not taken stands for nothing sent; its refusal closes it.
    if (!status.has_value()) state_ = State::Open;
    co_return status;
}

void ExchangeRecord::refused(const Refusal& refusal, std::uint16_t sent_status) {
    SANCTUM_ASSERT(state_ == State::Open);
    wire::ExchangeRefused record;
    record.exchange = id_;
    record.connection = connection_;
    record.service = service_;
    record.operation = operation_;
    record.method = method_;
    record.host = host_;
    record.path = path_;
    record.reason = refusal.reason;
    record.rule = refusal.rule;
    record.status = status_of(refusal.reason);
    if (sent_status != record.status) record.sent_status = sent_status;
    record.detail = refusal.detail.empty() ? refusal.explanation : refusal.detail;
    state_ = State::Closed;
    recorder_.refused(record);
}

void ExchangeRecord::finish(wire::ExchangeOutcome outcome) {
    SANCTUM_ASSERT(state_ == State::Intended);
    outcome.exchange = id_;
    state_ = State::Closed;
    recorder_.outcome(outcome);
}

}  // namespace sanctum::interceptor
