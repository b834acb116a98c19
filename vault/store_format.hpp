// SPDX-License-Identifier: Apache-2.0
// The sealed store as bytes. Pure: no files, no clock.
//
//     "SANCTUM\n" · u32 version · u32 header length · header (JSON) · SHA-256 so far · 24-byte nonce · sealed items
//
// The header names the store and its key slots; each slot wraps the same random data key. The items are sealed with
// the data key by XChaCha20-Poly1305 with everything before the nonce as associated data. The plain hash is no
// protection; it only tells a damaged file from a wrong passphrase.
#pragma once

#include "base/result.hpp"
#include "base/wire/archive.hpp"
#include "vault/locked_bytes.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::vault {

/// What opens a slot: a passphrase (Argon2id) or 32 random bytes (a key file or a systemd credential).
enum class SlotKind : std::uint8_t { Passphrase, Key };
[[nodiscard]] std::string_view name_of(SlotKind kind);
[[nodiscard]] bool parse_name(std::string_view name, SlotKind& kind);

/// One wrapping of the data key. `salt`, `nonce` and `wrapped` are hex.
struct KeySlot {
    SlotKind kind = SlotKind::Key;
    std::string salt;                ///< passphrase only
    std::uint64_t operations = 0;    ///< passphrase only: Argon2id passes
    std::uint64_t memory_bytes = 0;  ///< passphrase only
    std::string nonce;
    std::string wrapped;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("kind", self.kind);
        archive("salt", self.salt);
        archive("operations", self.operations);
        archive("memory_bytes", self.memory_bytes);
        archive("nonce", self.nonce);
        archive("wrapped", self.wrapped);
    }
};

struct StoreHeader {
    std::string id;  ///< hex of 16 random bytes; names the store's key in the user keyring
    std::vector<KeySlot> slots;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("id", self.id);
        archive("slots", self.slots);
    }
};

/// One stored value.
struct StoredItem {
    std::int64_t created_unix_ms = 0;
    std::string note;
    LockedBytes value;
};
using StoredItems = std::map<std::string, StoredItem>;

/// A store file taken apart, still sealed.
struct SealedBytes {
    StoreHeader header;
    std::string prefix;  ///< everything before the nonce, as read or as to be written: the associated data
    std::string nonce;
    std::string sealed;
};

/// Takes a file's bytes apart. Errors: Protocol (damaged or no store), Unsupported (a newer version).
[[nodiscard]] Result<SealedBytes> parse_store(std::string_view bytes);

/// A new 32-byte key from the system's random numbers.
[[nodiscard]] LockedBytes make_key();

/// How strong a new passphrase slot is (crypto_pwhash(3)).
struct ArgonCost {
    std::uint64_t operations;
    std::uint64_t memory_bytes;
    /// Half a second on a small machine; the recommendation for interactive sensitive use.
    [[nodiscard]] static ArgonCost moderate();
};

/// Wraps `data_key` for a passphrase or a 32-byte key.
[[nodiscard]] Result<KeySlot> make_passphrase_slot(const std::string& store_id, const LockedBytes& data_key,
                                                   std::string_view passphrase, ArgonCost cost);
[[nodiscard]] KeySlot make_key_slot(const std::string& store_id, const LockedBytes& data_key, const LockedBytes& key);

/// The data key. Errors: Denied (this is not the passphrase or key), Protocol (slot out of bounds), Limit (no memory).
[[nodiscard]] Result<LockedBytes> open_passphrase_slot(const std::string& store_id, const KeySlot& slot,
                                                       std::string_view passphrase);
[[nodiscard]] Result<LockedBytes> open_key_slot(const std::string& store_id, const KeySlot& slot,
                                                const LockedBytes& key);

/// The whole file for these items under a fresh nonce. Errors: Limit (too many or too large).
[[nodiscard]] Result<std::string> seal_store(const StoreHeader& header, const StoredItems& items,
                                             const LockedBytes& data_key);

/// The items. Errors: Protocol (damaged, or the data key is not this store's).
[[nodiscard]] Result<StoredItems> open_store(const SealedBytes& sealed, const LockedBytes& data_key);

/// True for a name an item may have: a letter or digit, then letters, digits and `. _ - @ /`, at most 64.
[[nodiscard]] bool is_item_name(std::string_view name);

}  // namespace sanctum::vault
