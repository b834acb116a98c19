// SPDX-License-Identifier: Apache-2.0
#include "base/build_id.hpp"

namespace sanctum {

const char* build_id() { return SANCTUM_BUILD_ID; }
const char* version() { return SANCTUM_VERSION; }

}  // namespace sanctum
