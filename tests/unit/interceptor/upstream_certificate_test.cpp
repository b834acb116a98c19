// SPDX-License-Identifier: Apache-2.0
// Which servers are believed: every defect of a certificate ends the handshake before a byte of HTTP.
#include "interceptor/tls/upstream_tls.hpp"
#include "loopback.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace sanctum::interceptor {
namespace {

using loopback::Identity;
using loopback::Wanted;

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
const std::string kHost = "www.example.test";

// Reads until the client goes; what arrives inside TLS is what a real server would have seen of HTTP.
net::awaitable<void> count_bytes(Loop& loop, UniqueFd socket, SslPtr ssl, std::size_t& count) {
    TlsStream stream(loop, Descriptor(loop, std::move(socket)), std::move(ssl));
    const Status shaken = co_await stream.handshake(kNoLimit);
    if (!shaken) co_return;
    std::array<char, 256> buffer{};
    for (;;) {
        const Result<std::size_t> size = co_await stream.read_some(buffer);
        if (!size || *size == 0) co_return;
        count += *size;
    }
}

net::awaitable<void> visit(Loop& loop, UniqueFd socket, UpstreamTls& tls, Status& result) {
    Result<SslPtr> ssl = tls.start(kHost, "key|");
    if (!ssl) {
        result = ssl.error();
        co_return;
    }
    TlsStream stream(loop, Descriptor(loop, std::move(socket)), std::move(*ssl));
    const Status shaken = co_await stream.handshake(kNoLimit);
    if (!shaken) {
        result = UpstreamTls::explain_failure(stream.ssl(), shaken.error());
        co_return;
    }
    const Status written = co_await stream.write_all("GET / HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(written.has_value());
    co_await stream.finish();
}

struct Visit {
    Status result;
    std::size_t http_bytes = 0;
};

Visit visit_server(const Identity& authority, const Identity& server, const std::string& staple = {}) {
    const auto loop = loopback::make_loop();
    auto tls = UpstreamTls::create(authority.pem(), {});
    EXPECT_TRUE(tls.has_value());
    auto [server_end, client_end] = loopback::tcp_pair();
    Visit seen;
    loop->spawn(count_bytes(*loop, std::move(server_end), loopback::start_server(server, staple), seen.http_bytes));
    loopback::run(*loop, visit(*loop, std::move(client_end), **tls, seen.result));
    return seen;
}

TEST(UpstreamCertificate, AGoodOneIsBelieved) {
    const Identity authority = loopback::make_authority("test authority");

    const Visit seen = visit_server(authority, loopback::make_identity({}, &authority));

    EXPECT_TRUE(seen.result.has_value()) << seen.result.error().what;
    EXPECT_GT(seen.http_bytes, 0U);
}

TEST(UpstreamCertificate, AWholeLabelWildcardIsBelieved) {
    const Identity authority = loopback::make_authority("test authority");

    const Visit seen = visit_server(authority, loopback::make_identity({.dns_names = {"*.example.test"}}, &authority));

    EXPECT_TRUE(seen.result.has_value()) << seen.result.error().what;
}

// CRED-20: each row would be a server that somebody else controls.
TEST(UpstreamCertificate, EveryDefectIsRefusedBeforeTheFirstByteOfHttp) {
    struct Row {
        const char* name;
        Wanted wanted;
        enum class Signer { Authority, Itself, Stranger } signer = Signer::Authority;
    };
    const Row rows[] = {
        {"expired", {.valid_from_s = -7200, .valid_to_s = -60}},
        {"not yet valid", {.valid_from_s = 3600, .valid_to_s = 7200}},
        {"self-signed", {}, Row::Signer::Itself},
        {"unknown authority", {}, Row::Signer::Stranger},
        {"wrong host", {.dns_names = {"other.example.test"}}},
        {"subdomain of the host", {.dns_names = {"a.www.example.test"}}},
        {"for clients only", {.extended_usage = "clientAuth"}},
        {"RSA 512", {.key = "rsa512"}},
        {"RSA 1024", {.key = "rsa1024"}},
        {"SHA-1 signature", {.digest = "sha1"}},
        {"NUL in the name", {.dns_names = {std::string("www.example.test\0.evil.test", 27)}}},
        {"address instead of name", {.dns_names = {}, .addresses = {"127.0.0.1"}}},
        {"common name only", {.dns_names = {}}},
        {"partial wildcard", {.dns_names = {"w*.example.test"}}},
        {"wildcard over two labels", {.dns_names = {"*.test"}}},
        {"bare wildcard", {.dns_names = {"*"}}},
    };
    const Identity authority = loopback::make_authority("test authority");
    const Identity stranger = loopback::make_authority("stranger");
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);
        const Identity* issuer = row.signer == Row::Signer::Itself     ? nullptr
                                 : row.signer == Row::Signer::Stranger ? &stranger
                                                                       : &authority;

        const Visit seen = visit_server(authority, loopback::make_identity(row.wanted, issuer));

        EXPECT_FALSE(seen.result.has_value());
        EXPECT_EQ(seen.http_bytes, 0U);
        // A server with so small a key cannot even sign its handshake.
        if (!seen.result && row.wanted.key != "rsa512") {
            EXPECT_TRUE(seen.result.error().what.starts_with("upstream_certificate: ")) << seen.result.error().what;
        }
    }
}

