// SPDX-License-Identifier: Apache-2.0
#include "interceptor/rewrite/login_request.hpp"

#include "base/wire/archive.hpp"
#include "interceptor/http/grammar.hpp"
#include "profiles/policy/query.hpp"

#include <algorithm>

namespace sanctum::interceptor {
namespace {

using Members = std::map<std::string, std::string>;

Result<Members> read_form(std::string_view body) {
    Members members;
    for (auto& [name, value] : profiles::parse_query(body)) {
        if (members.emplace(name, std::move(value)).second) continue;
        return Error{Errc::Protocol, "a field of the login's form comes twice"};
    }
    return members;
}

// Members of another kind than text are none that a login needs.
Result<Members> read_json(std::string_view body) {
    const Result<wire::JsonText> parsed = wire::JsonText::parse(body);
    const auto listed = parsed ? parsed->root().members() : std::nullopt;
    if (!listed) return Error{Errc::Protocol, "the login is no JSON object"};
    Members members;
    for (const auto& [name, node] : *listed) {
        if (std::optional<std::string> text = node.text()) members.emplace(name, std::move(*text));
    }
    return members;
}

Result<Members> read_members(const RequestHead& head, std::string_view body) {
    if (find_field(head.fields, "content-encoding") != nullptr) {
        return Error{Errc::Protocol, "an encoded login cannot be read; leave content-encoding out"};
    }
    const std::string* field = find_field(head.fields, "content-type");
    const std::string type =
        field == nullptr ? std::string() : lower_case(trim(field->substr(0, field->find(';'))));
    if (type == "application/x-www-form-urlencoded") return read_form(body);
    if (type == "application/json") return read_json(body);
    return Error{Errc::Protocol, "a login is a form or JSON"};
}

}  // namespace

Result<LoginRequest> read_login_request(const RequestHead& head, std::string_view body, const profiles::Login& login) {
    SANCTUM_TRY(Members members, read_members(head, body));
    LoginRequest request;
    request.grant = members["grant_type"];
    if (request.grant != kCodeGrant && request.grant != kRefreshGrant) {
        return Error{Errc::Denied, "only authorization_code and refresh_token are known at this token endpoint"};
    }
    if (members["client_id"] != login.client_id) {
        return Error{Errc::Denied, "this token endpoint is known for another client"};
    }
    if (request.grant == kRefreshGrant) return request;
    for (const std::string& name : login.sends) {
        if (const auto found = members.find(name); found != members.end()) request.members.insert(*found);
    }
    if (request.members["code"].empty()) return Error{Errc::Denied, "the login brings no code"};
    return request;
}

}  // namespace sanctum::interceptor
