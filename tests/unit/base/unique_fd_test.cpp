// SPDX-License-Identifier: Apache-2.0
#include "base/unique_fd.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace sanctum {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFd, TheDescriptorIsClosedWithItsOwner) {
    const int fd = ::dup(0);
    {
        const UniqueFd owner(fd);
        EXPECT_TRUE(is_open(fd));
    }
    EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, AMovedDescriptorHasOneOwner) {
    UniqueFd one(::dup(0));
    const int fd = one.get();
    UniqueFd two = std::move(one);
    EXPECT_FALSE(one);  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(two.get(), fd);
    two = UniqueFd();
    EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, AReleasedDescriptorStaysOpen) {
    UniqueFd owner(::dup(0));
    const int fd = owner.release();
    owner.reset();
    EXPECT_TRUE(is_open(fd));
    ::close(fd);
}

TEST(UniqueFd, ClosingKeepsTheErrorNumber) {
    UniqueFd owner(999'999);  // closing it fails
    errno = ENOSPC;
    owner.reset();
    EXPECT_EQ(errno, ENOSPC);
}

}  // namespace
}  // namespace sanctum
