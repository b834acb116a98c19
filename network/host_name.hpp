// SPDX-License-Identifier: Apache-2.0
// What a host name and an address literal look like, for certificates, DNS and dialling. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sanctum::network {

/// Lower-case labels of a-z, 0-9, `-` and `_` with dots between, ≤ 63 per label, ≤ 253 in all, no label that begins
/// or ends with `-`, and the last label not a number (so that nothing can take it for an address). RFC 1123 2.1.
[[nodiscard]] bool is_host_name(std::string_view name);

/// An IPv4 or IPv6 address in its usual form, without brackets or zone; inet_pton(3).
[[nodiscard]] bool is_address_literal(std::string_view text);

/// ASCII letters made lower-case.
[[nodiscard]] std::string to_lower(std::string_view text);

}  // namespace sanctum::network
