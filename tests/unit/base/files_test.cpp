// SPDX-License-Identifier: Apache-2.0
#include "base/files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum {
namespace {

using ::testing::HasSubstr;

class Files : public ::testing::Test {
protected:
    void SetUp() override { ASSERT_NE(::mkdtemp(folder_.data()), nullptr); }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::string in(const std::string& name) const { return folder_ + "/" + name; }
    std::size_t count() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
    }
    std::string folder_ = "/tmp/sanctum-files-test-XXXXXX";
};

TEST_F(Files, WhatWasWrittenIsReadWithItsMode) {
    ASSERT_TRUE(write_file_atomically(in("a"), std::string("x\0y", 3), 0600));
    EXPECT_EQ(*read_file(in("a"), 3), std::string("x\0y", 3));
    struct stat status {};
    ASSERT_EQ(::stat(in("a").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_EQ(count(), 1U) << "no temporary file is left";
}

TEST_F(Files, AFileLargerThanAllowedIsNotRead) {
    ASSERT_TRUE(write_file_atomically(in("a"), "four", 0600));
    EXPECT_TRUE(read_file(in("a"), 4));
    const Result<std::string> content = read_file(in("a"), 3);
    ASSERT_FALSE(content);
    EXPECT_EQ(content.error().code, Errc::Limit);
    EXPECT_THAT(content.error().what, HasSubstr(in("a")));
}

TEST_F(Files, AnEndlessFileIsNotReadForever) { EXPECT_FALSE(read_file("/dev/zero", 100)); }

TEST_F(Files, AMissingFileIsNotFoundAndAFifoIsNotWaitedFor) {
    EXPECT_EQ(read_file(in("absent"), 10).error().code, Errc::NotFound);
    ASSERT_EQ(::mkfifo(in("fifo").c_str(), 0600), 0);
    EXPECT_EQ(read_file(in("fifo"), 10).error().code, Errc::Unsupported);
    EXPECT_EQ(read_file(folder_, 10).error().code, Errc::Unsupported);
}

TEST_F(Files, AReplacedFileIsTheNewOneOrTheOldOneAndALinkIsReplacedNotFollowed) {
    ASSERT_TRUE(write_file_atomically(in("victim"), "safe", 0600));
    ASSERT_EQ(::symlink(in("victim").c_str(), in("a").c_str()), 0);
    ASSERT_TRUE(write_file_atomically(in("a"), "new", 0600));
    EXPECT_EQ(*read_file(in("victim"), 10), "safe");
    EXPECT_EQ(*read_file(in("a"), 10), "new");
}

TEST_F(Files, AWriteThatFailsLeavesTheOldFileAndNothingElse) {
    ASSERT_TRUE(write_file_atomically(in("a"), "old", 0600));
    ASSERT_EQ(::mkdir(in("folder").c_str(), 0700), 0);
    ASSERT_TRUE(write_file_atomically(in("folder/inside"), "x", 0600));
    EXPECT_FALSE(write_file_atomically(in("folder"), "a file over a folder", 0600));
    EXPECT_FALSE(write_file_atomically(in("absent/b"), "x", 0600));
    EXPECT_EQ(count(), 2U) << "no temporary file is left";
    EXPECT_EQ(*read_file(in("a"), 10), "old");
}

TEST_F(Files, FoldersAreMadeOnTheWayAndExistingOnesAreFine) {
    ASSERT_TRUE(make_folders(in("a/b/c"), 0700));
    ASSERT_TRUE(make_folders(in("a/b/c"), 0700));
    EXPECT_TRUE(std::filesystem::is_directory(in("a/b/c")));
    ASSERT_TRUE(write_file_atomically(in("file"), "x", 0600));
    EXPECT_FALSE(make_folders(in("file/below"), 0700));
}

TEST_F(Files, ASealedMemfdComesBackAndCannotBeChanged) {
    const UniqueFd fd = make_sealed_memfd("test", "content").value();
    EXPECT_EQ(*read_sealed_memfd(fd.get(), 7), "content");
    EXPECT_FALSE(read_sealed_memfd(fd.get(), 6));
    EXPECT_LT(::pwrite(fd.get(), "x", 1, 0), 0);
    EXPECT_LT(::ftruncate(fd.get(), 0), 0);
}

// A peer could change a memfd that is not sealed while it is being read, or shrink it under a mapping.
TEST_F(Files, WhatIsNotSealedIsRefused) {
    const UniqueFd open(::memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(read_sealed_memfd(open.get(), 10).error().code, Errc::Protocol);
    ASSERT_EQ(::fcntl(open.get(), F_ADD_SEALS, F_SEAL_GROW), 0);
    EXPECT_FALSE(read_sealed_memfd(open.get(), 10));
    ASSERT_TRUE(write_file_atomically(in("a"), "x", 0600));
    const UniqueFd file(::open(in("a").c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(read_sealed_memfd(file.get(), 10).error().code, Errc::Protocol);
}

TEST(RandomBytes, HaveTheirLengthAndAreNotTheSameTwice) {
    EXPECT_EQ(random_bytes(0).size(), 0U);
    EXPECT_EQ(random_bytes(1000).size(), 1000U);
    EXPECT_NE(random_bytes(32), random_bytes(32));
}

}  // namespace
}  // namespace sanctum
