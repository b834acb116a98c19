// SPDX-License-Identifier: Apache-2.0
#include "base/mission_id.hpp"

#include "base/files.hpp"

#include <cstdint>

namespace sanctum {
namespace {
constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t kUlidSize = 26;
}  // namespace

std::string make_ulid(WallTime now) {
    std::string out;
    const auto time = static_cast<std::uint64_t>(now.unix_ms);
    for (int shift = 45; shift >= 0; shift -= 5) out.push_back(kAlphabet[(time >> static_cast<unsigned>(shift)) & 31U]);
    for (const char byte : random_bytes(kUlidSize - out.size())) {
        out.push_back(kAlphabet[static_cast<unsigned char>(byte) & 31U]);
    }
    return out;
}

bool is_ulid(std::string_view text) {
    return text.size() == kUlidSize && text.find_first_not_of(kAlphabet) == std::string_view::npos;
}

}  // namespace sanctum
