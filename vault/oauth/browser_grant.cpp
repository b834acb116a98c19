// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/browser_grant.hpp"

#include "base/digest.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/oauth/base64url.hpp"
#include "vault/oauth/token_answer.hpp"

#include <algorithm>

namespace sanctum::vault {
namespace {

constexpr std::size_t kNonceBytes = 32;

}  // namespace

std::string challenge_of(const Secret& verifier) {
    const Digest digest = sha256(verifier.reveal());
    return base64url({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string make_nonce() {
    std::string bytes = random_bytes(kNonceBytes);
    std::string nonce = base64url(bytes);
    wipe(bytes);
    return nonce;
}

BrowserGrant::BrowserGrant(std::string the_issuer, bool says_issuer, std::string redirect)
    : issuer(std::move(the_issuer)), sends_issuer(says_issuer), redirect_uri(std::move(redirect)),
      state(make_nonce()) {
    std::string text = make_nonce();
    verifier = Secret(text);
    wipe(text);
    challenge = challenge_of(verifier);
}

Form authorization_form(const profiles::IdentityClient& client, const BrowserGrant& grant,
                        const ConsentQuestion& question) {
    Form form;
    form.add("response_type", "code");
    form.add("redirect_uri", grant.redirect_uri);
    form.add("state", grant.state);
    form.add("code_challenge", grant.challenge);
    form.add("code_challenge_method", "S256");
    add_question(form, question);
    // OpenID Connect Core 11: without it `offline_access` is left out.
    const auto& scopes = question.scopes;
    const bool is_offline = std::find(scopes.begin(), scopes.end(), "offline_access") != scopes.end();
    if (is_offline) form.add("prompt", "consent");
    // Google has no such scope, and asks a second time only when told so.
    if (client.issuer == "https://accounts.google.com") {
        form.add("access_type", "offline");
        form.add("prompt", "consent");
    }
    return form;
}

Result<std::string> read_pushed_answer(const HttpResponse& response) {
    SANCTUM_TRY(const JsonAnswer json, JsonAnswer::parse(response));
    std::string reference = json.text("request_uri");
    const bool is_made = response.status == 201 || response.status == 200;
    if (is_made && !reference.empty() && reference.size() <= kProviderUrlBytesMax) return reference;
    return Error{Errc::Protocol, "status " + std::to_string(response.status) +
                                     " to the pushed request, and not the answer of RFC 9126"};
}

std::string authorization_url(const std::string& endpoint, const Form& form) {
    return endpoint + "?" + std::string(form.body().reveal());
}

Form code_form(const BrowserGrant& grant, const Secret& code) {
    Form form;
    form.add("grant_type", "authorization_code");
    form.add("code", code.reveal());
    form.add("redirect_uri", grant.redirect_uri);
    form.add("code_verifier", grant.verifier.reveal());
    return form;
}

CallbackAnswer read_callback(const LoopbackQuery& query, const BrowserGrant& grant) {
    // SECURITY: compared before anything else is looked at, in constant time.
    if (!Secret(query.text("state")).equals(Secret(grant.state))) return NotTheAnswer{};
    const std::string_view issuer = query.text("iss");
    if (grant.sends_issuer && issuer.empty()) {
        return Error{Errc::Protocol, "the answer names no issuer, and the provider says that it always does: it came "
                                     "from somebody else (RFC 9207)"};
    }
    if (!issuer.empty() && !grant.issuer.empty() && issuer != grant.issuer) {
        return Error{Errc::Protocol, "the answer is that of `" + provider_words(issuer) + "`, and " + grant.issuer +
                                         " was asked (RFC 9207)"};
    }
    const std::string_view error = query.text("error");
    if (!error.empty()) {
        return ConsentRefused{is_error_name(error) ? std::string(error) : "an error without a proper name",
                              provider_words(query.text("error_description"))};
    }
    const std::string_view code = query.text(grant.code_name);
    if (code.empty()) return Error{Errc::Protocol, "the answer holds neither a code nor an error"};
    return Secret(code);
}

}  // namespace sanctum::vault
