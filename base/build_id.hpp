// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace sanctum {

/// Version and a hash over this build's sources; processes of another build are refused in `hello`.
[[nodiscard]] const char* build_id();

/// `0.1.0`.
[[nodiscard]] const char* version();

}  // namespace sanctum
