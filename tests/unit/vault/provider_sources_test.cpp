// SPDX-License-Identifier: Apache-2.0
// The sources that ask identity providers: what each asks for, what it makes of the answer, and what it gives back.
#include "base/digest.hpp"
#include "base/wire/archive.hpp"
#include "tests/unit/vault/provider_script.hpp"
#include "tests/unit/vault/support.hpp"
#include "vault/oauth/subject_token.hpp"
#include "vault/retirement.hpp"
#include "vault/sources/auth0.hpp"
#include "vault/sources/github_app.hpp"
#include "vault/sources/github_user.hpp"
#include "vault/sources/oauth.hpp"
#include "vault/unlock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sanctum::vault {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using End = RetireOutcome::End;

// One provider, one client, one account; the test says how the account is set up.
class ProviderSources : public ::testing::Test {
protected:
    std::shared_ptr<TokenEndpoint> endpoint(bool is_tenant) {
        profiles::IdentityClient client;
        client.name = "acme";
        client.is_tenant = is_tenant;
        client.issuer = "https://login.example/";
        client.token_endpoint = "https://login.example/oauth/token";
        client.revocation_endpoint = revocation_endpoint_;
        client.introspection_endpoint = introspection_endpoint_;
        client.client_id = "CID";
        client.authentication = authentication_;
        client.reaps_with_secret = reaps_with_secret_;
        client.secret_item = authentication_ == profiles::ClientAuthentication::None ? "" : "secret";
        client.key_item = account_.provider.how == "worker" ? "key" : "";
        const auto item = [this](const std::string& name) -> Result<Secret> {
            return Secret(name == "key" ? key_ : "client-secret");
        };
        Result<Identity> identity = Identity::create(client, item);
        EXPECT_TRUE(identity) << identity.error().what;
        return std::make_shared<TokenEndpoint>(provider_, clock_, std::move(*identity));
    }
    Fetched acquire(Source& source, const SourceNeed& need) {
        std::optional<Fetched> got;
        source.acquire(need, [&](Fetched fetched) { got.emplace(std::move(fetched)); });
        EXPECT_TRUE(got) << "no answer";
        return got ? std::move(*got) : Fetched(SourceFailure{});
    }
    Fetched make_token(Source& source) {
        std::optional<Fetched> got;
        source.make_mission_token(need({}), [&](Fetched fetched) { got.emplace(std::move(fetched)); });
        EXPECT_TRUE(got) << "no answer";
        return got ? std::move(*got) : Fetched(SourceFailure{});
    }
    RetireOutcome retire(Source& source, const Credential& credential, RetireCause cause) {
        std::optional<RetireOutcome> got;
        source.retire(credential, cause, [&](const RetireOutcome& outcome) { got = outcome; });
        return got.value_or(RetireOutcome{});
    }
    SourceNeed need(std::vector<std::string> scopes) {
        SourceNeed out;
        out.mission = "01k9mission000000000000000";
        out.account = "alice";
        out.scopes = std::move(scopes);
        return out;
    }

    ManualClock clock_;
    test::ProviderScript provider_;
    profiles::Account account_ = [] {
        profiles::Account account;
        account.name = "alice";
        return account;
    }();
    std::string revocation_endpoint_ = "https://login.example/oauth/revoke";
    std::string introspection_endpoint_;
    profiles::ClientAuthentication authentication_ = profiles::ClientAuthentication::SecretPost;
    bool reaps_with_secret_ = false;
    std::string key_ = test::make_rsa_key();
};

// --- auth0 --------------------------------------------------------------------------------------------------------

TEST_F(ProviderSources, TokenVaultIsAskedInItsOwnWordsForTheScopesOfTheNeed) {
    account_.provider.how = "refresh-token";
    account_.provider.connection = "google-oauth2";
    account_.provider.login_hint = "a@example.org";
    Auth0Source source(endpoint(true), account_, Secret("RT"));
    provider_.will_answer(
        200, R"({"access_token":"ya29","scope":"calendar.read","expires_in":1377,"token_type":"Bearer"})");

    Fetched fetched = acquire(source, need({"calendar.read"}));

    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->secret.reveal(), "ya29");
    EXPECT_EQ(fetched->expires->unix_ms, clock_.wall().unix_ms + 1'377'000);
    EXPECT_EQ(fetched->retire, RetireClass::Expires);
    EXPECT_EQ(fetched->scopes.narrowed_by, NarrowedBy::Both);
    const test::SeenRequest& seen = provider_.seen.at(0);
    EXPECT_EQ(seen.url, "https://login.example/oauth/token");
    EXPECT_EQ(seen.parameter("grant_type"),
              "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token");
    EXPECT_EQ(seen.parameter("subject_token_type"), "urn:ietf:params:oauth:token-type:refresh_token");
    EXPECT_EQ(seen.parameter("subject_token"), "RT");
    EXPECT_EQ(seen.parameter("requested_token_type"),
              "http://auth0.com/oauth/token-type/federated-connection-access-token");
    EXPECT_EQ(seen.parameter("connection"), "google-oauth2");
    EXPECT_EQ(seen.parameter("login_hint"), "a@example.org");
    EXPECT_EQ(seen.parameter("scope"), "calendar.read");
    EXPECT_EQ(seen.parameter("audience"), "(absent)") << "this grant knows none";
    EXPECT_EQ(seen.repeat, Repeat::Never);
}

TEST_F(ProviderSources, AnAccountWithoutScopesAsksForNone) {
    account_.provider.how = "access-token";
    account_.provider.connection = "github";
    account_.provider.asks_scopes = false;
    Auth0Source source(endpoint(true), account_, Secret("AT"));
    provider_.will_answer(200, R"({"access_token":"ghu_1","expires_in":100})");

    Fetched fetched = acquire(source, need({"issues:write"}));

    ASSERT_TRUE(fetched);
    EXPECT_EQ(fetched->scopes.narrowed_by, NarrowedBy::Proxy);
    EXPECT_EQ(provider_.seen.at(0).parameter("scope"), "(absent)");
    EXPECT_EQ(provider_.seen.at(0).parameter("subject_token_type"), "urn:ietf:params:oauth:token-type:access_token");
}

