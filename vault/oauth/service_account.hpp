// SPDX-License-Identifier: Apache-2.0
// A Google service account's key file, and the assertion that is signed with it (RFC 7523 2.1).
// https://developers.google.com/identity/protocols/oauth2/service-account#httprest
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "vault/oauth/signed_jwt.hpp"

#include <string>

namespace sanctum::vault {

inline constexpr std::string_view kGoogleTokenEndpoint = "https://oauth2.googleapis.com/token";

/// Who signs, with what. Move-only; wiped.
class ServiceAccount {
public:
    /// From the JSON that Google's console makes. Errors: InvalidProfile (no JSON, of another type, a member missing, a
    /// key that is no RSA key, a token endpoint other than Google's); nothing of the text is in the sentence.
    [[nodiscard]] static Result<ServiceAccount> parse(const Secret& json);

    /// A token for these scopes, in Google's words; `user`: for whom the account acts (domain-wide delegation), empty:
    /// for itself. It lives kAssertionLife from `now`. Errors: Internal.
    [[nodiscard]] Result<Secret> sign(const std::string& scopes, const std::string& user, WallTime now) const;

private:
    explicit ServiceAccount(SigningKey key) : key_(std::move(key)) {}
    std::string email_;
    std::string key_id_;
    SigningKey key_;
};

}  // namespace sanctum::vault
