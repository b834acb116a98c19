// SPDX-License-Identifier: Apache-2.0
// JSON from a provider: no crash; each member is what our other reader makes of its text, and what was taken out is
// gone.
#include "base/wire/archive.hpp"
#include "vault/http/json_answer.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace sanctum;
using vault::JsonAnswer;

void require(bool holds) {
    if (!holds) std::abort();
}

// What the strict reader of our own messages makes of the member, which has no code with this one in common.
void compare(const JsonAnswer& answer, const std::string& name) {
    const auto read = wire::JsonText::parse("[" + answer.json_text_of(name) + "]");
    require(read.has_value());
    const auto elements = read->root().elements();
    require(elements.has_value() && elements->size() == 1);
    const wire::JsonNode& value = elements->front();
    if (const auto integer = value.integer()) require(answer.number(name) == integer);
    require(answer.boolean(name) == value.boolean());
    if (!value.text()) require(answer.text(name).empty());
    const auto texts = answer.texts(name);
    if (texts) require(*texts == answer.text_elements(name));
}

void take_all(JsonAnswer& answer) {
    for (const std::string& name : answer.names()) {
        compare(answer, name);
        const std::string text = answer.text(name);
        require(answer.take_secret(name).reveal() == text);
        require(answer.text(name).find_first_not_of('\0') == std::string::npos);
        static_cast<void>(answer.texts_of(name));
        if (auto objects = answer.take_objects(name)) {
            for (JsonAnswer& object : *objects) take_all(object);
        }
        JsonAnswer object = answer.take_object(name);
        take_all(object);
        require(answer.take_object(name).names().empty());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    auto answer = JsonAnswer::parse_text(text, "it");
    if (answer.has_value()) take_all(*answer);
    return 0;
}
