// SPDX-License-Identifier: Apache-2.0
#include "vault/http/request_bytes.hpp"

#include "base/build_id.hpp"
#include "base/limits.hpp"
#include "network/host_name.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace sanctum::vault {
namespace {

constexpr std::string_view kScheme = "https://";
constexpr std::array<std::string_view, 9> kOwnFields = {
    "host",       "content-length",  "transfer-encoding", "connection", "authorization",
    "user-agent", "accept-encoding", "expect",            "te"};

Error refuse(const std::string& what) { return {Errc::InvalidProfile, "request: " + what}; }

// RFC 9110 5.6.2.
bool is_token(std::string_view text) {
    constexpr std::string_view kSigns = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char character) {
        const bool is_letter = (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
        return is_letter || (character >= '0' && character <= '9') || kSigns.find(character) != std::string_view::npos;
    });
}

// RFC 9110 5.5 without obs-text. SECURITY: what passes cannot end a line.
bool is_field_value(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char character) { return character >= ' ' && character <= '~'; });
}

bool is_target(std::string_view text) {
    return text.size() <= kTargetBytesMax && std::all_of(text.begin(), text.end(), [](char character) {
        return character > ' ' && character <= '~' && character != '#' && character != '"' && character != '\\';
    });
}

bool has_length(const HttpRequest& request) {
    return !request.body.is_empty() || request.method == "POST" || request.method == "PUT" ||
           request.method == "PATCH";
}

Status check_fields(const HttpRequest& request) {
    if (!is_token(request.method)) return refuse("the method is not one");
    for (const auto& [name, value] : request.headers) {
        if (!is_token(name) || !is_field_value(value)) return refuse("a header field holds characters it must not");
        const std::string lower = network::to_lower(name);
        if (std::find(kOwnFields.begin(), kOwnFields.end(), lower) != kOwnFields.end()) {
            return refuse("the header field " + lower + " is not the caller's to write");
        }
    }
    if (!is_field_value(request.authorization.reveal())) return refuse("the credential cannot be put on a request");
    return {};
}

}  // namespace

std::string RequestPlace::authority() const {
    std::string text = host;
    if (port != 443) text.append(":").append(std::to_string(port));
    return text;
}

Result<RequestPlace> place_of(const std::string& url) {
    if (!url.starts_with(kScheme)) return refuse("the URL does not begin with https://");
    const std::string_view rest = std::string_view(url).substr(kScheme.size());
    const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
    const std::string_view authority = rest.substr(0, end);
    const std::size_t colon = std::min(authority.find(':'), authority.size());
    RequestPlace place;
    place.host = authority.substr(0, colon);
    if (!network::is_host_name(place.host)) return refuse("the URL names no host (lower-case letters, no address)");
    if (colon < authority.size()) {
        const std::string_view digits = authority.substr(colon + 1);
        const auto [last, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), place.port);
        if (problem != std::errc{} || last != digits.data() + digits.size() || place.port == 0) {
            return refuse("the URL of " + place.host + " has a port that is none");
        }
    }
    place.target = rest.substr(end);
    if (!place.target.starts_with('/')) place.target.insert(0, 1, '/');
    if (!is_target(place.target)) return refuse("the URL of " + place.host + " has a path or query that is none");
    return place;
}

Result<WipedBytes> request_bytes(const HttpRequest& request, const RequestPlace& place) {
    SANCTUM_CHECK(check_fields(request));
    WipedBytes bytes;
    const auto field = [&](std::string_view name, std::string_view value) {
        for (const std::string_view part : {name, std::string_view(": "), value, std::string_view("\r\n")}) {
            bytes.append(part);
        }
    };
    for (const std::string_view part : {std::string_view(request.method), std::string_view(" "),
                                        std::string_view(place.target), std::string_view(" HTTP/1.1\r\n")}) {
        bytes.append(part);
    }
    field("Host", place.authority());
    field("User-Agent", std::string("sanctum/").append(version()));
    field("Accept-Encoding", "identity");
    field("Connection", "close");
    for (const auto& [name, value] : request.headers) field(name, value);
    if (!request.authorization.is_empty()) field("Authorization", request.authorization.reveal());
    if (has_length(request)) field("Content-Length", std::to_string(request.body.size()));
    bytes.append("\r\n");
    bytes.append(request.body.reveal());
    return bytes;
}

}  // namespace sanctum::vault
