// SPDX-License-Identifier: Apache-2.0
#include "ledger/refusal_counter.hpp"

#include "base/limits.hpp"

#include <utility>

namespace sanctum::ledger {
namespace {

// Refusals before an intent: the policy's own and malformed requests. Those after one end an exchange and stay single.
bool may_be_counted(const wire::ExchangeRefused& refused) {
    return (refused.status == 403 || refused.status == 400) && refused.reason != "mission_ending";
}

void keep_if_equal(std::string& kept, const std::string& other) {
    if (kept != other) kept.clear();
}

}  // namespace

bool RefusalCounter::is_single(const LineRecord& record, BootTime at) {
    const auto* refusals = std::get_if<Refusals>(&record);
    const auto* connections = std::get_if<RefusedConnections>(&record);
    if (connections == nullptr && (refusals == nullptr || !may_be_counted(refusals->refused))) return true;
    if (second_of(at) != second_) {
        second_ = second_of(at);
        singles_ = 0;
    }
    if (singles_ < kLedgerRefusalsSinglePerSecond) {
        ++singles_;
        return true;
    }
    if (refusals != nullptr) count(*refusals);
    else count(*connections);
    return false;
}

void RefusalCounter::count(const Refusals& record) {
    const wire::ExchangeRefused& refused = record.refused;
    const std::string equal = "x\n" + refused.service + "\n" + refused.operation + "\n" + refused.reason + "\n" +
                              refused.rule + "\n" + std::to_string(refused.status) + "\n" +
                              std::to_string(refused.sent_status);
    const auto [found, is_new] = counted_.try_emplace(equal, record);
    if (is_new) return;
    auto& kept = std::get<Refusals>(found->second);
    ++kept.repeated;
    kept.last_exchange = refused.exchange;
    if (kept.refused.connection != refused.connection) kept.refused.connection = 0;
    keep_if_equal(kept.refused.method, refused.method);
    keep_if_equal(kept.refused.host, refused.host);
    keep_if_equal(kept.refused.path, refused.path);
    keep_if_equal(kept.refused.detail, refused.detail);
}

void RefusalCounter::count(const RefusedConnections& record) {
    const auto [found, is_new] = counted_.try_emplace("c\n" + record.refused.reason, record);
    if (is_new) return;
    auto& kept = std::get<RefusedConnections>(found->second);
    ++kept.repeated;
    keep_if_equal(kept.refused.dialled, record.refused.dialled);
    if (kept.refused.connection != record.refused.connection) kept.refused.connection = 0;
    const std::optional<ClaimedProcess>& other = record.refused.process;
    if (kept.refused.process && (!other || other->pid != kept.refused.process->pid)) kept.refused.process.reset();
}

std::vector<LineRecord> RefusalCounter::take() {
    std::vector<LineRecord> out;
    for (auto& [equal, record] : counted_) out.push_back(std::move(record));
    counted_.clear();
    return out;
}

}  // namespace sanctum::ledger
