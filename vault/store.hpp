// SPDX-License-Identifier: Apache-2.0
// The sealed store as a file: read whole, replaced whole, changed under a lock. Only this program ever touches it.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "vault/store_format.hpp"

#include <functional>
#include <optional>
#include <string>

namespace sanctum::vault {

/// Reads and checks the file; nothing is opened yet. Errors (all name the file and the remedy): NotFound (there is no
/// store), Protocol (damaged), Unsupported (newer version, no regular file, or one that others may write), Io.
[[nodiscard]] Result<SealedBytes> load_store(const std::string& path);

/// What a new store is opened with; one of them at least.
struct NewStoreKeys {
    std::optional<LockedBytes> passphrase;
    std::optional<LockedBytes> key;  ///< 32 bytes
    ArgonCost cost = ArgonCost::moderate();
};

/// Makes an empty store (0600) and the folders above it (0700). Never replaces one. Errors: Denied (there is one), Io.
[[nodiscard]] Status create_store(const std::string& path, const NewStoreKeys& keys);

/// Reads the items, lets `change` work on them, and replaces the file; another writer waits meanwhile. A crash leaves
/// the old or the new file. When `change` fails or says Leave, nothing is written.
/// Errors: as load_store, those of `change`, Limit.
enum class Change { Write, Leave };
[[nodiscard]] Status change_store(const std::string& path, const LockedBytes& data_key,
                                  const std::function<Result<Change>(StoredItems&)>& change);

/// Whether a file that is there already may give way.
enum class Existing { Refuse, Replace };

/// Copies the store to `copy` (0600) as it is: sealed bytes, nothing is opened. Where Leave is wanted everything is
/// checked and nothing written. Errors: as load_store; Denied (`copy` is there, or is the store itself), Io (also: its
/// folder is not there or not ours to write).
[[nodiscard]] Status back_up_store(const std::string& path, const std::string& copy, Existing existing, Change wanted);

/// Puts `sealed` at `path`. A store that is there already stays beside it under a name of its own; gives that name, or
/// an empty one. It may be damaged: it is not read. Errors: Denied (there is one, and Existing::Refuse), Io.
[[nodiscard]] Result<std::string> restore_store(const std::string& path, const SealedBytes& sealed, Existing existing,
                                                WallTime now);

/// The 32 bytes of a key file. Errors: NotFound, Unsupported (others may read it, or it is another user's), Protocol
/// (not 32 bytes), Io.
[[nodiscard]] Result<LockedBytes> load_key_file(const std::string& path);

/// Makes a key file (0600, O_EXCL). Errors: Io.
[[nodiscard]] Result<LockedBytes> create_key_file(const std::string& path);

}  // namespace sanctum::vault
