// SPDX-License-Identifier: Apache-2.0
// Fuzzes redaction: pointers in the first line, the answer behind it. What comes out has the same length, is JSON
// still, and holds nothing more that would be overwritten.
#include "base/wire/archive.hpp"
#include "interceptor/rewrite/redact.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sanctum;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::size_t end = bytes.find('\n');
    if (end == std::string_view::npos) return 0;
    std::vector<std::string> pointers;
    for (std::string_view rest = bytes.substr(0, end); !rest.empty();) {
        const std::string_view pointer = rest.substr(0, rest.find(' '));
        pointers.emplace_back(pointer);
        rest.remove_prefix(std::min(rest.size(), pointer.size() + 1));
    }
    const std::string before(bytes.substr(end + 1));
    std::string body = before;
    const auto count = interceptor::redact(body, pointers);
    if (!count.has_value()) return 0;
    if (body.size() != before.size() || (*count == 0 && body != before)) std::abort();
    if (!body.empty() && !wire::JsonText::parse(body).has_value()) std::abort();
    std::string twice = body;
    const auto again = interceptor::redact(twice, pointers);
    if (!again.has_value() || twice != body) std::abort();
    return 0;
}
