// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/service_account.hpp"

#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "vault/http/json_answer.hpp"

namespace sanctum::vault {
namespace {

Error unfit(const std::string& what) {
    return Error{Errc::InvalidProfile, "it is no key file of a Google service account: " + what +
                                           " (store the JSON that the console made, unchanged)"};
}

std::string json_text(std::string_view text) {
    std::string out;
    wire::append_json_string(out, text);
    return out;
}

}  // namespace

Result<ServiceAccount> ServiceAccount::parse(const Secret& json) {
    Result<JsonAnswer> file = JsonAnswer::parse_text(json.reveal(), "it");
    if (!file) return unfit(file.error().what);
    if (file->text("type") != "service_account") return unfit("`type` is not \"service_account\"");
    for (const char* member : {"client_email", "private_key_id", "private_key", "token_uri"}) {
        if (file->text(member).empty()) return unfit("`" + std::string(member) + "` is missing");
    }
    // The address is no choice of a file's: an assertion that is sent elsewhere is a credential given away.
    if (file->text("token_uri") != kGoogleTokenEndpoint) {
        return unfit("`token_uri` is not " + std::string(kGoogleTokenEndpoint));
    }
    Result<SigningKey> key = SigningKey::parse(file->take_secret("private_key"));
    if (!key) return unfit("`private_key`: " + key.error().what);
    if (key->algorithm() != SigningAlgorithm::Rs256) return unfit("`private_key` is no RSA key");
    ServiceAccount account(std::move(*key));
    account.email_ = file->text("client_email");
    account.key_id_ = file->text("private_key_id");
    return account;
}

Result<Secret> ServiceAccount::sign(const std::string& scopes, const std::string& user, WallTime now) const {
    const std::int64_t issued = now.unix_ms / 1000;
    const std::int64_t expires = issued + Milliseconds(kAssertionLife).count() / 1000;
    std::string claims = "{\"iss\":" + json_text(email_);
    if (!user.empty()) claims += ",\"sub\":" + json_text(user);
    claims += ",\"scope\":" + json_text(scopes);
    claims += ",\"aud\":" + json_text(kGoogleTokenEndpoint);
    claims += ",\"iat\":" + std::to_string(issued);
    claims += ",\"exp\":" + std::to_string(expires) + "}";
    return key_.sign(claims, "JWT", key_id_);
}

}  // namespace sanctum::vault
