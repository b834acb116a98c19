// SPDX-License-Identifier: Apache-2.0
// OpenBao and Kubernetes: what is asked, in which order, and what each answer means.
#include "base/limits.hpp"
#include "tests/unit/vault/provider_script.hpp"
#include "tests/unit/vault/support.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/http/json_body.hpp"
#include "vault/retirement.hpp"
#include "vault/sources/kubernetes.hpp"
#include "vault/sources/openbao.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sodium.h>

namespace sanctum::vault {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using End = RetireOutcome::End;

// --- JSON ---------------------------------------------------------------------------------------------------------

TEST(JsonBody, HoldsTextsAsTheyAreHoweverLongOrOdd) {
    const std::string odd = "\"\\\n\x01" + std::string(5000, 'x');
    JsonBody body;
    body.text("a", odd);
    body.json("b", "7");
    HttpResponse as_answer;
    as_answer.headers["content-type"] = "application/json";
    as_answer.body = body.take();
    const Result<JsonAnswer> read = JsonAnswer::parse(as_answer);
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(read->text("a"), odd);
    EXPECT_EQ(read->number("b"), 7);
    EXPECT_EQ(JsonBody().take().reveal(), "{}");
}

TEST(JsonAnswer, GivesObjectsAndListsOfTextsAndNothingForOtherKinds) {
    HttpResponse response;
    response.headers["content-type"] = "application/json";
    response.body = Secret(R"({"auth":{"token":"t","policies":["a",1,"b"]},"list":[1],"text":"x"})");
    Result<JsonAnswer> json = JsonAnswer::parse(response);
    ASSERT_TRUE(json);
    EXPECT_TRUE(json->text_elements("list").empty());
    EXPECT_TRUE(json->take_object("text").text("x").empty());
    JsonAnswer auth = json->take_object("auth");
    EXPECT_THAT(auth.text_elements("policies"), ElementsAre("a", "b"));
    EXPECT_EQ(auth.take_secret("token").reveal(), "t");
    EXPECT_TRUE(json->take_object("auth").text("token").empty()) << "it was taken out";
}

TEST(JsonAnswer, WhatIsNestedDeeperThanTheLimitIsRefusedBeforeItIsRead) {
    const auto nested = [](std::size_t depth) {
        return "{\"a\":" + std::string(depth - 1, '[') +
               std::string(depth - 1, ']') + "}";
    };
    EXPECT_TRUE(JsonAnswer::parse_text(nested(kJsonDepthMax), "it"));
    const Result<JsonAnswer> deep = JsonAnswer::parse_text(nested(kProviderAnswerBytesMax / 2), "it");
    ASSERT_FALSE(deep) << "a walk through it needs more stack than there is";
    EXPECT_EQ(deep.error().what, "it is JSON nested too deeply");
}

TEST(JsonAnswer, ANumberThatDoesNotFitIsNone) {
    const Result<JsonAnswer> json = JsonAnswer::parse_text(
        R"({"most":9223372036854775807,"more":9223372036854775808,"text":"9223372036854775808","real":1.0})", "it");
    ASSERT_TRUE(json);
    EXPECT_EQ(json->number("most"), INT64_MAX);
    for (const char* name : {"more", "text", "real", "none"}) EXPECT_FALSE(json->number(name)) << name;
}

// --- retirements of several requests --------------------------------------------------------------------------------

Retirement step(const std::string& path) {
    Retirement retirement;
    retirement.provider = "X";
    retirement.request.method = "POST";
    retirement.request.url = "https://x.example" + path;
    retirement.request.repeat = Repeat::Safe;
    retirement.also_gone = {{400, "unknown thing"}};
    retirement.when_denied = "allow it";
    return retirement;
}

RetireOutcome send(test::ProviderScript& http, Retirement retirement) {
    std::optional<RetireOutcome> got;
    send_retirement(http, std::move(retirement), [&](RetireOutcome outcome) { got = std::move(outcome); });
    EXPECT_TRUE(got);
    return got.value_or(RetireOutcome{});
}

Retirement two_steps() {
    Retirement first = step("/1");
    first.next = std::make_unique<Retirement>(step("/2"));
    return first;
}

TEST(Retirement, IsConfirmedOnlyWhenEachOfItsRequestsIs) {
    test::ProviderScript http;
    http.will_answer(204, "");
    http.will_answer(400, R"({"errors":["unknown thing"]})");
    EXPECT_EQ(send(http, two_steps()).end, End::Gone);
    ASSERT_EQ(http.seen.size(), 2U);
    EXPECT_EQ(http.seen[1].url, "https://x.example/2");

    http.will_answer(400, R"({"errors":["another thing"]})");
    EXPECT_EQ(send(http, two_steps()).end, End::NotYet);
    EXPECT_EQ(http.seen.size(), 3U) << "the second needs what the first may still do";

    http.will_answer(204, "");
    http.will_answer(403, "");
    const RetireOutcome denied = send(http, two_steps());
    EXPECT_EQ(denied.end, End::NotYet);
    EXPECT_THAT(denied.detail, HasSubstr("status 403: allow it"));
}

TEST(Retirement, IsSealedAndOpenedWithAllOfItsRequests) {
    const test::TemporaryFolder folder;
    const Result<ReaperKey> reaper = ReaperKey::open(folder.path());
    ASSERT_TRUE(reaper);
    const Result<Retirement> opened = reaper->unseal(reaper->seal().seal(two_steps()));
    ASSERT_TRUE(opened) << opened.error().what;
    ASSERT_NE(opened->next, nullptr);
    EXPECT_EQ(opened->next->request.url, "https://x.example/2");
    EXPECT_EQ(opened->next->request.repeat, Repeat::Safe);
    EXPECT_EQ(opened->next->when_denied, "allow it");
    ASSERT_EQ(opened->next->also_gone.size(), 1U);
    EXPECT_EQ(opened->next->also_gone[0].status, 400);
    EXPECT_EQ(opened->next->also_gone[0].words, "unknown thing");
    EXPECT_EQ(opened->next->next, nullptr);
}

TEST(CleanUp, DecidesWhetherAFailureLeftSomething) {
    const SourceFailure lost{SourceFault::NoAnswer, "lost", Milliseconds(0)};
    const SourceFailure refused{SourceFault::Misconfigured, "refused", Milliseconds(0)};
    const RetireOutcome gone{End::Gone, ""};
    const RetireOutcome not_yet{End::NotYet, "down"};
    EXPECT_EQ(after_clean_up(lost, gone, true).fault, SourceFault::Unavailable);
    EXPECT_FALSE(after_clean_up(lost, gone, true).leaves_an_orphan());
    EXPECT_FALSE(after_clean_up(that_may_be_out(refused), gone, true).leaves_an_orphan());
    EXPECT_TRUE(after_clean_up(lost, gone, false).leaves_an_orphan());
    EXPECT_TRUE(after_clean_up(that_may_be_out(refused), gone, false).leaves_an_orphan());
    EXPECT_FALSE(after_clean_up(refused, gone, false).leaves_an_orphan());
    EXPECT_TRUE(after_clean_up(refused, not_yet, true).leaves_an_orphan());
    EXPECT_EQ(after_clean_up(refused, not_yet, true).fault, SourceFault::Misconfigured) << "the reason stays";
    EXPECT_EQ(after_clean_up(refused, not_yet, true).what, "refused; what was made by then may be alive: down");
}

// --- both -----------------------------------------------------------------------------------------------------------

class ServerSources : public ::testing::Test {
protected:
    Fetched acquire(Source& source, std::vector<std::string> scopes = {"read"}, std::int64_t seconds = 900) {
        SourceNeed need;
        need.mission = "01k9mission000000000000000";
        need.correlation = "01k9lease00000000000000000";
        need.account = "db";
        need.scopes = std::move(scopes);
        need.wanted_until = WallTime{clock_.wall().unix_ms + seconds * 1000};
        std::optional<Fetched> got;
        source.acquire(need, [&](Fetched fetched) { got.emplace(std::move(fetched)); });
        EXPECT_TRUE(got) << "no answer";
        return got ? std::move(*got) : Fetched(SourceFailure{});
    }
    RetireOutcome retire(Source& source, const Credential& credential, RetireCause cause = RetireCause::MissionEnd) {
        std::optional<RetireOutcome> got;
        source.retire(credential, cause, [&](const RetireOutcome& outcome) { got = outcome; });
        EXPECT_TRUE(got);
        return got.value_or(RetireOutcome{});
    }
    std::vector<std::string> urls(std::size_t from = 0) {
        std::vector<std::string> out;
        for (std::size_t i = from; i < http_.seen.size(); ++i) {
            out.push_back(http_.seen[i].method + " " + http_.seen[i].url);
        }
        return out;
    }

