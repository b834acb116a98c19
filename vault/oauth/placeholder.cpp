// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/placeholder.hpp"

#include "base/digest.hpp"
#include "base/files.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/http/json_body.hpp"
#include "vault/oauth/base64url.hpp"

#include <algorithm>
#include <optional>

namespace sanctum::vault {
namespace {

constexpr std::string_view kMark = "held-by-sanctum-";

// The payload of what is built like a JWT: three parts, of which the first two are JSON objects.
std::optional<JsonAnswer> payload_of(const Secret& token) {
    const std::string_view text = token.reveal();
    const std::size_t first = text.find('.');
    const std::size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
    if (second == std::string_view::npos || text.find('.', second + 1) != std::string_view::npos) return std::nullopt;
    const std::optional<std::string> header = from_base64url(text.substr(0, first));
    std::optional<std::string> payload = from_base64url(text.substr(first + 1, second - first - 1));
    if (!header || !payload || !JsonAnswer::parse_text(*header, "the token's header")) return std::nullopt;
    Result<JsonAnswer> json = JsonAnswer::parse_text(*payload, "the token");
    wipe(*payload);
    if (!json) return std::nullopt;
    return std::move(*json);
}

std::string filler(std::size_t size) {
    std::string text(kMark);
    while (text.size() < size) text += base64url(random_bytes(24));
    text.resize(std::max(size, kMark.size()));
    return text;
}

}  // namespace

std::string placeholder_of(const Secret& token, std::string_view beginning, const std::vector<std::string>& claims) {
    std::string text(beginning);
    if (const std::optional<JsonAnswer> payload = payload_of(token)) {
        JsonBody shown;
        for (const std::string& claim : claims) {
            if (payload->has(claim)) shown.json(claim, payload->json_text_of(claim));
        }
        text = base64url(R"({"alg":"none","typ":"JWT"})") + "." + base64url(shown.take().reveal()) + ".";
    }
    const std::size_t size = std::max(token.size(), kPlaceholderCharsMin);
    return text + filler(size > text.size() ? size - text.size() : 0);
}

std::map<std::string, std::string> texts_of_claims(const Secret& token, const std::vector<std::string>& claims) {
    std::map<std::string, std::string> texts;
    const std::optional<JsonAnswer> payload = payload_of(token);
    if (!payload) return texts;
    for (const std::string& claim : claims) {
        if (std::string text = payload->text(claim); !text.empty()) texts.emplace(claim, std::move(text));
        for (auto& [name, value] : payload->texts_of(claim)) texts.emplace(name, std::move(value));
    }
    return texts;
}

}  // namespace sanctum::vault
