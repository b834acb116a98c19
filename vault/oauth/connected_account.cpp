// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/connected_account.hpp"

#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/oauth/token_answer.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace sanctum::vault {
namespace {

// A JSON object of texts, some of them secret; wiped with what it wrote.
class TextObject {
public:
    TextObject() { json_.reserve(kProviderUrlBytesMax); }
    TextObject(const TextObject&) = delete;
    TextObject& operator=(const TextObject&) = delete;
    ~TextObject() { wipe(json_); }
    TextObject& text(std::string_view name, std::string_view value) {
        begin(name);
        wire::append_json_string(json_, value);
        return *this;
    }
    TextObject& texts(std::string_view name, const std::vector<std::string>& values) {
        begin(name);
        json_ += '[';
        for (const std::string& value : values) {
            if (json_.back() != '[') json_ += ',';
            wire::append_json_string(json_, value);
        }
        json_ += ']';
        return *this;
    }
    [[nodiscard]] Secret body() {
        json_ += '}';
        return Secret(json_);
    }

private:
    void begin(std::string_view name) {
        json_ += json_.empty() ? '{' : ',';
        wire::append_json_string(json_, name);
        json_ += ':';
    }
    std::string json_;
};

HttpRequest my_account_request(const MyAccount& account, const std::string& path, Secret body) {
    HttpRequest request;
    request.method = "POST";
    request.url = account.issuer + "me/v1/connected-accounts/" + path;
    request.headers = {{"content-type", "application/json"}, {"accept", "application/json"}};
    std::string bearer = "Bearer ";
    bearer.reserve(bearer.size() + account.access_token.size());
    bearer += account.access_token.reveal();
    request.authorization = Secret(bearer);
    wipe(bearer);
    request.body = std::move(body);
    return request;
}

// RFC 9457, as the My Account API answers what it refuses.
Error problem_of(const HttpResponse& response, const JsonAnswer& json, const MyAccount& account,
                 const std::string& connection) {
    std::string what = "the tenant does not connect `" + connection + "`: status " + std::to_string(response.status);
    const std::string detail = provider_words(json.text("detail"));
    if (!detail.empty()) what += " (\"" + detail + "\")";
    if (response.status == 401 || response.status == 403) {
        what += "; activate the My Account API, and grant client " + account.client_id + " the scope " + kConnectScope +
                " of " + my_account_audience(account.issuer);
    } else if (response.status == 404) {
        what += "; check `connection`, and that Token Vault is on for it and it is enabled for client " +
                account.client_id;
    } else if (response.status == 409) {
        what += "; it is connected already: remove it in the user's account first";
    }
    return {Errc::Denied, what};
}

}  // namespace

std::string my_account_audience(const std::string& issuer) { return issuer + "me/"; }

Form my_account_form(const std::string& issuer, const Secret& refresh_token) {
    Form form;
    form.add("grant_type", "refresh_token");
    form.add("refresh_token", refresh_token.reveal());
    form.add("audience", my_account_audience(issuer));
    form.add("scope", kConnectScope);
    return form;
}

HttpRequest connect_request(const MyAccount& account, const std::string& connection,
                            const std::vector<std::string>& scopes, const BrowserGrant& grant) {
    TextObject body;
    body.text("connection", connection).text("redirect_uri", grant.redirect_uri).text("state", grant.state);
    body.text("code_challenge", grant.challenge).text("code_challenge_method", "S256");
    if (!scopes.empty()) body.texts("scopes", scopes);
    return my_account_request(account, "connect", body.body());
}

Result<ConnectBegun> read_connect_answer(const HttpResponse& response, const MyAccount& account,
                                         const std::string& connection) {
    SANCTUM_TRY(JsonAnswer json, JsonAnswer::parse(response));
    if (response.status != 201 && response.status != 200) return problem_of(response, json, account, connection);
    ConnectBegun begun;
    begun.session = json.take_secret("auth_session");
    const std::string address = json.text("connect_uri");
    std::string ticket;
    for (const auto& [name, value] : json.texts_of("connect_params")) {
        if (name == "ticket") ticket = value;
    }
    // SECURITY: it is printed on a terminal and opened by a person; where it is on the tenant, the tenant says.
    const bool is_on_tenant = address.starts_with(account.issuer) && address.size() <= kProviderUrlBytesMax &&
                              std::all_of(address.begin(), address.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (begun.session.is_empty() || ticket.empty() || !is_on_tenant) {
        return Error{Errc::Protocol, "the tenant's answer has no address of its own to open"};
    }
    Form query;
    query.add("ticket", ticket);
    begun.address = address + (address.find('?') == std::string::npos ? "?" : "&") +
                    std::string(query.body().reveal());
    return begun;
}

HttpRequest complete_request(const MyAccount& account, const ConnectBegun& begun, const Secret& code,
                             const BrowserGrant& grant) {
    TextObject body;
    body.text("auth_session", begun.session.reveal()).text("connect_code", code.reveal());
    body.text("redirect_uri", grant.redirect_uri).text("code_verifier", grant.verifier.reveal());
    return my_account_request(account, "complete", body.body());
}

Result<std::optional<std::vector<std::string>>> read_complete_answer(const HttpResponse& response,
                                                                     const MyAccount& account,
                                                                     const std::string& connection) {
    SANCTUM_TRY(const JsonAnswer json, JsonAnswer::parse(response));
    if (response.status != 201 && response.status != 200) return problem_of(response, json, account, connection);
    if (!json.text("id").starts_with("cac_")) {
        return Error{Errc::Protocol, "the tenant's answer names no connected account"};
    }
    std::optional<std::vector<std::string>> scopes = json.texts("scopes");
    if (scopes) std::sort(scopes->begin(), scopes->end());
    return scopes;
}

}  // namespace sanctum::vault