    ManualClock clock_;
    test::ProviderScript http_;
    profiles::Account account_ = [] {
        profiles::Account account;
        account.name = "db";
        account.item = "login";
        return account;
    }();
};

// --- openbao --------------------------------------------------------------------------------------------------------

class Openbao : public ServerSources {
protected:
    Openbao() {
        profiles::BaoAccount& bao = account_.bao;
        bao.address = "https://bao.example:8200";
        bao.login = "token";
        bao.auth_mount = "approle";
        bao.engine = "dynamic";
        bao.path = "database/creds/reader";
        bao.field = "password";
        bao.policies = {"db-reader"};
        bao.retire_policy = "sanctum-retire";
    }
    OpenbaoSource source() { return {http_, clock_, account_, Secret("parent")}; }
    void will_make(const std::string& token, const std::string& policy, int seconds = 900) {
        http_.will_answer(200, R"({"auth":{"client_token":")" + token + R"(","accessor":"a-)" + token +
                                   R"(","lease_duration":)" + std::to_string(seconds) + R"(,"policies":[")" + policy +
                                   R"("],"token_policies":[")" + policy + R"("]}})");
    }
    void will_lease(int seconds = 3600) {
        http_.will_answer(200, R"({"lease_id":"database/creds/reader/L1","lease_duration":)" + std::to_string(seconds) +
                                   R"(,"data":{"username":"u","password":"pw"}})");
    }
    Fetched lease(Source& source) {
        will_make("revoker", "sanctum-retire");
        will_make("child", "db-reader");
        will_lease();
        return acquire(source);
    }
};

