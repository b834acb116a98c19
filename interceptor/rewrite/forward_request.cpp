// SPDX-License-Identifier: Apache-2.0
#include "interceptor/rewrite/forward_request.hpp"

#include "base/digest.hpp"
#include "interceptor/http/grammar.hpp"
#include "interceptor/rewrite/form_guard.hpp"

#include <algorithm>
#include <array>

namespace sanctum::interceptor {
namespace {

using profiles::AuthForm;
using profiles::Endpoint;

template <std::size_t n>
bool is_one_of(std::string_view name, const std::array<std::string_view, n>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}
template <std::size_t n>
bool starts_with_one_of(std::string_view name, const std::array<std::string_view, n>& prefixes) {
    const auto is_begin = [&](std::string_view prefix) { return name.starts_with(prefix); };
    return std::any_of(prefixes.begin(), prefixes.end(), is_begin);
}

/// Carriers of a credential, whoever reads them.
constexpr std::array<std::string_view, 28> kCredentialFields{
    "authorization",   "proxy-authorization", "cookie",        "cookie2",        "x-api-key",
    "x-authorization", "x-auth",              "x-token",       "token",
    "api-key",         "apikey",              "x-apikey",      "x-auth-token",   "x-access-token",
    "x-auth-key",      "x-session-token",     "x-goog-api-key", "x-goog-iam-authorization-token",
    "x-github-token",  "x-gitlab-token",      "private-token", "job-token",      "x-vault-token", "authentication",
    "dpop",            "access-token",        "circle-token",  "x-figma-token"};
/// Most services that have a field of their own for it name it so: `dd-api-key`, `x-shopify-access-token`.
constexpr std::array<std::string_view, 7> kCredentialSuffixes{
    "-api-key", "-apikey", "-application-key", "-api-token", "-access-token", "-auth-token", "-subscription-key"};
/// Fields that make a server see another method, path, host, client or user than was decided on.
constexpr std::array<std::string_view, 48> kRerouteFields{
    "x-http-host-override", "x-host-override",       "host-override",       "x-forward-host",       "x-forward-for",
    "x-real-url",
    "x-http-method",       "x-http-method-override", "x-method-override",   "x-http-path-override", "x-override-url",
    "x-http-destinationurl", "destination",          "base-url",            "request-uri",          "http-url",
    "forwarded",           "x-forwarded",            "via",                 "x-host",               "x-url-scheme",
    "front-end-https",     "x-accel-redirect",       "x-real-ip",           "x-client-ip",          "client-ip",
    "true-client-ip",      "cf-connecting-ip",       "fastly-client-ip",    "x-cluster-client-ip",
    "x-custom-ip-authorization", "sudo",             "x-user",              "remote-user",          "x-webauth-user",
    "x-as-user",           "on-behalf-of",           "x-on-behalf-of",      "x-vault-namespace",    "x-wap-profile",
    "x-arr-log-id",        "x-method",               "x-http-verb",         "x-request-method",     "x-sudo",
    "x-gitlab-sudo",       "x-switch-user",          "x-redmine-switch-user"};
constexpr std::array<std::string_view, 15> kReroutePrefixes{
    "x-forwarded-", "x-original-", "x-rewrite-", "impersonate-", "x-impersonate",   "proxy-",   "x-proxy",
    "x-remote-",    "x-envoy-",    "x-sanctum-", "sanctum-",     "x-amz-security-", "x-auth-request-",
    "x-ms-client-principal", "x-ms-authorization"};
/// A partial or encoded answer would pass the scrubber in pieces or unread.
constexpr std::array<std::string_view, 4> kScanFields{"range", "if-range", "request-range", "accept-encoding"};

/// Query parameters that servers take as a credential; compared in lower case with `-` for `_`.
constexpr std::array<std::string_view, 15> kCredentialParameters{
    "access-token", "api-key", "apikey", "x-api-key",   "key",           "auth",          "auth-token", "authorization",
    "token",        "bearer",  "jwt",    "oauth-token", "private-token", "client-secret", "password"};
constexpr std::array<std::string_view, 3> kMethodParameters{"x-http-method-override", "x-method-override",
                                                            "http-method-override"};

template <std::size_t n>
bool ends_with_one_of(std::string_view name, const std::array<std::string_view, n>& suffixes) {
    const auto is_end = [&](std::string_view suffix) { return name.ends_with(suffix); };
    return std::any_of(suffixes.begin(), suffixes.end(), is_end);
}

/// `X_Api_Key` is `x-api-key` to every server that hands headers over as variables.
std::string with_hyphens(std::string_view name) {
    std::string normal = lower_case(name);
    std::replace(normal.begin(), normal.end(), '_', '-');
    return normal;
}

/// SECURITY: of keys that sign, nothing leaves with which anybody could sign. What comes back is scrubbed all the same,
/// but may come in parts: large objects do.
bool dodges_scrubber(std::string_view name, const Endpoint& endpoint) {
    const bool may_be_partial = endpoint.form == AuthForm::Sigv4 && name != "accept-encoding";
    return is_one_of(name, kScanFields) && !may_be_partial;
}

bool leaves_never(std::string_view written, const Endpoint& endpoint) {
    const std::string name = with_hyphens(written);
    if (is_one_of(name, kCredentialFields) || ends_with_one_of(name, kCredentialSuffixes)) return true;
    if (dodges_scrubber(name, endpoint)) return true;
    if (is_one_of(name, kRerouteFields) || starts_with_one_of(name, kReroutePrefixes)) return true;
    const auto is_same = [&](const std::string& other) { return with_hyphens(other) == name; };
    if (endpoint.form == AuthForm::Header && is_same(endpoint.form_name)) return true;
    return std::any_of(endpoint.strip.begin(), endpoint.strip.end(), is_same);
}

}  // namespace

void strip_fields(Fields& fields, const Endpoint* endpoint) {
    if (endpoint == nullptr || endpoint->form == AuthForm::None) {
        std::erase_if(fields, [](const Field& field) { return field.name.starts_with("sanctum-"); });
        return;
    }
    std::erase_if(fields, [&](const Field& field) { return leaves_never(field.name, *endpoint); });
}

Status check_query_parameters(const RequestHead& head, const Endpoint& endpoint) {
    if (endpoint.form == AuthForm::None) return {};
    std::string_view rest = head.query;
    while (!rest.empty()) {
        const std::size_t end = rest.find_first_of("&;");
        const std::string_view parameter = rest.substr(0, end);
        const std::string_view written = parameter.substr(0, parameter.find('='));
        const std::string decoded = percent_decode(written).value_or(std::string(written));
        const std::string name = with_hyphens(decoded);
        const bool is_injected = endpoint.form == AuthForm::Query && name == with_hyphens(endpoint.form_name);
        if (is_injected || is_one_of(name, kCredentialParameters)) {
            return Error{Errc::Denied, "the query parameter '" + std::string(written) +
                                           "' carries a credential; Sanctum adds its own, so leave it out"};
        }
        if (is_method_field(decoded) || is_one_of(name, kMethodParameters)) {
            return Error{Errc::Denied, "the query parameter '" + std::string(written) + "' overrides the method"};
        }
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
    }
    return {};
}

void prepare_request(RequestHead& head, const Endpoint* endpoint, AnswerIs answer) {
    strip_fields(head.fields, endpoint);
    const bool is_credentialed = endpoint != nullptr && endpoint->form != AuthForm::None;
    if (!is_credentialed && answer == AnswerIs::Streamed) return;
    if (answer == AnswerIs::Redacted) {
        std::erase_if(head.fields, [](const Field& field) { return is_one_of(with_hyphens(field.name), kScanFields); });
    }
    head.fields.push_back({"accept-encoding", "identity"});
}

wire::Digest head_digest(const RequestHead& head, std::uint16_t port, bool is_tls) {
    const std::uint16_t usual_port = is_tls ? 443 : 80;
    std::string text = "sanctum-head-1\n" + head.method + "\n" + (is_tls ? "https://" : "http://") + head.host;
    if (port != usual_port) text += ":" + std::to_string(port);
    text += "\n" + head.target() + "\nhost:" + head.host;
    if (head.port != 0) text += ":" + std::to_string(head.port);
    text += "\n";
    for (const Field& field : head.fields) text.append(field.name).append(":").append(field.value).append("\n");
    if (head.framing == Framing::Length) text += "content-length:" + std::to_string(head.content_length) + "\n";
    return sha256(text);
}

}  // namespace sanctum::interceptor
