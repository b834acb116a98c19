// SPDX-License-Identifier: Apache-2.0
// The HTTP/1.1 codec and its gates: what is refused (each row with its RFC section), what passes, and in which form.
#include "base/limits.hpp"
#include "interceptor/http/http1_decoder.hpp"
#include "interceptor/http/http1_encoder.hpp"

#include <gtest/gtest.h>

namespace sanctum::interceptor {
namespace {

using std::string_literals::operator""s;

/// Everything a decoder said about some bytes.
struct Decoded {
    std::vector<RequestHead> heads;
    std::vector<std::string> bodies;  ///< one per head
    std::vector<Fields> trailers;
    std::size_t ends = 0;
    std::string error;
};

Decoded decode_requests(std::string bytes, std::size_t piece_size) {
    RequestDecoder decoder;
    Decoded decoded;
    for (std::size_t at = 0; at < bytes.size(); at += piece_size) {
        // A fresh buffer per read, overwritten afterwards: views must not outlive it.
        std::string piece = bytes.substr(at, piece_size);
        decoder.feed(piece);
        while (true) {
            Result<RequestEvent> event = decoder.next();
            if (!event.has_value()) {
                decoded.error = event.error().what;
                return decoded;
            }
            if (std::holds_alternative<NeedMore>(*event)) break;
            if (auto* head = std::get_if<RequestHead>(&*event)) {
                decoded.heads.push_back(std::move(*head));
                decoded.bodies.emplace_back();
            } else if (auto* chunk = std::get_if<BodyChunk>(&*event)) {
                decoded.bodies.back().append(chunk->bytes.data(), chunk->bytes.size());
            } else if (auto* trailers = std::get_if<Trailers>(&*event)) {
                decoded.trailers.push_back(trailers->fields);
            } else {
                ++decoded.ends;
            }
        }
        std::fill(piece.begin(), piece.end(), '#');
    }
    return decoded;
}

struct Row {
    const char* name;
    const char* section;  ///< RFC and section that make it wrong, ambiguous or not ours to forward
    std::string bytes;
};

const std::string kHost = "Host: a.test\r\n";

std::string get(const std::string& target) { return "GET " + target + " HTTP/1.1\r\n" + kHost + "\r\n"; }
std::string post(const std::string& fields, const std::string& body = "") {
    return "POST / HTTP/1.1\r\n" + kHost + fields + "\r\n" + body;
}

const std::vector<Row> kFramingRows{
    {"content-length with transfer-encoding", "RFC 9112 6.1",
     post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")},
    {"transfer-encoding with content-length", "RFC 9112 6.1",
     post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n")},
    {"two equal content-lengths", "RFC 9112 6.3", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc")},
    {"two different content-lengths", "RFC 9112 6.3", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abc")},
    {"list of equal content-lengths", "RFC 9112 6.3", post("Content-Length: 3, 3\r\n", "abc")},
    {"signed content-length", "RFC 9110 8.6", post("Content-Length: +3\r\n", "abc")},
    {"negative content-length", "RFC 9110 8.6", post("Content-Length: -3\r\n", "abc")},
    {"empty content-length", "RFC 9110 8.6", post("Content-Length: \r\n", "")},
    {"hexadecimal content-length", "RFC 9110 8.6", post("Content-Length: 0x3\r\n", "abc")},
    {"content-length with a leading zero", "RFC 9110 8.6", post("Content-Length: 03\r\n", "abc")},
    {"content-length beyond 64 bits", "RFC 9110 8.6", post("Content-Length: 18446744073709551617\r\n", "a")},
    {"content-length with a blank inside", "RFC 9110 8.6", post("Content-Length: 1 1\r\n", "a")},
    {"content_length with an underscore", "RFC 9112 6.3", post("Content_Length: 3\r\n", "abc")},
    {"transfer_encoding with an underscore", "RFC 9112 6.1", post("Transfer_Encoding: chunked\r\n", "")},
    {"transfer-encoding chunked, identity", "RFC 9112 6.1",
     post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")},
    {"transfer-encoding identity, chunked", "RFC 9112 6.1",
     post("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n")},
    {"transfer-encoding gzip, chunked", "RFC 9112 6.1", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")},
    {"transfer-encoding xchunked", "RFC 9112 6.1", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")},
    {"transfer-encoding chunked twice in a list", "RFC 9112 6.1",
     post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n")},
    {"two transfer-encodings", "RFC 9112 6.1",
     post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")},
    {"transfer-encoding with a parameter", "RFC 9112 6.1", post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n")},
    {"transfer-encoding with a vertical tab", "RFC 9112 6.1",
     post("Transfer-Encoding: \x0b"
          "chunked\r\n",
          "0\r\n\r\n")},
    {"transfer-encoding with a no-break space", "RFC 9112 6.1",
     post("Transfer-Encoding: \xa0"
          "chunked\r\n",
          "0\r\n\r\n")},
    {"empty transfer-encoding", "RFC 9112 6.1", post("Transfer-Encoding: \r\n", "")},
    {"transfer-encoding in HTTP/1.0", "RFC 9112 6.1",
     "POST / HTTP/1.0\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {"chunk size with 0x", "RFC 9112 7.1", post("Transfer-Encoding: chunked\r\n", "0x3\r\nabc\r\n0\r\n\r\n")},
    {"chunk size with an underscore", "RFC 9112 7.1",
     post("Transfer-Encoding: chunked\r\n", "1_0\r\nabc\r\n0\r\n\r\n")},
    {"chunk size with a sign", "RFC 9112 7.1", post("Transfer-Encoding: chunked\r\n", "+3\r\nabc\r\n0\r\n\r\n")},
    {"negative chunk size", "RFC 9112 7.1", post("Transfer-Encoding: chunked\r\n", "-3\r\nabc\r\n0\r\n\r\n")},
    {"empty chunk size", "RFC 9112 7.1", post("Transfer-Encoding: chunked\r\n", "\r\nabc\r\n0\r\n\r\n")},
    {"chunk size beyond 64 bits", "RFC 9112 7.1",
     post("Transfer-Encoding: chunked\r\n", "10000000000000003\r\nabc\r\n0\r\n\r\n")},
    {"chunk longer than its size", "RFC 9112 7.1", post("Transfer-Encoding: chunked\r\n", "2\r\nabc\r\n0\r\n\r\n")},
    {"chunk ended by a bare LF", "RFC 9112 7.1", post("Transfer-Encoding: chunked\r\n", "3\r\nabc\n0\r\n\r\n")},
    {"chunk size ended by a bare LF", "RFC 9112 7.1", post("Transfer-Encoding: chunked\r\n", "3\nabc\r\n0\r\n\r\n")},
    {"every chunk line ended by a bare LF", "RFC 9112 2.2", post("Transfer-Encoding: chunked\r\n", "3\nabc\n0\n\n")},
    {"trailer ended by a bare LF", "RFC 9112 2.2", post("Transfer-Encoding: chunked\r\n", "0\r\nX: a\n\n")},
    {"chunk size behind a blank", "RFC 9112 7.1", post("Transfer-Encoding: chunked\r\n", " 3\r\nabc\r\n0\r\n\r\n")},
    {"chunk extension", "RFC 9112 7.1.1", post("Transfer-Encoding: chunked\r\n", "3;x=y\r\nabc\r\n0\r\n\r\n")},
    {"last chunk extension", "RFC 9112 7.1.1", post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0;x\r\n\r\n")},
    {"trailer content-length", "RFC 9110 6.5.1",
     post("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 3\r\n\r\n")},
    {"trailer transfer-encoding", "RFC 9110 6.5.1",
     post("Transfer-Encoding: chunked\r\n", "0\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"trailer host", "RFC 9110 6.5.1", post("Transfer-Encoding: chunked\r\n", "0\r\nHost: b.test\r\n\r\n")},
    {"trailer authorization", "RFC 9110 6.5.1",
     post("Transfer-Encoding: chunked\r\n", "0\r\nAuthorization: x\r\n\r\n")},
    {"trailer folded behind an empty line", "RFC 9112 5.2",
     post("Transfer-Encoding: chunked\r\n", "0\r\nX:\r\n b\r\n\r\n")},
    {"folded trailer", "RFC 9112 5.2", post("Transfer-Encoding: chunked\r\n", "0\r\nX: a\r\n b\r\n\r\n")},
};

const std::vector<Row> kLineRows{
    {"folded header", "RFC 9112 5.2", "GET / HTTP/1.1\r\n" + kHost + "X: a\r\n b\r\n\r\n"},
    {"header folded with a tab", "RFC 9112 5.2", "GET / HTTP/1.1\r\n" + kHost + "X: a\r\n\tb\r\n\r\n"},
    {"folded behind an empty line", "RFC 9112 5.2", "GET / HTTP/1.1\r\n" + kHost + "X:\r\n b\r\n\r\n"},
    {"folded into nothing", "RFC 9112 5.2", "GET / HTTP/1.1\r\n" + kHost + "X:\r\n \r\nY: c\r\n\r\n"},
    {"folded framing", "RFC 9112 5.2", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n")},
    {"folded first header", "RFC 9112 5.2", "GET / HTTP/1.1\r\n X: a\r\n" + kHost + "\r\n"},
    {"blank before the colon", "RFC 9112 5.1", "GET / HTTP/1.1\r\n" + kHost + "X : a\r\n\r\n"},
    {"empty header name", "RFC 9112 5.1", "GET / HTTP/1.1\r\n" + kHost + ": a\r\n\r\n"},
    {"header without a colon", "RFC 9112 5", "GET / HTTP/1.1\r\n" + kHost + "X\r\n\r\n"},
    {"header name with a NUL", "RFC 9110 5.1", "GET / HTTP/1.1\r\n" + kHost + "X\0Y: a\r\n\r\n"s},
    {"header name with a control byte", "RFC 9110 5.1", "GET / HTTP/1.1\r\n" + kHost + "X\x01: a\r\n\r\n"},
    {"header name beyond ASCII", "RFC 9110 5.1", "GET / HTTP/1.1\r\n" + kHost + "X\xc3\xa9: a\r\n\r\n"},
    {"header value with a NUL", "RFC 9110 5.5", "GET / HTTP/1.1\r\n" + kHost + "X: a\0b\r\n\r\n"s},
    {"header value with a bare CR", "RFC 9112 2.2", "GET / HTTP/1.1\r\n" + kHost + "X: a\rb\r\n\r\n"},
    {"header ended by a bare LF", "RFC 9112 2.2", "GET / HTTP/1.1\r\n" + kHost + "X: a\nY: b\r\n\r\n"},
    {"head ended by bare LFs", "RFC 9112 2.2", "GET / HTTP/1.1\nHost: a.test\n\n"},
    {"request line ended by a bare LF", "RFC 9112 2.2", "GET / HTTP/1.1\n" + kHost + "\r\n"},
    {"header value with DEL", "RFC 9110 5.5", "GET / HTTP/1.1\r\n" + kHost + "X: a\x7f\r\n\r\n"},
    {"HTTP/0.9", "RFC 9112 2.3", "GET /\r\n\r\n"},
    {"HTTP/1.2", "RFC 9112 2.3", "GET / HTTP/1.2\r\n" + kHost + "\r\n"},
    {"HTTP/2.0", "RFC 9112 2.3", "GET / HTTP/2.0\r\n" + kHost + "\r\n"},
    {"lower-case protocol name", "RFC 9112 2.3", "GET / http/1.1\r\n" + kHost + "\r\n"},
    {"two blanks behind the method", "RFC 9112 3", "GET  / HTTP/1.1\r\n" + kHost + "\r\n"},
    {"tab behind the method", "RFC 9112 3", "GET\t/ HTTP/1.1\r\n" + kHost + "\r\n"},
    {"empty line before the request", "RFC 9112 2.2", "\r\nGET / HTTP/1.1\r\n" + kHost + "\r\n"},
    {"lower-case method", "RFC 9110 9.1", "get / HTTP/1.1\r\n" + kHost + "\r\n"},
    {"method with a token character", "RFC 9110 9.1", "GE|T / HTTP/1.1\r\n" + kHost + "\r\n"},
    {"CONNECT", "RFC 9110 9.3.6", "CONNECT a.test:443 HTTP/1.1\r\n" + kHost + "\r\n"},
    {"TRACE", "RFC 9110 9.3.8", "TRACE / HTTP/1.1\r\n" + kHost + "\r\n"},
    {"TRACK", "RFC 9110 9.1", "TRACK / HTTP/1.1\r\n" + kHost + "\r\n"},
    {"HTTP/2 preface", "RFC 9113 3.4", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    {"upgrade", "RFC 9110 7.8", "GET / HTTP/1.1\r\n" + kHost + "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
    {"upgrade to h2c", "RFC 9110 7.8",
     "GET / HTTP/1.1\r\n" + kHost + "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"},
    {"HTTP2-Settings alone", "RFC 9110 7.8", "GET / HTTP/1.1\r\n" + kHost + "HTTP2-Settings: AA\r\n\r\n"},
    {"another expectation", "RFC 9110 10.1.1", post("Expect: 200-ok\r\nContent-Length: 1\r\n", "a")},
    {"two expectations", "RFC 9110 10.1.1",
     post("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n", "a")},
};

const std::vector<Row> kHostRows{
    {"no host", "RFC 9112 3.2", "GET / HTTP/1.1\r\n\r\n"},
    {"no host in HTTP/1.0", "RFC 9112 3.2", "GET / HTTP/1.0\r\n\r\n"},
    {"two hosts", "RFC 9112 3.2", "GET / HTTP/1.1\r\n" + kHost + kHost + "\r\n"},
    {"two different hosts", "RFC 9112 3.2", "GET / HTTP/1.1\r\n" + kHost + "Host: b.test\r\n\r\n"},
    {"empty host", "RFC 9112 3.2", "GET / HTTP/1.1\r\nHost: \r\n\r\n"},
    {"list of hosts", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n"},
    {"userinfo in the host", "RFC 9110 4.2.4", "GET / HTTP/1.1\r\nHost: a.test:x@b.test\r\n\r\n"},
    {"trailing dot", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a.test.\r\n\r\n"},
    {"underscore in the host", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a_b.test\r\n\r\n"},
    {"empty label", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a..test\r\n\r\n"},
    {"label that begins with a hyphen", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: -a.test\r\n\r\n"},
    {"host beyond ASCII", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: \xc3\xa4.test\r\n\r\n"},
    {"escaped host", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a%2etest\r\n\r\n"},
    {"IPv6 literal", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n"},
    {"path behind the host", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n"},
    {"empty port", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a.test:\r\n\r\n"},
    {"port with a leading zero", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a.test:0443\r\n\r\n"},
    {"port 0", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a.test:0\r\n\r\n"},
    {"port beyond 16 bits", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a.test:65536\r\n\r\n"},
    {"two ports", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a.test:443:80\r\n\r\n"},
    {"signed port", "RFC 9110 7.2", "GET / HTTP/1.1\r\nHost: a.test:+443\r\n\r\n"},
};

const std::vector<Row> kTargetRows{
    {"absolute-form", "RFC 9112 3.2.2", get("https://a.test/")},
    {"absolute-form of another host", "RFC 9112 3.2.2", get("http://b.test/")},
    {"authority-form", "RFC 9112 3.2.3", get("a.test:443")},
    {"asterisk-form", "RFC 9112 3.2.4", "OPTIONS * HTTP/1.1\r\n" + kHost + "\r\n"},
    {"empty path", "RFC 9112 3.2.1", get("?x")},
    {"network-path", "RFC 3986 3.3", get("//b.test/x")},
    {"empty segment", "RFC 3986 3.3", get("/a//b")},
    {"dot segment", "RFC 3986 5.2.4", get("/a/./b")},
    {"two-dot segment", "RFC 3986 5.2.4", get("/a/../b")},
    {"two-dot segment at the end", "RFC 3986 5.2.4", get("/a/..")},
    {"escaped dots", "RFC 3986 6.2.2.2", get("/a/%2e%2e/b")},
    {"half-escaped dots", "RFC 3986 6.2.2.2", get("/a/.%2e/b")},
    {"upper-case escaped dots", "RFC 3986 6.2.2.2", get("/a/%2E%2E/b")},
    {"escaped slash", "RFC 3986 2.2", get("/a%2fb")},
    {"upper-case escaped slash", "RFC 3986 2.2", get("/a%2Fb")},
    {"escaped backslash", "RFC 3986 2.2", get("/a%5cb")},
    {"backslash", "RFC 3986 3.3", get("/a\\b")},
    {"path parameters", "RFC 3986 3.3", get("/a;b=c/d")},
    {"two-dot segment with a parameter", "RFC 3986 3.3", get("/a/..;/b")},
    {"escaped NUL", "RFC 3986 2.1", get("/a%00")},
    {"escaped line end", "RFC 3986 2.1", get("/a%0d%0aX:%20y")},
    {"escaped letter", "RFC 3986 6.2.2.2", get("/%61dmin")},
    {"escaped twice", "RFC 3986 2.4", get("/a%252e%252e")},
    {"broken escape", "RFC 3986 2.1", get("/a%zz")},
    {"escape cut off", "RFC 3986 2.1", get("/a%2")},
    {"overlong UTF-8", "RFC 3629 3", get("/a%c0%af")},
    {"escaped surrogate", "RFC 3629 3", get("/a%ed%a0%80")},
    {"escaped byte that is no UTF-8", "RFC 3986 2.5", get("/a%ff")},
    {"raw byte beyond ASCII", "RFC 3986 2", get("/\xc3\xa9")},
    {"fragment", "RFC 9112 3.2", get("/a#b")},
    {"angle bracket", "RFC 3986 2", get("/a<b")},
    {"double quote", "RFC 3986 2", get("/a\"b")},
    {"tab in the target", "RFC 9112 3", get("/a\tb")},
    {"fragment behind a query", "RFC 9112 3.2", get("/a?b#c")},
    {"broken escape in the query", "RFC 3986 2.1", get("/a?b=%g0")},
    {"escaped NUL in the query", "RFC 3986 3.4", get("/a?b=%00")},
    {"raw byte beyond ASCII in the query", "RFC 3986 3.4", get("/a?b=\xff")},
};

void expect_all_refused(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        SCOPED_TRACE(std::string(row.name) + " (" + row.section + ")");
        for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, row.bytes.size()}) {
            const Decoded decoded = decode_requests(row.bytes, piece);
            EXPECT_NE(decoded.error, "") << "accepted in pieces of " << piece;
            EXPECT_EQ(decoded.ends, 0U);
        }
    }
}

TEST(RequestGate, AmbiguousFramingIsRefused) { expect_all_refused(kFramingRows); }
TEST(RequestGate, DoubtfulLinesAndMethodsAreRefused) { expect_all_refused(kLineRows); }
TEST(RequestGate, HostsThatAreNotOnePlainNameAreRefused) { expect_all_refused(kHostRows); }
TEST(RequestGate, TargetsThatServersReadDifferentlyAreRefused) { expect_all_refused(kTargetRows); }

TEST(RequestGate, NoByteOutsideLettersDigitsHyphenAndDotPassesInAHost) {
    for (int byte = 0; byte < 256; ++byte) {
        const char c = static_cast<char>(byte);
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        for (const std::string& host : {std::string(1, c) + "b.test", "a"s + c + "b.test", "a.tes"s + c}) {
            const Decoded decoded = decode_requests("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n", 4096);
            const bool is_edge = c == ' ' || c == '\t';  // trimmed around a value, so the rest may stand
            const bool is_inner = c == '-' || c == '.';
            if (is_plain) {
                EXPECT_EQ(decoded.error, "") << byte;
            } else if (!is_inner && !is_edge) {
                EXPECT_NE(decoded.error, "") << byte << " in " << host;
            }
        }
    }
}

TEST(RequestGate, HeadLimitsHold) {
    const std::string many = [] {
        std::string fields;
        for (std::size_t i = 0; i < kHeadFieldsMax; ++i) fields += "X: y\r\n";
        return fields;
    }();
    const std::string large = "X: " + std::string(kHeadBytesMax, 'a') + "\r\n";
    const std::string long_target = "/" + std::string(kTargetBytesMax, 'a');

    EXPECT_NE(decode_requests(post(many), 4096).error, "");
    EXPECT_EQ(decode_requests(post(large), 4096).error, "RFC 9110 5.4: the header section is larger than 32 KiB");
    EXPECT_EQ(decode_requests(post(large), 1).error, "RFC 9110 5.4: the header section is larger than 32 KiB");
    EXPECT_NE(decode_requests(get(long_target), 4096).error, "");
    EXPECT_NE(decode_requests(std::string(40000, 'A'), 4096).error, "");
    EXPECT_EQ(decode_requests(post(many.substr(0, many.size() - 12)), 4096).error, "");
    EXPECT_EQ(decode_requests(post("X: " + std::string(kHeadBytesMax - 200, 'a') + "\r\n"), 4096).error, "");
}

TEST(RequestGate, TrailersAreBounded) {
    const std::string body = "0\r\nX: " + std::string(20000, 'a') + "\r\n\r\n";

    const Decoded decoded = decode_requests(post("Transfer-Encoding: chunked\r\n", body), 1000);

    EXPECT_NE(decoded.error, "");
}

TEST(RequestDecoder, AnOrdinaryRequestComesOutInCanonicalForm) {
    const Decoded decoded = decode_requests(
        "POST /Items/caf%c3%a9/@x:1?a=[1]&b=%0a HTTP/1.1\r\nHost: A.Test:8443\r\nUser-Agent:  t/1 \r\n"
        "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: z\r\n"
        "Content-Length: 5\r\n\r\nhello",
        3);

    ASSERT_EQ(decoded.error, "");
    ASSERT_EQ(decoded.heads.size(), 1U);
    const RequestHead& head = decoded.heads[0];
    EXPECT_EQ(head.method, "POST");
    EXPECT_EQ(head.host, "a.test");
    EXPECT_EQ(head.port, 8443);
    EXPECT_EQ(head.path, "/Items/caf%C3%A9/@x:1");
    EXPECT_EQ(head.query, "a=[1]&b=%0a");
    EXPECT_EQ(head.fields, (Fields{{"user-agent", "t/1"}}));
    EXPECT_EQ(head.framing, Framing::Length);
    EXPECT_FALSE(head.wants_close);
    EXPECT_EQ(decoded.bodies[0], "hello");
    EXPECT_EQ(decoded.ends, 1U);
}

TEST(RequestDecoder, ChunksAreUnframedWhereverTheyAreCut) {
    const std::string bytes =
        post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n00a\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n");
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
        SCOPED_TRACE(piece);

        const Decoded decoded = decode_requests(bytes, piece);

        EXPECT_EQ(decoded.error, "");
        ASSERT_EQ(decoded.bodies.size(), 1U);
        EXPECT_EQ(decoded.bodies[0], "abc0123456789");
        ASSERT_EQ(decoded.trailers.size(), 1U);
        EXPECT_EQ(decoded.trailers[0], (Fields{{"x-sum", "1"}, {"y", "2"}}));
        EXPECT_EQ(decoded.ends, 1U);
    }
}

TEST(RequestDecoder, ChunksOfLineFeedsAreDataWhereverTheyAreCut) {
    const std::string bytes = post("Transfer-Encoding: chunked\r\n",
                                   "1\r\n\n\r\n2\r\n\n\n\r\n3\r\n\n\r\n\r\n4\r\n\r\n\n\n\r\n0\r\n\r\n");
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
        SCOPED_TRACE(piece);

        const Decoded decoded = decode_requests(bytes, piece);

        EXPECT_EQ(decoded.error, "");
        ASSERT_EQ(decoded.bodies.size(), 1U);
        EXPECT_EQ(decoded.bodies[0], "\n\n\n\n\r\n\r\n\n\n");
        EXPECT_EQ(decoded.ends, 1U);
    }
}

TEST(RequestDecoder, PipelinedRequestsComeOneAfterAnother) {
    const std::string bytes = get("/1") + post("Content-Length: 2\r\n", "ab") + get("/2");
    for (const std::size_t piece : {std::size_t{1}, std::size_t{10}, bytes.size()}) {
        const Decoded decoded = decode_requests(bytes, piece);

        EXPECT_EQ(decoded.error, "");
        ASSERT_EQ(decoded.heads.size(), 3U);
        EXPECT_EQ(decoded.heads[2].path, "/2");
        EXPECT_EQ(decoded.bodies[1], "ab");
        EXPECT_EQ(decoded.ends, 3U);
    }
}

TEST(RequestDecoder, HTTP10IsServedOnceAndClosed) {
    const Decoded decoded = decode_requests("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n", 4096);

    ASSERT_EQ(decoded.heads.size(), 1U);
    EXPECT_TRUE(decoded.heads[0].wants_close);
    EXPECT_TRUE(decoded.heads[0].is_http10);
}

/// What a response decoder says, as text.
std::string decode_response(const std::string& bytes, ResponseTo to = ResponseTo::Other, bool ends = false,
                            std::size_t piece_size = 4096) {
    ResponseDecoder decoder;
    decoder.expect(to);
    std::string said;
    const auto drain = [&]() -> bool {
        while (true) {
            Result<ResponseEvent> event = decoder.next();
            if (!event.has_value()) {
                said += "error";
                return false;
            }
            if (std::holds_alternative<NeedMore>(*event)) return true;
            if (auto* head = std::get_if<ResponseHead>(&*event)) said += std::to_string(head->status) + " ";
            if (auto* chunk = std::get_if<BodyChunk>(&*event)) said.append(chunk->bytes.data(), chunk->bytes.size());
            if (auto* trailers = std::get_if<Trailers>(&*event)) said += " " + trailers->fields[0].name;
            if (std::holds_alternative<EndOfMessage>(*event)) {
                said += decoder.has_unread() ? " end, more" : " end";
                return false;
            }
        }
    };
    for (std::size_t at = 0; at < bytes.size(); at += piece_size) {
        std::string piece = bytes.substr(at, piece_size);
        decoder.feed(piece);
        if (!drain()) return said;
        std::fill(piece.begin(), piece.end(), '#');
    }
    if (!ends) return said + "…";
    if (!decoder.feed_end().has_value()) return said + "cut";
    (void)drain();
    return said;
}

TEST(ResponseDecoder, EachFramingIsReadToItsEnd) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, std::size_t{4096}}) {
        EXPECT_EQ(decode_response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", ResponseTo::Other, false, piece),
                  "200 abc end");
        EXPECT_EQ(
            decode_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n",
                            ResponseTo::Other, false, piece),
            "200 abc x end");
        EXPECT_EQ(decode_response("HTTP/1.1 200 \r\n\r\nabc", ResponseTo::Other, true, piece), "200 abc end");
        EXPECT_EQ(decode_response("HTTP/1.1 204 No\r\n\r\n", ResponseTo::Other, false, piece), "204  end");
        EXPECT_EQ(decode_response("HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", ResponseTo::Other, false, piece),
                  "304  end");
        EXPECT_EQ(decode_response("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", ResponseTo::Head, false, piece),
                  "200  end");
        EXPECT_EQ(
            decode_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ResponseTo::Head, false, piece),
            "200  end");
        EXPECT_EQ(decode_response("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
                                  ResponseTo::Other, false, piece),
                  "103 200 a end");
        EXPECT_EQ(decode_response("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
                                  ResponseTo::Head, false, piece),
                  "103 200  end");
    }
}

TEST(ResponseDecoder, CutAndStrayBytesAreNoticed) {
    EXPECT_EQ(decode_response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", ResponseTo::Other, true), "200 abcut");
    EXPECT_EQ(
        decode_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", ResponseTo::Other, true),
        "200 abccut");
    EXPECT_EQ(decode_response("HTTP/1.1 200 OK\r\nConte", ResponseTo::Other, true), "cut");
    EXPECT_EQ(decode_response("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n"), "200 a end, more");
}

TEST(ResponseDecoder, HostileFramingIsRefused) {
    const std::vector<Row> rows{
        {"content-length with transfer-encoding", "RFC 9112 6.3",
         "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"two equal content-lengths", "RFC 9112 6.3",
         "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"},
        {"transfer-encoding other than chunked", "RFC 9112 6.3", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"},
        {"transfer-encoding in HTTP/1.0", "RFC 9112 6.1", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"folded header", "RFC 9112 5.2", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"},
        {"folded behind an empty line", "RFC 9112 5.2", "HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\nhello"},
        {"bare LF", "RFC 9112 2.2", "HTTP/1.1 200 OK\nX: a\n\n"},
        {"bare CR in a value", "RFC 9112 2.2", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n"},
        {"control byte in the reason", "RFC 9112 4", "HTTP/1.1 200 O\x01K\r\n\r\n"},
        {"status 600", "RFC 9110 15", "HTTP/1.1 600 X\r\n\r\n"},
        {"status 99", "RFC 9110 15", "HTTP/1.1 099 X\r\n\r\n"},
        {"101 that nobody asked for", "RFC 9110 15.2.2", "HTTP/1.1 101 X\r\nUpgrade: y\r\n\r\n"},
        {"interim response with a body", "RFC 9112 6.3", "HTTP/1.1 103 X\r\nContent-Length: 3\r\n\r\nabc"},
        {"HTTP/2.0", "RFC 9112 2.3", "HTTP/2.0 200 OK\r\n\r\n"},
        {"trailer set-cookie", "RFC 9110 6.5.1",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nSet-Cookie: a=b\r\n\r\n"},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(std::string(row.name) + " (" + row.section + ")");
        EXPECT_NE(decode_response(row.bytes).find("error"), std::string::npos);
        EXPECT_NE(decode_response(row.bytes, ResponseTo::Other, false, 1).find("error"), std::string::npos);
    }
}

TEST(Encoder, DecidedIsSentAndReadBackAlike) {
    // A second reading of our own bytes gives the same request: nothing is lost or added on the way.
    const std::vector<std::string> requests{
        get("/"),
        get("/?"),
        get("/a?b=c&d=%20"),
        get("/a%20b/c"),
        post("Content-Length: 3\r\nX-A: b\r\nX-A: c\r\n", "abc"),
        post("Transfer-Encoding: chunked\r\nTrailer: x\r\n", "3\r\nabc\r\n0\r\nX: y\r\n\r\n"),
        "DELETE /x HTTP/1.1\r\nHost: a.test:8443\r\nConnection: x-a\r\nX-A: 1\r\n\r\n"};
    for (const std::string& bytes : requests) {
        SCOPED_TRACE(bytes);
        const Decoded first = decode_requests(bytes, 4096);
        ASSERT_EQ(first.heads.size(), 1U) << first.error;
        std::string sent = encode_request_head(first.heads[0]);
        if (first.heads[0].framing == Framing::Chunked) {
            append_chunk(sent, first.bodies[0]);
            append_last_chunk(sent, first.trailers.empty() ? Fields{} : first.trailers[0]);
        } else {
            sent += first.bodies[0];
        }

        const Decoded second = decode_requests(sent, 4096);

        ASSERT_EQ(second.heads.size(), 1U) << second.error;
        EXPECT_EQ(second.heads[0].method, first.heads[0].method);
        EXPECT_EQ(second.heads[0].target(), first.heads[0].target());
        EXPECT_EQ(second.heads[0].host, first.heads[0].host);
        EXPECT_EQ(second.heads[0].port, first.heads[0].port);
        EXPECT_EQ(second.heads[0].fields, first.heads[0].fields);
        EXPECT_EQ(second.bodies, first.bodies);
        EXPECT_EQ(second.trailers, first.trailers);
        EXPECT_EQ(second.ends, 1U);
    }
}

}  // namespace
}  // namespace sanctum::interceptor
