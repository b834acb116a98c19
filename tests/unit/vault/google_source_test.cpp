// SPDX-License-Identifier: Apache-2.0
// Google: what its tokens are narrowed to, what the boundary says, and that nothing of a consent is revoked unasked.
#include "base/digest.hpp"
#include "tests/unit/vault/provider_script.hpp"
#include "tests/unit/vault/support.hpp"
#include "vault/retirement.hpp"
#include "vault/sources/google.hpp"
#include "vault/sources/storage_boundary.hpp"
#include "vault/unlock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sanctum::vault {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using End = RetireOutcome::End;

constexpr const char* kReadOnly = "https://www.googleapis.com/auth/devstorage.read_only";

// `text` with JSON's escapes for what a key file holds.
std::string json_of(const std::string& text) {
    std::string out;
    wire::append_json_string(out, text);
    return out;
}

class GoogleTest : public ::testing::Test {
protected:
    GoogleTest() {
        account_.name = "robot";
        account_.source = "google";
        account_.item = "alice";
        account_.provider.how = "service-account";
        account_.provider.scope_names = {{"objects:read", kReadOnly}, {"objects:write", "devstorage.read_write"}};
        need_.scopes = {"objects:read"};
        need_.service_bounds = {{"bucket", {"b"}}};
    }
    std::string key_file(const std::string& changed = {}, const std::string& value = {}) {
        std::map<std::string, std::string> members = {{"type", "service_account"},
                                                      {"client_email", "robot@p.iam.gserviceaccount.com"},
                                                      {"private_key_id", "kid-1"},
                                                      {"private_key", key_},
                                                      {"token_uri", "https://oauth2.googleapis.com/token"}};
        if (!changed.empty()) members[changed] = value;
        std::string json = "{";
        for (const auto& [name, text] : members) json += json_of(name) + ":" + json_of(text) + ",";
        json.back() = '}';
        return json;
    }
    std::shared_ptr<TokenEndpoint> endpoint() {
        const auto item = [](const std::string&) -> Result<Secret> { return Secret("client-secret"); };
        Result<Identity> identity = Identity::create(google_client(account_), item);
        EXPECT_TRUE(identity);
        return std::make_shared<TokenEndpoint>(provider_, clock_, std::move(*identity));
    }
    GoogleSource robot() {
        return {endpoint(), provider_, account_, std::move(*ServiceAccount::parse(Secret(key_file())))};
    }
    GoogleSource user() {
        account_.provider.how = "refresh-token";
        account_.provider.client_id = "CID";
        account_.provider.client_secret_item = "secret";
        make_store();
        return {endpoint(), provider_, account_,
                std::make_shared<SubjectToken>(ChangingItem{store_, data_key_, "alice"}, loop_, clock_)};
    }
    void make_store() {
        store_ = folder_ / "store.sealed";
        NewStoreKeys keys;
        keys.key = LockedBytes(create_key_file(folder_ / "store.key")->reveal());
        ASSERT_TRUE(create_store(store_, keys));
        UnlockMeans means;
        means.spec = "key-file:" + (folder_ / "store.key");
        data_key_ = std::make_shared<const LockedBytes>(*unlock_store(*load_store(store_), store_, means));
        ASSERT_TRUE(change_store(store_, *data_key_, [&](StoredItems& items) -> Result<Change> {
            items["alice"].value = LockedBytes(std::string_view("1//0refresh"));
            return Change::Write;
        }));
    }
    // Both stages, as leases do them.
    Fetched fetch(Source& source) {
        std::optional<Fetched> got;
        source.acquire(need_, [&](Fetched fetched) {
            if (!fetched) return void(got.emplace(std::move(fetched)));
            source.attenuate(need_, std::move(*fetched), [&](Fetched child) { got.emplace(std::move(child)); });
        });
        EXPECT_TRUE(got) << "no answer";
        return got ? std::move(*got) : Fetched(SourceFailure{});
    }
    static RetireOutcome retire(Source& source, const Credential& credential, RetireCause cause) {
        std::optional<RetireOutcome> got;
        source.retire(credential, cause, [&](const RetireOutcome& outcome) { got = outcome; });
        EXPECT_TRUE(got);
        return got.value_or(RetireOutcome{});
    }