TEST_F(ProviderSources, AWorkerSignsForItsUserAndNamesTheMission) {
    account_.provider.how = "worker";
    account_.provider.connection = "github";
    account_.provider.user = "auth0|u1";
    account_.provider.asks_scopes = false;
    Auth0Source source(endpoint(true), account_, Secret());
    provider_.will_answer(200, R"({"access_token":"ghu_1"})");

    ASSERT_TRUE(acquire(source, need({})));

    const test::SeenRequest& seen = provider_.seen.at(0);
    EXPECT_EQ(seen.parameter("subject_token_type"), "urn:ietf:params:oauth:token-type:jwt");
    EXPECT_EQ(seen.parameter("requested_token_type"), "http://auth0.com/oauth/token-type/token-vault-access-token");
    const std::string jwt = seen.parameter("subject_token");
    EXPECT_TRUE(test::is_signed_by(jwt, key_));
    EXPECT_THAT(test::header_of(jwt), HasSubstr(R"("typ":"token-vault-req+jwt")"));
    EXPECT_THAT(test::claims_of(jwt),
                AllOf(HasSubstr(R"("iss":"CID","aud":"https://login.example/","sub":"auth0|u1")"),
                      HasSubstr(R"("audit_context":"01k9mission000000000000000")")));
}

TEST_F(ProviderSources, ATokenWiderThanAskedIsRefused) {
    account_.provider.how = "refresh-token";
    Auth0Source source(endpoint(true), account_, Secret("RT"));
    provider_.will_answer(200, R"({"access_token":"t","scope":"read,write"})");

    const Fetched fetched = acquire(source, need({"read"}));

    ASSERT_FALSE(fetched);
    EXPECT_EQ(fetched.failure().fault, SourceFault::ScopeTooWide);
}

TEST_F(ProviderSources, ATokenOfTheVaultIsLeftToExpireAndTheSubjectIsRevokedOnlyWhenTheOperatorSaysSo) {
    account_.provider.how = "refresh-token";
    Credential credential;
    credential.retire = RetireClass::Expires;
    Auth0Source kept(endpoint(true), account_, Secret("RT"));
    EXPECT_EQ(retire(kept, credential, RetireCause::MissionEnd).end, End::LeftToExpire);
    EXPECT_TRUE(provider_.seen.empty());

    account_.on_exit = "revoke";
    Auth0Source revoked(endpoint(true), account_, Secret("RT"));
    EXPECT_EQ(retire(revoked, credential, RetireCause::Used).end, End::LeftToExpire);
    EXPECT_TRUE(provider_.seen.empty()) << "the mission goes on";
    provider_.will_answer(200, "");
    const RetireOutcome outcome = retire(revoked, credential, RetireCause::MissionEnd);
    EXPECT_EQ(outcome.end, End::LeftToExpire) << "the provider's token itself stays alive";
    EXPECT_THAT(outcome.detail, HasSubstr("refresh token of this mission is revoked"));
    EXPECT_EQ(provider_.seen.at(0).parameter("token"), "RT");
}

// --- oauth --------------------------------------------------------------------------------------------------------

TEST_F(ProviderSources, ClientCredentialsAreOursAloneAndRevoked) {
    account_.provider.how = "client-credentials";
    account_.provider.audience = "https://api.example";
    OauthSource source(endpoint(false), account_, nullptr);
    EXPECT_TRUE(source.capabilities().mints);
    provider_.will_answer(200, R"({"access_token":"t-1","expires_in":300})");

    Fetched fetched = acquire(source, need({"read"}));

    ASSERT_TRUE(fetched);
    EXPECT_EQ(provider_.seen.at(0).parameter("grant_type"), "client_credentials");
    EXPECT_EQ(provider_.seen.at(0).parameter("audience"), "https://api.example");
    EXPECT_EQ(fetched->retire, RetireClass::Self);
    provider_.will_answer(200, "");
    EXPECT_EQ(retire(source, *fetched, RetireCause::Used).end, End::Gone);
    EXPECT_EQ(provider_.seen.at(1).url, "https://login.example/oauth/revoke");
    EXPECT_EQ(provider_.seen.at(1).parameter("token"), "t-1");
}

TEST_F(ProviderSources, WhatCameTooWideAndIsOursIsRevokedBeforeItIsRefused) {
    account_.provider.how = "client-credentials";
    OauthSource source(endpoint(false), account_, nullptr);
    provider_.will_answer(200, R"({"access_token":"t-1","scope":"read admin"})");
    provider_.will_answer(200, "");

    EXPECT_EQ(acquire(source, need({"read"})).failure().fault, SourceFault::ScopeTooWide);

    EXPECT_EQ(provider_.seen.at(1).parameter("token"), "t-1");
}

TEST_F(ProviderSources, WhatCameTooWideAndCannotBeRevokedIsCounted) {
    account_.provider.how = "client-credentials";
    OauthSource source(endpoint(false), account_, nullptr);
    provider_.will_answer(200, R"({"access_token":"t-1","scope":"read admin"})");
    provider_.will_answer(400, R"({"error":"unsupported_token_type"})");

    const Fetched fetched = acquire(source, need({"read"}));

    EXPECT_EQ(fetched.failure().fault, SourceFault::ScopeTooWide);
    EXPECT_TRUE(fetched.failure().leaves_an_orphan());
    EXPECT_THAT(fetched.failure().what, AllOf(HasSubstr("nobody asked for"), HasSubstr("may be alive")));
}

TEST_F(ProviderSources, WithoutARevocationEndpointATokenExpires) {
    revocation_endpoint_.clear();
    account_.provider.how = "client-credentials";
    OauthSource source(endpoint(false), account_, nullptr);
    provider_.will_answer(200, R"({"access_token":"t-1"})");
    Fetched fetched = acquire(source, need({}));
    EXPECT_EQ(fetched->retire, RetireClass::Expires);
    EXPECT_EQ(retire(source, *fetched, RetireCause::MissionEnd).end, End::LeftToExpire);
}

// --- what a reaper could do -----------------------------------------------------------------------------------------

TEST_F(ProviderSources, TheClientsSecretIsSealedForTheReaperOnlyWhenTheOperatorSaysSo) {
    account_.provider.how = "client-credentials";
    Credential credential;
    credential.secret = Secret("t-1");
    credential.retire = RetireClass::Self;
    OauthSource kept(endpoint(false), account_, nullptr);
    EXPECT_EQ(kept.retirement(credential), nullptr);
    EXPECT_THAT(kept.why_no_retirement(credential), HasSubstr("reap_with_secret = true"));

    reaps_with_secret_ = true;
    OauthSource allowed(endpoint(false), account_, nullptr);
    const auto retirement = allowed.retirement(credential);
    ASSERT_NE(retirement, nullptr);
    EXPECT_EQ(retirement->request.url, "https://login.example/oauth/revoke");
    EXPECT_EQ(retirement->request.repeat, Repeat::Safe);
    EXPECT_EQ(retirement->request.body.reveal(),
              "token=t-1&token_type_hint=access_token&client_id=CID&client_secret=client-secret");
    EXPECT_EQ(allowed.why_no_retirement(credential), "");
}

TEST_F(ProviderSources, AClientThatProvesNothingNeedsNoSecretAndAKeyIsNeverThere) {
    account_.provider.how = "token-exchange";
    Credential credential;
    credential.secret = Secret("t-1");
    credential.retire = RetireClass::Self;
    authentication_ = profiles::ClientAuthentication::None;
    const auto retirement = OauthSource(endpoint(false), account_, nullptr).retirement(credential);
    ASSERT_NE(retirement, nullptr);
    EXPECT_EQ(retirement->request.body.reveal(), "token=t-1&token_type_hint=access_token&client_id=CID");

    for (const auto with_key : {profiles::ClientAuthentication::PrivateKeyJwt, profiles::ClientAuthentication::Tls}) {
        authentication_ = with_key;
        reaps_with_secret_ = true;  // refused where it is read; here it must not matter
        account_.provider.how = "worker";  // the key's item is named
        OauthSource source(endpoint(false), account_, nullptr);
        EXPECT_EQ(source.retirement(credential), nullptr);
        EXPECT_THAT(source.why_no_retirement(credential), HasSubstr("does not have the key"));
    }
}

TEST_F(ProviderSources, WhatIsNotOursToRevokeIsNotTheReapersEither) {
    reaps_with_secret_ = true;
    OauthSource source(endpoint(false), account_, nullptr);
    for (const RetireClass not_ours : {RetireClass::KillsGrant, RetireClass::Expires}) {
        Credential credential;
        credential.secret = Secret("t-1");
        credential.retire = not_ours;
        EXPECT_EQ(source.retirement(credential), nullptr);
        EXPECT_EQ(source.why_no_retirement(credential), "");
    }
}

TEST_F(ProviderSources, TheUsersTokenOfTheMissionIsRevokedByAReaperWhichDoesNotCallTheProvidersOwnGone) {
    account_.provider.how = "refresh-token";
    account_.on_exit = "revoke";
    Credential credential;
    credential.secret = Secret("ya29");
    Auth0Source kept(endpoint(true), account_, Secret("RT"));
    EXPECT_EQ(kept.retirement(credential), nullptr);
    EXPECT_THAT(kept.why_no_retirement(credential), HasSubstr("reap_with_secret = true"));

    reaps_with_secret_ = true;
    auto retirement = Auth0Source(endpoint(true), account_, Secret("RT")).retirement(credential);
    ASSERT_NE(retirement, nullptr);
    EXPECT_THAT(std::string(retirement->request.body.reveal()), HasSubstr("token=RT&token_type_hint=refresh_token"));
    provider_.will_answer(200, "");
    std::optional<RetireOutcome> outcome;
    send_retirement(provider_, std::move(*retirement), [&](RetireOutcome told) { outcome = std::move(told); });
    EXPECT_EQ(outcome->end, End::LeftToExpire);
    EXPECT_THAT(outcome->detail, HasSubstr("refresh token of this mission is revoked"));

    account_.on_exit.clear();
    EXPECT_EQ(Auth0Source(endpoint(true), account_, Secret("RT")).retirement(credential), nullptr);
}

TEST_F(ProviderSources, TheUsersTokenIsRevokedAtTheEndAlsoWhereNoLeaseIsLeft) {
    account_.provider.how = "refresh-token";
    account_.on_exit = "revoke";
    Auth0Source source(endpoint(true), account_, Secret("RT"));
    bool is_done = false;
    source.end_mission([&] { is_done = true; });
    EXPECT_TRUE(is_done && provider_.seen.empty()) << "it was never used";

    provider_.will_answer(200, R"({"access_token":"ya29"})");
    ASSERT_TRUE(acquire(source, need({})));
    provider_.will_answer(200, "");
    source.end_mission([] {});
    ASSERT_EQ(provider_.seen.size(), 2U);
    EXPECT_EQ(provider_.seen[1].parameter("token"), "RT");
    source.end_mission([] {});
    EXPECT_EQ(provider_.seen.size(), 2U) << "once";
}

// --- what a token says of itself ------------------------------------------------------------------------------------

TEST_F(ProviderSources, ATokenThatSaysNothingIsAskedAboutOnceAndComparedAsIfItHad) {
    introspection_endpoint_ = "https://login.example/oauth/introspect";
    account_.provider.how = "client-credentials";
    OauthSource source(endpoint(false), account_, nullptr);
    provider_.will_answer(200, R"({"access_token":"t-1"})");
    const std::int64_t end = clock_.wall().unix_ms / 1000 + 300;
    provider_.will_answer(200, R"({"active":true,"scope":"read","exp":)" + std::to_string(end) + "}");
    Fetched fetched = acquire(source, need({"read"}));
    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->scopes.narrowed_by, NarrowedBy::Both);
    EXPECT_EQ(fetched->expires->unix_ms / 1000, end);
    EXPECT_EQ(provider_.seen.at(1).url, "https://login.example/oauth/introspect");
    EXPECT_EQ(provider_.seen.at(1).parameter("token"), "t-1");
    EXPECT_EQ(provider_.seen.at(1).parameter("client_secret"), "client-secret");
    EXPECT_EQ(provider_.seen.at(1).repeat, Repeat::Safe);

    provider_.will_answer(200, R"({"access_token":"t-2","scope":"read"})");
    ASSERT_TRUE(acquire(source, need({"read"})));
    EXPECT_EQ(provider_.seen.size(), 3U) << "one that says it is not asked about";

    provider_.will_answer(200, R"({"access_token":"t-3"})");
    provider_.will_answer(200, R"({"active":true,"scope":"read admin"})");
    provider_.will_answer(200, "");
    EXPECT_EQ(acquire(source, need({"read"})).failure().fault, SourceFault::ScopeTooWide);
    EXPECT_EQ(provider_.seen.back().parameter("token"), "t-3") << "revoked";
}

TEST_F(ProviderSources, ATokenThatIsNotActiveOrOfWhichNothingIsLearntIsNotUsedAndRevoked) {
    introspection_endpoint_ = "https://login.example/oauth/introspect";
    account_.provider.how = "client-credentials";
    OauthSource source(endpoint(false), account_, nullptr);
    const std::vector<std::pair<Result<std::string>, SourceFault>> answers = [] {
        std::vector<std::pair<Result<std::string>, SourceFault>> all;
        all.emplace_back(std::string(R"({"active":false})"), SourceFault::SubjectExpired);
        all.emplace_back(Error{Errc::Timeout, "no answer"}, SourceFault::Unavailable);
        return all;
    }();
    for (const auto& [answer, fault] : answers) {
        provider_.seen.clear();
        provider_.will_answer(200, R"({"access_token":"t-1"})");
        if (answer) provider_.will_answer(200, *answer);
        else provider_.will_fail(answer.error());
        provider_.will_answer(200, "");
        EXPECT_EQ(acquire(source, need({"read"})).failure().fault, fault);
        EXPECT_EQ(provider_.seen.back().url, revocation_endpoint_);
    }
}

