// SPDX-License-Identifier: Apache-2.0
#include "vault/store_format.hpp"

#include "base/digest.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"

#include <algorithm>
#include <cstring>
#include <sodium.h>

namespace sanctum::vault {
namespace {

constexpr std::string_view kMagic = "SANCTUM\n";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kFixedBytes = 8 + 4 + 4;
constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t kKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr std::size_t kSaltBytes = crypto_pwhash_SALTBYTES;

void put_u32(std::string& out, std::uint64_t value) {
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xffU));
}

std::uint32_t get_u32(std::string_view bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;) value = (value << 8U) | static_cast<std::uint8_t>(bytes[i]);
    return value;
}

Error damaged(std::string_view how) { return Error{Errc::Protocol, "the store is damaged (" + std::string(how) + ")"}; }

// Sealing: ciphertext and tag of `plain` under a fresh nonce.
std::string seal(std::string_view plain, std::string_view associated, std::string_view nonce, const LockedBytes& key) {
    SANCTUM_ASSERT(key.size() == kKeyBytes && nonce.size() == kNonceBytes);
    std::string out(plain.size() + kTagBytes, '\0');
    crypto_aead_xchacha20poly1305_ietf_encrypt(reinterpret_cast<unsigned char*>(out.data()), nullptr, bytes_of(plain),
                                               plain.size(), bytes_of(associated), associated.size(), nullptr,
                                               bytes_of(nonce), key.data());
    return out;
}

// The inverse; nullopt when anything of it was changed or the key is another.
std::optional<LockedBytes> unseal(std::string_view sealed, std::string_view associated, std::string_view nonce,
                                  const LockedBytes& key) {
    if (key.size() != kKeyBytes || nonce.size() != kNonceBytes || sealed.size() < kTagBytes) return std::nullopt;
    LockedBytes plain(sealed.size() - kTagBytes);
    const int opened = crypto_aead_xchacha20poly1305_ietf_decrypt(
        plain.data(), nullptr, nullptr, bytes_of(sealed), sealed.size(), bytes_of(associated), associated.size(),
        bytes_of(nonce), key.data());
    if (opened != 0) return std::nullopt;
    return plain;
}

// What a slot's wrapping is bound to, so that a slot cannot be moved to another store or made cheaper.
std::string slot_context(const std::string& store_id, const KeySlot& slot) {
    return "sanctum-store-slot-1\n" + store_id + "\n" + std::string(name_of(slot.kind)) + "\n" + slot.salt + "\n" +
           std::to_string(slot.operations) + "\n" + std::to_string(slot.memory_bytes) + "\n";
}

void wrap(const std::string& store_id, KeySlot& slot, const LockedBytes& data_key, const LockedBytes& slot_key) {
    const std::string nonce = random_bytes(kNonceBytes);
    slot.nonce = wire::to_hex(nonce);
    slot.wrapped = wire::to_hex(seal(data_key.reveal(), slot_context(store_id, slot), nonce, slot_key));
}

Result<LockedBytes> unwrap(const std::string& store_id, const KeySlot& slot, const LockedBytes& slot_key) {
    const std::optional<std::string> nonce = wire::from_hex(slot.nonce);
    const std::optional<std::string> wrapped = wire::from_hex(slot.wrapped);
    if (!nonce || !wrapped || wrapped->size() != kKeyBytes + kTagBytes) return damaged("key slot");
    std::optional<LockedBytes> key = unseal(*wrapped, slot_context(store_id, slot), *nonce, slot_key);
    if (!key) return Error{Errc::Denied, "this key does not open the store"};
    return std::move(*key);
}