    ManualClock clock_;
    PollLoop loop_;
    test::TemporaryFolder folder_;
    std::string store_;
    std::shared_ptr<const LockedBytes> data_key_;
    test::ProviderScript provider_;
    profiles::Account account_;
    SourceNeed need_;
    std::string key_ = test::make_rsa_key();
};

// --- service accounts ---------------------------------------------------------------------------------------------

TEST_F(GoogleTest, AServiceAccountSignsForTheScopesOfTheNeed) {
    account_.provider.user = "alice@example.org";
    GoogleSource source = robot();
    provider_.will_answer(200, R"({"access_token":"ya29.1","expires_in":3599,"token_type":"Bearer"})");

    Fetched fetched = fetch(source);

    ASSERT_TRUE(fetched) << fetched.failure().what;
    const test::SeenRequest& seen = provider_.seen.at(0);
    EXPECT_EQ(seen.url, "https://oauth2.googleapis.com/token");
    EXPECT_EQ(seen.parameter("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
    EXPECT_EQ(seen.parameter("client_id"), "(absent)");
    const std::string jwt = seen.parameter("assertion");
    EXPECT_TRUE(test::is_signed_by(jwt, key_));
    EXPECT_THAT(test::header_of(jwt), AllOf(HasSubstr(R"("alg":"RS256")"), HasSubstr(R"("kid":"kid-1")")));
    EXPECT_THAT(test::claims_of(jwt),
                AllOf(HasSubstr(R"("iss":"robot@p.iam.gserviceaccount.com","sub":"alice@example.org")"),
                      HasSubstr(R"("scope":"https://www.googleapis.com/auth/devstorage.read_only")"),
                      HasSubstr(R"("aud":"https://oauth2.googleapis.com/token")")));
    EXPECT_EQ(fetched->expires->unix_ms, clock_.wall().unix_ms + 3'599'000);
    EXPECT_EQ(fetched->retire, RetireClass::Expires);
    EXPECT_EQ(fetched->scopes.narrowed_by, NarrowedBy::Proxy) << "Google did not say what it gave";
    const RetireOutcome outcome = retire(source, *fetched, RetireCause::MissionEnd);
    EXPECT_EQ(outcome.end, End::LeftToExpire);
    EXPECT_EQ(provider_.seen.size(), 1U) << "nothing is revoked";
}

TEST_F(GoogleTest, AKeyFileThatIsNoneIsRefusedWithoutShowingIt) {
    const auto told = [&](const std::string& json) {
        const Result<ServiceAccount> parsed = ServiceAccount::parse(Secret(json));
        EXPECT_FALSE(parsed) << json;
        return parsed ? std::string() : parsed.error().what;
    };
    EXPECT_THAT(told("ghp_canary"), AllOf(HasSubstr("broken JSON"), Not(HasSubstr("canary"))));
    EXPECT_THAT(told(key_file("type", "authorized_user")), HasSubstr("`type` is not"));
    EXPECT_THAT(told(key_file("client_email", "")), HasSubstr("`client_email` is missing"));
    EXPECT_THAT(told(key_file("token_uri", "https://evil.example/token")), HasSubstr("`token_uri` is not"));
    EXPECT_THAT(told(key_file("private_key", "canary")), AllOf(HasSubstr("private_key"), Not(HasSubstr("canary"))));
    EXPECT_THAT(told(key_file("private_key", test::make_ec_key())), HasSubstr("no RSA key"));
}

TEST_F(GoogleTest, AKeyThatGoogleDoesNotKnowIsASettingAndNoLostConsent) {
    GoogleSource source = robot();
    provider_.will_answer(400, R"({"error":"invalid_grant","error_description":"Invalid JWT Signature."})");
    const Fetched fetched = fetch(source);
    EXPECT_EQ(fetched.failure().fault, SourceFault::Misconfigured);
    EXPECT_THAT(fetched.failure().what, HasSubstr("the key is not (any more) one of this account"));
}

// --- users --------------------------------------------------------------------------------------------------------

TEST_F(GoogleTest, ARefreshAsksForTheScopesOfTheNeedAndComparesLongNames) {
    account_.provider.scope_names["objects:read"] = "email";
    GoogleSource source = user();
    provider_.will_answer(
        200, R"({"access_token":"ya29.1","expires_in":3599,"scope":"https://www.googleapis.com/auth/userinfo.email"})");

    Fetched fetched = fetch(source);

    ASSERT_TRUE(fetched) << fetched.failure().what;
    const test::SeenRequest& seen = provider_.seen.at(0);
    EXPECT_EQ(seen.parameter("grant_type"), "refresh_token");
    EXPECT_EQ(seen.parameter("refresh_token"), "1//0refresh");
    EXPECT_EQ(seen.parameter("client_secret"), "client-secret");
    EXPECT_EQ(seen.parameter("scope"), "https://www.googleapis.com/auth/userinfo.email");
    EXPECT_EQ(fetched->scopes.narrowed_by, NarrowedBy::Both);
    EXPECT_EQ(fetched->retire, RetireClass::KillsGrant);
}

TEST_F(GoogleTest, ATokenOfAConsentIsNeverRevokedUnasked) {
    GoogleSource source = user();
    provider_.will_answer(200, R"({"access_token":"ya29.1","expires_in":3599})");
    Fetched fetched = fetch(source);
    for (const RetireCause cause : {RetireCause::Used, RetireCause::Expired, RetireCause::MissionEnd}) {
        const RetireOutcome outcome = retire(source, *fetched, cause);
        EXPECT_EQ(outcome.end, End::LeftToExpire);
        EXPECT_THAT(outcome.detail, HasSubstr("whole consent"));
    }
    source.end_mission([] {});
    EXPECT_EQ(source.retirement(*fetched), nullptr);
    EXPECT_EQ(provider_.seen.size(), 1U);
}

TEST_F(GoogleTest, ATooWideTokenIsRefusedAndStillNotRevoked) {
    account_.on_exit = "revoke";
    GoogleSource source = user();
    provider_.will_answer(200, std::string(R"({"access_token":"ya29.1","scope":"mail )") + kReadOnly + "\"}");
    EXPECT_EQ(fetch(source).failure().fault, SourceFault::ScopeTooWide);
    EXPECT_EQ(provider_.seen.size(), 1U) << "the mission goes on with the same consent";
}

TEST_F(GoogleTest, OnExitRevokeEndsTheConsentOnceAndOnlyAtTheEnd) {
    account_.on_exit = "revoke";
    GoogleSource source = user();
    provider_.will_answer(200, R"({"access_token":"ya29.1","expires_in":3599})");
    Fetched fetched = fetch(source);
    const RetireOutcome early = retire(source, *fetched, RetireCause::Used);
    EXPECT_EQ(early.end, End::NotYet);
    EXPECT_THAT(early.detail, HasSubstr("at the mission's end"));
    EXPECT_EQ(provider_.seen.size(), 1U) << "the mission goes on";
    provider_.will_answer(200, "{}");

    const RetireOutcome first = retire(source, *fetched, RetireCause::MissionEnd);
    const RetireOutcome second = retire(source, *fetched, RetireCause::MissionEnd);

    EXPECT_EQ(first.end, End::Gone);
    EXPECT_EQ(second.end, End::Gone);
    EXPECT_THAT(first.detail, HasSubstr("consent is revoked"));
    ASSERT_EQ(provider_.seen.size(), 2U);
    EXPECT_EQ(provider_.seen.at(1).url, "https://oauth2.googleapis.com/revoke");
    EXPECT_EQ(provider_.seen.at(1).body, "token=1%2F%2F0refresh");
    EXPECT_EQ(provider_.seen.at(1).repeat, Repeat::Safe);
}

TEST_F(GoogleTest, OnExitRevokeHoldsWithoutALeaseAtTheEndAndNotWithoutAUse) {
    account_.on_exit = "revoke";
    GoogleSource unused = user();
    bool is_done = false;
    unused.end_mission([&] { is_done = true; });
    EXPECT_TRUE(is_done);
    EXPECT_TRUE(provider_.seen.empty()) << "a mission that used nothing takes nothing away";

    provider_.will_answer(200, R"({"access_token":"ya29.1","expires_in":3599})");
    ASSERT_TRUE(fetch(unused));
    provider_.will_answer(400, R"({"error":"invalid_token"})");
    is_done = false;
    unused.end_mission([&] { is_done = true; });
    EXPECT_TRUE(is_done);
    EXPECT_EQ(provider_.seen.at(1).url, "https://oauth2.googleapis.com/revoke");
}

TEST_F(GoogleTest, TheReaperRevokesTheConsentWhereTheOperatorSaidSo) {
    account_.on_exit = "revoke";
    GoogleSource source = user();
    Credential credential;
    credential.secret = Secret("ya29.1");
    const auto retirement = source.retirement(credential);
    ASSERT_NE(retirement, nullptr);
    const Result<ReaperKey> reaper = ReaperKey::open(folder_.path());
    const Result<Retirement> opened = reaper->unseal(reaper->seal().seal(*retirement));
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->request.body.reveal(), "token=ya29.1");
    const auto answer = [](int status) {
        HttpResponse response;
        response.status = status;
        return Result<HttpResponse>(std::move(response));
    };
    const Result<HttpResponse> unknown = answer(400);
    EXPECT_EQ(outcome_of(*opened, unknown).end, End::Gone);
    EXPECT_EQ(outcome_of("GitHub", true, unknown).end, End::NotYet) << "elsewhere 400 says nothing";
}

// --- the boundary -------------------------------------------------------------------------------------------------

class BoundaryTest : public GoogleTest {
protected:
    BoundaryTest() {
        account_.provider.boundary = {{"objects:read", "roles/storage.objectViewer"},
                                      {"objects:write", "roles/storage.objectUser"}};
    }
    std::string json() {
        const auto rules = boundary_rules(account_.provider, need_);
        EXPECT_TRUE(rules) << rules.error().what;
        return rules ? boundary_json(*rules) : std::string();
    }
    std::string refused() {
        const auto rules = boundary_rules(account_.provider, need_);
        EXPECT_FALSE(rules);
        return rules ? std::string() : rules.error().what;
    }
};

TEST_F(BoundaryTest, IsDrawnAroundTheBucketsAndPrefixesOfTheMission) {
    need_.service_bounds["object"] = {"in/**"};
    EXPECT_EQ(json(), R"({"accessBoundary":{"accessBoundaryRules":[{"availableResource":)"
                      R"("//storage.googleapis.com/projects/_/buckets/b","availablePermissions":)"
                      R"(["inRole:roles/storage.objectViewer"],"availabilityCondition":{"expression":)"
                      R"-("resource.name.startsWith('projects/_/buckets/b/objects/in/') || )-"
                      R"-(api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('in/')"}}]}})-");
}