TEST_F(ProviderSources, ATokenBoundToTheClientsCertificateIsRefusedAndRevoked) {
    account_.provider.how = "client-credentials";
    OauthSource source(endpoint(false), account_, nullptr);
    provider_.will_answer(200, R"({"access_token":"e30.eyJjbmYiOnsieDV0I1MyNTYiOiJDRVJUIn19.c2ln","scope":"read"})");
    provider_.will_answer(200, "");
    const Fetched fetched = acquire(source, need({"read"}));
    ASSERT_FALSE(fetched);
    EXPECT_EQ(fetched.failure().fault, SourceFault::Misconfigured);
    EXPECT_THAT(fetched.failure().what, HasSubstr("certificate_bound = true"));
    EXPECT_EQ(provider_.seen.back().url, revocation_endpoint_);

    introspection_endpoint_ = "https://login.example/oauth/introspect";
    OauthSource asking(endpoint(false), account_, nullptr);
    provider_.will_answer(200, R"({"access_token":"opaque"})");
    provider_.will_answer(200, R"({"active":true,"scope":"read","cnf":{"x5t#S256":"CERT"}})");
    provider_.will_answer(200, "");
    EXPECT_EQ(acquire(asking, need({"read"})).failure().fault, SourceFault::Misconfigured);
}

TEST_F(ProviderSources, ATokenBoundToTheKeyOfTheMissionComesWithThatKeyAndOneBoundToAnotherNotAtAll) {
    account_.provider.how = "client-credentials";
    const auto provider = endpoint(false);
    provider->bind_to(*dpop::Key::generate());
    OauthSource source(provider, account_, nullptr);
    provider_.will_answer(200, R"({"access_token":"t-1","token_type":"DPoP","scope":"read"})");
    Fetched fetched = acquire(source, need({"read"}));
    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->secret.reveal(), "t-1");
    EXPECT_EQ(dpop::Key::parse(fetched->key.reveal())->thumbprint(), provider->key()->thumbprint());

    provider_.will_answer(
        200, R"({"access_token":"e30.eyJjbmYiOnsiamt0IjoiS0VZIn19.c2ln","token_type":"DPoP","scope":"read"})");
    provider_.will_answer(200, "");
    EXPECT_THAT(acquire(source, need({"read"})).failure().what, HasSubstr("another key than this mission's"));
}