TEST_F(Openbao, AnEngineThatHasToBeToldSomethingIsAskedByPostAndNeverTwice) {
    account_.bao.path = "kubernetes/creds/agents";
    account_.bao.parameters = {{"kubernetes_namespace", "a\"b"}, {"audiences", "api"}};
    OpenbaoSource bao = source();
    Fetched fetched = lease(bao);
    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(urls().back(), "POST https://bao.example:8200/v1/kubernetes/creds/agents");
    EXPECT_EQ(http_.seen.back().body, R"({"audiences":"api","kubernetes_namespace":"a\"b"})");
    EXPECT_EQ(http_.seen.back().repeat, Repeat::Never);
}

TEST_F(Openbao, AChildIsLimitedInPoliciesTimeAndUsesAndItsRevokerInAllElse) {
    OpenbaoSource bao = source();
    Fetched fetched = lease(bao);
    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->secret.reveal(), "pw");
    EXPECT_EQ(fetched->handle, "database/creds/reader/L1");
    EXPECT_EQ(fetched->expires->unix_ms, clock_.wall().unix_ms + 900'000) << "the child's end is the lease's";
    EXPECT_THAT(urls(), ElementsAre("POST https://bao.example:8200/v1/auth/token/create",
                                    "POST https://bao.example:8200/v1/auth/token/create",
                                    "GET https://bao.example:8200/v1/database/creds/reader"));
    EXPECT_EQ(http_.seen[0].authorization, "Bearer parent");
    EXPECT_THAT(http_.seen[0].body,
                StartsWith(R"({"policies":["sanctum-retire"],"ttl":"960s","explicit_max_ttl":"960s",)"
                           R"("num_uses":0,"renewable":false,"no_default_policy":true)"));
    EXPECT_THAT(http_.seen[1].body,
                AllOf(StartsWith(R"({"policies":["db-reader"],"ttl":"900s","explicit_max_ttl":"900s","num_uses":2,)"),
                      HasSubstr(R"("sanctum_mission":"01k9mission000000000000000")")));
    EXPECT_EQ(http_.seen[2].authorization, "Bearer child");
    for (const test::SeenRequest& seen : http_.seen) EXPECT_EQ(seen.repeat, Repeat::Never);
}

