// SPDX-License-Identifier: Apache-2.0
// Fuzzes the reading of an agent's login: the content type in the first line, the body behind it. What goes on is of
// this client, one of two grants, and holds nothing that the catalog does not name.
#include "interceptor/rewrite/login_request.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sanctum::interceptor;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::size_t end = bytes.find('\n');
    if (end == std::string_view::npos) return 0;
    sanctum::profiles::Login login;
    login.client_id = "CID";
    login.sends = {"code", "code_verifier", "redirect_uri", "state"};
    RequestHead head;
    head.fields = {{"content-type", std::string(bytes.substr(0, end))}};
    const auto read = read_login_request(head, bytes.substr(end + 1), login);
    if (!read.has_value()) return 0;
    const bool is_code = read->grant == kCodeGrant;
    if (!is_code && (read->grant != kRefreshGrant || !read->members.empty())) std::abort();
    for (const auto& [name, value] : read->members) {
        if (std::find(login.sends.begin(), login.sends.end(), name) == login.sends.end()) std::abort();
    }
    if (bytes.find("CID") == std::string_view::npos && bytes.find_first_of("%\\") == std::string_view::npos) {
        std::abort();
    }
    return 0;
}