TEST_F(ProviderSources, ATokenBoundToTheMissionsCertificateComesWithItAndIsAskedAboutWhereItSaysNothing) {
    account_.provider.how = "client-credentials";
    introspection_endpoint_ = "https://login.example/oauth/introspect";
    const auto provider = endpoint(false);
    ASSERT_TRUE(provider->bind_to_certificate("mission", clock_.wall()));
    const std::string ours = provider->bound_to().certificate;
    OauthSource source(provider, account_, nullptr);
    const auto acquire_bound_to = [&](const std::string& cnf) {
        provider_.will_answer(200, R"({"access_token":"opaque","scope":"read"})");
        provider_.will_answer(200, R"({"active":true,"scope":"read")" + cnf + "}");
        provider_.will_answer(200, "");
        Fetched fetched = acquire(source, need({"read"}));
        provider_.forget_answers();
        return fetched;
    };
    Fetched fetched = acquire_bound_to(R"(,"cnf":{"x5t#S256":")" + ours + "\"}");
    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->certificate.certificate, provider->certificate()->certificate);
    EXPECT_TRUE(fetched->certificate.key.equals(provider->certificate()->key));
    EXPECT_EQ(fetched->remark, "");
    EXPECT_THAT(acquire_bound_to(R"(,"cnf":{"x5t#S256":"OTHER"})").failure().what, HasSubstr("another certificate"));
    EXPECT_EQ(provider_.seen.back().url, revocation_endpoint_) << "it does not stay";
    EXPECT_THAT(acquire_bound_to("").failure().what, HasSubstr("tls_client_certificate_bound_access_tokens"));
}

TEST_F(ProviderSources, ABoundTokenOfWhichNobodySaysAnythingIsUsedAndTheRecordSaysThat) {
    account_.provider.how = "client-credentials";
    const auto provider = endpoint(false);
    ASSERT_TRUE(provider->bind_to_certificate("mission", clock_.wall()));
    OauthSource source(provider, account_, nullptr);
    provider_.will_answer(200, R"({"access_token":"opaque","scope":"read"})");
    Fetched fetched = acquire(source, need({"read"}));
    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_FALSE(fetched->certificate.is_empty());
    EXPECT_THAT(fetched->remark, HasSubstr("nobody said to which certificate it is bound"));

    provider_.will_answer(200, R"({"access_token":"e30.eyJjbmYiOnsieDV0I1MyNTYiOiJDRVJUIn19.c2ln","scope":"read"})");
    provider_.will_answer(200, "");
    EXPECT_THAT(acquire(source, need({"read"})).failure().what, HasSubstr("another certificate"));
}

TEST_F(ProviderSources, AuthorizationDetailsAreSentAndTheAnswerIsCompared) {
    account_.provider.how = "client-credentials";
    account_.provider.details = {{{}, {{"type", "repository"}}, {{"locations", {"{repo}"}}}}};
    OauthSource source(endpoint(false), account_, nullptr);
    EXPECT_TRUE(source.capabilities().narrows_resources);
    SourceNeed wanted = need({"read"});
    wanted.resources["repo"] = {"a"};
    const std::string granted = R"([{"type":"repository","locations":["a"]}])";
    provider_.will_answer(200, R"({"access_token":"t-1","scope":"read","authorization_details":)" + granted + "}");

    Fetched fetched = acquire(source, wanted);

    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(provider_.seen.at(0).parameter("authorization_details"), granted);
    EXPECT_THAT(fetched->scopes.received.value(), ElementsAre("read", "repository locations=a"));
    provider_.will_answer(
        200, R"({"access_token":"t-2","scope":"read","authorization_details":[{"type":"repository"}]})");
    provider_.will_answer(200, "");
    EXPECT_EQ(acquire(source, wanted).failure().fault, SourceFault::ScopeTooWide);
    EXPECT_EQ(provider_.seen.back().parameter("token"), "t-2");
    provider_.seen.clear();
    EXPECT_EQ(acquire(source, need({"read"})).failure().fault, SourceFault::Misconfigured) << "no repo is named";
    EXPECT_TRUE(provider_.seen.empty());
}

// A refresh token in a real sealed store.
class RefreshToken : public ProviderSources {
protected:
    void SetUp() override {
        store_ = folder_ / "store.sealed";
        Result<LockedBytes> key = create_key_file(folder_ / "store.key");
        ASSERT_TRUE(key);
        NewStoreKeys keys;
        keys.key = LockedBytes(key->reveal());
        ASSERT_TRUE(create_store(store_, keys));
        const Result<SealedBytes> sealed = load_store(store_);
        UnlockMeans means;
        means.spec = "key-file:" + (folder_ / "store.key");
        Result<LockedBytes> data_key = unlock_store(*sealed, store_, means);
        ASSERT_TRUE(data_key) << data_key.error().what;
        data_key_ = std::make_shared<const LockedBytes>(std::move(*data_key));
        put("RT-1");
        account_.provider.how = "refresh-token";
    }
    void put(const std::string& value) {
        ASSERT_TRUE(change_store(store_, *data_key_, [&](StoredItems& items) -> Result<Change> {
            items["alice"].value = LockedBytes(std::string_view(value));
            return Change::Write;
        }));
    }
    [[nodiscard]] ChangingItem item() const { return {store_, data_key_, "alice"}; }
    OauthSource source() {
        return {endpoint(false), account_, std::make_shared<SubjectToken>(item(), loop_, clock_)};
    }
    [[nodiscard]] std::string stored() const { return std::string(item().read()->reveal()); }

    test::TemporaryFolder folder_;
    std::string store_;
    std::shared_ptr<const LockedBytes> data_key_;
    PollLoop loop_;
};

TEST_F(RefreshToken, ThatRotatesIsInTheStoreBeforeItsAccessTokenIsUsed) {
    OauthSource oauth = source();
    provider_.will_answer(200, R"({"access_token":"t-1","refresh_token":"RT-2"})");

    std::string seen_in_store;
    oauth.acquire(need({}), [&](Fetched fetched) {
        EXPECT_TRUE(fetched);
        seen_in_store = stored();
    });

    EXPECT_EQ(provider_.seen.at(0).parameter("refresh_token"), "RT-1");
    EXPECT_EQ(seen_in_store, "RT-2");
    provider_.will_answer(200, R"({"access_token":"t-2"})");
    ASSERT_TRUE(acquire(oauth, need({})));
    EXPECT_EQ(provider_.seen.at(1).parameter("refresh_token"), "RT-2");
    EXPECT_EQ(stored(), "RT-2") << "an answer without one keeps ours";
}

TEST_F(RefreshToken, ThatWasSentAndWhoseAnswerIsLostIsNeverSentAgain) {
    OauthSource oauth = source();
    provider_.will_fail(Error{Errc::Cancelled, "the connection broke"});
    EXPECT_EQ(acquire(oauth, need({})).failure().fault, SourceFault::NoAnswer);

    OauthSource next_mission = source();
    const SourceFailure refused = acquire(next_mission, need({})).failure();

    EXPECT_EQ(refused.fault, SourceFault::ConsentLost);
    EXPECT_THAT(refused.what, HasSubstr("run `sanctum connect " + account_.name + "`"));
    EXPECT_FALSE(refused.leaves_an_orphan()) << "nothing was asked this time";
    EXPECT_EQ(provider_.seen.size(), 1U);
    put("RT-of-a-new-consent");
    provider_.will_answer(200, R"({"access_token":"t-1"})");
    EXPECT_TRUE(acquire(next_mission, need({})));
}

TEST_F(RefreshToken, ThatTheProviderKeepsSurvivesALostAnswer) {
    OauthSource oauth = source();
    provider_.will_answer(200, R"({"access_token":"t-1"})");
    ASSERT_TRUE(acquire(oauth, need({})));
    provider_.will_fail(Error{Errc::Cancelled, "the connection broke"});
    EXPECT_FALSE(acquire(oauth, need({})));
    provider_.will_answer(200, R"({"access_token":"t-2"})");

    EXPECT_TRUE(acquire(oauth, need({}))) << "its first answer showed that it does not rotate";
    EXPECT_EQ(provider_.seen.at(2).parameter("refresh_token"), "RT-1");
}

TEST_F(RefreshToken, ThatWasNotTakenIsSentAgain) {
    OauthSource oauth = source();
    provider_.will_fail(Error{Errc::Io, "no connection"});
    EXPECT_EQ(acquire(oauth, need({})).failure().fault, SourceFault::Unavailable);
    provider_.will_answer(429, "{}");
    EXPECT_EQ(acquire(oauth, need({})).failure().fault, SourceFault::RateLimited);
    provider_.will_answer(200, R"({"access_token":"t-1","refresh_token":"RT-2"})");
    ASSERT_TRUE(acquire(oauth, need({})));
    EXPECT_EQ(stored(), "RT-2");
}

TEST_F(RefreshToken, OfGoogleIsSentAgainForItNeverRotates) {
    account_.source = "google";
    OauthSource user = source();
    provider_.will_fail(Error{Errc::Cancelled, "the connection broke"});
    EXPECT_FALSE(acquire(user, need({})));
    provider_.will_answer(200, R"({"access_token":"t-1"})");
    EXPECT_TRUE(acquire(user, need({})));
}

TEST_F(RefreshToken, IsUsedByOneAtATimeAndTheNextReadsWhatTheFirstLeft) {
    const auto subject = std::make_shared<SubjectToken>(item(), loop_, clock_);
    const auto other_mission = std::make_shared<SubjectToken>(item(), loop_, clock_);
    std::optional<SubjectToken::Use> first;
    std::optional<SubjectToken::Use> second;
    subject->use([&](Result<SubjectToken::Use> use) { first.emplace(std::move(*use)); });
    other_mission->use([&](Result<SubjectToken::Use> use) { second.emplace(std::move(*use)); });
    ASSERT_TRUE(first);
    EXPECT_FALSE(second);

    ASSERT_TRUE(first->answered(Secret("RT-2")));
    first->release();
    clock_.advance(Milliseconds(1'000));
    ASSERT_TRUE(loop_.wait(clock_, clock_.boot()));

    ASSERT_TRUE(second);
    EXPECT_EQ(second->token().reveal(), "RT-2");
}

TEST_F(RefreshToken, IsWaitedForWithinABound) {
    const auto subject = std::make_shared<SubjectToken>(item(), loop_, clock_);
    std::optional<SubjectToken::Use> first;
    std::optional<Error> late;
    subject->use([&](Result<SubjectToken::Use> use) { first.emplace(std::move(*use)); });
    subject->use([&](Result<SubjectToken::Use> use) { late = use.error(); });

    clock_.advance(Milliseconds(31'000));
    ASSERT_TRUE(loop_.wait(clock_, clock_.boot()));

    ASSERT_TRUE(late);
    EXPECT_THAT(late->what, HasSubstr("another mission"));
}

TEST_F(RefreshToken, OfAConsentIsNotRevokedThroughItsAccessTokens) {
    OauthSource oauth = source();
    provider_.will_answer(200, R"({"access_token":"t-1"})");
    Fetched fetched = acquire(oauth, need({}));
    EXPECT_EQ(fetched->retire, RetireClass::KillsGrant);
    EXPECT_EQ(retire(oauth, *fetched, RetireCause::MissionEnd).end, End::LeftToExpire);
    EXPECT_EQ(provider_.seen.size(), 1U);

    account_.on_exit = "revoke";
    OauthSource told = source();
    provider_.will_answer(200, R"({"access_token":"t-2"})");
    Fetched second = acquire(told, need({}));
    EXPECT_EQ(second->retire, RetireClass::Self);
    provider_.will_answer(200, "");
    EXPECT_EQ(retire(told, *second, RetireCause::MissionEnd).end, End::Gone);
}

TEST_F(RefreshToken, ThatTheProviderNoLongerHonoursIsConsentLost) {
    OauthSource oauth = source();
    account_.source = "oauth";
    OauthSource connectable = source();
    provider_.will_answer(400, R"({"error":"invalid_grant"})");
    EXPECT_EQ(acquire(oauth, need({})).failure().fault, SourceFault::ConsentLost);
    provider_.will_answer(400, R"({"error":"invalid_grant"})");
    EXPECT_THAT(acquire(connectable, need({})).failure().what, HasSubstr("(sanctum connect " + account_.name + ")"));
    provider_.will_answer(400, R"({"error":"invalid_scope"})");
    EXPECT_THAT(acquire(connectable, need({})).failure().what, HasSubstr(account_.name + " --scopes"));
    provider_.will_answer(200, R"({"access_token":"t-1"})");
    EXPECT_TRUE(acquire(oauth, need({}))) << "the lock was given back";
}

// --- auth0, with a token of the mission's own -----------------------------------------------------------------------

class MissionToken : public RefreshToken {
protected:
    void SetUp() override {
        RefreshToken::SetUp();
        account_.provider.mission_token_type = "urn:acme:mission";
    }
    Auth0Source auth0() {
        return {endpoint(true), account_, std::make_shared<SubjectToken>(item(), loop_, clock_)};
    }
};

TEST_F(MissionToken, AMissionsOwnTokenIsWhatTokenVaultIsAskedWithAndTheUsersIsNot) {
    reaps_with_secret_ = true;
    Auth0Source source = auth0();
    ASSERT_TRUE(source.lacks_mission_token());
    EXPECT_TRUE(source.lacks_mission_token()->mints);
    EXPECT_EQ(source.lacks_mission_token()->life_max.count(), 0) << "how long it lives is a setting of the tenant";
    provider_.will_answer(200, R"({"access_token":"A1","id_token":"ID"})");
    provider_.will_answer(200, R"({"access_token":"A2","refresh_token":"MRT","scope":"openid offline_access"})");

    Fetched token = make_token(source);

    ASSERT_TRUE(token) << token.failure().what;
    EXPECT_FALSE(source.lacks_mission_token());
    EXPECT_EQ(token->secret.reveal(), "MRT");
    EXPECT_EQ(token->retire, RetireClass::Self);
    EXPECT_EQ(provider_.seen.at(0).parameter("grant_type"), "refresh_token");
    EXPECT_EQ(provider_.seen.at(0).parameter("refresh_token"), "RT-1");
    EXPECT_EQ(provider_.seen.at(0).parameter("scope"), "openid");
    EXPECT_EQ(provider_.seen.at(1).parameter("grant_type"), "urn:ietf:params:oauth:grant-type:token-exchange");
    EXPECT_EQ(provider_.seen.at(1).parameter("subject_token"), "ID");
    EXPECT_EQ(provider_.seen.at(1).parameter("subject_token_type"), "urn:acme:mission");
    EXPECT_EQ(provider_.seen.at(1).parameter("scope"), "openid offline_access");
    provider_.will_answer(200, R"({"access_token":"ya29"})");
    Fetched fetched = acquire(source, need({}));
    ASSERT_TRUE(fetched);
    EXPECT_EQ(provider_.seen.at(2).parameter("subject_token"), "MRT");

    EXPECT_EQ(source.retirement(*fetched), nullptr) << "others may have the provider's own token";
    EXPECT_EQ(retire(source, *fetched, RetireCause::MissionEnd).end, End::LeftToExpire);
    EXPECT_EQ(provider_.seen.size(), 3U) << "the user's token lives on";
    const auto retirement = source.retirement(*token);
    ASSERT_NE(retirement, nullptr);
    EXPECT_THAT(std::string(retirement->request.body.reveal()), HasSubstr("token=MRT&token_type_hint=refresh_token"));
    provider_.will_answer(200, "");
    EXPECT_EQ(retire(source, *token, RetireCause::MissionEnd).end, End::Gone);
    EXPECT_EQ(provider_.seen.at(3).parameter("token"), "MRT");
}

TEST_F(MissionToken, TheTokensThatCameBesideItStandOnRecordWithTheirEndsWhetherItWasMadeOrNot) {
    const auto named = [](const char* token) { return HasSubstr(wire::to_hex(sha256(token))); };
    const auto ends = [&](std::int64_t after_ms) {
        return HasSubstr("ends at " + format_rfc3339({clock_.wall().unix_ms + after_ms}));
    };
    Auth0Source source = auth0();
    provider_.will_answer(200, R"({"access_token":"A1","id_token":"ID","expires_in":600})");
    provider_.will_answer(200, R"({"access_token":"A2","refresh_token":"MRT","expires_in":900})");
    Fetched made = make_token(source);
    ASSERT_TRUE(made);
    EXPECT_THAT(made->remark, AllOf(named("A1"), named("ID"), named("A2"), ends(600'000), ends(900'000)));

    Auth0Source refused = auth0();
    provider_.will_answer(200, R"({"access_token":"A1","id_token":"ID"})");
    provider_.will_answer(200, R"({"access_token":"A2"})");
    EXPECT_THAT(make_token(refused).failure().what,
                AllOf(named("A1"), named("ID"), named("A2"), HasSubstr("ends at a time of the tenant's")));
}

TEST_F(MissionToken, AMissionsTokenThatTheTenantDoesNotMakeIsARefusalWithItsRemedy) {
    const std::string kWithIdToken = R"({"access_token":"A1","id_token":"ID"})";
    struct TokenCase {
        std::vector<std::pair<int, std::string>> answers;
        SourceFault fault;
        std::string remedy;
        bool may_be_out;
    };
    const std::vector<TokenCase> rows = {
        {{{200, R"({"access_token":"A1"})"}}, SourceFault::Misconfigured, "scope openid", false},
        {{{403, R"({"error":"invalid_grant"})"}}, SourceFault::SubjectExpired, "log in again", false},
        {{{200, kWithIdToken}, {400, R"({"error":"invalid_request"})"}}, SourceFault::Misconfigured,
         "Custom Token Exchange profile for urn:acme:mission", false},
        {{{200, kWithIdToken}, {200, R"({"access_token":"A2"})"}}, SourceFault::Misconfigured, "grant refresh_token",
         true},
        {{{200, kWithIdToken}, {200, R"({"access_token":"A2","refresh_token":"RT-1"})"}}, SourceFault::Misconfigured,
         "own refresh token", false},
    };
    for (const TokenCase& row : rows) {
        Auth0Source source = auth0();
        for (const auto& [status, body] : row.answers) provider_.will_answer(status, body);
        const Fetched token = make_token(source);
        ASSERT_FALSE(token) << row.remedy;
        EXPECT_EQ(token.failure().fault, row.fault) << token.failure().what;
        EXPECT_THAT(token.failure().what, HasSubstr(row.remedy));
        EXPECT_EQ(token.failure().leaves_an_orphan(), row.may_be_out) << row.remedy;
        EXPECT_TRUE(source.lacks_mission_token());
    }
}

TEST_F(MissionToken, OfAClientThatRotatesIsRefusedWithTheUsersNewTokenInTheStore) {
    Auth0Source source = auth0();
    provider_.will_answer(200, R"({"access_token":"A1","id_token":"ID","refresh_token":"RT-2"})");

    const SourceFailure refused = make_token(source).failure();

    EXPECT_EQ(refused.fault, SourceFault::Misconfigured);
    EXPECT_THAT(refused.what, HasSubstr("switch refresh-token rotation off"));
    EXPECT_FALSE(refused.leaves_an_orphan()) << "it is no token of the mission";
    EXPECT_EQ(provider_.seen.size(), 1U) << "no exchange";
    EXPECT_EQ(stored(), "RT-2");
    provider_.will_answer(200, R"({"access_token":"A1","id_token":"ID","refresh_token":"RT-2"})");
    provider_.will_answer(200, R"({"access_token":"A2","refresh_token":"MRT"})");
    EXPECT_TRUE(make_token(source)) << "the tenant that was set right may send the same one along";
    EXPECT_EQ(provider_.seen.at(1).parameter("refresh_token"), "RT-2") << "the old one would end the whole consent";
    EXPECT_EQ(stored(), "RT-2");
}

TEST_F(MissionToken, IsNotAskedForAgainWithAUsersTokenWhoseAnswerWasLost) {
    Auth0Source source = auth0();
    provider_.will_fail(Error{Errc::Cancelled, "the connection broke"});
    const SourceFailure lost = make_token(source).failure();
    EXPECT_EQ(lost.fault, SourceFault::NoAnswer);
    EXPECT_TRUE(lost.leaves_an_orphan()) << "the answer held an access token of the user's";

    Auth0Source next_mission = auth0();
    const SourceFailure refused = make_token(next_mission).failure();

    EXPECT_EQ(refused.fault, SourceFault::ConsentLost);
    EXPECT_THAT(refused.what, HasSubstr("run `sanctum connect " + account_.name + "`"));
    EXPECT_EQ(provider_.seen.size(), 1U);
}

TEST_F(MissionToken, OfATenantThatKeepsTheUsersTokenSurvivesALostAnswerAndGivesTheLockBack) {
    Auth0Source source = auth0();
    provider_.will_answer(200, R"({"access_token":"A1","id_token":"ID"})");
    provider_.will_answer(200, R"({"access_token":"A2","refresh_token":"MRT"})");
    ASSERT_TRUE(make_token(source));
    Auth0Source next_mission = auth0();
    provider_.will_fail(Error{Errc::Cancelled, "the connection broke"});
    EXPECT_FALSE(make_token(next_mission));
    provider_.will_answer(403, R"({"error":"invalid_grant"})");
    EXPECT_EQ(make_token(next_mission).failure().fault, SourceFault::SubjectExpired) << "it was asked";
    EXPECT_EQ(provider_.seen.size(), 4U);
    EXPECT_EQ(stored(), "RT-1");
}

// --- github-app, of a user ------------------------------------------------------------------------------------------

class GithubUser : public RefreshToken {
protected:
    void SetUp() override {
        RefreshToken::SetUp();
        account_.source = "github-app";
        account_.provider.client = "acme";
        account_.provider.api = "https://api.github.com";
    }
    GithubUserSource user() {
        return {provider_, clock_, endpoint(false), account_,
                std::make_shared<SubjectToken>(item(), loop_, clock_)};
    }
    SourceNeed issues() {
        SourceNeed out = need({"issues:write"});
        out.resources["repo"] = {"acme/api.git"};
        return out;
    }
    static std::string narrowed(const std::string& token, const std::string& permissions = R"({"issues":"write"})",
                                const std::string& selection = "selected", const std::string& owner = "Acme") {
        std::string body = R"({"id":1,"token":")";
        body.append(token).append(R"(","expires_at":"2030-01-01T00:00:00Z","installation":{"permissions":)");
        body.append(permissions).append(R"(,"repository_selection":")").append(selection);
        return body.append(R"(","account":{"login":")").append(owner).append(R"("}}})");
    }
    void will_narrow(const std::string& token, const std::string& permissions = R"({"issues":"write"})",
                     const std::string& selection = "selected", const std::string& owner = "Acme") {
        provider_.will_answer(200, narrowed(token, permissions, selection, owner));
    }
    void will_renew(const std::string& access, const std::string& refresh) {
        std::string body = R"({"access_token":")";
        body.append(access).append(R"(","refresh_token":")").append(refresh);
        provider_.will_answer(200, body.append(R"(","expires_in":28800,"token_type":"bearer","scope":""})"));
    }
    // What GitHub answers to a token of the user's that is dead, and that it is.
    void will_find_dead() {
        provider_.will_answer(404, R"({"message":"Not Found"})");
        provider_.will_answer(404, R"({"message":"Not Found"})");
    }
    using Seen = std::vector<std::string>;
    // What GitHub was asked, each with the token that was sent.
    [[nodiscard]] Seen asked() const {
        Seen out;
        for (const test::SeenRequest& seen : provider_.seen) {
            const std::size_t begin = seen.body.find(':') + 2;
            const std::string token = seen.body.substr(begin, seen.body.find('"', begin) - begin);
            if (seen.url.ends_with("/token/scoped")) out.push_back("scoped " + token);
            else if (seen.url.starts_with(account_.provider.api)) out.push_back("check " + token);
            else out.push_back("refresh " + seen.parameter("refresh_token"));
        }
        return out;
    }
    static constexpr const char* kBasic = "Basic Q0lEOmNsaWVudC1zZWNyZXQ=";  // CID:client-secret
};

TEST_F(GithubUser, ATokenIsNarrowedToTheNeedAndTakenBackByItself) {
    put("ghu_parent");
    GithubUserSource source = user();
    will_narrow("ghu_child", R"({"issues":"write","metadata":"read"})");

    Fetched fetched = acquire(source, issues());

    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->secret.reveal(), "ghu_child");
    EXPECT_EQ(fetched->expires->unix_ms, 1'893'456'000'000);
    EXPECT_EQ(fetched->retire, RetireClass::Self);
    EXPECT_EQ(fetched->scopes.narrowed_by, NarrowedBy::Both);
    EXPECT_EQ(provider_.seen.at(0).method, "POST");
    EXPECT_EQ(provider_.seen.at(0).url, "https://api.github.com/applications/CID/token/scoped");
    EXPECT_EQ(provider_.seen.at(0).authorization, kBasic);
    EXPECT_EQ(provider_.seen.at(0).repeat, Repeat::Never);
    EXPECT_THAT(provider_.seen.at(0).body, HasSubstr(R"({"access_token":"ghu_parent","target":"acme",)"));
    EXPECT_THAT(provider_.seen.at(0).body, HasSubstr(R"(,"repositories":["api"],"permissions":{"issues":"write"}})"));

    for (const int status : {204, 404}) {
        provider_.will_answer(status, "");
        EXPECT_EQ(retire(source, *fetched, RetireCause::MissionEnd).end, End::Gone) << status;
    }
    provider_.will_answer(422, "");
    EXPECT_EQ(retire(source, *fetched, RetireCause::MissionEnd).end, End::NotYet);
    EXPECT_EQ(provider_.seen.at(1).method, "DELETE");
    EXPECT_EQ(provider_.seen.at(1).url, "https://api.github.com/applications/CID/token");
    EXPECT_EQ(provider_.seen.at(1).body, R"({"access_token":"ghu_child"})") << "never the user's own";
    EXPECT_EQ(provider_.seen.at(1).authorization, kBasic);
}

TEST_F(GithubUser, WhatIsWiderThanAskedIsTakenBackAndRefused) {
    put("ghu_parent");
    const auto refused = [&](SourceFault fault) {
        GithubUserSource source = user();
        provider_.will_answer(204, "");
        const Fetched fetched = acquire(source, issues());
        ASSERT_FALSE(fetched);
        EXPECT_EQ(fetched.failure().fault, fault) << fetched.failure().what;
        EXPECT_FALSE(fetched.failure().leaves_an_orphan());
        EXPECT_EQ(provider_.seen.back().body, R"({"access_token":"ghu_child"})");
    };
    will_narrow("ghu_child", R"({"issues":"write","contents":"write"})");
    refused(SourceFault::ScopeTooWide);
    will_narrow("ghu_child", R"({"issues":"write"})", "all");
    refused(SourceFault::ScopeTooWide);
    will_narrow("ghu_child", R"({"issues":"write"})", "");
    refused(SourceFault::Protocol);
    will_narrow("ghu_child", R"({"issues":"read"})");
    refused(SourceFault::ScopeUnavailable);
    will_narrow("ghu_child", R"({"issues":"write"})", "selected", "somebody");
    refused(SourceFault::Protocol);
    provider_.will_answer(200, R"({"token":"ghu_child","expires_at":null})");
    refused(SourceFault::Protocol);
}

TEST_F(GithubUser, TheUsersOwnTokenIsNeitherGivenNorTakenBack) {
    put("ghu_parent");
    GithubUserSource source = user();
    will_narrow("ghu_parent");

    const Fetched fetched = acquire(source, issues());

    EXPECT_EQ(fetched.failure().fault, SourceFault::Protocol);
    EXPECT_THAT(fetched.failure().what, HasSubstr("the user's own token"));
    EXPECT_EQ(provider_.seen.size(), 1U);
}

TEST_F(GithubUser, ARefreshTokenIsUsedOnceForAllMissionsAndWhatCameIsKeptFirst) {
    put("ghr_1");
    GithubUserSource source = user();
    will_renew("ghu_1", "ghr_2");
    will_narrow("ghu_child");
    ASSERT_TRUE(acquire(source, issues()));
    const std::string ends = std::to_string(clock_.wall().unix_ms + 28'800'000);
    EXPECT_EQ(stored(), "ghr_2 ghu_1 " + ends);
    EXPECT_EQ(provider_.seen.at(0).parameter("refresh_token"), "ghr_1");
    will_narrow("ghu_other");
    ASSERT_TRUE(acquire(source, issues()));
    GithubUserSource other_mission = user();
    will_narrow("ghu_of_another");
    ASSERT_TRUE(acquire(other_mission, issues()));
    EXPECT_EQ(asked(), (Seen{"refresh ghr_1", "scoped ghu_1", "scoped ghu_1", "scoped ghu_1"}))
        << "a refresh would end what others hold";
}

TEST_F(GithubUser, WhoseTokenDiedGetsTheOneThatAnotherMissionMade) {
    put("ghr_1 ghu_1 0");
    GithubUserSource one = user();
    GithubUserSource other = user();
    for (GithubUserSource* mission : {&one, &other}) {
        will_narrow("ghu_child");
        ASSERT_TRUE(acquire(*mission, issues()));
    }
    provider_.seen.clear();
    will_find_dead();
    will_renew("ghu_2", "ghr_2");
    will_narrow("ghu_child");
    ASSERT_TRUE(acquire(one, issues()));
    EXPECT_EQ(asked(), (Seen{"scoped ghu_1", "check ghu_1", "refresh ghr_1", "scoped ghu_2"}));

    provider_.seen.clear();
    will_find_dead();
    will_narrow("ghu_child");
    ASSERT_TRUE(acquire(other, issues()));
    EXPECT_EQ(asked(), (Seen{"scoped ghu_1", "check ghu_1", "scoped ghu_2"})) << "one refresh for both";

    // What the other mission made may be dead itself by the time that it is looked for.
    put("ghr_3 ghu_3 0");
    provider_.seen.clear();
    will_find_dead();
    will_find_dead();
    will_renew("ghu_4", "ghr_4");
    will_narrow("ghu_child");
    ASSERT_TRUE(acquire(one, issues()));
    EXPECT_EQ(asked(), (Seen{"scoped ghu_2", "check ghu_2", "scoped ghu_3", "check ghu_3", "refresh ghr_3",
                             "scoped ghu_4"}));
}

TEST_F(GithubUser, ANeedRefreshesOnceAndIsRefusedWhenThatDoesNotHelp) {
    put("ghr_1");
    GithubUserSource source = user();
    will_renew("ghu_1", "ghr_2");
    will_find_dead();
    EXPECT_EQ(acquire(source, issues()).failure().fault, SourceFault::ConsentLost);
    EXPECT_EQ(asked(), (Seen{"refresh ghr_1", "scoped ghu_1", "check ghu_1"}));
    will_find_dead();
    will_renew("ghu_2", "ghr_3");
    will_narrow("ghu_child");
    EXPECT_TRUE(acquire(source, issues())) << "the next need may";
}

TEST_F(GithubUser, WhereTheAppIsNotInstalledNothingIsRefreshed) {
    put("ghr_1 ghu_1 0");
    GithubUserSource source = user();
    provider_.will_answer(404, "{}");
    provider_.will_answer(200, R"({"id":1,"token":"ghu_1"})");

    const SourceFailure refused = acquire(source, issues()).failure();

    EXPECT_EQ(refused.fault, SourceFault::Misconfigured);
    EXPECT_THAT(refused.what, HasSubstr("not installed for acme"));
    EXPECT_FALSE(refused.leaves_an_orphan());
    EXPECT_EQ(provider_.seen.at(1).method, "POST");
    EXPECT_EQ(provider_.seen.at(1).url, "https://api.github.com/applications/CID/token");
    EXPECT_EQ(provider_.seen.at(1).body, R"({"access_token":"ghu_1"})");
    EXPECT_EQ(provider_.seen.at(1).authorization, kBasic);
    EXPECT_EQ(provider_.seen.at(1).repeat, Repeat::Safe);
    will_narrow("ghu_child");
    EXPECT_TRUE(acquire(source, issues())) << "elsewhere it is";
    EXPECT_EQ(asked(), (Seen{"scoped ghu_1", "check ghu_1", "scoped ghu_1"}));
    EXPECT_EQ(stored(), "ghr_1 ghu_1 0");
}

TEST_F(GithubUser, WhatGithubDoesNotSayAboutATokenIsNoReasonToRefresh) {
    put("ghr_1 ghu_1 0");
    GithubUserSource source = user();
    const std::vector<std::pair<int, SourceFault>> rows = {{401, SourceFault::Misconfigured},
                                                           {429, SourceFault::RateLimited},
                                                           {502, SourceFault::Unavailable},
                                                           {503, SourceFault::Unavailable}};
    for (const auto& [status, fault] : rows) {
        provider_.will_answer(404, "{}");
        provider_.will_answer(status, "{}");
        const SourceFailure refused = acquire(source, issues()).failure();
        EXPECT_EQ(refused.fault, fault) << status;
        EXPECT_FALSE(refused.leaves_an_orphan()) << "nothing is made by a question";
    }
    provider_.will_answer(404, "{}");
    provider_.will_fail(Error{Errc::Cancelled, "the connection broke"});
    EXPECT_EQ(acquire(source, issues()).failure().fault, SourceFault::Unavailable);
    EXPECT_EQ(stored(), "ghr_1 ghu_1 0");
}

TEST_F(GithubUser, OfTwoNeedsThatFindTheTokenDeadOneRefreshesAndBothAreAnswered) {
    put("ghr_1 ghu_1 0");
    test::HeldAnswers held;
    GithubUserSource source(held, clock_, endpoint(false), account_,
                            std::make_shared<SubjectToken>(item(), loop_, clock_));
    std::vector<std::string> got;
    const auto ask = [&] {
        source.acquire(issues(), [&](Fetched fetched) {
            got.emplace_back(fetched ? std::string(fetched->secret.reveal()) : fetched.failure().what);
        });
    };
    ask();
    ask();
    ASSERT_EQ(held.waiting(), 2U);  // both sent the first token
    held.answer(404, "{}");
    held.answer(404, "{}");
    ASSERT_EQ(held.waiting(), 2U);  // and both ask whether it is dead
    will_renew("ghu_2", "ghr_2");
    held.answer(404, "{}");
    held.answer(404, "{}");
    ASSERT_EQ(held.waiting(), 2U);
    held.answer(200, narrowed("ghu_a"));
    held.answer(200, narrowed("ghu_b"));

    EXPECT_THAT(got, ElementsAre("ghu_a", "ghu_b"));
    EXPECT_EQ(asked(), (Seen{"refresh ghr_1"})) << "once";
}

TEST_F(GithubUser, ATokenThatDoesNotRunOutIsKeptUntilGithubSaysThatItIsDead) {
    put("ghu_1");
    GithubUserSource source = user();
    will_find_dead();
    EXPECT_EQ(acquire(source, issues()).failure().fault, SourceFault::ConsentLost);
    put("ghu_of_a_new_consent");
    will_find_dead();
    will_narrow("ghu_child");
    EXPECT_TRUE(acquire(source, issues()));
    EXPECT_EQ(stored(), "ghu_of_a_new_consent");
}

TEST_F(GithubUser, WhoseRefreshWasLostKeepsTheTokenThatWorksAndNeverSendsTheOldOneAgain) {
    put("ghr_1 ghu_1 0");
    GithubUserSource source = user();
    will_find_dead();
    provider_.will_fail(Error{Errc::Cancelled, "the connection broke"});
    EXPECT_EQ(acquire(source, issues()).failure().fault, SourceFault::NoAnswer);
    GithubUserSource next_mission = user();
    will_find_dead();
    const SourceFailure refused = acquire(next_mission, issues()).failure();
    EXPECT_EQ(refused.fault, SourceFault::ConsentLost);
    EXPECT_THAT(refused.what, HasSubstr("the answer was lost"));
    will_narrow("ghu_child");
    EXPECT_TRUE(acquire(next_mission, issues())) << "GitHub may never have got it";
}

TEST_F(GithubUser, TheWiderTokenThatARefreshMadeStandsOnRecordBesideWhatWasMadeFromIt) {
    const std::string hash = wire::to_hex(sha256("ghu_1"));
    put("ghr_1");
    GithubUserSource source = user();
    will_renew("ghu_1", "ghr_2");
    will_narrow("ghu_child");
    const WallTime before = clock_.wall();
    Fetched fetched = acquire(source, issues());
    ASSERT_TRUE(fetched);
    EXPECT_THAT(fetched->remark, AllOf(HasSubstr(hash), HasSubstr("stays in the store")));
    ASSERT_TRUE(fetched->alive_until);
    EXPECT_EQ(fetched->alive_until->unix_ms, before.unix_ms + 28'800'000);

    // What got nothing has no lease.
    put("ghr_5");
    GithubUserSource refused = user();
    will_renew("ghu_1", "ghr_6");
    provider_.will_answer(422, "{}");
    EXPECT_THAT(acquire(refused, issues()).failure().what, HasSubstr(hash));

    put("ghu_1");
    GithubUserSource lasting = user();
    provider_.will_answer(200, R"({"token":"ghu_child","expires_at":null,"installation":{"permissions":
        {"issues":"write"},"repository_selection":"selected","account":{"login":"acme"}}})");
    Fetched own = acquire(lasting, issues());
    ASSERT_TRUE(own) << own.failure().what;
    EXPECT_EQ(own->remark, "") << "the operator's own was not made here";
    EXPECT_FALSE(own->expires);
    EXPECT_FALSE(own->alive_until);
}

