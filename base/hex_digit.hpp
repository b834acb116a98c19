// SPDX-License-Identifier: Apache-2.0
// One hexadecimal digit.
#pragma once

namespace sanctum {

/// Value of a hexadecimal digit of either case; -1: it is none. Pure.
[[nodiscard]] constexpr int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace sanctum