TEST(UpstreamCertificate, AStapledRevocationIsRefused) {
    const Identity authority = loopback::make_authority("test authority");
    const Identity server = loopback::make_identity({}, &authority);

    const Visit seen =
        visit_server(authority, server, loopback::make_staple(server, authority, loopback::Staple::Revoked));

    ASSERT_FALSE(seen.result.has_value());
    EXPECT_EQ(seen.result.error().what, "upstream_certificate: certificate revoked");
    EXPECT_EQ(seen.http_bytes, 0U);
}

TEST(UpstreamCertificate, AStapledGoodStatusIsAccepted) {
    const Identity authority = loopback::make_authority("test authority");
    const Identity server = loopback::make_identity({}, &authority);

    const Visit seen =
        visit_server(authority, server, loopback::make_staple(server, authority, loopback::Staple::Good));

    EXPECT_TRUE(seen.result.has_value()) << seen.result.error().what;
}

TEST(UpstreamCertificate, AStapleThatIsNoResponseIsRefused) {
    const Identity authority = loopback::make_authority("test authority");

    const Visit seen = visit_server(authority, loopback::make_identity({}, &authority), "not a response");

    EXPECT_FALSE(seen.result.has_value());
    EXPECT_EQ(seen.http_bytes, 0U);
}

TEST(UpstreamCertificate, AStapleOfAStrangerIsRefused) {
    const Identity authority = loopback::make_authority("test authority");
    const Identity stranger = loopback::make_authority("stranger");
    const Identity server = loopback::make_identity({}, &authority);

    const Visit seen = visit_server(authority, server, loopback::make_staple(server, stranger, loopback::Staple::Good));

    EXPECT_FALSE(seen.result.has_value());
}

TEST(OperatorCertificates, DamagedPemIsAnErrorThatNamesTheSetting) {
    const Identity authority = loopback::make_authority("test authority");
    std::string damaged = authority.pem() + authority.pem();
    damaged[damaged.size() - 100] = '!';

    for (const std::string& pem : {std::string("no certificate"), damaged}) {
        const auto tls = UpstreamTls::create(pem, {});
        ASSERT_FALSE(tls.has_value());
        EXPECT_EQ(tls.error().code, Errc::InvalidProfile);
        EXPECT_NE(tls.error().what.find("upstream.ca_file"), std::string::npos);
    }
}

}  // namespace
}  // namespace sanctum::interceptor
