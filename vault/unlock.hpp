// SPDX-License-Identifier: Apache-2.0
// From a sealed store and the operator's word how to open it (`store.unlock`) to its data key.
#pragma once

#include "base/result.hpp"
#include "vault/store.hpp"

#include <string>

namespace sanctum::vault {

/// What the caller can offer for opening.
struct UnlockMeans {
    /// `key-file:PATH | passphrase | keyring | credential:NAME`; empty: keyring, then ask.
    std::string spec;
    int terminal = -1;                  ///< where a passphrase may be asked; -1: nowhere
    int cancel_fd = -1;                 ///< ends the asking
    std::string credentials_directory;  ///< $CREDENTIALS_DIRECTORY of systemd.exec(5); empty: none
};

/// The data key of `store`.
///
/// `passphrase` looks into the user keyring first, so that `vault unlock --for 8h` spares the question.
/// Errors: NotPermitted (locked: no way to open it now, with the remedy), Denied (wrong passphrase or key),
/// Cancelled (the question was answered with Ctrl-C), InvalidProfile (unknown word in `spec`), Protocol, NotFound, Io.
[[nodiscard]] Result<LockedBytes> unlock_store(const SealedBytes& store, const std::string& path,
                                               const UnlockMeans& means);

}  // namespace sanctum::vault
