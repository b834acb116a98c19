// SPDX-License-Identifier: Apache-2.0
// Golden files of the launcher's pure parts: what a reviewer has read and agreed to.
#pragma once

#include "base/files.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace sanctum::test {

/// `actual` is what the file `golden/NAME` holds; with SANCTUM_UPDATE_GOLDEN=1 it is written there first.
inline void expect_golden(const std::string& name, const std::string& actual) {
    const std::string path = std::string(SANCTUM_SOURCE_DIR) + "/tests/unit/launcher/golden/" + name;
    if (std::getenv("SANCTUM_UPDATE_GOLDEN") != nullptr) {
        ASSERT_TRUE(write_file_atomically(path, actual, 0644).has_value());
    }
    const auto expected = read_file(path, 1 << 20);
    ASSERT_TRUE(expected.has_value()) << "SANCTUM_UPDATE_GOLDEN=1 writes it";
    EXPECT_EQ(*expected, actual);
}

}  // namespace sanctum::test
