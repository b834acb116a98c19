// SPDX-License-Identifier: Apache-2.0
// Witness: a forked copy of the launcher from before its confinement that runs the operator's command (`[ledger]
// witness`) once for every signed head, with the head as one JSON line on its standard input.
//
// It gets heads from the launcher and nothing from anybody else; the agent cannot reach it. Nobody waits for it but the
// end of a mission, within a bound.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "ledger/head_witness.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <sys/types.h>

namespace sanctum::launcher {

/// What the witness knows from the beginning.
struct WitnessStart {
    const std::string& command;                             ///< absolute path; run without arguments
    const std::map<std::string, std::string>& environment;  ///< the caller's; variables are taken by exact name
    std::chrono::milliseconds timeout;                      ///< for one head
    std::chrono::milliseconds end_timeout;                  ///< for all calls of settle() together
};

class Witness final : public ledger::HeadWitness {
public:
    /// Forks the child. Call it single-threaded. When our end closes, the child tells what it was handed and leaves.
    /// Errors: Io.
    [[nodiscard]] static Result<std::unique_ptr<Witness>> start(const WitnessStart& start);
    Witness(const Witness&) = delete;
    Witness& operator=(const Witness&) = delete;
    ~Witness() override { dismiss(); }

    void tell(const ledger::SignedHead& head) override;
    [[nodiscard]] std::uint64_t settle() override;
    [[nodiscard]] std::string fault() const override { return fault_; }

    /// The child leaves and is reaped, a command that still runs is killed. Idempotent.
    void dismiss();

private:
    Witness(UniqueFd socket, pid_t pid, std::chrono::milliseconds patience)
        : socket_(std::move(socket)), pid_(pid), patience_(patience) {}
    void take_answers();
    [[nodiscard]] bool take_answer();
    void lose(const std::string& why);

    UniqueFd socket_;
    pid_t pid_ = -1;
    std::chrono::milliseconds patience_;  ///< what is left of it
    std::size_t waiting_ = 0;             ///< heads without an answer
    std::uint64_t told_ = 0;
    std::string fault_;
};

}  // namespace sanctum::launcher