Result<LockedBytes> stretch(std::string_view passphrase, std::string_view salt, ArgonCost cost) {
    LockedBytes key(kKeyBytes);
    if (crypto_pwhash(key.data(), key.size(), passphrase.data(), passphrase.size(), bytes_of(salt), cost.operations,
                      static_cast<std::size_t>(cost.memory_bytes), crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return Error{Errc::Limit, "not enough memory to open the store (Argon2id needs " +
                                      std::to_string(cost.memory_bytes / (1024 * 1024)) + " MiB)"};
    }
    return key;
}

// Writes into memory of a size that was counted before, so that no growing buffer leaves copies behind.
class ItemWriter {
public:
    explicit ItemWriter(std::size_t size) : bytes_(size) {}
    void number(std::uint64_t value) {
        for (int i = 0; i < 8; ++i) bytes_.data()[used_++] = static_cast<unsigned char>((value >> (8 * i)) & 0xffU);
    }
    void text(std::string_view value) {
        number(value.size());
        if (!value.empty()) std::memcpy(bytes_.data() + used_, value.data(), value.size());
        used_ += value.size();
    }
    [[nodiscard]] std::string_view written() const { return bytes_.reveal().substr(0, used_); }
    [[nodiscard]] static std::size_t text_bytes(std::string_view value) { return 8 + value.size(); }

private:
    LockedBytes bytes_;
    std::size_t used_ = 0;
};

class ItemReader {
public:
    explicit ItemReader(std::string_view bytes) : bytes_(bytes) {}
    std::uint64_t number() {
        const std::string_view part = take(8);
        std::uint64_t value = 0;
        for (std::size_t i = part.size(); i-- > 0;) value = (value << 8U) | static_cast<std::uint8_t>(part[i]);
        return value;
    }
    std::string_view text() { return take(number()); }
    [[nodiscard]] bool failed() const { return failed_; }
    [[nodiscard]] bool is_finished() const { return !failed_ && bytes_.empty(); }

private:
    std::string_view take(std::uint64_t size) {
        if (failed_ || size > bytes_.size()) {
            failed_ = true;
            return {};
        }
        const std::string_view part = bytes_.substr(0, static_cast<std::size_t>(size));
        bytes_.remove_prefix(static_cast<std::size_t>(size));
        return part;
    }
    std::string_view bytes_;
    bool failed_ = false;
};

}  // namespace

std::string_view name_of(SlotKind kind) { return kind == SlotKind::Passphrase ? "passphrase" : "key"; }

bool parse_name(std::string_view name, SlotKind& kind) {
    if (name != "passphrase" && name != "key") return false;
    kind = name == "key" ? SlotKind::Key : SlotKind::Passphrase;
    return true;
}

bool is_item_name(std::string_view name) {
    const auto is_alphanumeric = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (name.empty() || name.size() > kStoreNameBytesMax || !is_alphanumeric(name.front())) return false;
    return std::all_of(name.begin(), name.end(), [&](char c) {
        return is_alphanumeric(c) || c == '.' || c == '_' || c == '-' || c == '@' || c == '/';
    });
}

LockedBytes make_key() {
    LockedBytes key(kKeyBytes);
    ::randombytes_buf(key.data(), key.size());
    return key;
}

ArgonCost ArgonCost::moderate() {
    return {crypto_pwhash_argon2id_OPSLIMIT_MODERATE, crypto_pwhash_argon2id_MEMLIMIT_MODERATE};
}

Result<KeySlot> make_passphrase_slot(const std::string& store_id, const LockedBytes& data_key,
                                     std::string_view passphrase, ArgonCost cost) {
    start_sodium();
    KeySlot slot;
    slot.kind = SlotKind::Passphrase;
    const std::string salt = random_bytes(kSaltBytes);
    slot.salt = wire::to_hex(salt);
    slot.operations = cost.operations;
    slot.memory_bytes = cost.memory_bytes;
    SANCTUM_TRY(const LockedBytes key, stretch(passphrase, salt, cost));
    wrap(store_id, slot, data_key, key);
    return slot;
}

KeySlot make_key_slot(const std::string& store_id, const LockedBytes& data_key, const LockedBytes& key) {
    start_sodium();
    KeySlot slot;
    slot.kind = SlotKind::Key;
    wrap(store_id, slot, data_key, key);
    return slot;
}

Result<LockedBytes> open_passphrase_slot(const std::string& store_id, const KeySlot& slot,
                                         std::string_view passphrase) {
    start_sodium();
    const std::optional<std::string> salt = wire::from_hex(slot.salt);
    if (!salt || salt->size() != kSaltBytes || slot.memory_bytes > kArgonMemoryBytesMax ||
        slot.operations > kArgonOperationsMax || slot.operations < crypto_pwhash_argon2id_OPSLIMIT_MIN ||
        slot.memory_bytes < crypto_pwhash_argon2id_MEMLIMIT_MIN) {
        return damaged("key slot asks for an impossible Argon2id");
    }
    SANCTUM_TRY(const LockedBytes key, stretch(passphrase, *salt, {slot.operations, slot.memory_bytes}));
    return unwrap(store_id, slot, key);
}