TEST_F(GithubUser, WhatGithubSaysOfATokensEndIsTakenByOurClock) {
    put("ghr_1 ghu_1 1893459600000");
    GithubUserSource source = user();
    provider_.will_answer(200, narrowed("ghu_child"), {}, Milliseconds(-7'200'000));

    Fetched fetched = acquire(source, issues());

    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->expires->unix_ms, 1'893'456'000'000 + 7'200'000);
    EXPECT_EQ(fetched->alive_until->unix_ms, 1'893'459'600'000 + 7'200'000);
    EXPECT_THAT(fetched->remark, HasSubstr("clock was 7200 s ahead of that of GitHub"));
    will_narrow("ghu_other");
    Fetched again = acquire(source, issues());
    EXPECT_EQ(again->expires->unix_ms, 1'893'456'000'000) << "the clock is right again";
    EXPECT_EQ(again->remark.find("clock"), std::string::npos);
    provider_.will_answer(200, R"({"token":"ghu_child","expires_at":"soon"})");
    provider_.will_answer(204, "");
    EXPECT_THAT(acquire(source, issues()).failure().what, HasSubstr("no time"));
    EXPECT_EQ(provider_.seen.back().body, R"({"access_token":"ghu_child"})") << "taken back";
}

TEST(GithubItem, IsATokenARefreshTokenOrBothWithAnEndAndNothingElse) {
    const auto read = [](std::string_view text) { return parse_github_item(Secret(text)); };
    EXPECT_EQ(read("ghr_1")->refresh.reveal(), "ghr_1");
    EXPECT_TRUE(read("ghr_1")->access.is_empty());
    EXPECT_EQ(read("ghu_1")->access.reveal(), "ghu_1");
    EXPECT_TRUE(read("ghu_1")->refresh.is_empty());
    const Result<GithubTokens> both = read("ghr_1 ghu_1 1893456000000");
    ASSERT_TRUE(both);
    EXPECT_EQ(both->refresh.reveal(), "ghr_1");
    EXPECT_EQ(both->access.reveal(), "ghu_1");
    EXPECT_EQ(both->ends->unix_ms, 1'893'456'000'000);
    EXPECT_EQ(github_item(*both).reveal(), "ghr_1 ghu_1 1893456000000");
    EXPECT_FALSE(read("ghr_1 ghu_1 0")->ends);
    for (const char* text : {"", " ", "ghr_1 ", "ghr_1 ghu_1", "ghr_1 ghu_1 ", "ghr_1 ghu_1 soon", "ghr_1 ghu_1 -1",
                             "ghr_1 ghu_1 1 2", "ghr_1  1", "ghr_1 ghu_1 1x", "ghu\t1", "gh\xc3\xa9",
                             "ghr_1 ghu_1 99999999999999999999", "ghr_1\nghu_1"}) {
        EXPECT_FALSE(read(text)) << text;
    }
}

