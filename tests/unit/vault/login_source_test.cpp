// SPDX-License-Identifier: Apache-2.0
// An agent's login: what the provider is asked, what the vault keeps, what the agent is told, and how it ends.
#include "base/digest.hpp"
#include "base/limits.hpp"
#include "tests/unit/vault/provider_script.hpp"
#include "tests/unit/vault/support.hpp"
#include "vault/oauth/base64url.hpp"
#include "vault/oauth/placeholder.hpp"
#include "vault/retirement.hpp"
#include "vault/sources/login.hpp"

#include <algorithm>
#include <deque>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sanctum::vault {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
using End = RetireOutcome::End;

constexpr Milliseconds kBusyWait{10};
constexpr std::int64_t kTtlMs = 30 * 60 * 1000;

profiles::Login make_login() {
    profiles::Login login;
    login.operation = "login/token";
    login.token_endpoint = "https://login.example/token";
    login.revocation_endpoint = "https://login.example/revoke";
    login.client_id = "CID";
    login.body = "form";
    login.revocation_body = "json";
    login.sends = {"code", "code_verifier"};
    login.tokens = {{"access_token", "at_"}, {"refresh_token", "rt_"}};
    login.keeps = {"expires_in", "scope"};
    return login;
}

std::string answer(const std::string& number, int life = 3600) {
    return R"({"access_token":"at_real-)" + number + R"(","refresh_token":"rt_real-)" + number +
           R"(","token_type":"Bearer","expires_in":)" + std::to_string(life) + R"(,"scope":"a b","secret_more":"x"})";
}

// Leases of one mission with one service whose account is a login, and a provider that follows a script.
class Logins : public ::testing::Test {
protected:
    void SetUp() override {
        mission_ = test::make_mission();
        profiles::Service& service = mission_.services[0];
        service.login = make_login();
        service.captures_login = true;
        service.implied = {"fetch", "login", "push"};
        EXPECT_TRUE(journal_.add_mission({mission_.id, clock_.wall().unix_ms, clock_.wall().unix_ms + kTtlMs, false}));
        begin();
    }

    void begin() {
        profiles::Account account;
        account.name = "team";
        account.catalog = "agent";
        std::map<std::string, AccountSource> accounts;
        auto source = std::make_unique<LoginSource>(provider_, clock_, account, *mission_.services[0].login, nullptr);
        accounts["team"] = {"login", "", std::move(source)};
        leases_ = std::make_unique<Leases>(
            mission_, MissionEnd{clock_.boot().plus(Milliseconds(kTtlMs)), {clock_.wall().unix_ms + kTtlMs}},
            std::move(accounts), journal_, reaper_.seal(), clock_, heard_);
    }

    const wire::LoginAnswered& ask(const std::string& grant, std::map<std::string, std::string> members = {}) {
        leases_->login({++exchange_, "git", grant, std::move(members)});
        EXPECT_FALSE(heard_.answers.empty());
        return heard_.answers.back();
    }
    const wire::LoginAnswered& log_in() { return ask("authorization_code", {{"code", "c"}, {"code_verifier", "v"}}); }
    std::string lend() {
        leases_->need(test::make_need(++exchange_));
        return heard_.held_messages.empty() ? "" : heard_.held_messages.back().second;
    }
    std::vector<LeaseRow> rows() { return journal_.leases_of(mission_.id).value(); }
    /// Of the first login; what was wanted at one moment stands in any order.
    LeaseRow login_row() {
        const std::vector<LeaseRow> all = rows();
        const auto is_login = [](const LeaseRow& row) { return row.asked == std::vector<std::string>{"login"}; };
        const auto found = std::find_if(all.begin(), all.end(), is_login);
        return found == all.end() ? LeaseRow{} : *found;
    }

    test::TemporaryFolder folder_;
    Journal journal_ = Journal::open(folder_.path(), kBusyWait).value();
    ReaperKey reaper_ = ReaperKey::open(folder_.path()).value();
    ManualClock clock_;
    profiles::Mission mission_;
    test::ProviderScript provider_;
    test::Heard heard_;
    std::unique_ptr<Leases> leases_;
    std::uint64_t exchange_ = 0;
};