Result<LockedBytes> open_key_slot(const std::string& store_id, const KeySlot& slot, const LockedBytes& key) {
    start_sodium();
    if (key.size() != kKeyBytes) return Error{Errc::Denied, "a key is 32 bytes"};
    return unwrap(store_id, slot, key);
}

Result<SealedBytes> parse_store(std::string_view bytes) {
    if (!bytes.starts_with(kMagic)) return damaged("it does not begin like a store");
    if (bytes.size() < kFixedBytes) return damaged("cut short");
    const std::uint32_t version = get_u32(bytes.substr(8));
    const std::uint64_t header_size = get_u32(bytes.substr(12));
    if (bytes.size() < kFixedBytes + header_size + kHashBytes + kNonceBytes + kTagBytes) return damaged("cut short");
    const std::string_view hashed = bytes.substr(0, kFixedBytes + static_cast<std::size_t>(header_size));
    const Digest digest = sha256(hashed);
    if (bytes.substr(hashed.size(), kHashBytes) !=
        std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size())) {
        return damaged("its header does not match its hash");
    }
    if (version != kVersion) {
        return Error{Errc::Unsupported, "the store has version " + std::to_string(version) + ", this Sanctum knows " +
                                            std::to_string(kVersion) + "; use the newer Sanctum that wrote it"};
    }
    SealedBytes out;
    Result<StoreHeader> header = wire::from_json<StoreHeader>(hashed.substr(kFixedBytes));
    if (!header) return damaged(header.error().what);
    out.header = std::move(*header);
    if (out.header.slots.empty() || out.header.slots.size() > kStoreSlotsMax) return damaged("number of key slots");
    out.prefix = std::string(bytes.substr(0, hashed.size() + kHashBytes));
    out.nonce = std::string(bytes.substr(out.prefix.size(), kNonceBytes));
    out.sealed = std::string(bytes.substr(out.prefix.size() + kNonceBytes));
    return out;
}

Result<std::string> seal_store(const StoreHeader& header, const StoredItems& items, const LockedBytes& data_key) {
    start_sodium();
    if (items.size() > kStoreItemsMax) {
        return Error{Errc::Limit, "a store holds at most " + std::to_string(kStoreItemsMax) + " items"};
    }
    std::size_t size = 8;
    for (const auto& [name, item] : items) {
        size += ItemWriter::text_bytes(name) + 8 + ItemWriter::text_bytes(item.note) +
                ItemWriter::text_bytes(item.value.reveal());
    }
    ItemWriter writer(size);
    writer.number(items.size());
    for (const auto& [name, item] : items) {
        writer.text(name);
        writer.number(static_cast<std::uint64_t>(item.created_unix_ms));
        writer.text(item.note);
        writer.text(item.value.reveal());
    }
    const std::string head = wire::to_json(header);
    std::string out(kMagic);
    put_u32(out, kVersion);
    put_u32(out, head.size());
    out += head;
    const Digest digest = sha256(out);
    out.append(reinterpret_cast<const char*>(digest.data()), digest.size());
    const std::string nonce = random_bytes(kNonceBytes);
    const std::string sealed = seal(writer.written(), out, nonce, data_key);
    out += nonce;
    out += sealed;
    if (out.size() > kStoreFileBytesMax) return Error{Errc::Limit, "the store would grow beyond its limit"};
    return out;
}

Result<StoredItems> open_store(const SealedBytes& sealed, const LockedBytes& data_key) {
    start_sodium();
    const std::optional<LockedBytes> plain = unseal(sealed.sealed, sealed.prefix, sealed.nonce, data_key);
    if (!plain) return damaged("its items do not match its key");
    ItemReader reader(plain->reveal());
    const std::uint64_t count = reader.number();
    StoredItems items;
    for (std::uint64_t i = 0; i < count && !reader.failed(); ++i) {
        const std::string_view name = reader.text();
        StoredItem item;
        item.created_unix_ms = static_cast<std::int64_t>(reader.number());
        item.note = std::string(reader.text());
        item.value = LockedBytes(reader.text());
        if (!is_item_name(name)) return damaged("an item's name");
        items.insert_or_assign(std::string(name), std::move(item));
    }
    if (!reader.is_finished() || items.size() != count) return damaged("its list of items");
    return items;
}

}  // namespace sanctum::vault
