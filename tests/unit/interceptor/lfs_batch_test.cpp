// SPDX-License-Identifier: Apache-2.0
// What a batch of git-lfs is for, read from its body: the same as every server would read, or nothing.
#include "interceptor/http/lfs_batch.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sanctum::interceptor {
namespace {

TEST(LfsBatch, SaysWhatItIsFor) {
    EXPECT_EQ(read_lfs_operation(R"({"operation":"download","objects":[{"oid":"aa","size":1}]})").value(), "download");
    EXPECT_EQ(read_lfs_operation(R"({ "transfers":["basic"], "oper\u0061tion" : "upload" })").value(), "upload");
}

TEST(LfsBatch, ThatTwoServersCouldReadInTwoWaysIsRefused) {
    const std::vector<std::string> batches{
        "", "[]", "{}", "download", R"({"operation":"download")", R"({"operation":"download"} )" "x",
        R"({"operation":"download","operation":"upload"})", R"({"operation":"download","Operation":"upload"})",
        R"({"OPERATION":"download"})", R"({"operation":"Download"})", R"({"operation":"verify"})",
        R"({"operation":null})", R"({"operation":["download"]})", "\xff\xfe{\0}\0",
        R"({"a":{"operation":"download"}})"};
    for (const std::string& batch : batches) {
        const Result<std::string> read = read_lfs_operation(batch);
        ASSERT_FALSE(read.has_value()) << batch;
        EXPECT_EQ(read.error().code, Errc::Protocol) << batch;
    }
}

}  // namespace
}  // namespace sanctum::interceptor