TEST_F(BoundaryTest, WithoutAPrefixTheWholeBucketIsInside) {
    EXPECT_THAT(json(), Not(HasSubstr("availabilityCondition")));
    need_.service_bounds["object"] = {"in/**", "**"};
    EXPECT_THAT(json(), Not(HasSubstr("availabilityCondition")));
}

TEST_F(BoundaryTest, OfServiceAndAccountTheNarrowerOneCounts) {
    need_.service_bounds = {{"bucket", {"a", "b", "c"}}, {"object", {"in/**", "out/x"}}};
    need_.account_bounds = {{"bucket", {"b", "a"}}, {"object", {"in/2026/**", "out/**"}}};
    const auto rules = boundary_rules(account_.provider, need_);
    ASSERT_TRUE(rules) << rules.error().what;
    EXPECT_THAT(boundary_texts(*rules),
                ElementsAre("roles/storage.objectViewer a/in/2026/", "roles/storage.objectViewer a/out/x",
                            "roles/storage.objectViewer b/in/2026/", "roles/storage.objectViewer b/out/x"));
    need_.account_bounds["object"] = {"elsewhere/**"};
    EXPECT_THAT(refused(), HasSubstr("no objects in common"));
}

TEST_F(BoundaryTest, ANameCannotBreakOutOfItsQuotes) {
    need_.service_bounds["object"] = {"in') || true || resource.name.startsWith('/x%27y/**"};
    EXPECT_THAT(json(), HasSubstr(R"(objects/in\\') || true || resource.name.startsWith(\\'/x\\'y/'))"));
}

