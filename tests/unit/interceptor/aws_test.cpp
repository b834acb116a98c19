// SPDX-License-Identifier: Apache-2.0
// Requests to AWS: what of the agent's signature goes, what is signed anew, and bodies that are watched on their way.
#include "tests/support/script.hpp"

#include "base/digest.hpp"
#include "base/limits.hpp"
#include "interceptor/rewrite/aws_body.hpp"
#include "interceptor/rewrite/aws_request.hpp"
#include "interceptor/rewrite/inject.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sanctum::interceptor {
namespace {

using profiles::AuthForm;
using profiles::Endpoint;
using test::Script;
using test::Wire;
using test::World;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kNoBytesHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr const char* kChunks = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
constexpr const char* kChunksAndTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
constexpr const char* kUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
constexpr WallTime k2013{1'369'353'600'000};  // 20130524T000000Z

Endpoint aws_endpoint(std::string service = "s3") {
    Endpoint endpoint;
    endpoint.form = AuthForm::Sigv4;
    endpoint.form_name = std::move(service);
    endpoint.region = "us-east-1";
    endpoint.amz_headers = {"x-amz-meta-*", "x-amz-storage-class"};
    return endpoint;
}

RequestHead aws_head(Fields fields = {}, std::uint64_t length = 0) {
    RequestHead head;
    head.method = length > 0 ? "PUT" : "GET";
    head.host = "s3.amazonaws.com";
    head.path = "/examplebucket/chunkObject.txt";
    head.fields = std::move(fields);
    if (length > 0) head.framing = Framing::Length;
    head.content_length = length;
    return head;
}

HeldLease example_lease(std::string_view keys = "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY") {
    HeldLease lease;
    lease.form = AuthForm::Sigv4;
    lease.secret = Secret(keys);
    return lease;
}

TEST(AwsRequest, TheAuthenticationOfAPresignedUrlIsTakenOffAndNothingElse) {
    RequestHead head = aws_head();
    head.has_query = true;
    head.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&part=2&X-Amz-Credential=a%2Fb&X-Amz-Date=d&x-amz-expires=60&"
                 "X-Amz-SignedHeaders=host&X%2DAmz-Signature=00&X-Amz-Security-Token=t&prefix=a&X_Amz_Signature=1";
    EXPECT_TRUE(strip_presigned(head));
    EXPECT_EQ(head.query, "part=2&prefix=a");
    EXPECT_FALSE(strip_presigned(head));
    head.query = "X-Amz-Signature=00";
    EXPECT_TRUE(strip_presigned(head));
    EXPECT_EQ(head.target(), head.path);
}

TEST(AwsRequest, HeadersThatMakeAnotherOperationAreRefusedByName) {
    for (const char* name : {"x-amz-meta-colour", "x-amz-storage-class", "x-amz-date", "x-amz-content-sha256",
                             "x-amz-user-agent", "amz-sdk-invocation-id", "content-md5"}) {
        EXPECT_TRUE(check_amz_request(aws_head({{name, "v"}}), aws_endpoint()).has_value()) << name;
    }
    for (const char* name : {"x-amz-copy-source", "x-amz-acl", "x-amz-grant-read", "x-amz-meta-", "x_amz_copy_source",
                             "x-amz-storage-class-", "x-amz-bypass-governance-retention", "x-amz-tagging"}) {
        const Status refused = check_amz_request(aws_head({{name, "canary"}}), aws_endpoint());
        ASSERT_FALSE(refused.has_value()) << name;
        EXPECT_THAT(refused.error().what, HasSubstr(name));
        EXPECT_THAT(refused.error().what, Not(HasSubstr("canary")));
    }
}

TEST(AwsRequest, OtherWaysToAuthenticateAreRefused) {
    for (const char* query : {"AWSAccessKeyId=a", "Signature=b", "x=1&signature=b", "x-amz-acl=public-read",
                              "X-Amz-S3session-Token=t"}) {
        RequestHead head = aws_head();
        head.query = query;
        EXPECT_FALSE(check_amz_request(head, aws_endpoint()).has_value()) << query;
    }
}

TEST(AwsRequest, WhatTheAgentSaysOfItsBodyIsKeptOrRefused) {
    const std::string hash(64, 'a');
    const auto kind = [](Fields fields, std::uint64_t length, const char* service = "s3") -> std::string {
        const Result<Payload> payload = payload_of(aws_head(std::move(fields), length), aws_endpoint(service));
        if (!payload.has_value()) return "refused";
        return std::to_string(static_cast<int>(payload->kind)) + " " + payload->word;
    };
    const auto says = [](std::string word) { return Fields{{"x-amz-content-sha256", std::move(word)}}; };
    EXPECT_EQ(kind(says(hash), 5), "0 " + hash);
    EXPECT_EQ(kind(says(hash), 5, "execute-api"), "0 " + hash);
    EXPECT_EQ(kind(says("UNSIGNED-PAYLOAD"), 5), "1 UNSIGNED-PAYLOAD");
    EXPECT_EQ(kind(says(kChunks), 5), std::string("2 ") + kChunks);
    EXPECT_EQ(kind(says(kChunksAndTrailer), 5), std::string("3 ") + kChunksAndTrailer);
    EXPECT_EQ(kind(says(kUnsignedTrailer), 5), std::string("4 ") + kUnsignedTrailer);
    EXPECT_EQ(kind({}, 0), "0 " + std::string(kNoBytesHash));
    EXPECT_EQ(kind({}, 5), "1 UNSIGNED-PAYLOAD");
    EXPECT_EQ(kind({}, 5, "execute-api"), "5 ");

    EXPECT_EQ(kind(says("UNSIGNED-PAYLOAD"), 5, "execute-api"), "refused");
    EXPECT_EQ(kind(says(kChunks), 0), "refused") << "chunks without a body";
    EXPECT_EQ(kind(says(std::string(64, 'A')), 5), "refused");
    EXPECT_EQ(kind(says("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"), 5), "refused");
    EXPECT_EQ(kind(says("STREAMING-AWS4-HMAC-SHA256-EVENTS"), 5), "refused");
    EXPECT_EQ(kind({{"x-amz-content-sha256", hash}, {"x_amz_content_sha256", "UNSIGNED-PAYLOAD"}}, 5), "refused");
    EXPECT_EQ(kind({{"x-amz-content-sha256", kUnsignedTrailer}, {"x-amz-trailer", "x-amz-acl"}}, 5), "refused");
    EXPECT_EQ(kind({{"x-amz-content-sha256", kUnsignedTrailer}, {"x-amz-trailer", "x-amz-checksum-crc32"}}, 5),
              std::string("4 ") + kUnsignedTrailer);
}

TEST(AwsRequest, WhatIsPutOnIsSignedAndTheAgentsIsGone) {
    RequestHead head = aws_head({{"x-amz-date", "old"}, {"date", "old"}, {"x-amz-security-token", "agents"},
                                 {"x-amz-content-sha256", "UNSIGNED-PAYLOAD"}, {"x-amz-meta-a", "1"}}, 5);
    const Payload payload = *payload_of(head, aws_endpoint());
    prepare_amz_request(head, aws_endpoint(), payload);
    EXPECT_EQ(head.fields, (Fields{{"x-amz-meta-a", "1"}, {"x-amz-content-sha256", "UNSIGNED-PAYLOAD"}}));

    const auto signature =
        sign_request(head, example_lease("AKIDEXAMPLE wJalrXUtnFEMI tok/en=="), aws_endpoint(), payload, k2013);

    ASSERT_TRUE(signature.has_value());
    const std::string fields(signature->fields.reveal());
    EXPECT_THAT(fields, HasSubstr("x-amz-date: 20130524T000000Z\r\nx-amz-security-token: tok/en==\r\n"));
    EXPECT_THAT(fields, HasSubstr("Credential=AKIDEXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;"
                                  "x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-security-token, Signature=" +
                                  signature->seed + "\r\n"));
    EXPECT_THAT(fields, Not(HasSubstr("wJalrXUtnFEMI")));
}

TEST(AwsRequest, OnlyAKeyPairSigns) {
    EXPECT_TRUE(check_lease(example_lease(), aws_endpoint()).has_value());
    const Status refused = check_lease(example_lease("ghp_canary"), aws_endpoint());
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().what, HasSubstr("ACCESS_KEY SECRET_KEY"));
    EXPECT_THAT(refused.error().what, Not(HasSubstr("canary")));
}

