// SPDX-License-Identifier: Apache-2.0
// What happened in this mission, on its way from messages into the ledger, and the sums that `show` and the last lines
// on the terminal are made of.
#pragma once

#include "base/result.hpp"
#include "base/wire/messages.hpp"
#include "launcher/run/used_numbers.hpp"
#include "ledger/ledger.hpp"
#include "profiles/catalog/catalog.hpp"
#include "profiles/schema/mission.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sanctum::launcher {

struct Counts {
    std::uint64_t connections = 0;
    std::uint64_t allowed = 0;           ///< exchanges whose intent was recorded
    std::uint64_t refused = 0;
    std::uint64_t attempts_refused = 0;  ///< connections that never were one
    std::map<std::string, std::uint64_t> refused_by_reason;
    std::map<std::string, std::uint64_t> rejected_by_account;  ///< times that a server did not take the credential
};

/// Owns the ledger. Every function that takes a message returns Errors: Protocol (an end without a beginning, a number
/// used twice), Limit, Io (the ledger has failed); each ends the mission: no record, no action.
class MissionRecord {
public:
    MissionRecord(std::unique_ptr<ledger::Ledger> ledger, const profiles::Mission& mission,
                  const profiles::CatalogSet& catalog);

    [[nodiscard]] Status started(ledger::MissionStarted started);
    [[nodiscard]] Status opened(const wire::ConnectionOpened& opened, std::optional<ledger::ClaimedProcess> process);
    [[nodiscard]] Status attempted(ledger::ConnectionRefused attempt);
    [[nodiscard]] Status intent(wire::ExchangeIntent intent);
    [[nodiscard]] Status refused(wire::ExchangeRefused refused);
    [[nodiscard]] Status outcome(wire::ExchangeOutcome outcome);
    [[nodiscard]] Status lease(wire::LeaseChanged lease);
    [[nodiscard]] Status leases(const std::vector<wire::LeaseChanged>& leases);
    /// On disk when this returns: nothing of the child runs before.
    [[nodiscard]] Status child_started(ledger::ChildStarted child);
    [[nodiscard]] Status child_refused(ledger::ChildRefused refused);
    [[nodiscard]] Status child_ended(ledger::ChildEnded ended);
    /// While the answer lives, what is recorded waits for the rest of a turn; see ledger::Gathering.
    [[nodiscard]] ledger::Gathering gather() { return ledger::Gathering(*ledger_); }
    /// Error while records cannot be written any more.
    [[nodiscard]] Status check_ledger() const;

    /// The journal knows of leases what nobody could ask it for: seal() leaves the record open, with `why`, and
    /// `sanctum reap` closes it with the journal's word.
    void leave_to_reaper(Error why) { why_left_open_ = std::move(why); }

    /// Ends exchanges that are still open with the outcome `mission_ended` and leases without an end as `parked`, then
    /// seals. Errors: Io, and why the record is left to the reaper.
    [[nodiscard]] Result<ledger::Sealed> seal(ledger::MissionEnded ended);

    [[nodiscard]] int durable_fd() const { return ledger_->durable_fd(); }
    [[nodiscard]] std::vector<ledger::Durable> poll_durable() { return ledger_->poll_durable(); }
    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] std::size_t open_exchanges() const { return open_.size(); }
    /// Last known state of every lease, by id.
    [[nodiscard]] const std::map<std::string, wire::LeaseChanged>& last_leases() const { return leases_; }
    /// `SERVICE:SCOPE` of every granted scope that no exchange has needed, sorted.
    [[nodiscard]] std::vector<std::string> unused_scopes() const;

private:
    [[nodiscard]] Status use_number(std::uint64_t exchange);
    [[nodiscard]] const profiles::Service* find_service(const std::string& name) const;
    void note_scopes(const profiles::Service& service, const wire::ExchangeIntent& intent);

    std::unique_ptr<ledger::Ledger> ledger_;
    const profiles::Mission& mission_;
    const profiles::CatalogSet& catalog_;
    Counts counts_;
    UsedNumbers used_numbers_;
    std::map<std::uint64_t, std::string> open_;  ///< exchanges without an end, each with its account's name
    std::map<std::string, wire::LeaseChanged> leases_;
    std::optional<Error> why_left_open_;
    std::set<std::string> used_scopes_;
};

/// Which scopes of `grant` an operation that needs one of `needed` has used: the smallest satisfied set, each scope by
/// itself where it is granted, else by those that imply it. Pure.
[[nodiscard]] std::vector<std::string> scopes_used(const profiles::Service& service,
                                                   const profiles::CompiledEntry* entry,
                                                   const std::vector<std::vector<std::string>>& needed);

}  // namespace sanctum::launcher
