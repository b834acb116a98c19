// SPDX-License-Identifier: Apache-2.0
// Proofs of possession, checked against the examples of RFC 9449 and by a verification with the key that they name.
#include "base/jose/dpop.hpp"
#include "base/limits.hpp"

#include <cjose/cjose.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::dpop {
namespace {

using nlohmann::json;

constexpr WallTime kNow{1'764'000'000'000};

// The private key of RFC 7515 A.3.1.
constexpr const char* kRfcPublicHalf = R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
                                       R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")";
constexpr const char* kRfcPrivateHalf = R"(,"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"})";

struct Opened {
    json head;
    json claims;
};

// Verified with the public key of its own head, as a server does it (RFC 9449 4.3); nullopt: the signature is wrong.
std::optional<Opened> open(const std::string& proof) {
    cjose_err error{};
    const std::unique_ptr<cjose_jws_t, void (*)(cjose_jws_t*)> jws(
        ::cjose_jws_import(proof.data(), proof.size(), &error), [](cjose_jws_t* object) {
            if (object != nullptr) ::cjose_jws_release(object);
        });
    if (!jws) return std::nullopt;
    cjose_header_t* const header = ::cjose_jws_get_protected(jws.get());
    char* const raw = ::cjose_header_get_raw(header, "jwk", &error);
    const std::string jwk = raw == nullptr ? "" : raw;
    ::cjose_get_dealloc()(raw);
    const std::unique_ptr<cjose_jwk_t, void (*)(const cjose_jwk_t*)> key(
        ::cjose_jwk_import(jwk.data(), jwk.size(), &error), [](const cjose_jwk_t* object) {
            if (object != nullptr) ::cjose_jwk_release(const_cast<cjose_jwk_t*>(object));
        });
    if (!key || !::cjose_jws_verify(jws.get(), key.get(), &error)) return std::nullopt;
    std::uint8_t* text = nullptr;
    std::size_t size = 0;
    if (!::cjose_jws_get_plaintext(jws.get(), &text, &size, &error)) return std::nullopt;
    Opened opened;
    opened.head = {{"typ", ::cjose_header_get(header, "typ", &error)},
                   {"alg", ::cjose_header_get(header, CJOSE_HDR_ALG, &error)},
                   {"jwk", json::parse(jwk)}};
    opened.claims = json::parse(std::string(reinterpret_cast<char*>(text), size));
    return opened;
}

TEST(Dpop, TheHashOfATokenIsThatOfTheSpecification) {
    // RFC 9449 7.1, figure 13.
    EXPECT_EQ(token_hash("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    EXPECT_EQ(token_hash("sanctum-demo-provider-token"), "oVnI48aZhjczZc7uHmJTFFSBtYhZ0UukS8ljKR6G_6E");
}

// RFC 9449 4.1, figure 2. Its private half was never published.
constexpr const char* kPublishedProof =
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19."
    "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0"
    "IjoxNTYyMjYyNjE2fQ."
    "2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

TEST(Dpop, TheSpecificationsOwnProofHoldsAndOursHasItsForm) {
    const auto published = open(kPublishedProof);
    ASSERT_TRUE(published);
    const Result<Key> key = Key::generate();
    ASSERT_TRUE(key);
    const auto ours = open(*key->prove({"POST", "https://server.example.com/token", "", ""}, kNow));
    ASSERT_TRUE(ours);

    const auto names_of = [](const json& object) {
        std::vector<std::string> names;
        for (const auto& [name, value] : object.items()) names.push_back(name);
        return names;
    };
    EXPECT_EQ(names_of(ours->head), names_of(published->head));
    EXPECT_EQ(names_of(ours->head["jwk"]), names_of(published->head["jwk"]));
    EXPECT_EQ(names_of(ours->claims), names_of(published->claims));
    for (const char* name : {"htm", "htu"}) EXPECT_EQ(ours->claims[name], published->claims[name]);
}

TEST(Dpop, AThumbprintIsThatOfTheMembersThatCountAndAPublicKeyIsNoKeyOfOurs) {
    const Result<Key> key = Key::parse(std::string(kRfcPublicHalf) + kRfcPrivateHalf);
    ASSERT_TRUE(key) << key.error().what;
    // RFC 7638 3 over the key of RFC 7515 A.3.1, computed with other means.
    EXPECT_EQ(key->thumbprint(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
    EXPECT_FALSE(Key::parse(std::string(kRfcPublicHalf) + "}").has_value());
}

TEST(Dpop, AKeyWithPaddingInsideIsRefusedHoweverItIsWritten) {
    for (const char* padding : {"=", R"(\u003d)"}) {
        std::string jwk = std::string(kRfcPublicHalf) + kRfcPrivateHalf;
        const std::size_t at = jwk.find("\"x\":\"") + 10;
        jwk.replace(at, 1, padding);
        EXPECT_FALSE(Key::parse(jwk).has_value()) << jwk;
    }
}

TEST(Dpop, AProofNamesMethodUrlTokenAndNonceAndIsSignedByTheKeyInItsHead) {
    const Result<Key> key = Key::generate();
    ASSERT_TRUE(key) << key.error().what;

    const Result<std::string> proof = key->prove({"GET", "https://api.test/items/1", "n-1", "token"}, kNow);

    ASSERT_TRUE(proof) << proof.error().what;
    const auto opened = open(*proof);
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->head["typ"], "dpop+jwt");
    EXPECT_EQ(opened->head["alg"], "ES256");
    EXPECT_FALSE(opened->head["jwk"].contains("d")) << "the private half stays here";
    EXPECT_EQ(opened->claims["htm"], "GET");
    EXPECT_EQ(opened->claims["htu"], "https://api.test/items/1");
    EXPECT_EQ(opened->claims["iat"], 1'764'000'000);
    EXPECT_EQ(opened->claims["ath"], token_hash("token"));
    EXPECT_EQ(opened->claims["nonce"], "n-1");
    const Result<std::string> second = key->prove({"GET", "https://api.test/items/1", "", ""}, kNow);
    const auto other = open(*second);
    ASSERT_TRUE(other);
    EXPECT_NE(other->claims["jti"], opened->claims["jti"]) << "no proof is used twice";
    EXPECT_FALSE(other->claims.contains("ath") || other->claims.contains("nonce"));
    std::string changed = *proof;
    changed[changed.find('.') + 5] = changed[changed.find('.') + 5] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(open(changed));
}

TEST(Dpop, ATokenAndItsKeyGoThroughALeaseAndComeOutTheSame) {
    const Result<Key> key = Key::generate();
    ASSERT_TRUE(key);
    const Secret lease = join_bound_token(Secret("AT"), *key->jwk());

    const Result<BoundToken> bound = parse_bound_token(lease.reveal());

    ASSERT_TRUE(bound) << bound.error().what;
    EXPECT_EQ(bound->token.reveal(), "AT");
    EXPECT_EQ(bound->key.thumbprint(), key->thumbprint());
    EXPECT_TRUE(open(*bound->key.prove({"GET", "https://a.test/", "", "AT"}, kNow)));
}

TEST(Dpop, WhatIsNoTokenWithAKeyOfOursIsRefusedWithoutShowingIt) {
    const std::string rsa = R"(AT {"kty":"oct","k":"c2VjcmV0LWNhbmFyeQ"})";
    const std::string other_curve =
        R"(AT {"kty":"EC","crv":"P-384","x":"AA","y":"AA","d":"AA"})";
    for (const std::string& text : {std::string("AT"), std::string(" {}"), std::string("AT {}"), rsa, other_curve}) {
        const Result<BoundToken> bound = parse_bound_token(text);
        ASSERT_FALSE(bound) << text;
        EXPECT_EQ(bound.error().code, Errc::Protocol);
        EXPECT_THAT(bound.error().what, testing::Not(testing::HasSubstr("canary")));
    }
}

TEST(Dpop, ANonceIsReadOnlyWhereItIsOne) {
    EXPECT_EQ(read_nonce("eyJ7S_zG.eyJH0-Z"), "eyJ7S_zG.eyJH0-Z");
    for (const std::string& field : {std::string(), std::string("a b"), std::string("a\"b"), std::string("a\\b"),
                                     std::string("a\r\nb"), std::string(kDpopNonceBytesMax + 1, 'n')}) {
        EXPECT_FALSE(read_nonce(field)) << field;
    }
}

}  // namespace
}  // namespace sanctum::dpop