// --- bodies

// AWS's own example, with which every number below was published.
AwsSignature published_signature(PayloadKind kind) {
    const bool has_trailer = kind == PayloadKind::ChunksAndTrailer;
    Fields fields = {{"content-encoding", "aws-chunked"}, {"x-amz-decoded-content-length", "66560"},
                     {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    if (has_trailer) fields.push_back({"x-amz-trailer", "x-amz-checksum-crc32c"});
    RequestHead head = aws_head(fields, 66824);
    const Payload payload{kind, has_trailer ? kChunksAndTrailer : kChunks};
    prepare_amz_request(head, aws_endpoint(), payload);
    auto signature = sign_request(head, example_lease(), aws_endpoint(), payload, k2013);
    EXPECT_TRUE(signature.has_value());
    return std::move(*signature);
}

std::string chunk_of(std::string_view size, std::string_view signature, const std::string& data = "") {
    std::string out(size);
    out.append(";chunk-signature=").append(signature).append("\r\n").append(data);
    return data.empty() ? out : out + "\r\n";
}

const std::string kOld(64, '0');
const std::string kFirstData(65536, 'a');
const std::string kSecondData(1024, 'a');

// What leaves of `body` when it comes in pieces of `piece` bytes; or why nothing more does.
std::string through(const Payload& payload, const AwsSignature& signature, std::string_view body, std::size_t piece) {
    AwsBody watched(payload, signature);
    std::string out;
    for (std::size_t at = 0; at < body.size(); at += piece) {
        const Status pushed = watched.push(body.substr(at, piece), out);
        if (!pushed.has_value()) return "refused: " + pushed.error().what;
    }
    const Status finished = watched.finish();
    return finished.has_value() ? out : "refused: " + finished.error().what;
}

TEST(AwsBody, ChunksAreSignedAnewAsPublishedHoweverTheyAreCut) {
    const AwsSignature signature = published_signature(PayloadKind::ChunksAndTrailer);
    ASSERT_EQ(signature.seed, "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
    const std::string lines = "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:";
    const std::string body = chunk_of("10000", kOld, kFirstData) + chunk_of("400", kOld, kSecondData) +
                             chunk_of("0", kOld) + lines + kOld + "\r\n\r\n";
    const std::string signed_body =
        chunk_of("10000", "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2", kFirstData) +
        chunk_of("400", "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7", kSecondData) +
        chunk_of("0", "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992") + lines +
        "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n";

    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, body.size()}) {
        EXPECT_EQ(through({PayloadKind::ChunksAndTrailer, kChunksAndTrailer}, signature, body, piece), signed_body)
            << piece;
    }
}

TEST(AwsBody, ABodyThatIsNotWhatWasAnnouncedIsRefused) {
    const AwsSignature signature = published_signature(PayloadKind::Chunks);
    const auto answer = [&](const std::string& body, PayloadKind kind = PayloadKind::Chunks) {
        std::string told = through({kind, ""}, signature, body, 5);
        EXPECT_EQ(told, through({kind, ""}, signature, body, body.size() + 1));
        return told;
    };
    const std::string last = chunk_of("0", kOld);
    EXPECT_THAT(answer(last + "\r\n"), Not(HasSubstr("refused")));
    EXPECT_THAT(answer(chunk_of("4", kOld, "data") + last + "\r\n"), Not(HasSubstr("refused")));
    for (const std::string& broken :
         {std::string(), last, std::string("4\r\ndata\r\n"), chunk_of("4", kOld, "dat") + last + "\r\n",
          chunk_of("4", kOld, "data1") + last + "\r\n", chunk_of("4", kOld, "data") + "\r\n",
          last + "\r\nmore", last + "x-amz-checksum-crc32:AA==\r\n\r\n", chunk_of("", kOld) + "\r\n",
          chunk_of("-4", kOld) + "\r\n", chunk_of("0x4", kOld, "data") + last + "\r\n", chunk_of("0", "short") + "\r\n",
          std::string("0;chunk-signature=") + kOld + "\n\r\n", std::string("0;other=1\r\n\r\n"),
          std::string("0;chunk-signature=") + kOld + ";x=1\r\n\r\n", std::string("0\r;\r\n"),
          chunk_of("100000000", kOld), std::string(kAwsLineBytesMax + 1, '0')}) {
        EXPECT_THAT(answer(broken), HasSubstr("refused")) << broken.substr(0, 100);
    }
    const std::string trailer = "x-amz-checksum-crc32:AA==\r\nx-amz-trailer-signature:" + kOld + "\r\n";
    EXPECT_THAT(answer(last + trailer + "\r\n", PayloadKind::ChunksAndTrailer), Not(HasSubstr("refused")));
    for (const std::string& broken :
         {last + "\r\n", last + "x-amz-checksum-crc32:AA==\r\n\r\n",
          last + "x-amz-acl:public-read\r\n" + trailer + "\r\n",
          last + trailer, last + trailer + "x-amz-checksum-sha1:AA==\r\n\r\n", last + trailer + "\r\nmore",
          last + "x-amz-checksum-crc32\r\n" + trailer + "\r\n"}) {
        EXPECT_THAT(answer(broken, PayloadKind::ChunksAndTrailer), HasSubstr("refused")) << broken;
    }
}

TEST(AwsBody, NoMoreThanOneChunkIsHeld) {
    const AwsSignature signature = published_signature(PayloadKind::Chunks);
    EXPECT_THAT(through({PayloadKind::Chunks, ""}, signature, chunk_of("100001", kOld), 64),
                HasSubstr("smaller chunks"));
    AwsBody watched({PayloadKind::Chunks, ""}, signature);
    std::string out;
    ASSERT_TRUE(watched.push(chunk_of("100000", kOld), out).has_value());
    EXPECT_EQ(out, "") << "the chunk's signature is not known yet";
}

TEST(AwsBody, AHashedBodyHasToBeTheOneThatWasHashed) {
    const AwsSignature signature = published_signature(PayloadKind::Chunks);
    const Payload payload{PayloadKind::Hashed, sigv4::hex_digest("good")};
    EXPECT_EQ(through(payload, signature, "good", 1), "good");
    EXPECT_THAT(through(payload, signature, "evil", 1), HasSubstr("refused: the body is not the one"));
    EXPECT_THAT(through(payload, signature, "", 1), HasSubstr("refused"));
    EXPECT_EQ(through({PayloadKind::Unsigned, ""}, signature, "evil", 1), "evil");
    EXPECT_EQ(through({PayloadKind::UnsignedWithTrailer, ""}, signature, "4\r\nevil\r\n", 1), "4\r\nevil\r\n");
}

// --- whole exchanges; the signatures were made by tests/doubles/sigv4.py

const std::string kDateAndToken =
    "x-amz-date: 20261122T020612Z\r\nx-amz-security-token: " + std::string(test::kSessionToken) + "\r\n";

std::string authorization_of(const std::string& service, const std::string& names, const std::string& signature) {
    return "authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/eu-central-1/" + service +
           "/aws4_request, SignedHeaders=" + names + ", Signature=" + signature + "\r\n";
}

std::string spaced_hex_of(std::string_view text) {
    std::string out;
    for (const char c : text) out += (out.empty() ? "" : " ") + wire::to_hex(std::string_view(&c, 1));
    return out;
}

TEST(AwsExchange, IsSignedAnewAndNeitherTokenNorSignatureComesBack) {
    const std::string signature = "caafc984439aa2b6f212623ff2b0b76e9440ad0d2f6196d0dea7e34bd82bca47";
    const std::string body = signature + " " + std::string(test::kSessionToken) + " " +
                             spaced_hex_of(test::kSessionToken) + " AKIDEXAMPLE " + std::string(test::kSecret);
    std::string stars = body;
    for (char& c : stars) c = '*';
    for (const std::size_t blank : {signature.size(), signature.size() + 1 + test::kSessionToken.size(),
                                    body.size() - test::kSecret.size() - 1, body.size() - test::kSecret.size() - 13}) {
        stars[blank] = ' ';
    }
    const std::string length = std::to_string(body.size());
    Script("s3.test")
        .given([](World& world) { world.sign_with_keys(); })
        .agent_sends("GET /b/in/a?X-Amz-Signature=agents&part=1&X-Amz-Credential=agents HTTP/1.1\r\nHost: s3.test\r\n"
                     "Authorization: agents\r\nX-Amz-Date: agents\r\nRange: bytes=0-9\r\n\r\n")
        .upstream_expects("GET /b/in/a?part=1 HTTP/1.1\r\nhost: s3.test\r\nrange: bytes=0-9\r\nx-amz-content-sha256: " +
                          std::string(kNoBytesHash) + "\r\naccept-encoding: identity\r\n" + kDateAndToken +
                          authorization_of("s3", "host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
                                           signature) + "\r\n")
        .upstream_sends("HTTP/1.1 206 Partial Content\r\nContent-Length: " + length +
                        "\r\nContent-Encoding: gzip\r\n\r\n" + body)
        .agent_expects("HTTP/1.1 206 Partial Content\r\ncontent-encoding: gzip\r\ncontent-length: " + length +
                       "\r\n\r\n" + stars)
        .checks([](World& world, Wire&) {
            // What is recorded is what was sent, without what was injected.
            EXPECT_EQ(world.recorder.intents[0].head,
                      sha256("sanctum-head-1\nGET\nhttps://s3.test\n/b/in/a?part=1\nhost:s3.test\nrange:bytes=0-9\n"
                             "x-amz-content-sha256:" + std::string(kNoBytesHash) + "\naccept-encoding:identity\n"));
        })
        .completed("complete")
        .run_with_failure_at_every_step();
}

// AWS refuses what is more than fifteen minutes off; the vault has measured by how much this machine's clock is.
TEST(AwsExchange, IsSignedWithTheTimeOfTheProvider) {
    for (const auto& [offset_ms, moment] : {std::pair{3'600'000, "20261122T030612Z"}, {-60'000, "20261122T020512Z"}}) {
        Script("s3.test")
            .given([offset = offset_ms](World& world) {
                world.sign_with_keys();
                world.leases.lease->clock_offset_ms = offset;
            })
            .agent_sends("GET /b/in/a HTTP/1.1\r\nHost: s3.test\r\n\r\n")
            .upstream_expects_containing("x-amz-date: " + std::string(moment) + "\r\n")
            .upstream_sends("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            .agent_expects_containing("200 OK")
            .completed("complete")
            .run();
    }
}

TEST(AwsExchange, ABodyWhoseDigestWasNotSaidIsReadBeforeItIsSigned) {
    Script("function.test")
        .given([](World& world) { world.sign_with_keys(); })
        .agent_sends("POST /f%20n HTTP/1.1\r\nHost: function.test\r\nContent-Type: application/json\r\n"
                     "Content-Length: 2\r\n\r\n{")
        .upstream_expects_nothing()
        .agent_sends("}")
        .upstream_expects("POST /f%20n HTTP/1.1\r\nhost: function.test\r\ncontent-type: application/json\r\n"
                          "accept-encoding: identity\r\ncontent-length: 2\r\n" + kDateAndToken +
                          authorization_of("execute-api", "content-type;host;x-amz-date;x-amz-security-token",
                                           "93d3bca030ad7bd4a9212c593f9c012537c46ee5b23791788d06e26af2ad3b84") +
                          "\r\n{}")
        .upstream_sends("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        .agent_expects_containing("200 OK")
        .completed("complete")
        .run();
    Script("function.test")
        .given([](World& world) { world.sign_with_keys(); })
        .agent_sends("POST /f HTTP/1.1\r\nHost: function.test\r\nContent-Type: application/json\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        .agent_expects_containing("x-amz-content-sha256")
        .refused("request_invalid")
        .run();
    Script("function.test")
        .given([](World& world) { world.sign_with_keys(); })
        .agent_sends("POST /f HTTP/1.1\r\nHost: function.test\r\nContent-Type: application/json\r\nContent-Length: " +
                     std::to_string(kSignedBodyBytesMax + 1) + "\r\n\r\n")
        .agent_expects_containing("x-amz-content-sha256")
        .refused("request_invalid")
        .run();
}

TEST(AwsExchange, ABodyThatIsNotTheOneThatWasHashedNeverLooksWholeUpstream) {
    const std::string hash = sigv4::hex_digest("good");
    for (const bool is_chunked : {false, true}) {
        const std::string framing = is_chunked ? "Transfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"
                                               : "Content-Length: 4\r\n\r\nevil";
        Script("s3.test")
            .given([](World& world) { world.sign_with_keys(); })
            .agent_sends("PUT /b/in/a HTTP/1.1\r\nHost: s3.test\r\nX-Amz-Content-Sha256: " + hash + "\r\n" + framing)
            .upstream_expects_nothing()
            .agent_expects_containing("x-amz-content-sha256")
            .agent_sees_close()
            .completed("request_invalid")
            .run();
    }
}

TEST(AwsExchange, WhatCannotBeSignedOrIsAnotherOperationReachesNobody) {
    const auto refused = [](const std::string& fields, const char* reason) {
        Script("s3.test")
            .given([](World& world) { world.sign_with_keys(); })
            .agent_sends("GET /b/in/a HTTP/1.1\r\nHost: s3.test\r\n" + fields + "\r\n")
            .agent_expects_containing(std::string("sanctum-reason: ") + reason)
            .refused(reason)
            .run();
    };
    refused("X-Amz-Copy-Source: b/in/b\r\n", "operation_unknown");
    refused("X_Amz_Acl: public-read\r\n", "operation_unknown");
    refused("X-Amz-Content-Sha256: STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD\r\n", "request_invalid");
    Script("s3.test")
        .agent_sends("GET /b/in/a HTTP/1.1\r\nHost: s3.test\r\n\r\n")
        .agent_expects_containing("credential_unavailable")
        .refused("credential_unavailable")
        .run();
}

}  // namespace
}  // namespace sanctum::interceptor