TEST_F(BoundaryTest, WhatCannotBeDrawnIsRefusedBeforeAnythingIsAskedFor) {
    need_.service_bounds["bucket"] = {"**"};
    EXPECT_THAT(refused(), HasSubstr("`**` stands for several"));
    need_.service_bounds.clear();
    EXPECT_THAT(refused(), HasSubstr("neither service nor account names one"));
    need_.service_bounds["bucket"] = {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"};
    EXPECT_THAT(refused(), HasSubstr("more than 10"));
    need_.service_bounds["bucket"] = {"b"};
    need_.scopes = {"objects:delete"};
    EXPECT_THAT(refused(), HasSubstr("no role for scope objects:delete"));
    GoogleSource source = robot();
    EXPECT_EQ(fetch(source).failure().fault, SourceFault::Misconfigured);
    EXPECT_TRUE(provider_.seen.empty());
}

TEST_F(BoundaryTest, TheAgentsTokenIsTheChildAndEndsWithItsParent) {
    GoogleSource source = robot();
    provider_.will_answer(200, R"({"access_token":"ya29.parent","expires_in":3599})");
    provider_.will_answer(200, R"({"access_token":"ya29.dr.child","token_type":"Bearer"})");

    Fetched fetched = fetch(source);

    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->secret.reveal(), "ya29.dr.child");
    EXPECT_EQ(fetched->expires->unix_ms, clock_.wall().unix_ms + 3'599'000);
    EXPECT_EQ(fetched->scopes.narrowed_by, NarrowedBy::Both);
    EXPECT_THAT(fetched->scopes.asked, ElementsAre("roles/storage.objectViewer b"));
    const test::SeenRequest& seen = provider_.seen.at(1);
    EXPECT_EQ(seen.url, "https://sts.googleapis.com/v1/token");
    EXPECT_EQ(seen.parameter("grant_type"), "urn:ietf:params:oauth:grant-type:token-exchange");
    EXPECT_EQ(seen.parameter("subject_token"), "ya29.parent");
    EXPECT_TRUE(seen.parameter("options").starts_with("%7B%22accessBoundary%22%3A")) << seen.parameter("options");
    EXPECT_EQ(retire(source, *fetched, RetireCause::MissionEnd).end, End::LeftToExpire);
}

