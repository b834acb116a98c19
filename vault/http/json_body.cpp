// SPDX-License-Identifier: Apache-2.0
#include "vault/http/json_body.hpp"

#include "base/wire/archive.hpp"

namespace sanctum::vault {
namespace {

// `\u00XX` is the longest that one byte becomes.
constexpr std::size_t kEscapeBytesMax = 6;

}  // namespace

std::string json_text(std::string_view text) {
    std::string out;
    wire::append_json_string(out, text);
    return out;
}

std::string json_list(const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const std::string& text : texts) {
        if (out.size() > 1) out += ",";
        wire::append_json_string(out, text);
    }
    return out + "]";
}

void JsonBody::begin(std::string_view name, std::size_t bytes) {
    const std::size_t needed = text_.size() + kEscapeBytesMax * (name.size() + bytes) + 16;
    if (needed > text_.capacity()) {  // growing must leave no copy of a secret behind
        std::string larger;
        larger.reserve(2 * needed);
        larger = text_;
        text_.swap(larger);
        wipe(larger);
    }
    if (text_.size() > 1) text_ += ",";
    wire::append_json_string(text_, name);
    text_ += ":";
}

void JsonBody::text(std::string_view name, std::string_view value) {
    begin(name, value.size());
    wire::append_json_string(text_, value);
}

void JsonBody::json(std::string_view name, std::string_view value) {
    begin(name, value.size());
    text_ += value;
}

Secret JsonBody::take() {
    text_ += "}";  // begin() left room for it
    return Secret(text_);
}

}  // namespace sanctum::vault
