// SPDX-License-Identifier: Apache-2.0
// What OpenBao answers: no crash, lives within bounds, and what was made can be ended by a request that can be sent.
#include "base/limits.hpp"
#include "vault/sources/openbao_api.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

namespace {

using namespace sanctum;
using namespace sanctum::vault;

constexpr std::array<const char*, 3> kEngines = {"kv", "dynamic", "token"};

void require(bool holds) {
    if (!holds) std::abort();
}

bool is_life(Milliseconds life) {
    return life >= Milliseconds(0) && life <= Milliseconds(kProviderLifeSecondsMax * 1000);
}

profiles::Account account_with(const std::string& engine, const std::string& login) {
    profiles::Account account;
    account.bao.address = "https://bao.example.test:8200";
    account.bao.engine = engine;
    account.bao.login = login;
    account.bao.auth_mount = "approle";
    account.bao.path = "secret/data/app";
    account.bao.field = "password";
    account.bao.username_field = engine == "dynamic" ? "username" : "";
    return account;
}

void read(const BaoApi& api, const HttpResponse& response) {
    static_cast<void>(api.check_wrapping(response));
    const auto held = api.take_unwrapped(response);
    if (const auto* secret = std::get_if<Secret>(&held)) require(!secret->is_empty());
    for (const BaoStep step : {BaoStep::LogIn, BaoStep::Create}) {
        const auto taken = api.take_token(step, response);
        const auto* token = std::get_if<BaoToken>(&taken);
        if (token == nullptr) continue;
        require(!token->value.is_empty() && !token->accessor.empty() && is_life(token->life));
        require(std::is_sorted(token->policies.begin(), token->policies.end()));
        require(!api.check_policies(token->policies, *token));
    }
    const auto taken = api.take_secret(response);
    const auto* secret = std::get_if<BaoSecret>(&taken);
    if (secret == nullptr) return;
    require(!secret->value.is_empty() && is_life(secret->life));
    require(api.bao().username_field.empty() || !secret->username.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    HttpResponse response;
    response.headers = {{"content-type", "application/json"}};
    response.body = Secret(std::string_view(reinterpret_cast<const char*>(data), size));
    for (const char* engine : kEngines) {
        const BaoApi api(account_with(engine, size % 2 == 0 ? "token" : "approle"));
        for (const int status : {200, 400, 403}) {
            response.status = status;
            read(api, response);
        }
    }
    return 0;
}
