// SPDX-License-Identifier: Apache-2.0
// What of a provider's bytes counts as an answer. Every text is fed whole and byte by byte.
#include "vault/http/answer_parser.hpp"

#include "base/limits.hpp"

#include <gtest/gtest.h>

namespace sanctum::vault {
namespace {

enum class Feed { Whole, ByteByByte };

// The stream ends in order behind `bytes`.
Result<HttpResponse> parse(const std::string& bytes, Feed feed) {
    AnswerParser parser;
    const std::size_t step = feed == Feed::Whole ? bytes.size() : 1;
    for (std::size_t at = 0; at < bytes.size() && !parser.is_done(); at += step) {
        if (Status fed = parser.feed(std::string_view(bytes).substr(at, step)); !fed) return std::move(fed).error();
    }
    if (Status ended = parser.end(); !ended) return std::move(ended).error();
    return parser.take();
}

TEST(AnswerParser, BodiesOfEveryLengthAreRead) {
    struct Row {
        const char* name;
        std::string bytes;
        int status;
        std::string body;
    };
    const Row rows[] = {
        {"content-length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
        {"empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""},
        {"no content", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
        {"until the end", "HTTP/1.1 400 Bad Request\r\n\r\nhello", 400, "hello"},
        {"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n", 200,
         "hello"},
        {"trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n", 200,
         "hello"},
        {"interim answers",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
        {"what follows is nobody's", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 500 No\r\n\r\n", 200,
         "hello"},
    };
    for (const Row& row : rows) {
        for (const Feed feed : {Feed::Whole, Feed::ByteByByte}) {
            SCOPED_TRACE(row.name);
            const Result<HttpResponse> answer = parse(row.bytes, feed);
            ASSERT_TRUE(answer.has_value()) << answer.error().what;
            EXPECT_EQ(answer->status, row.status);
            EXPECT_EQ(answer->body.reveal(), row.body);
        }
    }
}

TEST(AnswerParser, FieldsAreFoundByLowerCaseNameAndTheFirstCounts) {
    const auto answer = parse("HTTP/1.1 200 OK\r\nRETRY-After:  7 \r\nX: 1\r\nx: 2\r\nContent-Length: 0\r\n\r\n",
                              Feed::Whole);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->header("retry-after"), "7");
    EXPECT_EQ(answer->header("x"), "1");
    EXPECT_EQ(answer->header("date"), "");
}

TEST(AnswerParser, WhatCanBeReadInTwoWaysIsRefused) {
    struct Row {
        const char* name;
        std::string bytes;
        Errc code = Errc::Protocol;
    };
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    const Row rows[] = {
        {"two lengths", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"},
        {"the same length twice", ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"},
        {"two lengths in one field", ok + "Content-Length: 5, 5\r\n\r\nhello"},
        {"a length that is none", ok + "Content-Length: -5\r\n\r\nhello"},
        {"length and chunks", ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"chunks and length", ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
        {"another encoding", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
        {"an encoding twice", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"an unknown encoding", ok + "Transfer-Encoding: xchunked\r\n\r\nhello"},
        {"compressed", ok + "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"},
        {"a folded line", ok + "A: b\r\n c\r\nContent-Length: 0\r\n\r\n"},
        {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
        {"HTTP/2", "HTTP/2 200\r\n\r\n"},
        {"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
        {"another protocol", "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
        {"a blank before the colon", ok + "Content-Length : 5\r\n\r\nhello"},
        {"a chunk's size that is none", ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n"},
        {"no answer", "", Errc::Cancelled},
        {"half a status line", "HTTP/1.1 20"},
        {"half a head", ok + "Content-Le"},
        {"shorter than declared", ok + "Content-Length: 6\r\n\r\nhello"},
        {"no last chunk", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
        {"an interim answer alone", "HTTP/1.1 100 Continue\r\n\r\n"},
    };
    for (const Row& row : rows) {
        for (const Feed feed : {Feed::Whole, Feed::ByteByByte}) {
            SCOPED_TRACE(row.name);
            const Result<HttpResponse> answer = parse(row.bytes, feed);
            ASSERT_FALSE(answer.has_value());
            EXPECT_EQ(answer.error().code, row.code) << answer.error().what;
        }
    }
}

std::string with_fields(std::size_t count) {
    std::string bytes = "HTTP/1.1 200 OK\r\n";
    for (std::size_t i = 1; i < count; ++i) bytes.append("A: b\r\n");
    return bytes.append("Content-Length: 0\r\n\r\n");
}

std::string with_body(std::size_t size) {
    std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: ";
    return bytes.append(std::to_string(size)).append("\r\n\r\n").append(size, 'x');
}

std::string until_the_end(std::size_t size) { return std::string("HTTP/1.1 200 OK\r\n\r\n").append(size, 'x'); }

std::string in_chunks(std::size_t size) {
    std::string bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (std::size_t at = 0; at < size; at += 1024) bytes.append("400\r\n").append(1024, 'x').append("\r\n");
    return bytes.append("0\r\n\r\n");
}

std::string with_interim(int count) {
    std::string bytes;
    for (int i = 0; i < count; ++i) bytes.append("HTTP/1.1 100 Continue\r\n\r\n");
    return bytes.append(with_body(1));
}

std::string with_head(std::size_t size) {
    std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: ";
    return bytes.append(size - bytes.size() - 4, 'x').append("\r\n\r\n");
}

TEST(AnswerParser, BoundsHoldAndWhatJustFitsIsRead) {
    struct Row {
        const char* name;
        std::string fits;
        std::string too_much;
        Errc code = Errc::Limit;
    };
    const Row rows[] = {
        {"fields", with_fields(kHeadFieldsMax), with_fields(kHeadFieldsMax + 1)},
        {"declared body", with_body(kProviderAnswerBytesMax), with_body(kProviderAnswerBytesMax + 1)},
        {"body until the end", until_the_end(kProviderAnswerBytesMax), until_the_end(kProviderAnswerBytesMax + 1)},
        {"chunks", in_chunks(kProviderAnswerBytesMax), in_chunks(kProviderAnswerBytesMax + 1024)},
        {"head", with_head(kProviderHeadBytesMax - 64), with_head(kProviderHeadBytesMax + 1)},
        {"interim", with_interim(kProviderInterimMax), with_interim(kProviderInterimMax + 1), Errc::Protocol},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);
        const Result<HttpResponse> answer = parse(row.fits, Feed::Whole);
        EXPECT_TRUE(answer.has_value()) << answer.error().what;
        const Result<HttpResponse> refused = parse(row.too_much, Feed::Whole);
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code, row.code) << refused.error().what;
    }
}

}  // namespace
}  // namespace sanctum::vault