TEST_F(Openbao, TheLeaseEndsFirstThenTheTokensAndTheRevokerLast) {
    OpenbaoSource bao = source();
    Fetched fetched = lease(bao);
    ASSERT_TRUE(fetched);
    for (int i = 0; i < 3; ++i) http_.will_answer(204, "");
    EXPECT_EQ(retire(bao, *fetched).end, End::Gone);
    EXPECT_THAT(urls(3), ElementsAre("POST https://bao.example:8200/v1/sys/leases/revoke",
                                     "POST https://bao.example:8200/v1/auth/token/revoke-accessor",
                                     "POST https://bao.example:8200/v1/auth/token/revoke-accessor"));
    EXPECT_EQ(http_.seen[3].body, R"({"lease_id":"database/creds/reader/L1","sync":true})");
    EXPECT_EQ(http_.seen[4].body, R"({"accessor":"a-child"})");
    EXPECT_EQ(http_.seen[5].body, R"({"accessor":"a-revoker"})");
    for (std::size_t i = 3; i < 6; ++i) {
        EXPECT_EQ(http_.seen[i].authorization, "Bearer revoker");
        EXPECT_EQ(http_.seen[i].repeat, Repeat::Safe);
    }
}

TEST_F(Openbao, WhatTheServerNoLongerKnowsIsGoneAndWhatItForbidsIsNot) {
    OpenbaoSource bao = source();
    Fetched fetched = lease(bao);
    ASSERT_TRUE(fetched);
    http_.will_answer(403, R"({"errors":["permission denied"]})");
    const RetireOutcome denied = retire(bao, *fetched);
    EXPECT_EQ(denied.end, End::NotYet) << "an old server says no more for a dead token: it is counted until its end";
    EXPECT_THAT(denied.detail, HasSubstr("the policy sanctum-retire must allow `update` on sys/leases/revoke"));
    http_.will_answer(500, R"({"errors":["failed to revoke entry"]})");
    EXPECT_EQ(retire(bao, *fetched).end, End::NotYet);
    http_.will_answer(204, "");
    http_.will_answer(400, R"({"errors":["1 error occurred:\n\t* invalid accessor\n\n"]})");
    http_.will_answer(200, R"({"warnings":["No token found with this accessor"]})");
    EXPECT_EQ(retire(bao, *fetched).end, End::Gone);
}

TEST_F(Openbao, ARevokerThatIsUnknownEndedWithWhatItRevokes) {
    OpenbaoSource bao = source();
    Fetched fetched = lease(bao);
    ASSERT_TRUE(fetched);
    for (int i = 0; i < 3; ++i) {
        http_.will_answer(403, R"({"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]})");
    }
    EXPECT_EQ(retire(bao, *fetched).end, End::Gone);
}

TEST_F(Openbao, AllOfARoleIsRevokedAtTheMissionsEndAndNotBefore) {
    account_.bao.revokes_prefix = true;
    OpenbaoSource bao = source();
    Fetched fetched = lease(bao);
    ASSERT_TRUE(fetched);
    http_.will_answer(500, "");
    static_cast<void>(retire(bao, *fetched, RetireCause::Used));
    for (int i = 0; i < 4; ++i) http_.will_answer(204, "");
    EXPECT_EQ(retire(bao, *fetched).end, End::Gone);
    EXPECT_EQ(http_.seen[3].url, "https://bao.example:8200/v1/sys/leases/revoke");
    EXPECT_EQ(http_.seen[5].url, "https://bao.example:8200/v1/sys/leases/revoke-prefix/database/creds/reader");
    EXPECT_EQ(http_.seen[5].body, R"({"sync":true})");
}

