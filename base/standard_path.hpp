// SPDX-License-Identifier: Apache-2.0
// Where a command is looked for inside a sandbox whose profile says nothing about PATH.
#pragma once

namespace sanctum {

/// The PATH of every sandbox; a profile's `environment = { set = { PATH = … } }` replaces it.
inline constexpr const char* kStandardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace sanctum