TEST_F(GithubUser, EveryRefusalIsOneFaultWithItsRemedy) {
    put("ghu_parent");
    struct RefusalCase {
        int status;
        std::string body;
        SourceFault fault;
        std::string word;
    };
    const std::vector<RefusalCase> rows = {{401, "{}", SourceFault::Misconfigured, "client's secret"},
                                   {403, "{}", SourceFault::Misconfigured, "suspended"},
                                   {422, "{}", SourceFault::ScopeUnavailable, "repositories or permissions"},
                                   {429, "{}", SourceFault::RateLimited, "429"},
                                   {502, "{}", SourceFault::NoAnswer, "502"},
                                   {503, "{}", SourceFault::Unavailable, "503"},
                                   {200, "{}", SourceFault::Protocol, "no token"},
                                   {200, "no JSON", SourceFault::Protocol, "JSON"}};
    for (const RefusalCase& row : rows) {
        GithubUserSource source = user();
        provider_.will_answer(row.status, row.body);
        const Fetched fetched = acquire(source, issues());
        ASSERT_FALSE(fetched);
        EXPECT_EQ(fetched.failure().fault, row.fault) << row.status;
        EXPECT_THAT(fetched.failure().what, HasSubstr(row.word));
    }
    put("two words");
    GithubUserSource broken = user();
    EXPECT_EQ(acquire(broken, issues()).failure().fault, SourceFault::Misconfigured);
    put("ghr_dead");
    GithubUserSource source = user();
    provider_.will_answer(200, R"({"error":"bad_refresh_token","error_description":"it is"})");
    const Fetched fetched = acquire(source, issues());
    EXPECT_EQ(fetched.failure().fault, SourceFault::ConsentLost);
    EXPECT_THAT(fetched.failure().what, HasSubstr("sanctum connect alice"));
}