TEST_F(Openbao, AnAppRolesLoginIsTheRootOfItsLeaseAndAllThatHasToEnd) {
    account_.bao.login = "approle";
    account_.bao.role_id = "R1";
    OpenbaoSource bao{http_, clock_, account_, Secret("S1")};
    will_make("login", "default", 300);
    Fetched fetched = lease(bao);
    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(http_.seen[0].url, "https://bao.example:8200/v1/auth/approle/login");
    EXPECT_EQ(http_.seen[0].body, R"({"role_id":"R1","secret_id":"S1"})");
    EXPECT_EQ(http_.seen[0].authorization, "");
    EXPECT_EQ(http_.seen[1].authorization, "Bearer login");
    EXPECT_EQ(fetched->expires->unix_ms, clock_.wall().unix_ms + 300'000) << "children end with their login";
    const auto sealed = bao.retirement(*fetched);
    ASSERT_NE(sealed, nullptr);
    ASSERT_NE(sealed->next, nullptr);
    EXPECT_EQ(sealed->next->request.body.reveal(), R"({"accessor":"a-login"})");
    EXPECT_EQ(sealed->next->request.authorization.reveal(), "Bearer revoker");
    EXPECT_EQ(sealed->next->next, nullptr);
}

TEST_F(Openbao, WhatIsWiderThanAskedIsRevokedAndRefused) {
    OpenbaoSource bao = source();
    will_make("revoker", "sanctum-retire");
    http_.will_answer(200, R"({"auth":{"client_token":"c","accessor":"a-c","lease_duration":900,
        "policies":["db-reader"],"token_policies":["db-reader"],"identity_policies":["admins"]}})");
    http_.will_answer(204, "");
    http_.will_answer(204, "");
    const Fetched fetched = acquire(bao);
    EXPECT_EQ(fetched.failure().fault, SourceFault::ScopeTooWide);
    EXPECT_THAT(fetched.failure().what, HasSubstr("admins"));
    EXPECT_EQ(http_.seen[2].body, R"({"accessor":"a-c"})");
    EXPECT_EQ(http_.seen[3].body, R"({"accessor":"a-revoker"})");
}

TEST_F(Openbao, ScopesAreNamedByPoliciesOrRefusedBeforeAnythingIsAsked) {
    account_.bao.policies.clear();
    account_.provider.scope_names = {{"read", "DB-Reader"}, {"write", "root"}};
    OpenbaoSource bao = source();
    EXPECT_THAT(acquire(bao, {"delete"}).failure().what, HasSubstr("scope delete has no policy"));
    EXPECT_THAT(acquire(bao, {"write"}).failure().what, HasSubstr("no mission gets the policy root"));
    EXPECT_TRUE(http_.seen.empty());
    EXPECT_TRUE(lease(bao)) << "the server keeps names in lower case";
}

TEST_F(Openbao, AStoredSecretIsReadOnceAndItsFieldIsAText) {
    account_.bao.engine = "kv";
    account_.bao.path = "secret/data/app";
    OpenbaoSource bao = source();
    will_make("child", "db-reader", 60);
    http_.will_answer(200, R"({"data":{"data":{"password":"stored"},"metadata":{"version":3}}})");
    Fetched fetched = acquire(bao);
    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->secret.reveal(), "stored");
    EXPECT_EQ(fetched->retire, RetireClass::None);
    EXPECT_FALSE(fetched->expires);
    EXPECT_EQ(bao.retirement(*fetched), nullptr);
    EXPECT_THAT(http_.seen[0].body, HasSubstr(R"("ttl":"60s","explicit_max_ttl":"60s","num_uses":1,)"));
    EXPECT_EQ(retire(bao, *fetched).end, End::Gone);
    EXPECT_EQ(http_.seen.size(), 2U);

    will_make("child", "db-reader", 60);
    http_.will_answer(200, R"({"data":{"data":{"password":7}}})");
    EXPECT_THAT(acquire(bao).failure().what, HasSubstr("no text `password`"));
}

