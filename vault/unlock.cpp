// SPDX-License-Identifier: Apache-2.0
#include "vault/unlock.hpp"

#include "base/limits.hpp"
#include "vault/keyring.hpp"
#include "vault/terminal.hpp"

#include <algorithm>

namespace sanctum::vault {
namespace {

Result<LockedBytes> try_slots(const SealedBytes& store, const std::string& path, SlotKind kind,
                              const std::function<Result<LockedBytes>(const KeySlot&)>& open_slot,
                              const std::string& what) {
    bool has_kind = false;
    for (const KeySlot& slot : store.header.slots) {
        if (slot.kind != kind) continue;
        has_kind = true;
        Result<LockedBytes> key = open_slot(slot);
        if (key || key.error().code != Errc::Denied) return key;
    }
    if (!has_kind) return Error{Errc::Denied, path + ": the store has no slot for a " + std::string(name_of(kind))};
    return Error{Errc::Denied, path + ": " + what};
}

Result<LockedBytes> open_with_key(const SealedBytes& store, const std::string& path, const LockedBytes& key,
                                  const std::string& from) {
    return try_slots(
        store, path, SlotKind::Key,
        [&](const KeySlot& slot) { return open_key_slot(store.header.id, slot, key); },
        "the key in " + from + " is not this store's");
}

Result<LockedBytes> open_with_key_file(const SealedBytes& store, const std::string& path,
                                       const std::string& key_path) {
    SANCTUM_TRY(const LockedBytes key, load_key_file(key_path));
    return open_with_key(store, path, key, key_path);
}

Result<LockedBytes> open_with_credential(const SealedBytes& store, const std::string& path, const std::string& name,
                                         const UnlockMeans& means) {
    if (name.empty() || name.find('/') != std::string::npos || name.starts_with('.')) {
        return Error{Errc::InvalidProfile, "store.unlock: `" + name + "` is not a credential's name"};
    }
    if (means.credentials_directory.empty()) {
        return Error{Errc::NotPermitted, "the store is locked: CREDENTIALS_DIRECTORY is not set (start Sanctum from a "
                                         "unit with LoadCredential=" + name + ")"};
    }
    return open_with_key_file(store, path, means.credentials_directory + "/" + name);
}

Error locked(const std::string& path) {
    return Error{Errc::NotPermitted, path + ": the store is locked (open it with `sanctum vault unlock --for 8h`, or "
                                            "set store.unlock = \"key-file:PATH\")"};
}

// A key from the keyring is tried on the items at once, so that a store made anew is not called damaged.
Result<LockedBytes> open_with_keyring(const SealedBytes& store, const std::string& path) {
    Result<LockedBytes> key = find_in_keyring(store.header.id);
    if (!key) return locked(path);
    if (const Result<StoredItems> items = open_store(store, *key); !items) return items.error();
    return key;
}

Result<LockedBytes> ask_passphrase(const SealedBytes& store, const std::string& path, const UnlockMeans& means) {
    const bool has_slot = std::any_of(store.header.slots.begin(), store.header.slots.end(),
                                      [](const KeySlot& slot) { return slot.kind == SlotKind::Passphrase; });
    if (!has_slot) {
        return Error{Errc::NotPermitted, path + ": the store is locked and opens with its key file only (set "
                                                "store.unlock = \"key-file:PATH\")"};
    }
    if (means.terminal < 0) return locked(path);
    const PromptLimits limits{kPassphraseBytesMax, kPassphraseTimeout, means.cancel_fd};
    Result<LockedBytes> key = Error{Errc::Internal, "no try"};
    for (int i = 0; i < kPassphraseTriesMax; ++i) {
        SANCTUM_TRY(const LockedBytes passphrase,
                    read_hidden_line(means.terminal, "Passphrase of " + path + ": ", limits));
        key = try_slots(
            store, path, SlotKind::Passphrase,
            [&](const KeySlot& slot) { return open_passphrase_slot(store.header.id, slot, passphrase.reveal()); },
            "wrong passphrase");
        if (key || key.error().code != Errc::Denied) break;
        tell_terminal(means.terminal, "That is not the passphrase.\n");
    }
    return key;
}

}  // namespace

Result<LockedBytes> unlock_store(const SealedBytes& store, const std::string& path, const UnlockMeans& means) {
    constexpr std::string_view kKeyFile = "key-file:";
    constexpr std::string_view kCredential = "credential:";
    if (means.spec.starts_with(kKeyFile)) {
        return open_with_key_file(store, path, means.spec.substr(kKeyFile.size()));
    }
    if (means.spec.starts_with(kCredential)) {
        return open_with_credential(store, path, means.spec.substr(kCredential.size()), means);
    }
    if (means.spec == "keyring") return open_with_keyring(store, path);
    if (!means.spec.empty() && means.spec != "passphrase") {
        return Error{Errc::InvalidProfile, "store.unlock: `" + means.spec +
                                               "` is none of key-file:PATH, passphrase, keyring, credential:NAME"};
    }
    Result<LockedBytes> key = open_with_keyring(store, path);
    if (key || key.error().code != Errc::NotPermitted) return key;
    return ask_passphrase(store, path, means);
}

}  // namespace sanctum::vault