TEST_F(GithubUser, WithoutARepositoryTheTargetSaysWhoseAndNothingIsAskedWithoutEither) {
    put("ghu_parent");
    GithubUserSource source = user();
    EXPECT_EQ(acquire(source, need({"issues:read"})).failure().fault, SourceFault::Misconfigured);
    account_.provider.target = "other";
    GithubUserSource elsewhere = user();
    EXPECT_EQ(acquire(elsewhere, issues()).failure().fault, SourceFault::Misconfigured);
    EXPECT_TRUE(provider_.seen.empty());

    account_.provider.target = "acme";
    GithubUserSource bounded = user();
    will_narrow("ghu_child", R"({"issues":"read"})", "all");
    ASSERT_TRUE(acquire(bounded, need({"issues:read"})));
    EXPECT_EQ(provider_.seen.at(0).body,
              R"({"access_token":"ghu_parent","target":"acme","permissions":{"issues":"read"}})");
}

TEST_F(GithubUser, TheReaperTakesBackOnlyWhatItMayHaveTheSecretFor) {
    Credential credential;
    credential.secret = Secret("ghu_child");
    credential.retire = RetireClass::Self;
    EXPECT_EQ(user().retirement(credential), nullptr);
    EXPECT_THAT(user().why_no_retirement(credential), HasSubstr("reap_with_secret = true"));

    reaps_with_secret_ = true;
    const auto retirement = user().retirement(credential);
    ASSERT_NE(retirement, nullptr);
    EXPECT_EQ(retirement->request.url, "https://api.github.com/applications/CID/token");
    EXPECT_EQ(retirement->request.authorization.reveal(), kBasic);
    EXPECT_EQ(user().why_no_retirement(credential), "");
}

// --- github-app ---------------------------------------------------------------------------------------------------

class GithubApp : public ProviderSources {
protected:
    GithubApp() {
        account_.provider.app_id = "123456";
        account_.provider.installation = "789";
        account_.provider.api = "https://api.github.com";
    }
    GithubAppSource source() {
        return {provider_, clock_, account_, std::move(*SigningKey::parse(Secret(key_)))};
    }
    SourceNeed repo_need(std::vector<std::string> scopes, std::vector<std::string> repositories) {
        SourceNeed out = need(std::move(scopes));
        out.resources["repo"] = std::move(repositories);
        return out;
    }
};

TEST_F(GithubApp, TokensAreLimitedAtTheirBirthToTheNeed) {
    GithubAppSource app = source();
    provider_.will_answer(201, R"({"token":"ghs_1","expires_at":"2030-01-01T00:00:00Z",
        "permissions":{"issues":"write","metadata":"read"},"repository_selection":"selected",
        "repositories":[{"id":1,"name":"API","full_name":"Acme/API"}]})");

    Fetched fetched = acquire(app, repo_need({"issues:read", "issues:write"}, {"acme/api.git"}));

    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->secret.reveal(), "ghs_1");
    EXPECT_EQ(fetched->expires->unix_ms, 1'893'456'000'000);
    EXPECT_EQ(fetched->retire, RetireClass::Self);
    EXPECT_EQ(fetched->scopes.narrowed_by, NarrowedBy::Both);
    const test::SeenRequest& seen = provider_.seen.at(0);
    EXPECT_EQ(seen.url, "https://api.github.com/app/installations/789/access_tokens");
    EXPECT_EQ(seen.body, R"({"repositories":["api"],"permissions":{"issues":"write"}})");
    ASSERT_TRUE(seen.authorization.starts_with("Bearer "));
    const std::string jwt = seen.authorization.substr(7);
    EXPECT_TRUE(test::is_signed_by(jwt, key_));
    EXPECT_THAT(test::claims_of(jwt), HasSubstr(R"("iss":"123456")"));
}

TEST_F(GithubApp, ATokenIsRevokedWithItselfAndWhatIsUnknownIsGone) {
    GithubAppSource app = source();
    Credential credential;
    credential.secret = Secret("ghs_1");
    for (const int status : {204, 401, 404}) {
        provider_.will_answer(status, "");
        EXPECT_EQ(retire(app, credential, RetireCause::Used).end, End::Gone) << status;
    }
    provider_.will_answer(500, "");
    EXPECT_EQ(retire(app, credential, RetireCause::Used).end, End::NotYet);
    EXPECT_EQ(provider_.seen.at(0).method, "DELETE");
    EXPECT_EQ(provider_.seen.at(0).url, "https://api.github.com/installation/token");
    EXPECT_EQ(provider_.seen.at(0).authorization, "Bearer ghs_1");
}