TEST_F(Logins, AreDoneInTheAgentsPlaceAndShowItPlaceholders) {
    provider_.will_answer(200, answer("1"));
    const wire::LoginAnswered told = log_in();

    ASSERT_EQ(provider_.seen.size(), 1U);
    EXPECT_EQ(provider_.seen[0].parameter("grant_type"), "authorization_code");
    EXPECT_EQ(provider_.seen[0].parameter("client_id"), "CID");
    EXPECT_EQ(provider_.seen[0].parameter("code_verifier"), "v");
    EXPECT_EQ(told.status, 200);
    EXPECT_THAT(told.body, Not(HasSubstr("_real-1"))) << "longer than what a random filler holds by chance";
    EXPECT_THAT(told.body, HasSubstr("\"access_token\":\"at_held-by-sanctum-"));
    EXPECT_THAT(told.body, HasSubstr("\"refresh_token\":\"rt_held-by-sanctum-"));
    EXPECT_THAT(told.body, HasSubstr("\"scope\":\"a b\""));
    EXPECT_THAT(told.body, Not(HasSubstr("secret_more"))) << "what the catalog does not name is nobody's";
    EXPECT_EQ(lend(), "at_real-1");
}

TEST_F(Logins, AreInTheJournalBeforeAnybodyHearsOfThemAndFollowARenewal) {
    provider_.will_answer(200, answer("1", 60));
    log_in();
    const auto sealed_body = [&] {
        return std::string(reaper_.unseal(login_row().retirement)->request.body.reveal());
    };
    EXPECT_THAT(login_row().asked, ElementsAre("login"));
    EXPECT_THAT(sealed_body(), HasSubstr("rt_real-1"));

    provider_.will_answer(200, answer("2"));
    EXPECT_EQ(lend(), "at_real-2") << "the first was about to end";

    EXPECT_THAT(provider_.seen.back().body, HasSubstr("refresh_token=rt_real-1"));
    EXPECT_THAT(sealed_body(), HasSubstr("rt_real-2"));
}

TEST_F(Logins, EndWithTheMissionAtTheProviderWithTheTokenOfThatTime) {
    provider_.will_answer(200, answer("1", 60));
    log_in();
    provider_.will_answer(200, answer("2"));
    ask("refresh_token");
    provider_.will_answer(200, "{}");
    leases_->end_mission();
    EXPECT_EQ(provider_.seen.back().url, "https://login.example/revoke");
    EXPECT_THAT(provider_.seen.back().body, HasSubstr("rt_real-2"));
    EXPECT_EQ(login_row().state, LeaseState::Gone);
    EXPECT_TRUE(leases_->is_settled());
    EXPECT_EQ(log_in().reason, "mission_ending");
}

TEST_F(Logins, WhatARenewalOfTheAgentsBringsIsALeaseOfItsOwn) {
    const auto renewals = [&] {
        std::vector<LeaseRow> found = rows();
        std::erase_if(found, [](const LeaseRow& row) { return row.asked != std::vector<std::string>{"renewal"}; });
        return found;
    };
    provider_.will_answer(200, answer("1", 60));
    log_in();
    EXPECT_TRUE(renewals().empty());
    provider_.will_answer(200, answer("2", 3600));
    ask("refresh_token");
    ask("refresh_token");

    ASSERT_EQ(renewals().size(), 1U) << "the second was answered with what there was";
    const LeaseRow held = renewals().at(0);
    EXPECT_EQ(held.state, LeaseState::Held);
    EXPECT_EQ(held.thumbprint, wire::to_hex(sha256("at_real-2")));
    EXPECT_EQ(held.alive_until_unix_ms, clock_.wall().unix_ms + 3'600'000);
    EXPECT_EQ(held.retirement, "") << "the login's is enough";

    clock_.advance(Milliseconds(kLoginRenewPause));
    provider_.will_fail(Error{Errc::Cancelled, "the connection broke"});
    EXPECT_EQ(ask("refresh_token").reason, "no_answer");
    provider_.will_answer(200, "{}");
    leases_->end_mission();
    std::vector<LeaseState> ends;
    for (const LeaseRow& row : renewals()) ends.push_back(row.state);
    EXPECT_THAT(ends, UnorderedElementsAre(LeaseState::Parked, LeaseState::Orphaned));
    EXPECT_EQ(login_row().state, LeaseState::Gone);
}

