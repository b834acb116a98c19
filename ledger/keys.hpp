// SPDX-License-Identifier: Apache-2.0
// The machine's ledger key pair (Ed25519, OpenSSL; RFC 8032), PEM files in the data folder.
#pragma once

#include "base/result.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace sanctum::ledger {

class VerifyingKey;

/// Whether a machine without the pair may get a new one: not where `receipts_path`, or `pruned.jsonl` or a mission's
/// ledger beside it, holds anything. Another key would verify none of them, and nothing that is chained behind them.
/// Errors: Protocol (with the remedy); Io (a file or folder cannot be looked at, which does not make it missing).
[[nodiscard]] Status check_pair_is_not_lost(const std::string& private_path, const std::string& public_path,
                                            const std::string& receipts_path);

/// Signs heads and receipts. Move-only.
class SigningKey {
public:
    /// Loads `private_path`, or makes the pair when neither file exists (0600 and 0644, atomically, under a lock).
    /// `receipts_path`: the machine's chain, see check_pair_is_not_lost.
    /// Errors: NotPermitted (readable by others), Protocol (not such a key; one of the two files is missing, or a lost
    /// pair), Io.
    [[nodiscard]] static Result<SigningKey> load_or_create(const std::string& private_path,
                                                           const std::string& public_path,
                                                           const std::string& receipts_path);
    SigningKey(SigningKey&&) noexcept;
    SigningKey& operator=(SigningKey&&) noexcept;
    ~SigningKey();

    /// `ed25519:` and the first 16 hex digits of SHA-256 over the raw public key.
    [[nodiscard]] std::string id() const;
    /// 64 raw bytes.
    [[nodiscard]] std::string sign(std::string_view message) const;
    /// The public half, as VerifyingKey::load would give it.
    [[nodiscard]] VerifyingKey verifying_key() const;

private:
    struct Pair;
    explicit SigningKey(std::unique_ptr<Pair> pair);
    std::unique_ptr<Pair> pair_;
};

/// Checks signatures with the public file alone.
class VerifyingKey {
public:
    /// Errors: NotFound, Protocol, Io.
    [[nodiscard]] static Result<VerifyingKey> load(const std::string& public_path);
    VerifyingKey(VerifyingKey&&) noexcept;
    VerifyingKey& operator=(VerifyingKey&&) noexcept;
    ~VerifyingKey();
    [[nodiscard]] std::string id() const;
    [[nodiscard]] bool verify(std::string_view message, std::string_view signature) const;

private:
    friend class SigningKey;
    struct Key;
    explicit VerifyingKey(std::unique_ptr<Key> key);
    std::unique_ptr<Key> key_;
};

}  // namespace sanctum::ledger
