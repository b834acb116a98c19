// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/rotate.hpp"

#include "base/limits.hpp"
#include "vault/retirement.hpp"

#include <algorithm>

namespace sanctum::vault {

Capabilities RotateSource::capabilities() const {
    Capabilities capabilities;
    capabilities.mints = true;
    capabilities.retire = RetireClass::Self;
    return capabilities;
}

// One that is about to end is left to its leases.
bool RotateSource::is_fresh(const Issued& issued) const {
    const std::int64_t floor = clock_.wall().unix_ms + Milliseconds(kRotateFloor).count();
    return !issued.made.expires || issued.made.expires->unix_ms > floor;
}

Credential RotateSource::lease_of(Issued& issued, const SourceNeed& need) const {
    ++issued.leases;
    Credential credential;
    credential.secret = issued.made.secret.duplicate();
    credential.expires = issued.made.expires;
    credential.handle = issued.number;
    credential.retire = RetireClass::Self;
    credential.scopes = {need.scopes, issued.made.scopes.received, NarrowedBy::Proxy};
    return credential;
}

void RotateSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    const bool is_running = !asking_.empty();
    if (!is_running && !issued_.empty() && is_fresh(issued_.back())) return done(lease_of(issued_.back(), need));
    asking_.push_back({need, std::move(done)});
    if (is_running) return;
    runner_->run(commands_.print, [this](const CommandEnd& end) { take(end); });
}

void RotateSource::take(const CommandEnd& end) {
    const std::vector<Asking> asking = std::exchange(asking_, {});
    const std::string& program = account_.command.front();
    const auto fail = [asking](const Fetched& failed) {
        for (const Asking& asked : asking) asked.done(failed.failure());
    };
    if (end.how != CommandEnd::How::Output) return fail(command_error(program, end));
    PrintedCredential printed = read_printed(end.output.reveal());
    const SourceFailure broken{SourceFault::Protocol, program + ": " + printed.fault, Milliseconds(0)};
    if (printed.secret.is_empty()) return fail(end.output.is_empty() ? broken : that_may_be_out(broken));
    Issued& issued = issued_.emplace_back();
    issued.number = std::to_string(++counted_);
    issued.made.secret = std::move(printed.secret);
    issued.made.handle = std::move(printed.handle);
    issued.made.scopes.received = std::move(printed.scopes);
    if (printed.expires_in) issued.made.expires = WallTime{clock_.wall().unix_ms + printed.expires_in->count()};
    if (!printed.fault.empty()) {
        issued.waiting.emplace_back([fail, broken](const RetireOutcome& outcome) {
            fail(after_clean_up(broken, outcome, true));
        });
        return give_back(std::prev(issued_.end()));
    }
    for (const Asking& asked : asking) asked.done(lease_of(issued, asked.need));
}

void RotateSource::retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) {
    const auto found = std::find_if(issued_.begin(), issued_.end(),
                                    [&](const Issued& issued) { return issued.number == credential.handle; });
    SANCTUM_ASSERT(found != issued_.end() && found->leases > 0);
    --found->leases;
    if (found->leases > 0 && cause != RetireCause::MissionEnd) {
        return done({RetireOutcome::End::Gone,
                     "another lease has the same credential, which is retired with the last"});
    }
    found->waiting.push_back(std::move(done));
    if (found->leases == 0) give_back(found);
}

std::unique_ptr<Retirement> RotateSource::retirement(const Credential& credential) const {
    const auto found = std::find_if(issued_.begin(), issued_.end(),
                                    [&](const Issued& issued) { return issued.number == credential.handle; });
    return found == issued_.end() ? nullptr : retirement_by_command(account_.name, found->made);
}

void RotateSource::give_back(std::list<Issued>::iterator issued) {
    const auto ended = std::make_shared<Issued>(std::move(*issued));
    issued_.erase(issued);
    give_back_by_command(*runner_, *commands_.give_back, account_.give_back.front(), ended->made,
                         [ended](const RetireOutcome& outcome) {
                             for (const Completion<RetireOutcome>& told : ended->waiting) told(outcome);
                         });
}

}  // namespace sanctum::vault
