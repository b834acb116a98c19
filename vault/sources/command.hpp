// SPDX-License-Identifier: Apache-2.0
// `command`: a program of the operator's prints the credential (a password manager, a minting script), and another may
// give it back.
//
// Programs are run by CommandRunner, never by this process. Which one gives back is the configuration's word: an output
// can name no program. Nothing of an output is ever part of an error.
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "vault/sources/command_runner.hpp"
#include "vault/sources/printed_credential.hpp"
#include "vault/sources/source.hpp"

#include <memory>
#include <optional>
#include <string>

namespace sanctum::vault {

/// An account's programs by their places in the runner's table.
struct AccountCommands {
    std::uint32_t print = 0;
    std::optional<std::uint32_t> give_back;  ///< absent: nothing is given back
};

/// Runs a credential's second program: its handle in `SANCTUM_HANDLE`, the credential on its standard input. Exit
/// status 0 is Gone, all else NotYet.
void give_back_by_command(CommandRunner& runner, std::uint32_t index, const std::string& program,
                          const Credential& credential, Completion<RetireOutcome> done);

/// The same for a reaper: the account's name, the handle and the credential.
[[nodiscard]] std::unique_ptr<Retirement> retirement_by_command(const std::string& account,
                                                                const Credential& credential);

class CommandSource final : public Source {
public:
    CommandSource(std::shared_ptr<CommandRunner> runner, AccountCommands commands, const Clock& clock,
                  profiles::Account account)
        : runner_(std::move(runner)), commands_(commands), clock_(clock), account_(std::move(account)) {}

    /// It may mint something and cannot say for how long.
    [[nodiscard]] Capabilities capabilities() const override;
    /// The program learns the need's scopes from `SANCTUM_SCOPES`; what it says about scopes is compared as any
    /// provider's word. A credential that breaks the contract is given back and fails as Protocol.
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Credential& credential) const override;

private:
    void take(const SourceNeed& need, const CommandEnd& end, Completion<Fetched> done);
    [[nodiscard]] RetireClass retire_class(const PrintedCredential& printed) const;

    std::shared_ptr<CommandRunner> runner_;
    AccountCommands commands_;
    const Clock& clock_;
    profiles::Account account_;
};

}  // namespace sanctum::vault