TEST_F(Openbao, ALoginThatCannotBeEndedIsNoSuccess) {
    account_.bao.engine = "kv";
    account_.bao.login = "approle";
    OpenbaoSource bao = source();
    will_make("login", "x");
    will_make("child", "db-reader", 60);
    http_.will_answer(200, R"({"data":{"data":{"password":"stored"}}})");
    http_.will_answer(403, R"({"errors":["permission denied"]})");
    const Fetched fetched = acquire(bao);
    ASSERT_FALSE(fetched);
    EXPECT_THAT(fetched.failure().what, HasSubstr("auth/token/revoke-self"));
}

TEST_F(Openbao, EveryRefusalIsOneFault) {
    OpenbaoSource bao = source();
    const auto fault = [&](int status, const std::string& error) {
        will_make("revoker", "sanctum-retire");
        will_make("child", "db-reader");
        http_.will_answer(status, R"({"errors":[")" + error + R"("]})");
        http_.will_answer(204, "");
        http_.will_answer(204, "");
        return acquire(bao).failure();
    };
    EXPECT_EQ(fault(503, "Vault is sealed").fault, SourceFault::Unavailable);
    EXPECT_EQ(fault(403, "permission denied").fault, SourceFault::Misconfigured);
    EXPECT_EQ(fault(404, "no handler for route").fault, SourceFault::Misconfigured);
    EXPECT_THAT(fault(404, "").what, HasSubstr("no secret at database/creds/reader"));
    EXPECT_EQ(fault(307, "").fault, SourceFault::Misconfigured);
    EXPECT_EQ(fault(412, "").fault, SourceFault::Unavailable);
    EXPECT_EQ(fault(429, "").fault, SourceFault::RateLimited);
    EXPECT_EQ(fault(500, "x").fault, SourceFault::Unavailable);
    EXPECT_EQ(fault(504, "").fault, SourceFault::Unavailable) << "what it made is revoked with the child";
    EXPECT_EQ(fault(418, "").fault, SourceFault::Failed);
    EXPECT_THAT(fault(200, "").what, HasSubstr("without a lease"));
    http_.will_answer(400, R"({"errors":["batch tokens cannot create more tokens; a batch token"]})");
    EXPECT_EQ(acquire(bao).failure().fault, SourceFault::Misconfigured);
}

TEST_F(Openbao, AWrappingTokenIsLookedAtAndTakenOnceForAllThatWait) {
    account_.bao.is_wrapped = true;
    account_.bao.bao_namespace = "team";
    OpenbaoSource bao{http_, clock_, account_, Secret("wrap")};
    http_.will_answer(200, R"({"data":{"creation_path":"team/auth/token/create"}})");
    http_.will_answer(200, R"({"auth":{"client_token":"parent"}})");
    ASSERT_TRUE(lease(bao));
    EXPECT_EQ(http_.seen[0].body, R"({"token":"wrap"})");
    EXPECT_EQ(http_.seen[1].authorization, "Bearer wrap");
    EXPECT_EQ(http_.seen[2].authorization, "Bearer parent");
    ASSERT_TRUE(lease(bao));
    EXPECT_EQ(http_.seen.size(), 8U) << "unwrapped once";
}

// --- kubernetes -----------------------------------------------------------------------------------------------------

std::string jwt(const std::string& claims) {
    std::string out(sodium_base64_encoded_len(claims.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING), '\0');
    ::sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(claims.data()), claims.size(),
                        sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    out.pop_back();
    return "e30." + out + ".c2ln";
}