TEST_F(Logins, OfAProviderThatTakesNoneBackAreDroppedAndThatIsSaid) {
    mission_.services[0].login->revocation_endpoint.clear();
    begin();
    provider_.will_answer(200, answer("1"));
    log_in();
    leases_->end_mission();
    EXPECT_EQ(provider_.seen.size(), 1U);
    EXPECT_EQ(rows().at(0).state, LeaseState::Parked);
    EXPECT_THAT(rows().at(0).detail, HasSubstr("no way to take a login back"));
}

TEST_F(Logins, ARenewalIsAskedForOnceInAWhileAndSharedByAll) {
    provider_.will_answer(200, answer("1"));
    log_in();
    const std::string first = ask("refresh_token").body;
    EXPECT_EQ(provider_.seen.size(), 1U) << "it has just come";
    clock_.advance(Milliseconds(kLoginRenewPause) + Milliseconds(1));
    provider_.will_answer(200, answer("2"));
    const std::string second = ask("refresh_token").body;
    EXPECT_EQ(provider_.seen.size(), 2U);
    EXPECT_NE(first, second);
    EXPECT_EQ(lend(), "at_real-2");
}

TEST_F(Logins, TheTokenOfAnEarlierOneIsNoLongerCurrent) {
    provider_.will_answer(200, answer("1"));
    log_in();
    EXPECT_EQ(lend(), "at_real-1");
    provider_.will_answer(200, answer("2"));
    provider_.will_answer(200, "{}");
    log_in();
    leases_->tick();
    EXPECT_EQ(lend(), "at_real-2");
    EXPECT_EQ(heard_.gone_leases.size(), 1U);
    EXPECT_THAT(provider_.seen.back().body, HasSubstr("rt_real-1")) << "the first login was taken back";
}

TEST_F(Logins, ThatAreRefusedAreToldAsTheProviderDid) {
    provider_.will_answer(400, R"({"error":"invalid_grant","error_description":"no such code"})");
    const wire::LoginAnswered told = log_in();
    EXPECT_EQ(told.status, 400);
    EXPECT_EQ(told.body, R"({"error":"invalid_grant","error_description":"no such code"})");
    EXPECT_EQ(rows().at(0).state, LeaseState::Failed);
    EXPECT_EQ(ask("refresh_token").body, R"({"error":"invalid_grant","error_description":"Nobody is logged in."})");
}

TEST_F(Logins, WhoseAnswerBreaksItsFormAreNone) {
    const std::string long_token(20000, 'a');
    for (const std::string& body :
         {std::string("<html>"), std::string("[]"), std::string(R"({"access_token":"a","access_token":"b"})"),
          std::string(R"({"access_token":"a b\n","refresh_token":"r"})"), std::string(R"({"access_token":"a"})"),
          R"({"refresh_token":"r","access_token":")" + long_token + R"("})"}) {
        provider_.will_answer(200, body);
        const wire::LoginAnswered told = log_in();
        EXPECT_NE(told.reason, "") << body.substr(0, 60);
        EXPECT_EQ(told.body, "");
        EXPECT_EQ(lend(), "");
    }
}

TEST_F(Logins, WhoseAnswerIsLostArePossiblyAlive) {
    provider_.will_fail(Error{Errc::Timeout, "no answer"});
    EXPECT_EQ(log_in().reason, "no_answer");
    EXPECT_EQ(rows().at(0).state, LeaseState::Orphaned);
}

