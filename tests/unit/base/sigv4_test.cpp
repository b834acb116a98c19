// SPDX-License-Identifier: Apache-2.0
// Signature Version 4 against AWS's own published examples: IAM's ListUsers, S3's header-based ones, and the two of
// bodies that are signed chunk by chunk.
#include "base/sigv4.hpp"

#include <gtest/gtest.h>

namespace sanctum::sigv4 {
namespace {

constexpr WallTime k2013{1'369'353'600'000};  // 20130524T000000Z
constexpr WallTime k2015{1'440'938'160'000};  // 20150830T123600Z
constexpr const char* kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

Keys example_keys() {
    return {"AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), Secret()};
}

Signer s3_signer() { return {example_keys(), {"us-east-1", "s3"}, k2013}; }

struct Example {
    const char* name;
    std::string_view method;
    std::string_view path;
    std::string_view query;
    std::vector<std::pair<std::string, std::string>> fields;
    std::string_view payload;
    std::string_view signature;
};

class S3Example : public ::testing::TestWithParam<Example> {};

TEST_P(S3Example, HasThePublishedSignature) {
    Example example = GetParam();
    example.fields.emplace_back("x-amz-date", "20130524T000000Z");
    example.fields.emplace_back("x-amz-content-sha256", std::string(example.payload));
    const auto canonical = canonical_request(
        {example.method, example.path, example.query, example.fields, example.payload}, "s3");
    ASSERT_TRUE(canonical.has_value());
    EXPECT_EQ(s3_signer().sign(*canonical), example.signature);
}

const std::pair<std::string, std::string> kBucket{"host", "examplebucket.s3.amazonaws.com"};
const std::pair<std::string, std::string> kGlobal{"host", "s3.amazonaws.com"};

INSTANTIATE_TEST_SUITE_P(
    Published, S3Example,
    ::testing::Values(
        Example{"get", "GET", "/test.txt", "", {kBucket, {"range", "bytes=0-9"}}, kEmpty,
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
        Example{"put", "PUT", "/test$file.text", "",
                {kBucket, {"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
        Example{"parameter_without_value", "GET", "/", "lifecycle", {kBucket}, kEmpty,
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        Example{"list", "GET", "/", "prefix=J&max-keys=2", {kBucket}, kEmpty,
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
        Example{"chunks", "PUT", "/examplebucket/chunkObject.txt", "",
                {kGlobal, {"content-encoding", "aws-chunked"}, {"content-length", "66824"},
                 {"x-amz-decoded-content-length", "66560"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"},
        Example{"chunks_and_trailer", "PUT", "/examplebucket/chunkObject.txt", "",
                {kGlobal, {"content-encoding", "aws-chunked"}, {"x-amz-decoded-content-length", "66560"},
                 {"x-amz-storage-class", "REDUCED_REDUNDANCY"}, {"x-amz-trailer", "x-amz-checksum-crc32c"}},
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
                "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(Sigv4, DerivesThePublishedKeyAndSignsListUsers) {
    const Keys keys{"AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), Secret()};
    const Signer signer(keys, {"us-east-1", "iam"}, k2015);
    EXPECT_EQ(signer.key_in_hex().reveal(), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    const auto canonical =
        canonical_request({"GET", "/", "Action=ListUsers&Version=2010-05-08",
                           {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"},
                            {"host", "iam.amazonaws.com"},
                            {"x-amz-date", "20150830T123600Z"}},
                           kEmpty},
                          "iam");
    ASSERT_TRUE(canonical.has_value());
    EXPECT_EQ(hex_digest(canonical->text), "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59");
    EXPECT_EQ(signer.authorization(*canonical, signer.sign(*canonical)),
              "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
              "SignedHeaders=content-type;host;x-amz-date, "
              "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

TEST(Sigv4, ChunksHangOnTheSignatureBeforeThem) {
    const Signer signer = s3_signer();
    const std::string first = signer.sign_chunk("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
                                                std::string(65536, 'a'));
    EXPECT_EQ(first, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
    const std::string second = signer.sign_chunk(first, std::string(1024, 'a'));
    EXPECT_EQ(second, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
    EXPECT_EQ(signer.sign_chunk(second, ""), "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
}

TEST(Sigv4, ATrailerHangsOnTheLastChunk) {
    const Signer signer = s3_signer();
    std::string last = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
    for (const std::size_t size : {65536U, 1024U, 0U}) last = signer.sign_chunk(last, std::string(size, 'a'));
    EXPECT_EQ(last, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992");
    EXPECT_EQ(signer.sign_trailer(last, "x-amz-checksum-crc32c:sOO8/Q==\n"),
              "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435");
}

TEST(Sigv4, APathIsWrittenOnceForS3AndEscapedAgainElsewhere) {
    const auto path = [](std::string_view written, std::string_view service) {
        const std::string text = canonical_request({"GET", written, "", {}, ""}, service)->text;
        return text.substr(4, text.find('\n', 4) - 4);
    };
    EXPECT_EQ(path("/a%20b/c+d/%C3%A9", "s3"), "/a%20b/c%2Bd/%C3%A9");
    EXPECT_EQ(path("/a%20b/c+d", "execute-api"), "/a%2520b/c%2Bd");
    EXPECT_FALSE(canonical_request({"GET", "/a%2", "", {}, ""}, "s3").has_value());
    EXPECT_FALSE(canonical_request({"GET", "/", "a=%zz", {}, ""}, "s3").has_value());
}

TEST(Sigv4, FieldsAreSortedJoinedAndTheirBlanksMadeOne) {
    const auto canonical = canonical_request(
        {"GET", "/", "b=2&a=1+1&a=0", {{"x-amz-meta-b", " two  words "}, {"host", "h"}, {"x-amz-meta-b", "more"}}, "p"},
        "s3");
    ASSERT_TRUE(canonical.has_value());
    EXPECT_EQ(canonical->text, "GET\n/\na=0&a=1%201&b=2\nhost:h\nx-amz-meta-b:two words,more\n\nhost;x-amz-meta-b\np");
}

TEST(Sigv4, AKeyPairIsTwoWordsOrThree) {
    const auto pair = parse_keys("AKIDEXAMPLE wJalrXUtnFEMI/K7");
    ASSERT_TRUE(pair.has_value());
    EXPECT_TRUE(pair->session_token.is_empty());
    EXPECT_EQ(join_keys(*pair).reveal(), "AKIDEXAMPLE wJalrXUtnFEMI/K7");
    const auto session = parse_keys("ASIDEXAMPLE wJalrXUtnFEMI/K7 IQoJ+b/3==");
    ASSERT_TRUE(session.has_value());
    EXPECT_EQ(session->access_key, "ASIDEXAMPLE");
    EXPECT_EQ(session->session_token.reveal(), "IQoJ+b/3==");
    EXPECT_EQ(join_keys(*session).reveal(), "ASIDEXAMPLE wJalrXUtnFEMI/K7 IQoJ+b/3==");
    for (const char* text : {"", "AKIDEXAMPLE", "AKIDEXAMPLE ", "AKIDEXAMPLE  wJalrXUtnFEMI", "AK/ID wJalrXUtnFEMI",
                             "AKIDEXAMPLE short", "AKIDEXAMPLE wJalrXUtnFEMI ", "AKIDEXAMPLE wJalrXUtnFEMI a b",
                             R"({"AccessKeyId":"AKIDEXAMPLE"})"}) {
        const auto refused = parse_keys(text);
        ASSERT_FALSE(refused.has_value()) << text;
        EXPECT_EQ(refused.error().what.find("wJalr"), std::string::npos);
    }
}

}  // namespace
}  // namespace sanctum::sigv4
