// SPDX-License-Identifier: Apache-2.0
// Lines as git sends them. https://git-scm.com/docs/protocol-common#_pkt_line_format
#pragma once

#include <array>
#include <cstdio>
#include <string>

namespace sanctum::interceptor::test {

/// One pkt-line: four hexadecimal digits of its whole length, then `payload`.
[[nodiscard]] inline std::string packet(const std::string& payload) {
    std::array<char, 8> length{};
    std::snprintf(length.data(), length.size(), "%04zx", payload.size() + 4);
    return length.data() + payload;
}

}  // namespace sanctum::interceptor::test
