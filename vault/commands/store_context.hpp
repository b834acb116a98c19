// SPDX-License-Identifier: Apache-2.0
// What every store command works with: which store, how it opens, where questions may be asked.
#pragma once

#include "base/result.hpp"
#include "vault/store.hpp"
#include "vault/terminal.hpp"

#include <string>

namespace sanctum::vault {

/// What the command line said; empty: the operator's configuration decides.
struct StoreChoice {
    std::string config;  ///< --config
    std::string store;   ///< --store
    std::string unlock;  ///< --unlock
};

/// A chosen store. Signals that would leave a silent terminal behind end a question instead (see cancel_fd).
class StoreContext {
public:
    /// Errors: those of load_operator_config.
    [[nodiscard]] static Result<StoreContext> choose(const StoreChoice& choice);

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] const std::string& unlock() const { return unlock_; }
    /// Opens the store. Errors: as load_store and unlock_store.
    [[nodiscard]] Result<LockedBytes> open(const SealedBytes& sealed);
    /// Asks for a secret on the terminal. Errors: NotFound (no terminal), as read_hidden_line.
    [[nodiscard]] Result<LockedBytes> ask(const std::string& prompt, std::size_t bytes_max);
    /// Asks twice; different answers are an error. Errors: as ask, Denied.
    [[nodiscard]] Result<LockedBytes> ask_twice(const std::string& prompt, std::size_t bytes_max);
    [[nodiscard]] bool has_terminal();
    /// From here on INT, TERM, HUP and QUIT arrive through signals(), so that a question can put the terminal back.
    /// Errors: Io.
    [[nodiscard]] Status take_signals();
    /// Readable when one of them came; -1: they were not taken.
    [[nodiscard]] int signals() const { return signals_.get(); }

private:
    std::string path_;
    std::string unlock_;
    UniqueFd terminal_;
    UniqueFd signals_;
    [[nodiscard]] Status prepare_terminal();
};

}  // namespace sanctum::vault
