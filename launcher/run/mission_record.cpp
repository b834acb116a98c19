// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/mission_record.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <utility>

namespace sanctum::launcher {
namespace {

// The interceptor's word for a 401 that answered a request with an injected credential.
constexpr const char* kRejectedCredential = "upstream_rejected_credential";

bool contains(const std::vector<std::string>& sorted, const std::string& value) {
    return std::find(sorted.begin(), sorted.end(), value) != sorted.end();
}

Error out_of_order(const std::string& what, std::uint64_t number) {
    return Error{Errc::Protocol, "interceptor: " + what + " " + std::to_string(number)};
}

}  // namespace

MissionRecord::MissionRecord(std::unique_ptr<ledger::Ledger> ledger, const profiles::Mission& mission,
                             const profiles::CatalogSet& catalog)
    : ledger_(std::move(ledger)), mission_(mission), catalog_(catalog) {}

Status MissionRecord::check_ledger() const {
    if (!ledger_->has_failed()) return {};
    return Error{Errc::Io, "the record of this mission cannot be written any more (is the disk full?); what is not "
                           "recorded is not done, so the mission ends"};
}

Status MissionRecord::started(ledger::MissionStarted started) {
    for (const profiles::Service& service : mission_.services) started.granted[service.name] = service.grant;
    ledger_->append(std::move(started));
    return check_ledger();
}

Status MissionRecord::opened(const wire::ConnectionOpened& opened, std::optional<ledger::ClaimedProcess> process) {
    ++counts_.connections;
    ledger_->append(ledger::ConnectionRecord{opened.connection, opened.dialled, opened.name, std::move(process)});
    return check_ledger();
}

Status MissionRecord::attempted(ledger::ConnectionRefused attempt) {
    ++counts_.attempts_refused;
    ledger_->append(std::move(attempt));
    return check_ledger();
}

Status MissionRecord::intent(wire::ExchangeIntent intent) {
    SANCTUM_CHECK(use_number(intent.exchange));
    if (open_.size() >= kOpenExchangesMax) return Error{Errc::Limit, "interceptor: too many exchanges without an end"};
    const profiles::Service* service = find_service(intent.service);
    open_.emplace(intent.exchange, service == nullptr ? "" : service->account);
    ++counts_.allowed;
    if (service != nullptr) note_scopes(*service, intent);
    const std::uint64_t exchange = intent.exchange;
    if (intent.durable) ledger_->append_durable(std::move(intent), exchange);
    else ledger_->append(std::move(intent));
    return check_ledger();
}

Status MissionRecord::refused(wire::ExchangeRefused refused) {
    // An intent whose request could not be sent after all is closed by a refusal.
    if (open_.erase(refused.exchange) > 0) {
        --counts_.allowed;
    } else {
        SANCTUM_CHECK(use_number(refused.exchange));
    }
    ++counts_.refused;
    ++counts_.refused_by_reason[refused.reason];
    ledger_->append(std::move(refused));
    return check_ledger();
}

Status MissionRecord::outcome(wire::ExchangeOutcome outcome) {
    const auto found = open_.find(outcome.exchange);
    if (found == open_.end()) {
        return out_of_order("an outcome without an intent for exchange", outcome.exchange);
    }
    if (outcome.evidence.contains(kRejectedCredential)) ++counts_.rejected_by_account[found->second];
    open_.erase(found);
    ledger_->append(std::move(outcome));
    return check_ledger();
}

Status MissionRecord::lease(wire::LeaseChanged lease) {
    if (!leases_.contains(lease.lease) && leases_.size() >= kOpenExchangesMax) {
        return Error{Errc::Limit, "vault: too many leases"};
    }
    leases_[lease.lease] = lease;
    ledger_->append(std::move(lease));
    return check_ledger();
}

Status MissionRecord::leases(const std::vector<wire::LeaseChanged>& leases) {
    for (const wire::LeaseChanged& changed : leases) {
        SANCTUM_CHECK(lease(changed));
    }
    return {};
}

Status MissionRecord::child_started(ledger::ChildStarted child) {
    ledger_->append(std::move(child));
    // A failed flush is a failed ledger, which is what the check says.
    static_cast<void>(ledger_->flush());
    return check_ledger();
}

Status MissionRecord::child_refused(ledger::ChildRefused refused) {
    ledger_->append(std::move(refused));
    return check_ledger();
}

Status MissionRecord::child_ended(ledger::ChildEnded ended) {
    ledger_->append(std::move(ended));
    return check_ledger();
}

Result<ledger::Sealed> MissionRecord::seal(ledger::MissionEnded ended) {
    if (why_left_open_) return *why_left_open_;
    // The interceptor died or was cut off before it could say how these ended: sent, perhaps, and nobody knows how far.
    for (const auto& [exchange, account] : open_) {
        wire::ExchangeOutcome outcome;
        outcome.exchange = exchange;
        outcome.outcome = "mission_ended";
        ledger_->append(std::move(outcome));
    }
    open_.clear();
    // Vault and reaper died both, or need longer than the mission has: the journal will know, this record does not.
    for (auto& [id, lease] : leases_) {
        if (lease.state != "held") continue;
        lease.state = "parked";
        lease.expires_unix_ms = 0;  // what a held lease names is its own end, and not the credential's
        lease.detail = "its end was not known when this record was sealed (see: sanctum leases --all)";
        ledger_->append(lease);
    }
    return ledger_->seal(std::move(ended));
}

Status MissionRecord::use_number(std::uint64_t exchange) {
    if (!used_numbers_.use(exchange)) return out_of_order("a second beginning of exchange", exchange);
    if (used_numbers_.ranges() <= kOpenExchangesMax) return {};
    return Error{Errc::Limit, "interceptor: too many gaps in its numbers"};
}

const profiles::Service* MissionRecord::find_service(const std::string& name) const {
    const auto is_named = [&](const profiles::Service& candidate) { return candidate.name == name; };
    const auto service = std::find_if(mission_.services.begin(), mission_.services.end(), is_named);
    return service == mission_.services.end() ? nullptr : &*service;
}

void MissionRecord::note_scopes(const profiles::Service& service, const wire::ExchangeIntent& intent) {
    for (const std::string& scope : scopes_used(service, catalog_.find(service.catalog), intent.needed)) {
        used_scopes_.insert(service.name + ":" + scope);
    }
}

std::vector<std::string> MissionRecord::unused_scopes() const {
    std::vector<std::string> unused;
    for (const profiles::Service& service : mission_.services) {
        for (const std::string& scope : service.grant) {
            std::string name = service.name + ":" + scope;
            if (!used_scopes_.contains(name)) unused.push_back(std::move(name));
        }
    }
    std::sort(unused.begin(), unused.end());
    return unused;
}

std::vector<std::string> scopes_used(const profiles::Service& service, const profiles::CompiledEntry* entry,
                                     const std::vector<std::vector<std::string>>& needed) {
    const std::vector<std::string>* satisfied = nullptr;
    const auto is_implied = [&](const std::string& scope) { return contains(service.implied, scope); };
    for (const std::vector<std::string>& set : needed) {
        const bool is_granted = std::all_of(set.begin(), set.end(), is_implied);
        if (is_granted && (satisfied == nullptr || set.size() < satisfied->size())) satisfied = &set;
    }
    std::vector<std::string> used;
    if (satisfied == nullptr) return used;
    for (const std::string& scope : *satisfied) {
        if (contains(service.grant, scope)) {
            used.push_back(scope);
            continue;
        }
        for (const std::string& granted : service.grant) {
            if (entry == nullptr) continue;
            const std::vector<std::string_view> implied = entry->implied_by(granted);
            if (std::find(implied.begin(), implied.end(), scope) != implied.end()) used.push_back(granted);
        }
    }
    return used;
}

}  // namespace sanctum::launcher
