// SPDX-License-Identifier: Apache-2.0
// `command`: a program of the operator's prints the credential (a password manager, a minting script).
//
// The program is run by CommandRunner, never by this process. What it printed is used without one newline at its end;
// it is never part of an error.
#pragma once

#include "vault/sources/command_runner.hpp"
#include "vault/sources/source.hpp"

#include <memory>
#include <string>

namespace sanctum::vault {

class CommandSource final : public Source {
public:
    /// `index`: the command's place in the runner's table. `program`: its path, for errors.
    CommandSource(std::shared_ptr<CommandRunner> runner, std::uint32_t index, std::string program)
        : runner_(std::move(runner)), index_(index), program_(std::move(program)) {}

    /// It may mint something and cannot say for how long.
    [[nodiscard]] Capabilities capabilities() const override;
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    void retire(const Credential& credential, RetireCause /*cause*/, Completion<RetireOutcome> done) override;

private:
    std::shared_ptr<CommandRunner> runner_;
    std::uint32_t index_;
    std::string program_;
};

/// One sentence for an ending of a program that gave no credential; nothing of its output. Pure.
[[nodiscard]] Error command_error(const std::string& program, const CommandEnd& end);

}  // namespace sanctum::vault
