// SPDX-License-Identifier: Apache-2.0
// DPoP (RFC 9449): a token that is good only with a key, and the proof of that key that goes with each request.
//
// The algorithm is ES256 and nothing else, whatever a server or a text says. Pure but for a key's randomness; the time
// is an argument.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sanctum::dpop {

/// What a proof is about.
struct Proof {
    std::string_view method;        ///< `htm`: as it is sent
    std::string_view url;           ///< `htu`: without query and fragment
    std::string_view nonce;         ///< what the server wants to see in it; empty: nothing
    std::string_view access_token;  ///< hashed into `ath`; empty: the request has none
};

/// A private key on P-256. Move-only; wiped.
class Key {
public:
    /// A fresh one. Errors: Internal.
    [[nodiscard]] static Result<Key> generate();
    /// From the text of jwk(). Errors: Protocol (another kind of key, or none; nothing of it is in the sentence).
    [[nodiscard]] static Result<Key> parse(std::string_view jwk);
    Key(Key&& other) noexcept;
    Key& operator=(Key&& other) noexcept;
    Key(const Key&) = delete;
    Key& operator=(const Key&) = delete;
    ~Key();

    /// The private JWK (RFC 7517) as one text without blanks.
    [[nodiscard]] Result<Secret> jwk() const;
    /// `jkt`: SHA-256 of the public key, base64url (RFC 7638).
    [[nodiscard]] const std::string& thumbprint() const { return thumbprint_; }
    /// The value of the field `DPoP` (4.2). Each is another one. Errors: Internal.
    [[nodiscard]] Result<std::string> prove(const Proof& proof, WallTime now) const;

private:
    explicit Key(void* jwk) : jwk_(jwk) {}
    [[nodiscard]] Status describe();
    void* jwk_ = nullptr;     ///< cjose_jwk_t
    std::string public_jwk_;  ///< of the proofs' heads
    std::string thumbprint_;
};

/// A token and its key, as they lie in a lease.
struct BoundToken {
    Secret token;
    Key key;
};
/// `TOKEN JWK`, one blank between. Errors: Protocol (another form; nothing of the text is in the sentence).
[[nodiscard]] Result<BoundToken> parse_bound_token(std::string_view text);
/// The inverse of the form; `jwk` is Key::jwk().
[[nodiscard]] Secret join_bound_token(const Secret& token, const Secret& jwk);

/// `ath`: SHA-256 of a token, base64url (4.2).
[[nodiscard]] std::string token_hash(std::string_view token);

/// The nonce of a `DPoP-Nonce` field, if it is one (8.1) of at most kDpopNonceBytesMax.
[[nodiscard]] std::optional<std::string> read_nonce(std::string_view field);

}  // namespace sanctum::dpop
