// SPDX-License-Identifier: Apache-2.0
// Identity: how Sanctum proves to a token endpoint which client it is, and how it signs.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/http/http_client.hpp"
#include "vault/oauth/form.hpp"
#include "vault/oauth/signed_jwt.hpp"

#include <functional>
#include <optional>
#include <string>

namespace sanctum::vault {

/// Gives the secret of a store item; NotFound with the remedy in the sentence when there is none.
using ItemLookup = std::function<Result<Secret>(const std::string& item)>;

/// A configured client with its secrets. Shared by the accounts that name it; single thread.
class Identity {
public:
    /// Takes what the client needs out of the store. Errors: those of `items`; InvalidProfile (a key that cannot sign).
    [[nodiscard]] static Result<Identity> create(profiles::IdentityClient client, const ItemLookup& items);

    /// Adds to `form` and `request` what says who we are (RFC 6749 2.3, RFC 7523 2.2, RFC 8705 2); a `private_key_jwt`
    /// is made for this one request, its times taken from `now`. Errors: Internal.
    [[nodiscard]] Status authenticate(Form& form, HttpRequest& request, WallTime now) const;

    /// Has `request` go out only over a connection that shows `certificate`, which must outlive it; and says what to do
    /// where that is not asked for.
    void show(HttpRequest& request, const network::ClientCertificate& certificate) const;

    /// `Basic` with the client's id and secret, for an API of the provider's that wants it so, however the client
    /// proves itself elsewhere. Precondition: it has a secret.
    [[nodiscard]] Secret basic_authorization() const;

    /// A token about a user, signed by this client: Auth0's privileged worker. `audit_context` at most 256 characters.
    /// Errors: Internal.
    [[nodiscard]] Result<Secret> sign_for_user(const std::string& user, const std::string& audit_context,
                                               WallTime now) const;

    /// Empty: a request of ours may be prepared for the reaper. Else why it may not, with the remedy: what proves who
    /// we are would lie where the reaper can read it, and keys never do.
    [[nodiscard]] std::string why_no_reaper() const;

    /// What proves who we are where that is a certificate; null: it is something else.
    [[nodiscard]] const network::ClientCertificate* certificate() const {
        return certificate_.is_empty() ? nullptr : &certificate_;
    }

    [[nodiscard]] const profiles::IdentityClient& client() const { return client_; }
    /// `tenant acme` or `provider corp`.
    [[nodiscard]] std::string title() const;
    /// True when what we send depends on our clock.
    [[nodiscard]] bool signs() const { return client_.authentication == profiles::ClientAuthentication::PrivateKeyJwt; }

private:
    Identity() = default;
    profiles::IdentityClient client_;
    Secret secret_;
    std::optional<SigningKey> key_;
    network::ClientCertificate certificate_;  ///< tls_client_auth
};

}  // namespace sanctum::vault
