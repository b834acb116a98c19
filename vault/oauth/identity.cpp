// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/identity.hpp"

#include "base/limits.hpp"
#include "base/mission_id.hpp"
#include "base/wire/archive.hpp"

#include <sodium.h>

namespace sanctum::vault {
namespace {

using profiles::ClientAuthentication;

constexpr std::string_view kAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

class Claims {
public:
    Claims& text(std::string_view name, std::string_view value) {
        begin(name);
        wire::append_json_string(json_, value);
        return *this;
    }
    Claims& seconds(std::string_view name, std::int64_t unix_ms) {
        begin(name);
        json_ += std::to_string(unix_ms / 1000);
        return *this;
    }
    [[nodiscard]] std::string json() const { return json_ + "}"; }

private:
    void begin(std::string_view name) {
        json_ += json_.size() == 1 ? "\"" : ",\"";
        json_ += name;
        json_ += "\":";
    }
    std::string json_ = "{";
};

Secret basic(std::string_view id, std::string_view secret) {
    // RFC 6749 2.3.1: both are form-encoded before they are joined.
    Form encoded_id;
    encoded_id.add("", id);
    Form encoded_secret;
    encoded_secret.add("", secret);
    const Secret user = encoded_id.body();
    const Secret password = encoded_secret.body();
    std::string joined(user.reveal().substr(1));
    joined.reserve(joined.size() + password.size());
    joined += ":";
    joined += password.reveal().substr(1);
    std::string value(sodium_base64_encoded_len(joined.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
    ::sodium_bin2base64(value.data(), value.size(), reinterpret_cast<const unsigned char*>(joined.data()),
                        joined.size(), sodium_base64_VARIANT_ORIGINAL);
    wipe(joined);
    std::string header = "Basic ";
    header.reserve(header.size() + value.size());
    header += value.c_str();
    wipe(value);
    Secret out(header);
    wipe(header);
    return out;
}

}  // namespace

Result<Identity> Identity::create(profiles::IdentityClient client, const ItemLookup& items) {
    Identity identity;
    identity.client_ = std::move(client);
    const profiles::IdentityClient& config = identity.client_;
    if (!config.secret_item.empty()) {
        SANCTUM_TRY(identity.secret_, items(config.secret_item));
    }
    if (config.key_item.empty()) return identity;
    SANCTUM_TRY(Secret pem, items(config.key_item));
    if (config.authentication == ClientAuthentication::Tls) {
        identity.certificate_ = {config.certificate_pem, pem.duplicate()};
    }
    Result<SigningKey> key = SigningKey::parse(pem);
    if (!key) return std::move(key).error().in(identity.title() + ": store item `" + config.key_item + "`");
    identity.key_.emplace(std::move(*key));
    return identity;
}

std::string Identity::title() const { return client_.title(); }

std::string Identity::why_no_reaper() const {
    switch (client_.authentication) {
        case ClientAuthentication::None: return {};
        case ClientAuthentication::SecretPost:
        case ClientAuthentication::SecretBasic:
            if (client_.reaps_with_secret) return {};
            return "the reaper does not have the secret of " + title() + "'s client (reap_with_secret = true lets it)";
        case ClientAuthentication::PrivateKeyJwt:
        case ClientAuthentication::Tls: break;
    }
    return "the reaper does not have the key of " + title() + "'s client";
}

Secret Identity::basic_authorization() const { return basic(client_.client_id, secret_.reveal()); }

void Identity::show(HttpRequest& request, const network::ClientCertificate& certificate) const {
    request.certificate = &certificate;
    if (client_.is_tenant) {
        request.unasked_remedy = "switch `enable_endpoint_aliases` on at the tenant, whose custom domain must ask for "
                                 "certificates, or let the client have another client_authentication";
        return;
    }
    request.unasked_remedy = "write the address of its mtls_endpoint_aliases as token_endpoint, and what else is asked "
                             "with a certificate by its key";
}

Status Identity::authenticate(Form& form, HttpRequest& request, WallTime now) const {
    switch (client_.authentication) {
        case ClientAuthentication::SecretBasic:
            request.authorization = basic_authorization();
            return {};
        case ClientAuthentication::SecretPost:
            form.add("client_id", client_.client_id);
            form.add("client_secret", secret_.reveal());
            return {};
        case ClientAuthentication::Tls:
            form.add("client_id", client_.client_id);
            show(request, certificate_);
            return {};
        case ClientAuthentication::None: form.add_if("client_id", client_.client_id); return {};
        case ClientAuthentication::PrivateKeyJwt: break;
    }
    const std::string& audience = client_.issuer.empty() ? client_.token_endpoint : client_.issuer;
    const std::string claims = Claims()
                                   .text("iss", client_.client_id)
                                   .text("sub", client_.client_id)
                                   .text("aud", audience)
                                   .text("jti", make_ulid(now))
                                   .seconds("iat", now.unix_ms)
                                   .seconds("exp", now.unix_ms + Milliseconds(kAssertionLife).count())
                                   .json();
    SANCTUM_TRY(const Secret assertion, key_->sign(claims, "JWT", client_.key_id));
    form.add("client_id", client_.client_id);
    form.add("client_assertion_type", kAssertionType);
    form.add("client_assertion", assertion.reveal());
    return {};
}

Result<Secret> Identity::sign_for_user(const std::string& user, const std::string& audit_context, WallTime now) const {
    if (!key_) return Error{Errc::Internal, title() + " has no key to sign with"};
    const std::string claims = Claims()
                                   .text("iss", client_.client_id)
                                   .text("aud", client_.issuer)
                                   .text("sub", user)
                                   .text("jti", make_ulid(now))
                                   .text("audit_context", audit_context)
                                   .seconds("iat", now.unix_ms)
                                   .seconds("exp", now.unix_ms + Milliseconds(kAssertionLife).count())
                                   .json();
    return key_->sign(claims, "token-vault-req+jwt", client_.key_id);
}

}  // namespace sanctum::vault