class Kubernetes : public ServerSources {
protected:
    Kubernetes() {
        profiles::KubernetesAccount& cluster = account_.kubernetes;
        cluster.server = "https://kube.example:6443";
        cluster.name_space = "agents";
        cluster.service_account = "mission";
        cluster.audiences = {"api"};
        cluster.retire_as = "retire";
    }
    KubernetesSource source() { return {http_, clock_, account_, Secret("caller")}; }
    void will_make_secret() { http_.will_answer(201, R"({"metadata":{"name":"n","uid":"U1"}})"); }
    void will_give(const std::string& claims) {
        http_.will_answer(201, R"({"status":{"token":")" + jwt(claims) +
                                   R"(","expirationTimestamp":"2030-01-01T00:00:00Z"}})");
    }
    static std::string claims(const std::string& audiences = R"(["api"])", const std::string& uid = "U1") {
        return R"({"aud":)" + audiences + R"(,"kubernetes.io":{"secret":{"uid":")" + uid + R"("}}})";
    }
    Fetched lease(Source& source, std::int64_t seconds = 900) {
        will_make_secret();
        will_give(claims());
        will_give("{}");
        return acquire(source, {"read"}, seconds);
    }
};

TEST_F(Kubernetes, ATokenIsForItsAudienceItsTimeAndItsSecret) {
    KubernetesSource kube = source();
    Fetched fetched = lease(kube);
    ASSERT_TRUE(fetched) << fetched.failure().what;
    const std::string base = "POST https://kube.example:6443/api/v1/namespaces/agents/";
    EXPECT_THAT(urls(), ElementsAre(base + "secrets", base + "serviceaccounts/mission/token",
                                    base + "serviceaccounts/retire/token"));
    EXPECT_THAT(http_.seen[0].body, HasSubstr(R"("name":"sanctum-01k9lease00000000000000000")"));
    EXPECT_THAT(http_.seen[1].body,
                HasSubstr(R"("spec":{"expirationSeconds":900,"audiences":["api"],"boundObjectRef":{"kind":"Secret",)"
                          R"("apiVersion":"v1","name":"sanctum-01k9lease00000000000000000","uid":"U1"}})"));
    EXPECT_THAT(http_.seen[2].body, HasSubstr(R"("spec":{"expirationSeconds":900,"boundObjectRef")"));
    EXPECT_EQ(fetched->expires->unix_ms, 1'893'456'000'000) << "the server's word";
    EXPECT_EQ(fetched->handle, "sanctum-01k9lease00000000000000000");
}

