// SPDX-License-Identifier: Apache-2.0
// Which servers are believed: every defect of a certificate ends the handshake before a byte of HTTP.
#include "network/upstream_tls.hpp"
#include "tests/support/loopback.hpp"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <array>

namespace sanctum::network {
namespace {

using loopback::Identity;
using loopback::Wanted;

const std::string kHost = "www.example.test";

// Lets the two ends of a connection in memory talk until the client's handshake has an end.
Status shake_hands(SSL* client, SSL* server) {
    for (;;) {
        const int shaken = SSL_do_handshake(client);
        if (shaken == 1) return {};
        if (SSL_get_error(client, shaken) != SSL_ERROR_WANT_READ) {
            return UpstreamTls::explain_failure(client, Error{Errc::Protocol, "tls: " + take_openssl_error()});
        }
        const int answered = SSL_do_handshake(server);
        const bool is_silent = BIO_ctrl_pending(SSL_get_rbio(client)) == 0;
        if (answered != 1 && is_silent) return Error{Errc::Protocol, "the server has nothing to say"};
    }
}

struct Visit {
    Status result;
    std::size_t http_bytes = 0;  ///< what a real server would have seen of HTTP
};

Visit visit_server(const Identity& authority, const Identity& server, const std::string& staple = {},
                   const std::map<std::string, std::string>& pinned = {}) {
    initialise_openssl();
    auto tls = UpstreamTls::create(authority.pem(), {}, pinned);
    EXPECT_TRUE(tls.has_value());
    const SslPtr server_end = loopback::start_server(server, staple);
    Result<SslPtr> client_end = (*tls)->start(kHost, "key|");
    EXPECT_TRUE(client_end.has_value());
    BIO* ours = nullptr;
    BIO* theirs = nullptr;
    BIO_new_bio_pair(&ours, 0, &theirs, 0);
    SSL_set_bio(client_end->get(), ours, ours);
    SSL_set_bio(server_end.get(), theirs, theirs);
    Visit seen;
    seen.result = shake_hands(client_end->get(), server_end.get());
    const std::string request = "GET / HTTP/1.1\r\n\r\n";
    if (seen.result) {
        EXPECT_GT(SSL_write(client_end->get(), request.data(), static_cast<int>(request.size())), 0);
    }
    std::array<char, 256> buffer{};
    if (const int size = SSL_read(server_end.get(), buffer.data(), buffer.size()); size > 0) {
        seen.http_bytes = static_cast<std::size_t>(size);
    }
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

TEST(PinnedCertificate, IsTheOnlyRootOfItsHostAndOfNoOther) {
    const Identity authority = loopback::make_authority("test authority");
    const Identity own = loopback::make_authority("the host's own");
    const Identity by_own = loopback::make_identity({}, &own);
    const Identity by_other = loopback::make_identity({}, &authority);

    EXPECT_TRUE(visit_server(authority, by_own, {}, {{kHost, own.pem()}}).result.has_value());
    EXPECT_FALSE(visit_server(authority, by_other, {}, {{kHost, own.pem()}}).result.has_value());
    EXPECT_FALSE(visit_server(authority, by_own, {}, {{"other.example.test", own.pem()}}).result.has_value());
    EXPECT_TRUE(visit_server(authority, by_other, {}, {{"other.example.test", own.pem()}}).result.has_value());
}

TEST(PinnedCertificate, ThatIsDamagedNamesItsHost) {
    const auto tls = UpstreamTls::create("", {}, {{kHost, "no certificate"}});
    ASSERT_FALSE(tls.has_value());
    EXPECT_NE(tls.error().what.find("upstream.host.\"" + kHost + "\".ca_file"), std::string::npos);
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
}  // namespace sanctum::network
