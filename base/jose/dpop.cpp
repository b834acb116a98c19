// SPDX-License-Identifier: Apache-2.0
#include "base/jose/dpop.hpp"

#include "base/digest.hpp"
#include "base/limits.hpp"
#include "base/mission_id.hpp"
#include "base/wire/archive.hpp"

#include <cjose/cjose.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace sanctum::dpop {
namespace {

constexpr const char* kType = "dpop+jwt";

struct Release {
    void operator()(cjose_header_t* object) const { ::cjose_header_release(object); }
    void operator()(cjose_jws_t* object) const { ::cjose_jws_release(object); }
    void operator()(char* text) const {
        wipe({text, std::strlen(text)});
        ::cjose_get_dealloc()(text);
    }
};
template <class T>
using Owned = std::unique_ptr<T, Release>;

Error internal(const char* what, const cjose_err& error) {
    return {Errc::Internal, std::string("DPoP: ") + what + ": " + error.message};
}

std::string base64url_of_digest(std::string_view bytes) {
    const Digest digest = sha256(bytes);
    char* encoded = nullptr;
    std::size_t size = 0;
    cjose_err error{};
    const bool is_done = ::cjose_base64url_encode(digest.data(), digest.size(), &encoded, &size, &error);
    SANCTUM_ASSERT(is_done);
    const Owned<char> owned(encoded);
    return {encoded, size};
}

void add_text(std::string& claims, const char* name, std::string_view value) {
    claims += claims.size() == 1 ? "\"" : ",\"";
    claims += name;
    claims += "\":";
    wire::append_json_string(claims, value);
}

}  // namespace

Key::Key(Key&& other) noexcept
    : jwk_(std::exchange(other.jwk_, nullptr)), public_jwk_(std::move(other.public_jwk_)),
      thumbprint_(std::move(other.thumbprint_)) {}

Key& Key::operator=(Key&& other) noexcept {
    std::swap(jwk_, other.jwk_);
    std::swap(public_jwk_, other.public_jwk_);
    std::swap(thumbprint_, other.thumbprint_);
    return *this;
}

Key::~Key() {
    if (jwk_ != nullptr) ::cjose_jwk_release(static_cast<cjose_jwk_t*>(jwk_));
}

Result<Key> Key::generate() {
    cjose_err error{};
    Key key(::cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &error));
    if (key.jwk_ == nullptr) return internal("no key", error);
    SANCTUM_CHECK(key.describe());
    return key;
}

Result<Key> Key::parse(std::string_view jwk) {
    const Error unfit{Errc::Protocol, "not a private key on P-256"};
    // base64url has no padding (RFC 7515 2), and cjose's decoder ends the process where some is, written as it may be.
    if (jwk.find_first_of("=\\") != std::string_view::npos) return unfit;
    cjose_err error{};
    Key key(::cjose_jwk_import(jwk.data(), jwk.size(), &error));
    if (key.jwk_ == nullptr || ::cjose_jwk_get_kty(static_cast<cjose_jwk_t*>(key.jwk_), &error) != CJOSE_JWK_KTY_EC) {
        return unfit;
    }
    if (Status described = key.describe(); !described) return unfit;
    // Without its private half nothing can be proved; cjose imports it all the same.
    SANCTUM_TRY(const Secret whole, key.jwk());
    if (whole.reveal().find("\"d\":") == std::string_view::npos) return unfit;
    return key;
}

// Errors: Protocol (not on P-256), Internal.
Status Key::describe() {
    cjose_err error{};
    const Owned<char> text(::cjose_jwk_to_json(static_cast<const cjose_jwk_t*>(jwk_), /*priv=*/false, &error));
    if (!text) return internal("its public half", error);
    const auto json = nlohmann::json::parse(text.get(), nullptr, /*allow_exceptions=*/false);
    const auto member = [&](const char* name) {
        const auto found = json.find(name);
        return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    if (!json.is_object() || member("crv") != "P-256") return Error{Errc::Protocol, "not a key on P-256"};
    // RFC 7638 3.2: these members, in the order of their names, without blanks.
    public_jwk_ = R"({"crv":"P-256","kty":"EC","x":")" + member("x") + R"(","y":")" + member("y") + "\"}";
    thumbprint_ = base64url_of_digest(public_jwk_);
    return {};
}

Result<Secret> Key::jwk() const {
    cjose_err error{};
    const Owned<char> text(::cjose_jwk_to_json(static_cast<const cjose_jwk_t*>(jwk_), /*priv=*/true, &error));
    if (!text) return internal("its private half", error);
    return Secret(text.get());
}

Result<std::string> Key::prove(const Proof& proof, WallTime now) const {
    std::string claims = "{";
    add_text(claims, "jti", make_ulid(now));
    add_text(claims, "htm", proof.method);
    add_text(claims, "htu", proof.url);
    claims += ",\"iat\":" + std::to_string(now.unix_ms / 1000);
    if (!proof.access_token.empty()) add_text(claims, "ath", token_hash(proof.access_token));
    if (!proof.nonce.empty()) add_text(claims, "nonce", proof.nonce);
    claims += "}";
    cjose_err error{};
    const Owned<cjose_header_t> header(::cjose_header_new(&error));
    const bool is_described = header && ::cjose_header_set(header.get(), "typ", kType, &error) &&
                              ::cjose_header_set(header.get(), CJOSE_HDR_ALG, CJOSE_HDR_ALG_ES256, &error) &&
                              ::cjose_header_set_raw(header.get(), "jwk", public_jwk_.c_str(), &error);
    if (!is_described) return internal("a proof's head", error);
    const Owned<cjose_jws_t> signed_proof(::cjose_jws_sign(static_cast<cjose_jwk_t*>(jwk_), header.get(),
                                                           reinterpret_cast<const std::uint8_t*>(claims.data()),
                                                           claims.size(), &error));
    const char* compact = nullptr;
    if (!signed_proof || !::cjose_jws_export(signed_proof.get(), &compact, &error)) {
        return internal("a proof cannot be signed", error);
    }
    return std::string(compact);
}

Result<BoundToken> parse_bound_token(std::string_view text) {
    const std::size_t blank = text.find(' ');
    if (blank == 0 || blank == std::string_view::npos) {
        return Error{Errc::Protocol, "not a token and the key that it is bound to"};
    }
    SANCTUM_TRY(Key key, Key::parse(text.substr(blank + 1)));
    return BoundToken{Secret(text.substr(0, blank)), std::move(key)};
}

Secret join_bound_token(const Secret& token, const Secret& jwk) {
    std::string text;
    text.reserve(token.size() + jwk.size() + 1);
    text.append(token.reveal()).append(" ").append(jwk.reveal());
    Secret joined(text);
    wipe(text);
    return joined;
}

std::string token_hash(std::string_view token) { return base64url_of_digest(token); }

std::optional<std::string> read_nonce(std::string_view field) {
    const bool is_nonce = !field.empty() && field.size() <= kDpopNonceBytesMax &&
                          std::all_of(field.begin(), field.end(),
                                      [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
    return is_nonce ? std::optional<std::string>(field) : std::nullopt;
}

}  // namespace sanctum::dpop
