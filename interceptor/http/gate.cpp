// SPDX-License-Identifier: Apache-2.0
#include "interceptor/http/gate.hpp"

#include "base/canonical_target.hpp"
#include "base/limits.hpp"
#include "interceptor/http/grammar.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace sanctum::interceptor {
namespace {

Error invalid(std::string what) { return Error{Errc::Protocol, std::move(what)}; }

template <std::size_t n>
bool is_one_of(std::string_view name, const std::array<std::string_view, n>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// Methods that make a proxy do something else than forward one message (RFC 9110 section 9.3.6, 9.3.8; RFC 9113 3.4).
constexpr std::array<std::string_view, 5> kRefusedMethods{"CONNECT", "TRACE", "TRACK", "PRI", "DEBUG"};

/// Fields that belong to one hop (RFC 9110 section 7.6.1 and their historic companions).
constexpr std::array<std::string_view, 8> kHopFields{"connection",       "keep-alive", "proxy-connection",
                                                     "proxy-authenticate", "proxy-authorization",
                                                     "proxy-authentication-info", "te", "max-forwards"};

/// RFC 9110 section 6.5.1: what must be known before the content, and what routes or authenticates.
constexpr std::array<std::string_view, 24> kRefusedTrailers{
    "authorization",  "cache-control",       "connection",    "content-encoding",  "content-length", "content-range",
    "content-type",   "cookie",              "expect",        "host",              "keep-alive",     "location",
    "max-forwards",   "proxy-authenticate",  "proxy-authorization", "proxy-connection", "range",     "set-cookie",
    "te",             "trailer",             "transfer-encoding", "upgrade",      "www-authenticate", "date"};

Status check_method(const std::string& method) {
    const auto is_allowed = [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; };
    if (method.empty() || method.size() > kMethodBytesMax || !std::all_of(method.begin(), method.end(), is_allowed)) {
        return invalid("RFC 9110 9.1: the method is not an upper-case word");
    }
    if (is_one_of(method, kRefusedMethods)) return invalid("RFC 9110 9.3: the method " + method + " is not forwarded");
    return {};
}

/// Counts and checks every field; framing look-alikes with `_` are what CGI-like servers read as the real ones.
Status check_fields(const Fields& fields) {
    for (const Field& field : fields) {
        if (!is_token(field.name)) return invalid("RFC 9110 5.1: a header name is not a token");
        if (!is_field_value(field.value)) return invalid("RFC 9110 5.5: a header value holds control bytes");
        if (field.name == "content_length" || field.name == "transfer_encoding") {
            return invalid("RFC 9112 6: " + field.name + " looks like a framing field");
        }
    }
    return {};
}

std::size_t count_fields(const Fields& fields, std::string_view name) {
    return static_cast<std::size_t>(
        std::count_if(fields.begin(), fields.end(), [&](const Field& field) { return field.name == name; }));
}

/// Content-Length and Transfer-Encoding of either side, taken out of the fields.
struct BodyFraming {
    bool is_chunked = false;
    std::optional<std::uint64_t> length;
};

Result<BodyFraming> take_framing(RawHead& raw) {
    BodyFraming framing;
    const std::size_t lengths = count_fields(raw.fields, "content-length");
    const std::size_t codings = count_fields(raw.fields, "transfer-encoding");
    if (lengths > 1) return invalid("RFC 9112 6.3: more than one content-length");
    if (codings > 1) return invalid("RFC 9112 6.1: more than one transfer-encoding");
    if (lengths == 1 && codings == 1) return invalid("RFC 9112 6.1: content-length with transfer-encoding");
    if (codings == 1) {
        if (raw.is_http10) return invalid("RFC 9112 6.1: transfer-encoding in HTTP/1.0");
        if (!equals_ignoring_case(*find_field(raw.fields, "transfer-encoding"), "chunked")) {
            return invalid("RFC 9112 6.1: a transfer-encoding other than exactly 'chunked'");
        }
        framing.is_chunked = true;
    }
    if (lengths == 1) {
        framing.length = parse_decimal(*find_field(raw.fields, "content-length"));
        if (!framing.length) return invalid("RFC 9110 8.6: content-length is not one plain number");
    }
    remove_fields(raw.fields, "content-length");
    remove_fields(raw.fields, "transfer-encoding");
    return framing;
}

/// Removes what Connection names and every hop-by-hop field; says whether `close` was among them.
Result<bool> take_connection(Fields& fields) {
    bool wants_close = false;
    std::vector<std::string> named;
    for (const Field& field : fields) {
        if (field.name != "connection" && field.name != "proxy-connection") continue;
        for_each_list_item(field.value, [&](std::string_view item) { named.push_back(lower_case(item)); });
    }
    for (const std::string& name : named) {
        if (!is_token(name)) return invalid("RFC 9110 7.6.1: connection names something that is no field name");
        if (name == "close") wants_close = true;
        else remove_fields(fields, name);
    }
    for (const std::string_view name : kHopFields) remove_fields(fields, name);
    return wants_close;
}

Status take_host(RawHead& raw, RequestHead& head) {
    if (count_fields(raw.fields, "host") != 1) return invalid("RFC 9112 3.2: not exactly one host field");
    SANCTUM_TRY(Authority authority, canonical_authority(*find_field(raw.fields, "host")));
    head.host = std::move(authority.host);
    head.port = authority.port;
    remove_fields(raw.fields, "host");
    return {};
}

Status take_target(const RawHead& raw, RequestHead& head) {
    const std::string_view target = raw.target;
    if (target.empty() || target.front() != '/') {
        return invalid("RFC 9112 3.2: only targets in origin-form are accepted");
    }
    if (target.find('#') != std::string_view::npos) return invalid("RFC 9112 3.2: a fragment in the target");
    const std::size_t mark = target.find('?');
    SANCTUM_TRY(head.path, canonical_path(target.substr(0, mark)));
    if (mark == std::string_view::npos) return {};
    head.has_query = true;
    head.query = std::string(target.substr(mark + 1));
    return check_query(head.query);
}

Status take_expectation(RawHead& raw, RequestHead& head) {
    const std::size_t count = count_fields(raw.fields, "expect");
    if (count == 0) return {};
    if (count > 1 || !equals_ignoring_case(*find_field(raw.fields, "expect"), "100-continue")) {
        return invalid("RFC 9110 10.1.1: an expectation other than 100-continue");
    }
    head.expects_continue = !raw.is_http10 && head.has_body();
    remove_fields(raw.fields, "expect");
    return {};
}

Status refuse_upgrade(const Fields& fields) {
    const bool asks = find_field(fields, "upgrade") != nullptr || find_field(fields, "http2-settings") != nullptr;
    if (asks) return invalid("RFC 9110 7.8: upgrading to another protocol is not accepted");
    return {};
}

bool has_no_body(std::uint16_t status, bool is_to_head) {
    return is_to_head || status < 200 || status == 204 || status == 304;  // RFC 9112 section 6.3, 1 and 2
}

}  // namespace

Result<RequestHead> gate_request(RawHead raw) {
    RequestHead head;
    SANCTUM_CHECK(check_method(raw.method));
    SANCTUM_CHECK(check_fields(raw.fields));
    SANCTUM_CHECK(refuse_upgrade(raw.fields));
    SANCTUM_CHECK(take_target(raw, head));
    SANCTUM_CHECK(take_host(raw, head));
    SANCTUM_TRY(const BodyFraming framing, take_framing(raw));
    if (framing.is_chunked) head.framing = Framing::Chunked;
    if (framing.length) head.framing = Framing::Length;
    head.content_length = framing.length.value_or(0);
    SANCTUM_CHECK(take_expectation(raw, head));
    SANCTUM_TRY(const bool wants_close, take_connection(raw.fields));
    // HTTP/1.0 keep-alive has two readings behind a proxy (RFC 9112 section C.2.2): one request, then close.
    head.wants_close = wants_close || raw.is_http10;
    head.is_http10 = raw.is_http10;
    head.method = std::move(raw.method);
    head.fields = std::move(raw.fields);
    return head;
}

Result<ResponseHead> gate_response(RawHead raw, bool is_to_head) {
    ResponseHead head;
    if (raw.status < 100 || raw.status > 599) return invalid("RFC 9110 15: the status is outside 100-599");
    if (raw.status == 101) return invalid("RFC 9110 15.2.2: switching protocols was not asked for");
    if (!is_field_value(trim(raw.reason))) return invalid("RFC 9112 4: control bytes in the reason");
    SANCTUM_CHECK(check_fields(raw.fields));
    SANCTUM_TRY(const BodyFraming framing, take_framing(raw));
    if (raw.status < 200 && (framing.is_chunked || framing.length.value_or(0) > 0)) {
        return invalid("RFC 9112 6.3: an interim response with a body");
    }
    SANCTUM_TRY(const bool wants_close, take_connection(raw.fields));
    remove_fields(raw.fields, "upgrade");
    head.status = raw.status;
    head.reason = std::string(trim(raw.reason));
    head.has_content_length = framing.length.has_value();
    head.content_length = framing.length.value_or(0);
    if (has_no_body(raw.status, is_to_head)) head.framing = Framing::None;
    else if (framing.is_chunked) head.framing = Framing::Chunked;
    else head.framing = framing.length ? Framing::Length : Framing::UntilClose;
    head.wants_close = wants_close || raw.is_http10 || head.framing == Framing::UntilClose;
    head.fields = std::move(raw.fields);
    return head;
}

Result<Fields> gate_trailers(Fields fields) {
    SANCTUM_CHECK(check_fields(fields));
    for (const Field& field : fields) {
        if (is_one_of(field.name, kRefusedTrailers)) {
            return invalid("RFC 9110 6.5.1: the field " + field.name + " is not allowed behind a body");
        }
    }
    return fields;
}

}  // namespace sanctum::interceptor
