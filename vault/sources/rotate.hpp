// SPDX-License-Identifier: Apache-2.0
// `rotate`: a static credential of a system that knows nothing shorter, issued for this mission by one program of the
// operator's and retired by another.
//
// All leases of an account share what was issued; with the last of them it is retired. A mission that goes on after
// that has another one issued.
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "vault/sources/command.hpp"

#include <list>
#include <memory>
#include <string>
#include <vector>

namespace sanctum::vault {

class RotateSource final : public Source {
public:
    RotateSource(std::shared_ptr<CommandRunner> runner, AccountCommands commands, const Clock& clock,
                 profiles::Account account)
        : runner_(std::move(runner)), commands_(commands), clock_(clock), account_(std::move(account)) {}

    [[nodiscard]] Capabilities capabilities() const override;
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    /// At the mission's end every lease waits for the one run that retires; before it, a lease that is not the last of
    /// its credential is Gone at once.
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Credential& credential) const override;

private:
    /// What one run of the first program made.
    struct Issued {
        std::string number;  ///< the handle of its leases
        Credential made;
        std::size_t leases = 0;
        std::vector<Completion<RetireOutcome>> waiting;  ///< leases that hear how it ended
    };
    struct Asking {
        SourceNeed need;
        Completion<Fetched> done;
    };

    void take(const CommandEnd& end);
    [[nodiscard]] Credential lease_of(Issued& issued, const SourceNeed& need) const;
    [[nodiscard]] bool is_fresh(const Issued& issued) const;
    void give_back(std::list<Issued>::iterator issued);

    std::shared_ptr<CommandRunner> runner_;
    AccountCommands commands_;
    const Clock& clock_;
    profiles::Account account_;
    std::uint64_t counted_ = 0;
    std::list<Issued> issued_;    ///< the last one is what the next lease gets
    std::vector<Asking> asking_;  ///< not empty: the first program runs
};

}  // namespace sanctum::vault
