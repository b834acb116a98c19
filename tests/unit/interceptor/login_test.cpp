// SPDX-License-Identifier: Apache-2.0
// What an agent asks its token endpoint for goes to the vault, and to nobody else.
#include "interceptor/rewrite/login_request.hpp"
#include "tests/support/script.hpp"

#include "base/limits.hpp"

#include <gtest/gtest.h>

namespace sanctum::interceptor {
namespace {

using test::Script;
using test::Wire;
using test::World;

const std::string kForm = "application/x-www-form-urlencoded";
const std::string kCode =
    "grant_type=authorization_code&client_id=CID&code=c%2F1&code_verifier=v&redirect_uri=r&extra=x";

std::string post(const std::string& body, const std::string& type = kForm) {
    return "POST /token HTTP/1.1\r\nHost: login.test\r\nContent-Type: " + type +
           "\r\nAuthorization: Bearer of-the-agent\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
}

void answer_with(World& world, std::uint16_t status, std::string body) {
    world.leases.login_answer.status = status;
    world.leases.login_answer.body = std::move(body);
}

TEST(LoginExchange, IsAnsweredByTheVaultAndReachesNobody) {
    Script("login.test")
        .given([](World& world) { answer_with(world, 200, "{\"access_token\":\"held\"}"); })
        .agent_sends(post(kCode))
        .agent_expects("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
                       "content-length: 23\r\n\r\n{\"access_token\":\"held\"}")
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.upstreams.opened, 0U);
            ASSERT_EQ(world.leases.logins.size(), 1U);
            const wire::LoginNeed& need = world.leases.logins[0];
            EXPECT_EQ(need.service, "agent");
            EXPECT_EQ(need.grant, "authorization_code");
            EXPECT_EQ(need.members, (std::map<std::string, std::string>{
                                        {"code", "c/1"}, {"code_verifier", "v"}, {"redirect_uri", "r"}}));
            EXPECT_TRUE(world.recorder.intents[0].durable);
            EXPECT_EQ(world.recorder.outcomes[0].evidence.at("answered_by"), "vault");
        })
        .completed("complete")
        .run_with_failure_at_every_step();
}

TEST(LoginExchange, ARenewalBringsNothingOfTheAgents) {
    Script("login.test")
        .given([](World& world) { answer_with(world, 200, "{}"); })
        .agent_sends(post(R"({"grant_type":"refresh_token","client_id":"CID","refresh_token":"stolen","n":1})",
                          "application/json; charset=utf-8"))
        .agent_expects_containing("HTTP/1.1 200 OK\r\n")
        .checks([](World& world, Wire&) {
            ASSERT_EQ(world.leases.logins.size(), 1U);
            EXPECT_EQ(world.leases.logins[0].grant, "refresh_token");
            EXPECT_TRUE(world.leases.logins[0].members.empty());
        })
        .completed("complete")
        .run();
}

TEST(LoginExchange, WhatTheProviderRefusedIsToldWithItsStatus) {
    Script("login.test")
        .given([](World& world) { answer_with(world, 400, "{\"error\":\"invalid_grant\"}"); })
        .agent_sends(post(kCode))
        .agent_expects_containing("HTTP/1.1 400 Refused\r\n")
        .completed("complete")
        .run();
}

TEST(LoginExchange, WithoutAnAnswerOfTheVaultThereIsNoneForTheAgent) {
    Script("login.test")
        .given([](World& world) { world.leases.is_failing = true; })
        .agent_sends(post(kCode))
        .agent_expects_containing("HTTP/1.1 503 Service Unavailable\r\n")
        .completed("login_failed")
        .run();
}

TEST(LoginExchange, AMissionThatCapturesNoneRefusesANewLoginAndRenews) {
    const auto uncaptured = [](World& world) {
        world.mission.services[3].captures_login = false;
        answer_with(world, 200, "{}");
    };
    Script("login.test").given(uncaptured).agent_sends(post(kCode))
        .agent_expects_containing("sanctum-reason: operation_unknown\r\n")
        .checks([](World& world, Wire&) { EXPECT_TRUE(world.leases.logins.empty()); })
        .refused("operation_unknown")
        .run();
    Script("login.test").given(uncaptured).agent_sends(post("grant_type=refresh_token&client_id=CID"))
        .agent_expects_containing("HTTP/1.1 200 OK\r\n")
        .completed("complete")
        .run();
}

TEST(LoginExchange, WhatIsTooLongOrNoLoginIsRefusedBeforeTheVaultHearsOfIt) {
    for (const std::string& body : {"grant_type=authorization_code&client_id=CID&code=" + std::string(20000, 'c'),
                                    std::string("grant_type=password&client_id=CID"), std::string("{}")}) {
        Script("login.test").agent_sends(post(body))
            .agent_expects_containing("sanctum-reason: request_invalid\r\n")
            .checks([](World& world, Wire&) {
                EXPECT_TRUE(world.leases.logins.empty());
                EXPECT_EQ(world.upstreams.opened, 0U);
            })
            .refused("request_invalid")
            .run();
    }
}

TEST(LoginRequest, IsAFormOrJsonOfThisClientWithOneMeaning) {
    profiles::Login login;
    login.client_id = "CID";
    login.sends = {"code", "state"};
    struct Row {
        const char* type;
        const char* body;
        bool is_login;
    };
    for (const Row& row : {
             Row{"application/json", R"({"grant_type":"authorization_code","client_id":"CID","code":"c"})", true},
             Row{"APPLICATION/JSON", R"({"grant_type":"authorization_code","client_id":"CID","code":"c"})", true},
             Row{"application/x-www-form-urlencoded", "grant_type=refresh_token&client_id=CID", true},
             Row{"application/x-www-form-urlencoded", "grant_type=refresh_token&client_id=CID&client_id=CID", false},
             Row{"application/json", R"({"grant_type":"refresh_token","client_id":"CID","client_id":"x"})", false},
             Row{"application/json", R"({"grant_type":"refresh_token","client_id":"other"})", false},
             Row{"application/json", R"({"grant_type":"refresh_token"})", false},
             Row{"application/json", R"({"grant_type":"authorization_code","client_id":"CID"})", false},
             Row{"application/json", R"({"grant_type":"authorization_code","client_id":"CID","code":7})", false},
             Row{"application/json", R"(["grant_type"])", false},
             Row{"application/json", "grant_type=refresh_token&client_id=CID", false},
             Row{"text/plain", "grant_type=refresh_token&client_id=CID", false},
             Row{"", "grant_type=refresh_token&client_id=CID", false},
             Row{"application/json", "", false},
         }) {
        RequestHead head;
        if (*row.type != '\0') head.fields = {{"content-type", row.type}};
        EXPECT_EQ(read_login_request(head, row.body, login).has_value(), row.is_login) << row.type << " " << row.body;
    }
    RequestHead encoded;
    encoded.fields = {{"content-type", "application/json"}, {"content-encoding", "gzip"}};
    EXPECT_FALSE(read_login_request(encoded, "{}", login));
}

}  // namespace
}  // namespace sanctum::interceptor
