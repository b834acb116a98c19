// SPDX-License-Identifier: Apache-2.0
#include "interceptor/rewrite/inject.hpp"

#include "base/jose/dpop.hpp"
#include "base/sigv4.hpp"
#include "interceptor/http/grammar.hpp"
#include "interceptor/http/http1_encoder.hpp"

#include <algorithm>
#include <array>

namespace sanctum::interceptor {
namespace {

using profiles::AuthForm;

std::string base64(std::string_view text) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((text.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < text.size(); i += 3) {
        const std::string_view three = text.substr(i, 3);
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            group = (group << 8U) | (k < three.size() ? static_cast<unsigned char>(three[k]) : 0U);
        }
        for (std::size_t k = 0; k < 4; ++k) {
            const auto index = (group >> (18U - 6U * k)) & 63U;
            out.push_back(k <= three.size() ? alphabet[index] : '=');
        }
    }
    return out;
}

const std::string& username_of(const HeldLease& lease, const profiles::Endpoint& endpoint) {
    return endpoint.username.empty() ? lease.username : endpoint.username;
}

/// The value that goes into a header, or behind `name=` in the query.
std::string credential_value(const HeldLease& lease, const profiles::Endpoint& endpoint) {
    const std::string_view secret = lease.secret.reveal();
    switch (endpoint.form) {
        case AuthForm::Certificate:  // the token itself is one as any other (RFC 8705 3)
        case AuthForm::Bearer: return "Bearer " + std::string(secret);
        case AuthForm::Basic: {
            std::string pair = username_of(lease, endpoint) + ":" + std::string(secret);
            std::string value = "Basic " + base64(pair);
            wipe(pair);
            return value;
        }
        case AuthForm::Query: return percent_encode(secret);
        case AuthForm::Header: return std::string(secret);
        case AuthForm::Sigv4:
        case AuthForm::Dpop:
        case AuthForm::None: break;
    }
    return {};
}

// Behind all other fields, before the empty line.
Secret with_fields(const std::string& head, const Secret& fields) {
    std::string signed_head;
    signed_head.reserve(head.size() + fields.size());
    signed_head.append(head, 0, head.size() - 2).append(fields.reveal()).append("\r\n");
    Secret injected{signed_head};
    wipe(signed_head);
    return injected;
}

}  // namespace

Status check_lease(const HeldLease& lease, const profiles::Endpoint& endpoint) {
    const std::string_view secret = lease.secret.reveal();
    if (secret.empty()) return Error{Errc::Denied, "the credential is empty"};
    if (!is_ascii_field_value(secret)) {
        return Error{Errc::Denied, "the credential holds bytes that a header field cannot carry"};
    }
    const bool is_bearer = endpoint.form == AuthForm::Bearer || endpoint.form == AuthForm::Certificate;
    if (is_bearer && secret.find_first_of(" \t") != std::string_view::npos) {
        return Error{Errc::Denied, "the credential holds blanks, which a bearer token cannot"};
    }
    const std::string& username = username_of(lease, endpoint);
    const bool is_bad_name = !is_field_value(username) || username.find(':') != std::string::npos;
    if (endpoint.form == AuthForm::Basic && is_bad_name) {
        return Error{Errc::Denied, "the user name cannot be used for basic authentication"};
    }
    if (endpoint.form == AuthForm::Sigv4) {
        const auto keys = sigv4::parse_keys(secret);
        if (!keys.has_value()) return Error{Errc::Denied, "the credential is " + keys.error().what};
    }
    if (endpoint.form == AuthForm::Dpop) {
        const auto bound = dpop::parse_bound_token(secret);
        if (!bound.has_value()) return Error{Errc::Denied, "the credential is " + bound.error().what};
    }
    if ((endpoint.form == AuthForm::Certificate) == lease.certificate.is_empty()) {
        return Error{Errc::Denied, "the credential came without the certificate that it is bound to, or with one for "
                                   "an endpoint where none is shown"};
    }
    const bool needs_name = endpoint.form == AuthForm::Header || endpoint.form == AuthForm::Query;
    if (needs_name && !is_token(endpoint.form_name)) {
        return Error{Errc::Denied, "the endpoint names no header or parameter"};
    }
    return {};
}

Secret inject(const RequestHead& head, const HeldLease* lease, const profiles::Endpoint* endpoint,
              const Secret* fields) {
    std::string bytes = encode_request_head(head);
    if (lease == nullptr || endpoint == nullptr || endpoint->form == AuthForm::None) {
        return Secret(bytes);
    }
    const bool is_made = endpoint->form == AuthForm::Sigv4 || endpoint->form == AuthForm::Dpop;
    SANCTUM_ASSERT(is_made == (fields != nullptr));
    if (fields != nullptr) return with_fields(bytes, *fields);
    std::string value = credential_value(*lease, *endpoint);
    std::string with_credential;
    with_credential.reserve(bytes.size() + value.size() + endpoint->form_name.size() + 32);
    if (endpoint->form == AuthForm::Query) {
        const std::size_t target_end = bytes.find(" HTTP/1.1\r\n");
        const std::string_view mark = !head.has_query ? "?" : head.query.empty() ? "" : "&";
        with_credential.append(bytes, 0, target_end).append(mark).append(endpoint->form_name).append("=").append(value);
        with_credential.append(bytes, target_end, std::string::npos);
    } else {
        const std::string name = endpoint->form == AuthForm::Header ? lower_case(endpoint->form_name) : "authorization";
        // Behind all other fields, before the empty line.
        with_credential.append(bytes, 0, bytes.size() - 2).append(name).append(": ").append(value).append("\r\n\r\n");
    }
    Secret injected{with_credential};
    wipe(value);
    wipe(with_credential);
    return injected;
}

}  // namespace sanctum::interceptor
