// SPDX-License-Identifier: Apache-2.0
#include "console/request_url.hpp"

#include "base/canonical_target.hpp"

#include <algorithm>

namespace sanctum::console {
namespace {

// RFC 9110 section 5.6.2, upper-case as every method that anything here knows.
bool is_method(std::string_view method) {
    const auto is_method_char = [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; };
    return !method.empty() && std::all_of(method.begin(), method.end(), is_method_char);
}

struct Scheme {
    std::string_view prefix;
    std::uint16_t port;
    bool is_tls;
};
constexpr Scheme kSchemes[] = {{"https://", 443, true}, {"http://", 80, false}};

}  // namespace

Result<profiles::Request> parse_request(std::string_view method, std::string_view url) {
    if (!is_method(method)) {
        return Error{Errc::Protocol, "'" + std::string(method) + "' is not a method (upper-case, such as GET or POST)"};
    }
    const auto* scheme = std::find_if(std::begin(kSchemes), std::end(kSchemes),
                                      [&](const Scheme& known) { return url.starts_with(known.prefix); });
    if (scheme == std::end(kSchemes)) return Error{Errc::Protocol, "the URL must begin with https:// or http://"};
    std::string_view rest = url.substr(scheme->prefix.size());
    if (rest.find('#') != std::string_view::npos) {
        return Error{Errc::Protocol, "a fragment (#…) is never sent; leave it out"};
    }
    const std::size_t end = rest.find_first_of("/?");
    SANCTUM_TRY(const Authority authority, canonical_authority(rest.substr(0, end)));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
    const std::size_t question = rest.find('?');
    const std::string_view path = rest.substr(0, question);
    profiles::Request request;
    request.method = method;
    request.host = authority.host;
    request.port = authority.port == 0 ? scheme->port : authority.port;
    request.is_tls = scheme->is_tls;
    SANCTUM_TRY(request.path, canonical_path(path.empty() ? "/" : path));
    if (question != std::string_view::npos) {
        SANCTUM_CHECK(check_query(rest.substr(question + 1)));
        request.query = rest.substr(question + 1);
    }
    return request;
}

}  // namespace sanctum::console
