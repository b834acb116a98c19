// SPDX-License-Identifier: Apache-2.0
// What goes to identity providers and how their answers are read.
#include "base/limits.hpp"
#include "network/client_certificate.hpp"
#include "tests/unit/vault/provider_script.hpp"
#include "vault/oauth/identity.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/oauth/signed_jwt.hpp"
#include "vault/oauth/token_answer.hpp"
#include "vault/oauth/token_endpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sanctum::vault {
namespace {

using profiles::ClientAuthentication;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using test::ProviderScript;

constexpr WallTime kNow{1'764'000'000'000};

HttpResponse response(int status, const std::string& body, const std::string& type = "application/json") {
    HttpResponse out;
    out.status = status;
    out.headers["content-type"] = type;
    out.body = Secret(body);
    return out;
}

const TokenQuestion kQuestion{"tenant acme", "alice", "github", SourceFault::SubjectExpired};

SourceFailure failure_in(const HttpResponse& answer) {
    auto read = read_token_answer(answer, kQuestion);
    const auto* failure = std::get_if<SourceFailure>(&read);
    EXPECT_NE(failure, nullptr) << "a token was read";
    return failure == nullptr ? SourceFailure{} : *failure;
}

TokenAnswer token_in(const std::string& body) {
    auto read = read_token_answer(response(200, body), kQuestion);
    auto* token = std::get_if<TokenAnswer>(&read);
    EXPECT_NE(token, nullptr) << std::get<SourceFailure>(read).what;
    return token == nullptr ? TokenAnswer{} : std::move(*token);
}

// --- forms --------------------------------------------------------------------------------------------------------

TEST(Form, EveryByteThatIsNotPlainIsEncodedOnce) {
    Form form;
    form.add("scope", "a b");
    form.add("token", "x+y/z=%\xc3\xa9&");
    form.add_if("empty", "");

    EXPECT_EQ(form.body().reveal(), "scope=a%20b&token=x%2By%2Fz%3D%25%C3%A9%26");
}

// --- signed tokens ------------------------------------------------------------------------------------------------

TEST(SigningKey, TheAlgorithmFollowsFromTheKeyAndOpensslVerifiesTheSignature) {
    for (const std::string& pem : {test::make_rsa_key(), test::make_ec_key()}) {
        const Result<SigningKey> key = SigningKey::parse(Secret(pem));
        ASSERT_TRUE(key) << key.error().what;

        const Result<Secret> token = key->sign(R"({"iss":"CID"})", "JWT", "k1");

        ASSERT_TRUE(token) << token.error().what;
        const std::string jwt(token->reveal());
        EXPECT_EQ(test::claims_of(jwt), R"({"iss":"CID"})");
        EXPECT_THAT(test::header_of(jwt), AllOf(HasSubstr(R"("typ":"JWT")"), HasSubstr(R"("kid":"k1")")));
        EXPECT_TRUE(test::is_signed_by(jwt, pem));
        EXPECT_FALSE(test::is_signed_by(jwt, key->algorithm() == SigningAlgorithm::Rs256 ? test::make_rsa_key()
                                                                                         : test::make_ec_key()));
    }
}

// RFC 7515 A.2: key, claims and the whole token.
constexpr const char* kPublishedKey =
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIIEowIBAAKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0\n"
    "l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+yRT+SFd2lZS+pC\n"
    "gNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSX\n"
    "ndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD\n"
    "Zlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8\n"
    "q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQIDAQABAoIBABKucaRpzQorw35S\n"
    "bEUAVx8dYXUdZOlJcHtiWQ+dC6V8ljxAHj/PLyzTveyI5QO/xkObCyjIL303l2cf\n"
    "UhPu2MFaJdjVzqACXuOrLot/eSFvxjvqVidTtAZExqFRJ9mylUVAoLvhowVWmC1O\n"
    "n95fZCXxTUtxNEG1Xcc7m0rtzJKs45J+N/V9DP1edYH6USyPSWGp6wuA+KgHRnKK\n"
    "Vf9GRx80JQY7nVNkL17eHoTWEwga+lwi0FEoW9Y7lDtWXYmKBWhUE+U8PGxlJf8f\n"
    "40493HDw1WRQ/aSLoS4QTp3rn7gYgeHEvfJdkkf0UMhlknlo53M09EFPdadQ4TlU\n"
    "bjqKc50CgYEA4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH/5IB3jw3bcxGn6QLvnE\n"
    "tfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw/Py5PJdTJNPY8cQn7ouZ2KKDcmnPG\n"
    "BY5t7yLc1QlQ5xHdwW1VhvKn+nXqhJTBgIPgtldC+KDV5z+y2XDwGUcCgYEAuQPE\n"
    "fgmVtjL0Uyyx88GZFF1fOunH3+7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYs\n"
    "p1ZSe7zFYHj7C6ul7TjeLQeZD/YwD66t62wDmpe/HlB+TnBA+njbglfIsRLtXlnD\n"
    "zQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdcCgYAHAp9XcCSrn8wVkMVkKdb7\n"
    "DOX4IKjzdahm+ctDAJN4O/y7OW5FKebvUjdAIt2GuoTZ71iTG+7F0F+lP88jtjP4\n"
    "U4qe7VHoewl4MKOfXZKTe+YCS1XbNvfgwJ3Ltyl1OH9hWvu2yza7q+d5PCsDzqtm\n"
    "27kxuvULVeya+TEdAB1ijQKBgQCH/3r6YrVH/uCWGy6bzV1nGNOdjKc9tmkfOJmN\n"
    "54dxdixdpozCQ6U4OxZrsj3FcOhHBsqAHvX2uuYjagqvo3cOj1TRqNocX40omfCC\n"
    "Mx3bD1yPPf/6TI2XECva/ggqEY2mYzmIiA5LVVmc5nrybr+lssFKneeyxN2Wq93S\n"
    "0iJMdQKBgCGHewxzoa1r8ZMD0LETNrToK423K377UCYqXfg5XMclbrjPbEC3YI1Z\n"
    "NqMtuhdBJqUnBi6tjKMF+34Xf0CUN8ncuXGO2CAYvO8PdyCixHX52ybaDjy1FtCE\n"
    "6yUXjoKNXKvUm7MWGsAYH6f4IegOetN5NvmUMFStCSkh7ixZLkN1\n"
    "-----END RSA PRIVATE KEY-----\n";

TEST(SigningKey, SignsAsPublished) {
    const Result<SigningKey> key = SigningKey::parse(Secret(kPublishedKey));
    ASSERT_TRUE(key) << key.error().what;
    const Result<Secret> token =
        key->sign("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}", "", "");
    ASSERT_TRUE(token);
    EXPECT_EQ(token->reveal(),
              "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlL"
              "mNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
              "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWz"
              "O75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZES"
              "c6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlU"
              "PQGe77Rw");
}

TEST(SigningKey, KeysThatCannotSignAreRefusedWithoutShowingThem) {
    const std::string cut = test::make_rsa_key().substr(0, 200);
    for (const std::string& pem : {std::string("canary"), std::string(), cut, test::make_rsa_key(1024),
                                   test::make_ec_key("P-384")}) {
        const Result<SigningKey> key = SigningKey::parse(Secret(pem));

        ASSERT_FALSE(key);
        EXPECT_EQ(key.error().code, Errc::InvalidProfile);
        EXPECT_THAT(key.error().what, AllOf(HasSubstr("holds"), Not(HasSubstr("canary"))));
    }
}

// --- who we are ---------------------------------------------------------------------------------------------------

profiles::IdentityClient client(ClientAuthentication authentication) {
    profiles::IdentityClient config;
    config.name = "acme";
    config.is_tenant = true;
    config.issuer = "https://acme.us.auth0.com/";
    config.token_endpoint = "https://acme.us.auth0.com/oauth/token";
    config.revocation_endpoint = "https://acme.us.auth0.com/oauth/revoke";
    config.client_id = "C:ID";
    config.authentication = authentication;
    if (authentication == ClientAuthentication::PrivateKeyJwt) config.key_item = "key";
    else config.secret_item = "secret";
    return config;
}

Identity identity(ClientAuthentication authentication, const std::string& secret = "s/e c") {
    Result<Identity> made = Identity::create(client(authentication), [&](const std::string&) -> Result<Secret> {
        return Secret(secret);
    });
    EXPECT_TRUE(made) << made.error().what;
    return std::move(*made);
}

TEST(Identity, ASecretGoesIntoTheBody) {
    Form form;
    HttpRequest request;
    ASSERT_TRUE(identity(ClientAuthentication::SecretPost).authenticate(form, request, kNow));
    EXPECT_EQ(form.body().reveal(), "client_id=C%3AID&client_secret=s%2Fe%20c");
    EXPECT_TRUE(request.authorization.is_empty());
}

TEST(Identity, OrIntoTheHeaderWithBothPartsEncoded) {
    Form form;
    HttpRequest request;
    ASSERT_TRUE(identity(ClientAuthentication::SecretBasic).authenticate(form, request, kNow));
    EXPECT_TRUE(form.body().is_empty());
    EXPECT_EQ(request.authorization.reveal(), "Basic QyUzQUlEOnMlMkZlJTIwYw==");  // C%3AID:s%2Fe%20c
}

TEST(Identity, APrivateKeySignsAShortAssertionForTheIssuer) {
    const std::string pem = test::make_rsa_key();
    test::SeenRequest seen;
    Form form;
    HttpRequest request;
    ASSERT_TRUE(identity(ClientAuthentication::PrivateKeyJwt, pem).authenticate(form, request, kNow));
    seen.body = std::string(form.body().reveal());

    EXPECT_EQ(seen.parameter("client_assertion_type"), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    const std::string jwt = seen.parameter("client_assertion");
    EXPECT_TRUE(test::is_signed_by(jwt, pem));
    EXPECT_THAT(test::claims_of(jwt),
                AllOf(HasSubstr(R"("iss":"C:ID","sub":"C:ID","aud":"https://acme.us.auth0.com/")"),
                      HasSubstr(R"("iat":1764000000,"exp":1764000060)"), HasSubstr(R"("jti":)")));
    EXPECT_LE(jwt.size(), 2048U);
    EXPECT_EQ(seen.parameter("client_secret"), "(absent)");
}

TEST(Identity, AMissingItemIsNamed) {
    const auto none = [](const std::string& item) {
        return Result<Secret>(Error{Errc::NotFound, "no item `" + item + "`"});
    };
    const Result<Identity> made = Identity::create(client(ClientAuthentication::SecretPost), none);
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().what, HasSubstr("no item `secret`"));
}

// --- answers ------------------------------------------------------------------------------------------------------

TEST(TokenAnswer, IsReadInEveryFormThatProvidersUse) {
    const TokenAnswer plain =
        token_in(R"({"access_token":"t-1","token_type":"Bearer","expires_in":1377,"scope":"b a"})");
    EXPECT_EQ(plain.access_token.reveal(), "t-1");
    EXPECT_EQ(plain.expires_in, Milliseconds(1'377'000));
    EXPECT_THAT(*plain.scopes, ElementsAre("a", "b"));
    EXPECT_TRUE(plain.refresh_token.is_empty());

    const TokenAnswer odd =
        token_in(R"({"access_token":"t-2","token_type":"bearer","expires_in":"60","scope":"b,a","refresh_token":"r"})");
    EXPECT_EQ(odd.expires_in, Milliseconds(60'000));
    EXPECT_THAT(*odd.scopes, ElementsAre("a", "b"));
    EXPECT_EQ(odd.refresh_token.reveal(), "r");

    const TokenAnswer least = token_in(R"({"access_token":"t-3"})");
    EXPECT_EQ(least.expires_in, std::nullopt);
    EXPECT_EQ(least.scopes, std::nullopt);
}

TEST(TokenAnswer, WhatBreaksItsFormIsProtocolAndIsNotRepeated) {
    const std::vector<HttpResponse> broken = [] {
        std::vector<HttpResponse> all;
        all.push_back(response(200, "canary"));
        all.push_back(response(200, R"({"access_token":"canary"})", "text/html"));
        all.push_back(response(200, R"(["canary"])"));
        all.push_back(response(200, R"({"access_token":"canary")"));
        all.push_back(response(200, R"({"access_token":"canary","access_token":"canary-2"})"));
        all.push_back(response(200, R"({"access_token":{"a":"canary"}})"));
        all.push_back(response(200, R"({"token":"canary"})"));
        all.push_back(response(200, R"({"access_token":"canary","token_type":"DPoP"})"));
        all.push_back(response(200, R"({"access_token":"canary","expires_in":"soon"})"));
        all.push_back(response(200, R"({"access_token":"canary","expires_in":-5})"));
        return all;
    }();
    for (const HttpResponse& answer : broken) {
        const SourceFailure failure = failure_in(answer);
        EXPECT_EQ(failure.fault, SourceFault::Protocol) << answer.body.reveal();
        EXPECT_THAT(failure.what, AllOf(HasSubstr("account alice: tenant acme, connection github"),
                                        Not(HasSubstr("canary"))));
    }
}

struct Row {
    int status;
    const char* error;
    SourceFault fault;
    const char* remedy;
};

TEST(TokenAnswer, EveryErrorIsOneFaultWithTheSettingToChange) {
    const Row rows[] = {
        {401, "federated_connection_refresh_token_not_found", SourceFault::ConsentRequired, "never connected"},
        {401, "federated_connection_refresh_token_flow_failed", SourceFault::ConsentLost, "connect the account again"},
        {403, "invalid_grant", SourceFault::SubjectExpired, "log in again"},
        {401, "invalid_client", SourceFault::Misconfigured, "client_id"},
        {403, "unauthorized_client", SourceFault::Misconfigured, "grant type"},
        {403, "access_denied", SourceFault::Misconfigured, "connection"},
        {403, "mfa_required", SourceFault::Misconfigured, "MFA policy"},
        {400, "invalid_scope", SourceFault::ScopeUnavailable, "not connected with these scopes"},
        {400, "temporarily_unavailable", SourceFault::Unavailable, "later"},
        {200, "invalid_client", SourceFault::Misconfigured, "client_id"},  // GitHub answers 200
        {400, "something_new", SourceFault::Failed, "something_new (status 400)"},
        {403, "something_new", SourceFault::Misconfigured, "something_new (status 403)"},
        {400, "two words <b>", SourceFault::Failed, "without a proper name"},
    };
    for (const Row& row : rows) {
        const std::string body = std::string(R"({"error":")") + row.error + "\"}";
        const SourceFailure failure = failure_in(response(row.status, body));
        EXPECT_EQ(failure.fault, row.fault) << row.error;
        EXPECT_THAT(failure.what, HasSubstr(row.remedy));
    }
}

TEST(TokenAnswer, GooglesDemandToSignInAgainIsNoLostConsent) {
    const SourceFailure failure =
        failure_in(response(400, R"({"error":"invalid_grant","error_subtype":"invalid_rapt"})"));
    EXPECT_EQ(failure.fault, SourceFault::SubjectExpired);
    EXPECT_THAT(failure.what, HasSubstr("sign in again"));
}

TEST(TokenAnswer, AStatusWithoutAnErrorSpeaksForItself) {
    EXPECT_EQ(failure_in(response(429, "slow down", "text/plain")).fault, SourceFault::RateLimited);
    EXPECT_EQ(failure_in(response(503, "<html>", "text/html")).fault, SourceFault::Unavailable);
    EXPECT_EQ(failure_in(response(502, "<html>", "text/html")).fault, SourceFault::NoAnswer) << "it may have been made";
    EXPECT_EQ(failure_in(response(404, "<html>", "text/html")).fault, SourceFault::Misconfigured);
    EXPECT_EQ(failure_in(response(302, "", "text/html")).fault, SourceFault::Misconfigured);
    EXPECT_EQ(failure_in(response(400, "<html>", "text/html")).fault, SourceFault::Protocol);
}

TEST(TokenAnswer, RetryAfterIsReadInEveryFormOfAHeader) {
    HttpResponse answer = response(429, "");
    EXPECT_EQ(retry_after_of(answer, kNow), Milliseconds(0));
    answer.headers["x-ratelimit-reset"] = "1764000030";
    EXPECT_EQ(retry_after_of(answer, kNow), Milliseconds(30'000));
    answer.headers["x-ratelimit-reset"] = "1700000000";
    EXPECT_EQ(retry_after_of(answer, kNow), Milliseconds(0)) << "that was long ago";
    answer.headers["retry-after"] = "7";
    EXPECT_EQ(retry_after_of(answer, kNow), Milliseconds(7'000));
    answer.headers["retry-after"] = "99999999999999999999999";
    answer.headers.erase("x-ratelimit-reset");
    EXPECT_EQ(retry_after_of(answer, kNow), Milliseconds(0));
}

TEST(TokenAnswer, AnErrorOfTheConnectionSaysWhetherSomethingMayHaveBeenMade) {
    EXPECT_EQ(failure_of(Error{Errc::Timeout, "x"}, kQuestion).fault, SourceFault::NoAnswer);
    EXPECT_EQ(failure_of(Error{Errc::Cancelled, "x"}, kQuestion).fault, SourceFault::NoAnswer);
    EXPECT_EQ(failure_of(Error{Errc::Io, "x"}, kQuestion).fault, SourceFault::Unavailable);
    EXPECT_EQ(failure_of(Error{Errc::Denied, "x"}, kQuestion).fault, SourceFault::Misconfigured);
}

// --- the endpoint -------------------------------------------------------------------------------------------------

class TokenEndpointTest : public ::testing::Test {
protected:
    TokenOutcome ask(TokenEndpoint& endpoint) {
        std::optional<TokenOutcome> got;
        endpoint.ask([](WallTime) -> Result<Form> { return Form(); }, kQuestion,
                     [&](TokenOutcome outcome) { got.emplace(std::move(outcome)); });
        EXPECT_TRUE(got) << "no answer";
        return got ? std::move(*got) : TokenOutcome(SourceFailure{});
    }
    ProviderScript provider_;
    ManualClock clock_;
};

TEST_F(TokenEndpointTest, AnAssertionThatTheProvidersClockRefusesIsSignedAgainOnceWithItsTime) {
    TokenEndpoint endpoint(provider_, clock_, identity(ClientAuthentication::PrivateKeyJwt, test::make_rsa_key()));
    const Milliseconds ahead(90'000);
    provider_.will_answer(401, R"({"error":"invalid_client"})", {}, ahead);
    provider_.will_answer(200, R"({"access_token":"t"})", {}, ahead);

    EXPECT_TRUE(std::holds_alternative<TokenAnswer>(ask(endpoint)));

    ASSERT_EQ(provider_.seen.size(), 2U);
    EXPECT_THAT(test::claims_of(provider_.seen[1].parameter("client_assertion")),
                HasSubstr("\"iat\":" + std::to_string((clock_.wall().unix_ms + ahead.count()) / 1000)));
    EXPECT_NE(provider_.seen[0].parameter("client_assertion"), provider_.seen[1].parameter("client_assertion"));
}

TEST_F(TokenEndpointTest, AClockThatIsWrongInVainIsSaid) {
    TokenEndpoint endpoint(provider_, clock_, identity(ClientAuthentication::PrivateKeyJwt, test::make_rsa_key()));
    provider_.will_answer(401, R"({"error":"invalid_client"})", {}, Milliseconds(-90'000));
    provider_.will_answer(401, R"({"error":"invalid_client"})", {}, Milliseconds(-90'000));

    const TokenOutcome outcome = ask(endpoint);

    EXPECT_EQ(std::get<SourceFailure>(outcome).fault, SourceFault::ClockSkew);
    EXPECT_THAT(std::get<SourceFailure>(outcome).what, HasSubstr("clock was 90 s ahead"));
}

TEST_F(TokenEndpointTest, WhatCarriesNoTimeIsNotSentTwiceForAWrongClock) {
    TokenEndpoint endpoint(provider_, clock_, identity(ClientAuthentication::SecretPost));
    provider_.will_answer(400, R"({"error":"invalid_grant"})", {}, Milliseconds(90'000));

    EXPECT_NE(std::get<SourceFailure>(ask(endpoint)).fault, SourceFault::ClockSkew);
    EXPECT_EQ(provider_.seen.size(), 1U);
}

TEST_F(TokenEndpointTest, ARightClockIsNoReasonToAskTwice) {
    TokenEndpoint endpoint(provider_, clock_, identity(ClientAuthentication::SecretPost));
    provider_.will_answer(401, R"({"error":"invalid_client"})", {}, Milliseconds(1'500));

    EXPECT_EQ(std::get<SourceFailure>(ask(endpoint)).fault, SourceFault::Misconfigured);
    EXPECT_EQ(provider_.seen.size(), 1U);
}

TEST_F(TokenEndpointTest, ARevocationIsRepeatableAndWhatIsUnknownIsGone) {
    TokenEndpoint endpoint(provider_, clock_, identity(ClientAuthentication::SecretPost));
    const auto revoke = [&](int status) {
        provider_.will_answer(status, "");
        std::optional<RetireOutcome> got;
        endpoint.revoke(Secret("t-1"), "refresh_token", [&](const RetireOutcome& outcome) { got = outcome; });
        return got.value();
    };
    for (const int status : {200, 204, 404}) EXPECT_EQ(revoke(status).end, RetireOutcome::End::Gone) << status;
    for (const int status : {401, 429, 500}) EXPECT_EQ(revoke(status).end, RetireOutcome::End::NotYet) << status;
    EXPECT_EQ(provider_.seen[0].url, "https://acme.us.auth0.com/oauth/revoke");
    EXPECT_EQ(provider_.seen[0].repeat, Repeat::Safe);
    EXPECT_EQ(provider_.seen[0].parameter("token"), "t-1");
    EXPECT_EQ(provider_.seen[0].parameter("token_type_hint"), "refresh_token");
}

// --- tokens bound to a key ------------------------------------------------------------------------------------------

std::string claim(const std::string& jwt, const std::string& name) {
    const std::string claims = test::claims_of(jwt);
    const std::size_t begin = claims.find("\"" + name + "\":\"");
    if (begin == std::string::npos) return "(absent)";
    const std::size_t value = begin + name.size() + 4;
    return claims.substr(value, claims.find('"', value) - value);
}

TEST_F(TokenEndpointTest, ARequestForABoundTokenIsProvedAndOnceMoreWithTheNonceThatTheProviderWants) {
    TokenEndpoint endpoint(provider_, clock_, identity(ClientAuthentication::SecretPost));
    endpoint.bind_to(*dpop::Key::generate());
    provider_.will_answer(400, R"({"error":"use_dpop_nonce"})", {{"dpop-nonce", "n-1"}});
    provider_.will_answer(200, R"({"access_token":"t","token_type":"DPoP"})", {{"dpop-nonce", "n-2"}});

    EXPECT_TRUE(std::holds_alternative<TokenAnswer>(ask(endpoint)));

    ASSERT_EQ(provider_.seen.size(), 2U);
    const std::string first = provider_.seen[0].headers["dpop"];
    const std::string second = provider_.seen[1].headers["dpop"];
    EXPECT_EQ(claim(first, "htm") + " " + claim(first, "htu"), "POST https://acme.us.auth0.com/oauth/token");
    EXPECT_EQ(claim(first, "nonce"), "(absent)");
    EXPECT_EQ(claim(second, "nonce"), "n-1");
    EXPECT_EQ(claim(second, "ath"), "(absent)") << "there is no token yet";
    EXPECT_NE(claim(first, "jti"), claim(second, "jti"));
    provider_.will_answer(200, R"({"access_token":"t","token_type":"DPoP"})");
    EXPECT_TRUE(std::holds_alternative<TokenAnswer>(ask(endpoint)));
    EXPECT_EQ(claim(provider_.seen[2].headers["dpop"], "nonce"), "n-2") << "the last one is used at once";
}

TEST_F(TokenEndpointTest, AProviderThatWantsNoncesWithoutEndIsAskedTwice) {
    TokenEndpoint endpoint(provider_, clock_, identity(ClientAuthentication::SecretPost));
    endpoint.bind_to(*dpop::Key::generate());
    provider_.will_answer(400, R"({"error":"use_dpop_nonce"})", {{"dpop-nonce", "n-1"}});
    provider_.will_answer(400, R"({"error":"use_dpop_nonce"})", {{"dpop-nonce", "n-2"}});
    EXPECT_EQ(std::get<SourceFailure>(ask(endpoint)).fault, SourceFault::Misconfigured);
    EXPECT_EQ(provider_.seen.size(), 2U);
}

TEST_F(TokenEndpointTest, WithoutAKeyNothingIsProvedAndABoundTokenIsRefusedAndTheOtherWayRound) {
    TokenEndpoint plain(provider_, clock_, identity(ClientAuthentication::SecretPost));
    provider_.will_answer(200, R"({"access_token":"t","token_type":"DPoP"})");
    const TokenOutcome bound = ask(plain);
    EXPECT_THAT(std::get<SourceFailure>(bound).what, HasSubstr("write dpop = true"));
    EXPECT_EQ(provider_.seen[0].headers.count("dpop"), 0U);

    TokenEndpoint proved(provider_, clock_, identity(ClientAuthentication::SecretPost));
    proved.bind_to(*dpop::Key::generate());
    for (const char* type : {R"("Bearer")", R"("")"}) {
        provider_.will_answer(200, std::string(R"({"access_token":"t","token_type":)") + type + "}");
        const TokenOutcome bearer = ask(proved);
        EXPECT_EQ(std::get<SourceFailure>(bearer).fault, SourceFault::Misconfigured);
        EXPECT_THAT(std::get<SourceFailure>(bearer).what, HasSubstr("dpop_bound_access_tokens"));
    }
}

// {"cnf":{"x5t#S256":"CERT"}}, {"cnf":{"jkt":"KEY"}}, {}
TEST(TokenBinding, IsReadFromATokenThatIsAJwtAndFromNoOther) {
    const TokenBinding certificate = binding_of(Secret("e30.eyJjbmYiOnsieDV0I1MyNTYiOiJDRVJUIn19.c2ln"));
    const TokenBinding key = binding_of(Secret("e30.eyJjbmYiOnsiamt0IjoiS0VZIn19.c2ln"));
    EXPECT_EQ(certificate.certificate, "CERT");
    EXPECT_EQ(key.key, "KEY");
    for (const char* opaque : {"ya29.a", "e30.e30.c2ln", "a.b.c", "a.b.c.d", "..", "e30.bm90IGpzb24.c2ln", "x"}) {
        const TokenBinding none = binding_of(Secret(opaque));
        EXPECT_EQ(none.certificate + none.key, "") << opaque;
    }
    EXPECT_TRUE(certificate.is_said && binding_of(Secret("e30.e30.c2ln")).is_said);
    EXPECT_FALSE(binding_of(Secret("opaque")).is_said);
}

TEST(TokenBinding, ForbidsWhatIsBoundToAnythingButWhatIsShown) {
    const TokenBinding unsaid;
    const TokenBinding unbound{.is_said = true};
    const TokenBinding certificate{.certificate = "CERT", .is_said = true};
    const TokenBinding key{.key = "KEY", .is_said = true};
    struct Bound {
        TokenBinding token;
        TokenBinding ours;
        const char* problem;  // empty: none
    };
    const Bound rows[] = {
        {unsaid, {}, ""},
        {unbound, {}, ""},
        {certificate, {}, "certificate_bound = true"},
        {certificate, {.key = "KEY"}, "certificate_bound = true"},
        {certificate, {.certificate = "CERT"}, ""},
        {certificate, {.certificate = "OTHER"}, "another certificate"},
        {unsaid, {.certificate = "CERT"}, ""},
        {unbound, {.certificate = "CERT"}, "tls_client_certificate_bound_access_tokens"},
        {key, {}, "write dpop = true"},
        {key, {.certificate = "CERT"}, "write dpop = true"},
        {key, {.key = "KEY"}, ""},
        {key, {.key = "OTHER"}, "another key"},
        {unbound, {.key = "KEY"}, ""},
    };
    for (const Bound& row : rows) {
        const std::string problem = binding_problem(row.token, row.ours);
        SCOPED_TRACE(row.token.certificate + row.token.key + " and " + row.ours.certificate + row.ours.key);
        if (*row.problem == '\0') EXPECT_EQ(problem, "");
        else EXPECT_THAT(problem, HasSubstr(row.problem));
    }
}

// --- tokens bound to a certificate ----------------------------------------------------------------------------------

TEST_F(TokenEndpointTest, ATokenIsAskedForWithACertificateOfOnesOwnAndNothingElseIs) {
    TokenEndpoint endpoint(provider_, clock_, identity(ClientAuthentication::SecretPost));
    EXPECT_EQ(endpoint.certificate(), nullptr);
    ASSERT_TRUE(endpoint.bind_to_certificate("mission", clock_.wall()));
    ASSERT_NE(endpoint.certificate(), nullptr);
    EXPECT_EQ(endpoint.bound_to().certificate.size(), 43U) << "SHA-256 in base64url";
    provider_.will_answer(200, R"({"access_token":"t"})");
    EXPECT_TRUE(std::holds_alternative<TokenAnswer>(ask(endpoint)));
    EXPECT_EQ(provider_.seen[0].certificate, endpoint.certificate()->certificate);
    EXPECT_EQ(provider_.seen[0].parameter("client_secret"), "s/e c");

    provider_.will_answer(200, "");
    endpoint.revoke(Secret("t"), "access_token", [](const RetireOutcome&) {});
    EXPECT_EQ(provider_.seen[1].certificate, "");
    TokenEndpoint other(provider_, clock_, identity(ClientAuthentication::SecretPost));
    ASSERT_TRUE(other.bind_to_certificate("mission", clock_.wall()));
    EXPECT_NE(other.bound_to().certificate, endpoint.bound_to().certificate) << "each has its own";
}

TEST_F(TokenEndpointTest, AClientThatProvesItselfByACertificateHasItsTokensBoundToThatOne) {
    const auto made = network::make_client_certificate("desk", clock_.wall(), clock_.wall());
    ASSERT_TRUE(made);
    const auto with = [&](std::string pem) {
        profiles::IdentityClient config = client(ClientAuthentication::Tls);
        config.certificate_pem = std::move(pem);
        config.key_item = "key";
        Result<Identity> identity =
            Identity::create(config, [&](const std::string&) -> Result<Secret> { return made->key.duplicate(); });
        EXPECT_TRUE(identity) << identity.error().what;
        return TokenEndpoint(provider_, clock_, std::move(*identity));
    };
    TokenEndpoint endpoint = with(made->certificate);
    ASSERT_TRUE(endpoint.bind_to_certificate("mission", clock_.wall()));
    EXPECT_EQ(endpoint.certificate()->certificate, made->certificate);
    EXPECT_TRUE(endpoint.certificate()->key.equals(made->key));

    TokenEndpoint broken = with("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    EXPECT_EQ(broken.bind_to_certificate("mission", clock_.wall()).error().code, Errc::InvalidProfile);
    TokenEndpoint large = with(made->certificate + std::string(kClientCertificateBytesMax, '\n'));
    EXPECT_THAT(large.bind_to_certificate("mission", clock_.wall()).error().what, HasSubstr("tenant acme"));
}

// --- introspection --------------------------------------------------------------------------------------------------

TEST(Introspection, SaysScopesEndAndBinding) {
    auto read = read_introspection(
        response(200, R"({"active":true,"scope":"b a","exp":1764000060,"cnf":{"jkt":"KEY"}})"), kQuestion);
    const auto& said = std::get<Introspection>(read);
    EXPECT_THAT(said.scopes.value(), ElementsAre("a", "b"));
    EXPECT_EQ(said.expires->unix_ms, 1'764'000'060'000);
    EXPECT_EQ(said.binding.key, "KEY");
}

TEST(Introspection, WhatIsNotActiveOrNotSaidIsAFaultOfItsClass) {
    const auto fault_of = [](int status, const std::string& body) {
        auto read = read_introspection(response(status, body), kQuestion);
        return std::get<SourceFailure>(read).fault;
    };
    EXPECT_EQ(fault_of(200, R"({"active":false})"), kQuestion.invalid_grant);
    EXPECT_EQ(fault_of(200, R"({"scope":"a"})"), SourceFault::Protocol);
    EXPECT_EQ(fault_of(200, R"({"active":"true"})"), SourceFault::Protocol);
    EXPECT_EQ(fault_of(200, "active"), SourceFault::Protocol);
    EXPECT_EQ(fault_of(401, "{}"), SourceFault::Misconfigured);
    EXPECT_EQ(fault_of(404, "{}"), SourceFault::Misconfigured);
    EXPECT_EQ(fault_of(429, "{}"), SourceFault::RateLimited);
    EXPECT_EQ(fault_of(503, "{}"), SourceFault::Unavailable);
}

// --- authorization details ------------------------------------------------------------------------------------------

profiles::Account account_with_details() {
    profiles::Account account;
    account.name = "alice";
    account.provider.details = {
        {{"read", "write"}, {{"type", "repository"}}, {{"actions", {"read"}}, {"locations", {"https://x/{repo}"}}}},
        {{"write"}, {{"type", "repository"}, {"identifier", "{repo}"}}, {{"actions", {"write"}}}}};
    return account;
}

SourceNeed need_of(std::vector<std::string> scopes, std::vector<std::string> repositories) {
    SourceNeed need;
    need.scopes = std::move(scopes);
    if (!repositories.empty()) need.resources["repo"] = std::move(repositories);
    return need;
}

TEST(AuthorizationDetails, AreThoseOfTheNeedsScopesFilledWithItsResources) {
    const profiles::ProviderAccount provider = account_with_details().provider;
    EXPECT_TRUE(names_resources(provider));
    const auto read = details_for(provider, need_of({"read"}, {"b", "a"}));
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(details_json(*read),
              R"([{"type":"repository","actions":["read"],"locations":["https://x/a","https://x/b"]}])");
    const auto write = details_for(provider, need_of({"write"}, {"a"}));
    ASSERT_TRUE(write);
    EXPECT_EQ(details_json(*write), R"([{"type":"repository","actions":["read"],"locations":["https://x/a"]},)"
                                    R"({"identifier":"a","type":"repository","actions":["write"]}])");
    EXPECT_EQ(write->at(1).words(), "repository identifier=a actions=write");
}

TEST(AuthorizationDetails, OfANeedThatTheyCannotNarrowToAreRefused) {
    const profiles::ProviderAccount provider = account_with_details().provider;
    EXPECT_THAT(details_for(provider, need_of({"admin"}, {"a"})).error().what, HasSubstr("none is for scope admin"));
    EXPECT_THAT(details_for(provider, need_of({"read"}, {})).error().what, HasSubstr("needs a resource `repo`"));
    EXPECT_THAT(details_for(provider, need_of({"write"}, {"a", "b"})).error().what, HasSubstr("make it a list"));
    EXPECT_TRUE(details_for(profiles::ProviderAccount{}, need_of({"admin"}, {}))->empty());
}

TEST(AuthorizationDetails, ThatCameBackAreComparedWithThoseThatWereAsked) {
    profiles::Account account = account_with_details();
    const auto asked = details_for(account.provider, need_of({"read"}, {"a"}));
    ASSERT_TRUE(asked);
    const auto fault_of = [&](const std::string& details) -> std::optional<SourceFault> {
        auto json = JsonAnswer::parse_text("{\"authorization_details\":" + details + "}", "the answer");
        const auto failure = check_details(account, *asked, take_details(*json));
        if (failure) return failure->fault;
        return std::nullopt;
    };
    const std::string same = R"({"type":"repository","actions":["read"],"locations":["https://x/a"],"owner":"x"})";
    EXPECT_EQ(fault_of("[" + same + "]"), std::nullopt) << "what the provider adds does not count";
    EXPECT_EQ(fault_of("[" + same + R"(,{"type":"payment"}])"), SourceFault::ScopeTooWide);
    EXPECT_EQ(fault_of(R"([{"type":"repository","actions":["read","write"],"locations":["https://x/a"]}])"),
              SourceFault::ScopeTooWide);
    EXPECT_EQ(fault_of(R"([{"type":"repository","actions":["read"]}])"), SourceFault::ScopeTooWide)
        << "what is not bounded any more is wider";
    EXPECT_EQ(fault_of(R"([{"type":"repository","actions":[],"locations":["https://x/a"]}])"),
              SourceFault::ScopeUnavailable);
    EXPECT_EQ(fault_of("[]"), SourceFault::ScopeUnavailable);
    EXPECT_EQ(fault_of("null"), SourceFault::ScopeTooWide) << "it does not say";
    EXPECT_EQ(fault_of(R"(["x"])"), SourceFault::ScopeTooWide);
    account.provider.accepts_wider = true;
    EXPECT_EQ(fault_of("null"), std::nullopt);
    EXPECT_EQ(fault_of("[" + same + R"(,{"type":"payment"}])"), std::nullopt);
}

// --- scopes -------------------------------------------------------------------------------------------------------

profiles::Account account_with(bool asks, bool accepts_wider) {
    profiles::Account account;
    account.name = "alice";
    account.provider.asks_scopes = asks;
    account.provider.accepts_wider = accepts_wider;
    account.provider.scope_names = {{"issues:read", "repo"}, {"issues:write", "repo"}};
    return account;
}

TEST(CheckScopes, WhatWasAskedAndCameIsNarrowedByBoth) {
    const profiles::Account account = account_with(true, false);
    const std::vector<std::string> asked = provider_scopes(account.provider, {"issues:read", "issues:write", "user"});
    EXPECT_THAT(asked, ElementsAre("repo", "user")) << "in the provider's words, each once";

    const auto checked = check_scopes(account, asked, {{"repo", "user"}});

    EXPECT_EQ(std::get<ScopeReport>(checked).narrowed_by, NarrowedBy::Both);
}

TEST(CheckScopes, AWiderTokenIsRefusedUnlessTheOperatorAcceptsIt) {
    const std::optional<std::vector<std::string>> wide = {{"delete", "repo"}};
    const auto refused = check_scopes(account_with(true, false), {"repo"}, wide);
    EXPECT_EQ(std::get<SourceFailure>(refused).fault, SourceFault::ScopeTooWide);
    EXPECT_THAT(std::get<SourceFailure>(refused).what, HasSubstr("gave delete as well"));

    const auto accepted = check_scopes(account_with(true, true), {"repo"}, wide);
    EXPECT_EQ(std::get<ScopeReport>(accepted).narrowed_by, NarrowedBy::Proxy) << "ours alone is what holds it back";
}

TEST(CheckScopes, LessThanTheNeedIsNamed) {
    const auto less = check_scopes(account_with(true, false), {"repo", "user"}, {{"repo"}});
    EXPECT_EQ(std::get<SourceFailure>(less).fault, SourceFault::ScopeUnavailable);
    EXPECT_THAT(std::get<SourceFailure>(less).what, HasSubstr("gave no user"));
}

TEST(CheckScopes, AProviderThatSaysNothingOrKnowsNoScopesIsNarrowedByUs) {
    for (const auto& account : {account_with(true, false), account_with(false, false)}) {
        const auto checked = check_scopes(account, {"repo"}, std::nullopt);
        EXPECT_EQ(std::get<ScopeReport>(checked).narrowed_by, NarrowedBy::Proxy);
    }
    const auto other = check_scopes(account_with(false, false), {"repo"}, {{"whatever"}});
    EXPECT_EQ(std::get<ScopeReport>(other).narrowed_by, NarrowedBy::Proxy);
}

}  // namespace
}  // namespace sanctum::vault
