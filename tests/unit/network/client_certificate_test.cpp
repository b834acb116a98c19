// SPDX-License-Identifier: Apache-2.0
// Our own certificate in a handshake: what it is, whether it was asked for, and what is left of its key.
#include "network/client_certificate.hpp"

#include "network/upstream_tls.hpp"
#include "tests/support/loopback.hpp"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>

namespace sanctum::network {
namespace {

using loopback::Identity;

const WallTime kNow{static_cast<std::int64_t>(std::time(nullptr)) * 1000};

// RFC 8705 appendix A: the certificate of figure 6, whose thumbprint is in figure 5.
constexpr const char* kCertificate = R"(-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----
)";

TEST(ClientCertificate, ItsDigestIsThatOfTheStandardsExampleAndOfTheFirstCertificateAlone) {
    // A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0
    constexpr Digest expected = {0x03, 0x80, 0xed, 0x2f, 0x62, 0x66, 0x50, 0xc8, 0x40, 0xb2, 0xf2,
                                 0x63, 0xe6, 0xd2, 0xb2, 0x9f, 0xae, 0x12, 0xab, 0x39, 0xae, 0x5d,
                                 0xb3, 0x2b, 0x25, 0xad, 0x27, 0xef, 0xad, 0x72, 0xe6, 0xfd};
    const Identity other = loopback::make_authority("another");
    for (const std::string& pem : {std::string(kCertificate), kCertificate + other.pem()}) {
        const Result<Digest> digest = certificate_digest(pem);
        ASSERT_TRUE(digest.has_value());
        EXPECT_EQ(*digest, expected);
    }
    EXPECT_NE(*certificate_digest(other.pem()), expected);
    for (const char* none : {"", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}) {
        EXPECT_EQ(certificate_digest(none).error().code, Errc::InvalidProfile);
    }
}

TEST(ClientCertificate, OneThatIsMadeIsForClientsSignedByItselfAndEndsSoonAfterItsMission) {
    const auto made = make_client_certificate("Sanctum mission 01k", kNow, {kNow.unix_ms + 60'000});
    ASSERT_TRUE(made.has_value()) << made.error().what;
    BIO* memory = BIO_new_mem_buf(made->certificate.data(), static_cast<int>(made->certificate.size()));
    const CertificatePtr certificate(PEM_read_bio_X509(memory, nullptr, nullptr, nullptr));
    BIO_free(memory);
    ASSERT_NE(certificate, nullptr);
    EXPECT_EQ(X509_self_signed(certificate.get(), 1), 1);
    EXPECT_EQ(X509_check_ca(certificate.get()), 0);
    EXPECT_EQ(X509_get_extended_key_usage(certificate.get()), static_cast<std::uint32_t>(XKU_SSL_CLIENT));
    std::time_t later = kNow.unix_ms / 1000 + 2 * 3600;
    EXPECT_EQ(X509_cmp_time(X509_get0_notAfter(certificate.get()), &later), -1);
    later -= 3600 + 1800;
    EXPECT_EQ(X509_cmp_time(X509_get0_notAfter(certificate.get()), &later), 1) << "a clock may be behind";
    const auto another = make_client_certificate("Sanctum mission 01k", kNow, kNow);
    EXPECT_NE(*certificate_digest(another->certificate), *certificate_digest(made->certificate));
    EXPECT_FALSE(another->key.equals(made->key));
}

enum class Asks : std::uint8_t { Never, Always, ForAnotherKind };

// The two ends of a handshake in memory, finished.
struct Handshake {
    Handshake(Asks asks, int version, const ClientCertificate* own, UpstreamTls& tls, const Identity& server)
        : server_end(loopback::start_server(server)) {
        const std::string key = own == nullptr ? "key|" : "";
        client = std::move(*tls.start("www.example.test", key));
        if (own != nullptr) shown = show_certificate(client.get(), *own);
        SSL_set_max_proto_version(server_end.get(), version);
        if (asks != Asks::Never) {
            SSL_set_verify(server_end.get(), SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
        }
        if (asks == Asks::ForAnotherKind) {
            EXPECT_EQ(SSL_set1_client_sigalgs_list(server_end.get(), "rsa_pss_rsae_sha256:RSA+SHA256"), 1);
        }
        BIO* ours = nullptr;
        BIO* theirs = nullptr;
        BIO_new_bio_pair(&ours, 0, &theirs, 0);
        SSL_set_bio(client.get(), ours, ours);
        SSL_set_bio(server_end.get(), theirs, theirs);
        for (int turns = 0; turns < 10 && !is_done(); ++turns) {
            SSL_do_handshake(client.get());
            SSL_do_handshake(server_end.get());
        }
    }
    [[nodiscard]] bool is_done() const {
        return SSL_is_init_finished(client.get()) == 1 && SSL_is_init_finished(server_end.get()) == 1;
    }
    // As the server has it.
    [[nodiscard]] bool has_seen_one() const { return SSL_get0_peer_certificate(server_end.get()) != nullptr; }

    SslPtr client;
    SslPtr server_end;
    Status shown;
};

class ClientCertificateShown : public testing::TestWithParam<int> {
protected:
    const Identity authority_ = loopback::make_authority("test authority");
    const Identity server_ = loopback::make_identity({}, &authority_);
    std::unique_ptr<UpstreamTls> tls_ = std::move(*UpstreamTls::create(authority_.pem(), {}));
    ClientCertificate own_ = std::move(*make_client_certificate("client", kNow, kNow));
};

TEST_P(ClientCertificateShown, WhereTheServerAsksAndItIsKnownWhereItDoesNot) {
    const Handshake asked(Asks::Always, GetParam(), &own_, *tls_, server_);
    ASSERT_TRUE(asked.is_done() && asked.shown);
    EXPECT_TRUE(asked.has_seen_one());
    EXPECT_EQ(why_not_shown(asked.client.get()), "");

    const Handshake unasked(Asks::Never, GetParam(), &own_, *tls_, server_);
    ASSERT_TRUE(unasked.is_done());
    EXPECT_FALSE(unasked.has_seen_one());
    EXPECT_EQ(why_not_shown(unasked.client.get()), "the server asks for no client certificate");

    const Handshake without(Asks::Always, GetParam(), nullptr, *tls_, server_);
    ASSERT_TRUE(without.is_done());
    EXPECT_FALSE(without.has_seen_one());
    EXPECT_NE(why_not_shown(without.client.get()), "");

    const Handshake other_kind(Asks::ForAnotherKind, GetParam(), &own_, *tls_, server_);
    ASSERT_TRUE(other_kind.is_done());
    EXPECT_FALSE(other_kind.has_seen_one());
    EXPECT_EQ(why_not_shown(other_kind.client.get()),
              "the server asks for a client certificate, and for a signature that the key of ours cannot make");
}

TEST_P(ClientCertificateShown, AfterTheHandshakeItsKeyIsNoLongerThereAndBytesGoOnFlowing) {
    const Handshake talk(Asks::Always, GetParam(), &own_, *tls_, server_);
    ASSERT_TRUE(talk.is_done());
    ASSERT_NE(SSL_get_privatekey(talk.client.get()), nullptr);
    forget_certificate(talk.client.get());
    EXPECT_EQ(SSL_get_privatekey(talk.client.get()), nullptr);
    ASSERT_EQ(SSL_write(talk.client.get(), "hi", 2), 2);
    std::array<char, 8> buffer{};
    EXPECT_EQ(SSL_read(talk.server_end.get(), buffer.data(), buffer.size()), 2);
    ASSERT_EQ(SSL_write(talk.server_end.get(), "hi", 2), 2);
    EXPECT_EQ(SSL_read(talk.client.get(), buffer.data(), buffer.size()), 2);
}

TEST_P(ClientCertificateShown, NoSessionOfSuchAConnectionIsKeptOrOffered) {
    for (int visit = 0; visit < 2; ++visit) {
        const Handshake certified(Asks::Always, GetParam(), &own_, *tls_, server_);
        ASSERT_TRUE(certified.is_done());
        std::array<char, 8> buffer{};
        SSL_write(certified.server_end.get(), "hi", 2);
        EXPECT_EQ(SSL_read(certified.client.get(), buffer.data(), buffer.size()), 2) << "tickets come before it";
        EXPECT_EQ(SSL_session_reused(certified.client.get()), 0);
    }
}

INSTANTIATE_TEST_SUITE_P(Versions, ClientCertificateShown, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

}  // namespace
}  // namespace sanctum::network