TEST_F(Kubernetes, ATokensTimeStaysInTheServersBounds) {
    KubernetesSource kube = source();
    ASSERT_TRUE(lease(kube, 5));
    EXPECT_THAT(http_.seen[1].body, HasSubstr(R"("expirationSeconds":600,)"));
    ASSERT_TRUE(lease(kube, 100'000));
    EXPECT_THAT(http_.seen[4].body, HasSubstr(R"("expirationSeconds":3600,)"));
}

TEST_F(Kubernetes, TheSecretIsDeletedIfItIsTheOneThatWasMade) {
    KubernetesSource kube = source();
    Fetched fetched = lease(kube);
    ASSERT_TRUE(fetched);
    http_.will_answer(403, R"({"reason":"Forbidden"})");
    const RetireOutcome denied = retire(kube, *fetched);
    EXPECT_EQ(denied.end, End::NotYet);
    EXPECT_THAT(denied.detail, HasSubstr("must allow `delete` on secrets in namespace agents"));
    http_.will_answer(409, R"({"message":"the UID in the precondition (U1) does not match"})");
    EXPECT_EQ(retire(kube, *fetched).end, End::Gone);
    EXPECT_EQ(http_.seen[3].method, "DELETE");
    EXPECT_THAT(http_.seen[3].body, HasSubstr(R"("preconditions":{"uid":"U1"})"));
    EXPECT_EQ(http_.seen[3].authorization, "Bearer caller");
}

TEST_F(Kubernetes, TheReaperGetsTheDeletersTokenAndNeverTheCallers) {
    KubernetesSource kube = source();
    Fetched fetched = lease(kube);
    ASSERT_TRUE(fetched);
    auto retirement = kube.retirement(*fetched);
    ASSERT_NE(retirement, nullptr);
    EXPECT_EQ(retirement->request.authorization.reveal(), "Bearer " + jwt("{}"));
    http_.will_answer(401, R"({"reason":"Unauthorized"})");
    EXPECT_EQ(send(http_, std::move(*retirement)).end, End::NotYet)
        << "a deleter that is not accepted does not prove that the Secret is gone";

    account_.kubernetes.retire_as.clear();
    KubernetesSource without = source();
    will_make_secret();
    will_give(claims());
    fetched = acquire(without);
    ASSERT_TRUE(fetched);
    EXPECT_EQ(without.retirement(*fetched), nullptr);
}

TEST_F(Kubernetes, ATokenThatIsNotBoundOrForOthersToIsDeletedAndRefused) {
    KubernetesSource kube = source();
    const auto fault = [&](const std::string& told) {
        will_make_secret();
        will_give(told);
        http_.will_answer(200, "{}");
        return acquire(kube).failure().fault;
    };
    EXPECT_EQ(fault(claims(R"(["api"])", "U2")), SourceFault::ScopeTooWide);
    EXPECT_EQ(fault(R"({"aud":["api"]})"), SourceFault::ScopeTooWide);
    EXPECT_EQ(fault(claims(R"(["api","admin"])")), SourceFault::ScopeTooWide);
    EXPECT_EQ(fault(claims(R"(["other"])")), SourceFault::ScopeTooWide);
    EXPECT_EQ(fault(claims("[]")), SourceFault::ScopeUnavailable);
    EXPECT_EQ(fault("no claims"), SourceFault::Protocol);
    EXPECT_EQ(http_.seen.back().method, "DELETE");
    will_make_secret();
    will_give(claims(R"("api")"));
    will_give("{}");
    EXPECT_TRUE(acquire(kube)) << "one audience may be a text (RFC 7519 4.1.3)";
}

TEST_F(Kubernetes, WhatMayHaveBeenMadeIsDeletedByTheNameThatWasKnownBefore) {
    KubernetesSource kube = source();
    http_.will_fail(Error{Errc::Cancelled, "lost"});
    http_.will_answer(404, "{}");
    EXPECT_EQ(acquire(kube).failure().fault, SourceFault::Unavailable);
    EXPECT_EQ(http_.seen[1].url, "https://kube.example:6443/api/v1/namespaces/agents/secrets/"
                                 "sanctum-01k9lease00000000000000000");
    http_.will_answer(500, "{}");
    http_.will_fail(Error{Errc::Timeout, "late"});
    EXPECT_TRUE(acquire(kube).failure().leaves_an_orphan());
    http_.will_fail(Error{Errc::Io, "refused"});
    EXPECT_EQ(acquire(kube).failure().fault, SourceFault::Unavailable);
    http_.will_answer(403, "{}");
    EXPECT_EQ(acquire(kube).failure().fault, SourceFault::Misconfigured);
    EXPECT_EQ(http_.seen.size(), 6U) << "nothing was made by these two";
}

TEST_F(Kubernetes, EveryRefusalIsOneFault) {
    KubernetesSource kube = source();
    const auto fault = [&](int status) {
        will_make_secret();
        http_.will_answer(status, "{}");
        http_.will_answer(200, "{}");
        return acquire(kube).failure();
    };
    EXPECT_EQ(fault(401).fault, SourceFault::SubjectExpired);
    EXPECT_THAT(fault(403).what, HasSubstr("`create` on serviceaccounts/token of mission in namespace agents"));
    EXPECT_THAT(fault(404).what, HasSubstr("no service account mission in namespace agents"));
    EXPECT_EQ(fault(422).fault, SourceFault::Misconfigured);
    EXPECT_EQ(fault(429).fault, SourceFault::RateLimited);
    EXPECT_EQ(fault(503).fault, SourceFault::Unavailable);
    EXPECT_EQ(fault(504).fault, SourceFault::Unavailable) << "the Secret is deleted, and with it whatever was made";
    EXPECT_EQ(fault(409).fault, SourceFault::Failed);
}

}  // namespace
}  // namespace sanctum::vault
