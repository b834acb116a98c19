// SPDX-License-Identifier: Apache-2.0
#include "interceptor/rewrite/forward_response.hpp"

#include "base/limits.hpp"
#include "interceptor/http/grammar.hpp"

#include <array>

namespace sanctum::interceptor {
namespace {

bool is_credentialed(const profiles::Endpoint* endpoint) {
    return endpoint != nullptr && endpoint->form != profiles::AuthForm::None;
}

/// Headers in which providers say what a token holds and what a call needs.
constexpr std::array<std::string_view, 3> kScopeFields{"x-oauth-scopes", "x-accepted-oauth-scopes",
                                                       "x-accepted-github-permissions"};

}  // namespace

std::size_t prepare_response(Fields& fields, const profiles::Endpoint* endpoint) {
    std::erase_if(fields, [](const Field& field) {
        return field.name == "alt-svc" || field.name == "alt-used" || field.name.starts_with("sanctum-");
    });
    if (!is_credentialed(endpoint)) return 0;
    // A nonce is for who holds the key.
    if (endpoint->form == profiles::AuthForm::Dpop) remove_fields(fields, "dpop-nonce");
    return remove_fields(fields, "set-cookie") + remove_fields(fields, "set-cookie2");
}

Status check_readable(const ResponseHead& head, const profiles::Endpoint* endpoint) {
    // Of keys that sign, nothing that could be used leaves: what is stored encoded, or asked for in parts, may pass.
    const bool is_signed = endpoint != nullptr && endpoint->form == profiles::AuthForm::Sigv4;
    if (!is_credentialed(endpoint) || is_signed || head.framing == Framing::None) return {};
    for (const Field& field : head.fields) {
        if (field.name != "content-encoding") continue;
        bool is_identity = true;
        for_each_list_item(field.value, [&](std::string_view coding) {
            if (!equals_ignoring_case(coding, "identity")) is_identity = false;
        });
        if (!is_identity) {
            return Error{Errc::Protocol, "the answer is encoded (" + field.value + ") although identity was asked for"};
        }
    }
    if (head.status == 206) return Error{Errc::Protocol, "a partial answer, although no range was asked for"};
    return {};
}

std::map<std::string, std::string> evidence_of(const ResponseHead& head, bool is_credentialed) {
    std::map<std::string, std::string> evidence;
    for (const std::string_view name : kScopeFields) {
        const std::string* value = find_field(head.fields, name);
        if (value != nullptr) evidence[std::string(name)] = value->substr(0, kEvidenceBytesMax);
    }
    const std::string* challenge = find_field(head.fields, "www-authenticate");
    const bool is_refused = head.status == 401 && is_credentialed;
    if (challenge != nullptr && (is_refused || lower_case(*challenge).find("scope=") != std::string::npos)) {
        evidence["www-authenticate"] = challenge->substr(0, kEvidenceBytesMax);
    }
    if (is_refused) evidence["upstream_rejected_credential"] = "401";
    return evidence;
}

}  // namespace sanctum::interceptor
