// SPDX-License-Identifier: Apache-2.0
// What a provider answers while a person consents: the device flow's first answer, a pushed request's, and those of
// Connected Accounts. No crash, and what a person is shown and opens is printable and https.
#include "base/limits.hpp"
#include "vault/oauth/browser_grant.hpp"
#include "vault/oauth/connected_account.hpp"
#include "vault/oauth/device_grant.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace sanctum;
using namespace sanctum::vault;

void require(bool holds) {
    if (!holds) std::abort();
}

bool is_visible(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

void require_address(const std::string& url, std::string_view begin) {
    require(url.starts_with(begin) && is_visible(url));
}

HttpResponse answer_of(std::string_view body) {
    HttpResponse response;
    response.status = 200;
    response.headers = {{"content-type", "application/json"}};
    response.body = Secret(body);
    return response;
}

void read_device(std::string_view body) {
    const auto read = read_device_authorization(answer_of(body));
    if (!read.has_value()) return;
    require(!read->device_code.is_empty() && is_visible(read->user_code) && !read->user_code.empty());
    require_address(read->verification_uri, "https://");
    if (!read->verification_uri_complete.empty()) require_address(read->verification_uri_complete, "https://");
    require(read->life > Milliseconds(0) && read->life <= Milliseconds(kConsentTimeout));
    require(read->interval >= Milliseconds(0) && read->interval <= Milliseconds(kDeviceIntervalMax));
}

void read_connect(std::string_view body) {
    static const Secret token("token");
    const MyAccount account{"https://tenant.example.test/", "CID", token};
    for (const int status : {200, 403}) {
        HttpResponse response = answer_of(body);
        response.status = status;
        const auto begun = read_connect_answer(response, account, "github");
        if (begun.has_value()) {
            require_address(begun->address, account.issuer);
            require(status == 200 && !begun->session.is_empty());
        } else {
            const std::string& why = begun.error().what;
            require(std::all_of(why.begin(), why.end(), [](char c) { return c >= 0x20 && c != 0x7f; }));
        }
        const auto scopes = read_complete_answer(response, account, "github");
        if (scopes.has_value() && scopes->has_value()) require(std::is_sorted((*scopes)->begin(), (*scopes)->end()));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    read_device(body);
    read_connect(body);
    const auto reference = read_pushed_answer(answer_of(body));
    require(!reference.has_value() || (!reference->empty() && reference->size() <= kProviderUrlBytesMax));
    return 0;
}
