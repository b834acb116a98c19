// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/login_exchange.hpp"

#include "base/limits.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/http/json_body.hpp"
#include "vault/leases.hpp"
#include "vault/oauth/form.hpp"
#include "vault/oauth/placeholder.hpp"
#include "vault/oauth/scope_check.hpp"

#include <algorithm>

namespace sanctum::vault {
namespace {

constexpr std::string_view kExpiresIn = "expires_in";

Secret body_of(const std::string& kind, const Members& members) {
    if (kind == "json") {
        JsonBody body;
        for (const auto& [name, value] : members) body.text(name, value);
        return body.take();
    }
    Form form;
    for (const auto& [name, value] : members) form.add(name, value);
    return form.body();
}

HttpRequest post_to(const std::string& url, const std::string& kind, const Members& members) {
    HttpRequest request;
    request.method = "POST";
    request.url = url;
    const char* type = kind == "json" ? "application/json" : "application/x-www-form-urlencoded";
    request.headers = {{"content-type", type}, {"accept", "application/json"}};
    request.body = body_of(kind, members);
    return request;
}

SourceFailure broken(const TokenQuestion& question, const std::string& what) {
    return {SourceFault::Protocol, "account " + question.account + ": " + question.provider + ": " + what,
            Milliseconds(0)};
}

}  // namespace

HttpRequest login_request(const profiles::Login& login, std::string_view grant, Members members) {
    members.insert(members.begin(), {{"grant_type", grant}, {"client_id", login.client_id}});
    return post_to(login.token_endpoint, login.body, members);
}

std::string login_address(const profiles::Login& login, const BrowserGrant& grant,
                          const std::vector<std::string>& scopes) {
    Form form;
    form.add("response_type", "code");
    form.add("client_id", login.client_id);
    form.add("redirect_uri", grant.redirect_uri);
    form.add_if("scope", join_scopes(scopes));
    form.add("code_challenge", grant.challenge);
    form.add("code_challenge_method", "S256");
    form.add("state", grant.state);
    for (const std::string& parameter : login.parameters) {
        const std::size_t equals = std::min(parameter.find('='), parameter.size());
        form.add(parameter.substr(0, equals), parameter.substr(std::min(equals + 1, parameter.size())));
    }
    return authorization_url(login.authorization_endpoint, form);
}

HttpRequest code_request(const profiles::Login& login, const BrowserGrant& grant, const Secret& code) {
    const std::map<std::string_view, std::string_view> known = {{"code", code.reveal()},
                                                                {"code_verifier", grant.verifier.reveal()},
                                                                {"redirect_uri", grant.redirect_uri},
                                                                {"state", grant.state}};
    Members members;
    for (const std::string& name : login.sends) {
        if (const auto found = known.find(name); found != known.end()) members.push_back(*found);
    }
    return login_request(login, "authorization_code", std::move(members));
}

HttpRequest revocation_request(const profiles::Login& login, const Secret& refresh_token) {
    HttpRequest request = post_to(login.revocation_endpoint, login.revocation_body,
                                  {{"token", refresh_token.reveal()},
                                   {"token_type_hint", "refresh_token"},
                                   {"client_id", login.client_id}});
    request.repeat = Repeat::Safe;
    return request;
}

std::variant<LoginTokens, SourceFailure> read_login_answer(const HttpResponse& response, const profiles::Login& login,
                                                           const TokenQuestion& question) {
    auto read = read_token_answer(response, question);
    if (auto* failure = std::get_if<SourceFailure>(&read)) return std::move(*failure);
    LoginTokens tokens;
    tokens.answer = std::get<TokenAnswer>(std::move(read));
    for (const Secret* token : {&tokens.answer.access_token, &tokens.answer.refresh_token}) {
        const std::string fault = token->is_empty() ? "" : credential_fault(token->reveal());
        if (!fault.empty()) return broken(question, "a token of the answer cannot be used: " + fault);
    }
    Result<JsonAnswer> json = JsonAnswer::parse(response);
    if (!json) return broken(question, json.error().what);
    for (const std::string& name : login.keeps) {
        if (json->has(name)) tokens.members[name] = json->json_text_of(name);
    }
    for (const auto& [name, beginning] : login.tokens) {
        const Secret token = json->take_secret(name);
        if (token.is_empty()) continue;
        std::string placeholder = placeholder_of(token, beginning, login.claims);
        tokens.members[name] = json_text(placeholder);
        tokens.shown[name] = std::move(placeholder);
        for (auto& [claim, text] : texts_of_claims(token, login.claims)) tokens.shown.emplace(claim, std::move(text));
    }
    if (login_reply(tokens, Milliseconds(0)).size() > kLoginReplyBytesMax) return broken(question, "it is too long");
    return tokens;
}

std::string login_reply(const LoginTokens& tokens, Milliseconds left) {
    JsonBody body;
    for (const auto& [name, value] : tokens.members) {
        const bool is_life = name == kExpiresIn && left.count() > 0;
        body.json(name, is_life ? std::to_string(left.count() / 1000) : value);
    }
    return std::string(body.take().reveal());
}

std::string login_refusal(const std::string& error, const std::string& description) {
    JsonBody body;
    body.text("error", error);
    if (!description.empty()) body.text("error_description", description);
    return std::string(body.take().reveal());
}

}  // namespace sanctum::vault