TEST_F(Logins, OutsideTheMissionAreRefusedWhateverTheInterceptorSays) {
    EXPECT_EQ(ask("password").reason, "outside_mission");
    EXPECT_EQ(ask("authorization_code", {{"client_secret", "s"}}).reason, "outside_mission");
    EXPECT_EQ(ask("refresh_token", {{"refresh_token", "stolen"}}).reason, "outside_mission");
    EXPECT_EQ(ask("authorization_code", {{"code", std::string(kLoginBodyBytesMax, 'c')}}).reason, "outside_mission");
    mission_.services[0].captures_login = false;
    EXPECT_EQ(log_in().reason, "outside_mission");
    mission_.services[0].implied = {"fetch"};
    EXPECT_EQ(ask("refresh_token").reason, "outside_mission");
    EXPECT_TRUE(provider_.seen.empty());
    EXPECT_TRUE(rows().empty());
}

TEST_F(Logins, WhatALoginMadeIsNeverLent) {
    provider_.will_answer(200, answer("1"));
    log_in();
    wire::LeaseNeed need = test::make_need(++exchange_);
    need.scopes = {"login"};
    leases_->need(need);
    EXPECT_EQ(heard_.held_messages.back().second, "at_real-1");
    EXPECT_FALSE(leases_->used({exchange_, "l1", 200})) << "the login's own lease";
}

// A provider that answers when the test says so.
struct SlowProvider final : HttpClient {
    void send(HttpRequest request, Completion<Result<HttpResponse>> done) override {
        bodies.emplace_back(request.body.reveal());
        asked.push_back(std::move(done));
    }
    void will_answer(const std::string& body) {
        HttpResponse response;
        response.status = 200;
        response.headers = {{"content-type", "application/json"}};
        response.body = Secret(body);
        const auto done = std::move(asked.front());
        asked.pop_front();
        done(std::move(response));
    }
    std::deque<Completion<Result<HttpResponse>>> asked;
    std::vector<std::string> bodies;
};

TEST(LoginSource, ARenewalUnderWayIsWaitedForBeforeTheLoginIsTakenBack) {
    SlowProvider provider;
    const ManualClock clock;
    profiles::Account account;
    account.name = "team";
    LoginSource source(provider, clock, account, make_login(), nullptr);
    std::optional<Credential> made;
    source.login({true, {{"code", "c"}}}, [&](LoginOutcome outcome) {
        made = std::move(std::get<LoginReply>(outcome).made);
    });
    provider.will_answer(answer("1", 60));
    ASSERT_TRUE(made);
    int renewed = 0;
    for (int i = 0; i < 2; ++i) source.acquire({}, [&](const Fetched& fetched) { renewed += fetched ? 1 : 0; });
    ASSERT_EQ(provider.bodies.size(), 2U) << "one flight for both";

    std::optional<RetireOutcome> retired;
    bool is_over = false;
    source.retire(*made, RetireCause::MissionEnd, [&](const RetireOutcome& outcome) { retired = outcome; });
    source.end_mission([&] { is_over = true; });
    EXPECT_EQ(provider.bodies.size(), 2U);
    EXPECT_FALSE(retired || is_over);
    provider.will_answer(answer("2"));
    EXPECT_EQ(renewed, 2);
    EXPECT_TRUE(is_over);
    EXPECT_THAT(provider.bodies.back(), HasSubstr("rt_real-2"));
    provider.will_answer("{}");
    EXPECT_EQ(retired->end, End::Gone);
}

TEST(LoginSource, WhatARenewalBringsIsGivenToTheOneWhoBeganItAndToldToAll) {
    SlowProvider provider;
    const ManualClock clock;
    profiles::Account account;
    account.name = "team";
    LoginSource source(provider, clock, account, make_login(), nullptr);
    source.login({true, {{"code", "c"}}}, [](const LoginOutcome&) {});
    provider.will_answer(answer("1", 60));
    const LoginQuestion renewal{false, {}};
    std::vector<LoginReply> replies;
    for (const bool begins : {true, false, false}) {
        EXPECT_EQ(source.asks_for_login(renewal), begins);
        source.login(renewal, [&](LoginOutcome outcome) {
            replies.push_back(std::move(std::get<LoginReply>(outcome)));
        });
    }
    ASSERT_EQ(provider.bodies.size(), 2U) << "one flight";
    provider.will_answer(answer("2", 3600));

    ASSERT_EQ(replies.size(), 3U);
    EXPECT_TRUE(replies[0].made);
    EXPECT_FALSE(replies[1].made || replies[2].made);
    for (const LoginReply& reply : replies) EXPECT_EQ(reply.body, replies[0].body);
}

