// SPDX-License-Identifier: Apache-2.0
// What a token endpoint says of a token, and the token of itself: no crash, and nothing is wider than itself. What an
// API says of its provider: no crash, and nothing but https is followed.
#include "vault/oauth/introspection.hpp"
#include "vault/oauth/resource_metadata.hpp"
#include "vault/oauth/token_answer.hpp"
#include "vault/oauth/token_binding.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace sanctum;
using namespace sanctum::vault;

HttpResponse answer_of(std::string_view body) {
    HttpResponse response;
    response.status = 200;
    response.headers["content-type"] = "application/json";
    response.body = Secret(body);
    return response;
}

// What the provider granted is asked of it again: it must be found to be the same.
void compare_with_itself(const std::optional<std::vector<DetailMembers>>& details) {
    if (!details) return;
    for (const DetailMembers& detail : *details) {
        if (!detail.texts.contains("type")) return;
    }
    profiles::Account account;
    if (check_details(account, *details, details)) std::abort();
}

void follow(std::string_view bytes) {
    HttpResponse refused;
    refused.status = 401;
    refused.headers["www-authenticate"] = std::string(bytes);
    const std::string url = challenged_metadata_url(refused);
    if (!url.empty() && !url.starts_with("https://")) std::abort();
    const Result<ResourceMetadata> metadata = read_resource_metadata(answer_of(bytes), "https://api.test/mcp");
    if (!metadata) return;
    if (const Result<std::string> issuer = choose_issuer(*metadata, ""); issuer && !issuer->starts_with("https://")) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    TokenQuestion question;
    question.is_bound = size % 2 == 1;
    auto token = read_token_answer(answer_of(bytes), question);
    if (const auto* answer = std::get_if<TokenAnswer>(&token)) {
        static_cast<void>(binding_of(answer->access_token));
        compare_with_itself(answer->details);
    }
    auto told = read_introspection(answer_of(bytes), question);
    if (const auto* said = std::get_if<Introspection>(&told)) compare_with_itself(said->details);
    static_cast<void>(binding_of(Secret(bytes)));
    follow(bytes);
    return 0;
}