// The wider token lives on when nobody has it any more; whoever reads the record must be able to find it at Google.
TEST_F(BoundaryTest, TheWiderTokenIsAccountedForByTheLeaseOfItsChild) {
    GoogleSource source = robot();
    provider_.will_answer(200, R"({"access_token":"ya29.parent","expires_in":3599})");
    provider_.will_answer(200, R"({"access_token":"ya29.dr.child","token_type":"Bearer","expires_in":60})");

    Fetched fetched = fetch(source);

    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->expires->unix_ms, clock_.wall().unix_ms + 60'000);
    EXPECT_EQ(fetched->alive_until->unix_ms, clock_.wall().unix_ms + 3'599'000);
    EXPECT_THAT(fetched->remark, HasSubstr(wire::to_hex(sha256("ya29.parent"))));
    EXPECT_THAT(fetched->remark, HasSubstr("ends at its own time"));
    EXPECT_THAT(fetched->remark, Not(HasSubstr("ya29")));
}

TEST_F(BoundaryTest, AWiderTokenWhoseLifeIsNotSaidLivesAsLongAsAnyOfGoogles) {
    GoogleSource source = robot();
    provider_.will_answer(200, R"({"access_token":"ya29.parent"})");
    provider_.will_answer(200, R"({"access_token":"ya29.dr.child","token_type":"Bearer","expires_in":60})");

    Fetched fetched = fetch(source);

    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->alive_until->unix_ms, clock_.wall().unix_ms + 3'600'000);
}

TEST_F(BoundaryTest, AnExchangeThatFailsGivesNoTokenAtAll) {
    GoogleSource source = robot();
    provider_.will_answer(200, R"({"access_token":"ya29.parent","expires_in":3599})");
    provider_.will_answer(400, R"({"error":"invalid_request"})");
    const Fetched fetched = fetch(source);
    ASSERT_FALSE(fetched);
    EXPECT_EQ(fetched.failure().fault, SourceFault::Misconfigured);
    EXPECT_THAT(fetched.failure().what, HasSubstr("Google's STS"));
}

}  // namespace
}  // namespace sanctum::vault
