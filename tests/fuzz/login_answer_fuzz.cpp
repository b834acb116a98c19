// SPDX-License-Identifier: Apache-2.0
// Fuzzes what a token endpoint answers to a login: whatever it is, the agent is told JSON, and no token of it.
#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "vault/oauth/login_exchange.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

// Shorter ones may be in any text by chance.
constexpr std::size_t kTellingBytes = 24;

bool holds(std::string_view text, const sanctum::Secret& token) {
    return token.size() >= kTellingBytes && text.find(token.reveal()) != std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sanctum;
    using namespace sanctum::vault;
    profiles::Login login;
    login.tokens = {{"access_token", "at_"}, {"id_token", ""}, {"refresh_token", "rt_"}};
    login.keeps = {"expires_in", "scope"};
    HttpResponse response;
    response.status = 200;
    response.headers = {{"content-type", "application/json"}};
    response.body = Secret(std::string_view(reinterpret_cast<const char*>(data), size));
    const auto read = read_login_answer(response, login, {"login at x", "account", "", SourceFault::ConsentLost});
    const auto* tokens = std::get_if<LoginTokens>(&read);
    if (tokens == nullptr) return 0;
    const std::string told = login_reply(*tokens, Milliseconds(60'000));
    if (told.size() > kLoginReplyBytesMax + 16 || !wire::JsonText::parse(told)) std::abort();
    // The placeholders alone: what a provider says in a member or a claim that the catalog keeps, it gives away itself.
    for (const auto& [name, beginning] : login.tokens) {
        const auto shown = tokens->shown.find(name);
        if (shown == tokens->shown.end()) continue;
        for (const Secret* token : {&tokens->answer.access_token, &tokens->answer.refresh_token}) {
            if (holds(shown->second, *token)) std::abort();
        }
    }
    return 0;
}