TEST(LoginSource, ATokenThatTheApiRefusedIsRenewedOnceAndSharedByAllWhoHadIt) {
    SlowProvider provider;
    const ManualClock clock;
    profiles::Account account;
    account.name = "team";
    LoginSource source(provider, clock, account, make_login(), nullptr);
    source.login({true, {{"code", "c"}}}, [](const LoginOutcome&) {});
    provider.will_answer(answer("1", 3600));
    SourceNeed need;
    need.refused = wire::to_hex(sha256("at_real-1"));
    std::vector<std::string> got;
    const auto take = [&](Fetched fetched) { got.emplace_back(fetched ? fetched->secret.reveal() : "none"); };

    source.acquire({}, take);
    EXPECT_THAT(got, ElementsAre("at_real-1")) << "nobody refused it";
    source.acquire(need, take);
    source.acquire(need, take);
    ASSERT_EQ(provider.bodies.size(), 2U) << "one flight";
    provider.will_answer(answer("2", 3600));
    EXPECT_THAT(got, ElementsAre("at_real-1", "at_real-2", "at_real-2"));

    source.acquire(need, take);
    EXPECT_EQ(got.back(), "at_real-2") << "the one that was refused is replaced already";
    EXPECT_EQ(provider.bodies.size(), 2U);
}

// --- placeholders -------------------------------------------------------------------------------------------------

TEST(Placeholder, OfAnOpaqueTokenHasItsBeginningAndItsLengthAndNothingElse) {
    // Of a character that a token may have (RFC 6750 2.1) and the placeholder's random filler never has.
    const Secret token("sk-ant-oat01-" + std::string(95, '~'));
    const std::string placeholder = placeholder_of(token, "sk-ant-oat01-", {});
    EXPECT_THAT(placeholder, StartsWith("sk-ant-oat01-held-by-sanctum-"));
    EXPECT_EQ(placeholder.size(), token.size());
    EXPECT_EQ(placeholder.find('~'), std::string::npos);
    EXPECT_NE(placeholder_of(token, "sk-ant-oat01-", {}), placeholder);
    EXPECT_EQ(placeholder_of(Secret("x"), "", {}).size(), kPlaceholderCharsMin);
}

TEST(Placeholder, OfAJwtKeepsTheNamedClaimsAndNoSignature) {
    const std::string claims = R"({"email":"a@b","jti":"secret-id","nested":{"account":"acc","n":1}})";
    const Secret token(base64url(R"({"alg":"RS256"})") + "." + base64url(claims) + "." + std::string(80, '~'));
    const std::string placeholder = placeholder_of(token, "", {"email", "nested", "absent"});

    const std::size_t first = placeholder.find('.');
    const std::size_t second = placeholder.find('.', first + 1);
    EXPECT_EQ(from_base64url(placeholder.substr(0, first)), R"({"alg":"none","typ":"JWT"})");
    EXPECT_EQ(from_base64url(placeholder.substr(first + 1, second - first - 1)),
              R"({"email":"a@b","nested":{"account":"acc","n":1}})");
    EXPECT_EQ(placeholder.find('~'), std::string::npos);
    const std::map<std::string, std::string> expected = {{"account", "acc"}, {"email", "a@b"}};
    EXPECT_EQ(texts_of_claims(token, {"email", "nested"}), expected);
}

TEST(Placeholder, OfWhatOnlyLooksLikeAJwtIsOpaque) {
    for (const char* text : {"a.b.c", "..", "e30.e30", "e30.W10.x", "e30.e30.x.y"}) {
        EXPECT_THAT(placeholder_of(Secret(text), "p_", {"email"}), StartsWith("p_held-by-sanctum-")) << text;
    }
}

}  // namespace
}  // namespace sanctum::vault