TEST_F(GithubApp, WhatTheReaperNeedsIsSealedToItsKeyAndToNoOther) {
    const test::TemporaryFolder folder;
    const test::TemporaryFolder other_folder;
    const Result<ReaperKey> reaper = ReaperKey::open(folder.path());
    const Result<ReaperKey> other = ReaperKey::open(other_folder.path());
    ASSERT_TRUE(reaper && other);
    GithubAppSource app = source();
    Credential credential;
    credential.secret = Secret("ghs_of-the-app");

    const auto retirement = app.retirement(credential);
    ASSERT_NE(retirement, nullptr);
    const std::string sealed = reaper->seal().seal(*retirement);

    EXPECT_EQ(sealed.find(wire::to_hex("ghs_of-the-app")), std::string::npos) << "what is sealed is written in hex";
    const Result<Retirement> opened = ReaperKey::open(folder.path())->unseal(sealed);
    ASSERT_TRUE(opened) << opened.error().what;
    EXPECT_EQ(opened->request.method, "DELETE");
    EXPECT_EQ(opened->request.url, "https://api.github.com/installation/token");
    EXPECT_EQ(opened->request.authorization.reveal(), "Bearer ghs_of-the-app");
    EXPECT_EQ(opened->request.repeat, Repeat::Safe);
    EXPECT_TRUE(opened->unknown_is_gone);
    EXPECT_FALSE(other->unseal(sealed));
    EXPECT_FALSE(reaper->unseal(sealed.substr(2)));
    EXPECT_FALSE(reaper->unseal("zz"));
}

TEST_F(GithubApp, ATokenWithMoreThanAskedIsRevokedAndRefused) {
    GithubAppSource app = source();
    provider_.will_answer(201, R"({"token":"ghs_1","expires_at":"2030-01-01T00:00:00Z",
        "permissions":{"issues":"write","administration":"write"}})");
    provider_.will_answer(204, "");

    const Fetched fetched = acquire(app, repo_need({"issues:write"}, {"acme/api"}));

    EXPECT_EQ(fetched.failure().fault, SourceFault::ScopeTooWide);
    EXPECT_EQ(provider_.seen.at(1).method, "DELETE");
}

TEST_F(GithubApp, ATokenForOtherRepositoriesThanAskedIsRevokedAndRefused) {
    GithubAppSource app = source();
    const auto fault_of = [&](const std::string& selection, const std::string& repositories) {
        std::string body = R"({"token":"ghs_1","expires_at":"2030-01-01T00:00:00Z","permissions":{"issues":"write"})";
        if (!selection.empty()) body.append(R"(,"repository_selection":")").append(selection).append("\"");
        if (!repositories.empty()) body.append(R"(,"repositories":)").append(repositories);
        provider_.will_answer(201, body.append("}"));
        provider_.will_answer(204, "");
        const Fetched fetched = acquire(app, repo_need({"issues:write"}, {"acme/api", "acme/site"}));
        EXPECT_FALSE(fetched) << body;
        EXPECT_EQ(provider_.seen.back().method, "DELETE") << body;
        if (fetched) return std::string("none");
        EXPECT_FALSE(fetched.failure().leaves_an_orphan());
        return std::string(name_of(fetched.failure().fault));
    };
    const std::string both = R"([{"full_name":"acme/api"},{"full_name":"acme/site"}])";
    EXPECT_EQ(fault_of("all", ""), "scope_too_wide");
    EXPECT_EQ(fault_of("all", both), "scope_too_wide");
    EXPECT_EQ(fault_of("selected", R"([{"full_name":"acme/api"},{"full_name":"acme/site"},{"full_name":"acme/x"}])"),
              "scope_too_wide");
    EXPECT_EQ(fault_of("selected", R"([{"full_name":"other/api"},{"full_name":"acme/site"}])"), "scope_too_wide");
    EXPECT_EQ(fault_of("selected", R"([{"name":"api"},{"full_name":"acme/site"}])"), "scope_too_wide");
    EXPECT_EQ(fault_of("selected", R"([{"full_name":"acme/api"}])"), "scope_unavailable");
    EXPECT_EQ(fault_of("selected", "[]"), "scope_unavailable");
    EXPECT_EQ(fault_of("selected", ""), "protocol");
    EXPECT_EQ(fault_of("selected", R"(["acme/api","acme/site"])"), "protocol");
    EXPECT_EQ(fault_of("", both), "protocol");
    EXPECT_EQ(fault_of("some", both), "protocol");
    provider_.will_answer(201, R"({"token":"ghs_1","expires_at":"2030-01-01T00:00:00Z",
        "permissions":{"issues":"write"},"repository_selection":"all"})");
    EXPECT_TRUE(acquire(app, need({"issues:write"}))) << "none was asked for";
    provider_.will_answer(201, R"({"token":"ghs_1","expires_at":"2030-01-01T00:00:00Z",
        "permissions":{"issues":"write"},"repository_selection":"selected",
        "repositories":[{"full_name":"acme/api"}]})");
    EXPECT_TRUE(acquire(app, repo_need({"issues:write"}, {"api"}))) << "of whomever the installation is";
}

TEST_F(GithubApp, AClockThatIsWrongIsCorrectedForOnceAndRecorded) {
    GithubAppSource app = source();
    const SourceNeed wanted = repo_need({"issues:write"}, {"acme/api"});
    const Milliseconds behind(-7'200'000);
    const auto issued_at = [&](std::size_t request) {
        const std::string claims = test::claims_of(provider_.seen.at(request).authorization.substr(7));
        return std::stoll(claims.substr(claims.find("\"iat\":") + 6));
    };
    provider_.will_answer(401, "{}", {}, behind);
    provider_.will_answer(201, R"({"token":"ghs_1","expires_at":"2030-01-01T00:00:00Z",
        "permissions":{"issues":"write"},"repository_selection":"selected",
        "repositories":[{"full_name":"acme/api"}]})", {}, behind);

    Fetched got = acquire(app, wanted);

    ASSERT_TRUE(got) << got.failure().what;
    EXPECT_EQ(issued_at(1) - issued_at(0), -7200);
    EXPECT_EQ(got->expires->unix_ms, 1'893'456'000'000 + 7'200'000) << "by our clock";
    EXPECT_EQ(got->remark, "this machine's clock was 7200 s ahead of that of GitHub, and was corrected for");
    provider_.will_answer(401, "{}", {}, behind);
    EXPECT_EQ(acquire(app, wanted).failure().fault, SourceFault::ClockSkew);
    provider_.will_answer(401, "{}");
    provider_.will_answer(401, "{}");
    EXPECT_EQ(acquire(app, wanted).failure().fault, SourceFault::Misconfigured) << "the clock is right again";
}

TEST_F(GithubApp, WhatGithubMadeAndNobodyCanUseOrRevokeIsCountedAsAlive) {
    GithubAppSource app = source();
    const auto left = [&](const char* body, int revocation) {
        provider_.will_answer(201, body);
        provider_.will_answer(revocation, "");
        const SourceFailure failure = acquire(app, repo_need({"issues:write"}, {"acme/api"})).failure();
        provider_.forget_answers();
        return failure.leaves_an_orphan();
    };
    constexpr const char* kTooWide = R"({"token":"ghs_1","expires_at":"2030-01-01T00:00:00Z",
        "permissions":{"issues":"write","administration":"write"}})";
    EXPECT_TRUE(left(kTooWide, 500));
    EXPECT_FALSE(left(kTooWide, 204));
    EXPECT_TRUE(left(R"({"token":"ghs_1","expires_at":"soon"})", 204));
    EXPECT_TRUE(left(R"({"token":"ghs_1)", 204)) << "half an answer";
    provider_.will_answer(401, "{}");
    EXPECT_FALSE(acquire(app, repo_need({"issues:write"}, {"acme/api"})).failure().leaves_an_orphan());
}

TEST_F(GithubApp, WhatIsNoPermissionAndTwoOwnersAreNamedAndNothingIsAsked) {
    GithubAppSource app = source();
    const SourceNeed forced = repo_need({"push:force"}, {"acme/api"});
    const SourceNeed two_owners = repo_need({"issues:read"}, {"acme/api", "other/x"});
    EXPECT_THAT(acquire(app, forced).failure().what, HasSubstr("push:force is no permission"));
    EXPECT_THAT(acquire(app, two_owners).failure().what, HasSubstr("one owner"));
    EXPECT_TRUE(provider_.seen.empty());

    account_.provider.scope_names = {{"push:force", "contents:write"}};
    const Result<std::string> body = installation_token_body(account_.provider, forced);
    EXPECT_EQ(*body, R"({"repositories":["api"],"permissions":{"contents":"write"}})");
}

TEST_F(GithubApp, EveryRefusalOfGithubIsOneFault) {
    GithubAppSource app = source();
    const auto fault = [&](int status, std::map<std::string, std::string> headers = {}) {
        provider_.will_answer(status, R"({"message":"no"})", std::move(headers));
        return acquire(app, repo_need({"issues:read"}, {"acme/api"})).failure();
    };
    EXPECT_EQ(fault(401).fault, SourceFault::Misconfigured);
    EXPECT_EQ(fault(404).fault, SourceFault::Misconfigured);
    EXPECT_EQ(fault(422).fault, SourceFault::ScopeUnavailable);
    EXPECT_EQ(fault(502).fault, SourceFault::NoAnswer);
    EXPECT_EQ(fault(503).fault, SourceFault::Unavailable);
    const SourceFailure limited = fault(403, {{"x-ratelimit-remaining", "0"}, {"retry-after", "30"}});
    EXPECT_EQ(limited.fault, SourceFault::RateLimited);
    EXPECT_EQ(limited.retry_after, Milliseconds(30'000));
}

}  // namespace
}  // namespace sanctum::vault
