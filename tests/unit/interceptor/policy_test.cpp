// SPDX-License-Identifier: Apache-2.0
#include "base/wire/archive.hpp"
#include "interceptor/policy/budgets.hpp"
#include "interceptor/policy/names.hpp"
#include "interceptor/policy/refusal.hpp"

#include <gtest/gtest.h>

namespace sanctum::interceptor {
namespace {

TEST(Refusals, EachReasonHasItsStatus) {
    const std::vector<std::pair<std::uint16_t, std::vector<const char*>>> table{
        {403,
         {"host_unknown", "address_without_name", "name_mismatch", "plain_http", "operation_unknown", "scope_missing",
          "resource_outside", "rule_denied", "approval_unavailable", "approval_denied", "approval_timeout",
          "budget_spent", "service_revoked", "mission_ending"}},
        {400, {"request_invalid"}},
        {503, {"credential_unavailable", "record_unavailable"}},
        {502, {"upstream_address", "upstream_certificate", "client_certificate", "upstream_unreachable"}}};
    for (const auto& [status, reasons] : table) {
        for (const char* reason : reasons) EXPECT_EQ(status_of(reason), status) << reason;
    }
}

TEST(Refusals, ProblemDetailsSayWhoRefusedAndWhy) {
    const Refusal refusal{
        .reason = "scope_missing", .rule = "grant", .explanation = "needs \"write\"", .detail = "for the operator"};

    const std::string response = encode_refusal(refusal, "01k-e7", {.closes = true});

    EXPECT_TRUE(response.starts_with("HTTP/1.1 403 Forbidden\r\n"));
    EXPECT_NE(response.find("\r\ncontent-type: application/problem+json\r\n"), std::string::npos);
    EXPECT_NE(response.find("\r\nsanctum-decision: 01k-e7\r\n"), std::string::npos);
    EXPECT_NE(response.find("\r\nsanctum-reason: scope_missing\r\n"), std::string::npos);
    EXPECT_NE(response.find("\r\nconnection: close\r\n"), std::string::npos);
    EXPECT_EQ(response.find("for the operator"), std::string::npos);
    const std::string body = response.substr(response.find("\r\n\r\n") + 4);
    const auto json = wire::JsonText::parse(body);
    ASSERT_TRUE(json.has_value()) << body;
    EXPECT_EQ(json->root().member("reason_code")->text(), "scope_missing");
    EXPECT_EQ(json->root().member("detail")->text(), "needs \"write\"");
    EXPECT_EQ(json->root().member("rule")->text(), "grant");
    EXPECT_EQ(json->root().member("decision")->text(), "01k-e7");
    for (const char* shown_by_clients : {"error", "message"}) {
        const auto text = json->root().member(shown_by_clients)->text();
        EXPECT_TRUE(text.has_value() && text->starts_with("Sanctum refused this: ")) << shown_by_clients;
        EXPECT_TRUE(text.has_value() && text->ends_with("needs \"write\"")) << shown_by_clients;
    }
    EXPECT_EQ(json->root().member("can_request")->boolean(), false);
    EXPECT_EQ(json->root().member("retry")->boolean(), false);
}

TEST(Refusals, WhyNoCredentialCameIsTheRuleAndTheMissionsEndAReasonOfItsOwn) {
    const Refusal short_life = no_credential("expires_too_soon: the credential of account bot cannot be used");
    EXPECT_EQ(short_life.reason, "credential_unavailable");
    EXPECT_EQ(short_life.rule, "expires_too_soon");
    EXPECT_EQ(short_life.explanation.find("bot"), std::string::npos) << "accounts are the operator's";
    EXPECT_EQ(no_credential("mission_ending: the mission is nearly over").reason, "mission_ending");
    EXPECT_EQ(no_credential("unheard_of: x").reason, "credential_unavailable");
}

TEST(Refusals, APushIsRejectedWithTheWordsInOneLineEach) {
    const PushCommands push{{{std::string(40, '0'), std::string(40, '1'), "refs/heads/main"}},
                            "report-status side-band-64k"};
    const Refusal refusal{.reason = "upstream_unreachable", .rule = "", .explanation = "a\n0000b\x1b[2J"};

    const std::string report = encode_refusal(refusal, "d", {.form = RefusalForm::PushReport, .push = &push});

    EXPECT_TRUE(report.starts_with("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(sent_status_of("upstream_unreachable", RefusalForm::PushReport), 200);
    EXPECT_EQ(sent_status_of("upstream_unreachable", RefusalForm::Text), 502);
    EXPECT_NE(report.find("\r\nsanctum-reason: upstream_unreachable\r\n"), std::string::npos);
    EXPECT_NE(report.find("sanctum: a?0000b?[2J\nsanctum: decision d\n"), std::string::npos);
    EXPECT_NE(report.find("ng refs/heads/main sanctum: upstream_unreachable\n"), std::string::npos);
}

TEST(Refusals, GitGetsTextAndHeadGetsNoBody) {
    const Refusal refusal{.reason = "resource_outside", .rule = "resources.ref"};

    const std::string text = encode_refusal(refusal, "d", {.form = RefusalForm::Text});
    const std::string head = encode_refusal(refusal, "d", {.with_body = false});

    EXPECT_NE(text.find("content-type: text/plain; charset=utf-8\r\n"), std::string::npos);
    EXPECT_NE(text.find("reason: resource_outside (resources.ref), decision: d\n"), std::string::npos);
    EXPECT_TRUE(head.ends_with("\r\n\r\n"));
}

TEST(Budgets, AWindowStartsAnewWhenItHasPassed) {
    std::vector<profiles::Budget> lines(2);
    lines[0].window_ms = 1000;
    Budgets budgets(lines);

    budgets.count({0, 1}, BootTime{5000});

    EXPECT_EQ(budgets.spent(BootTime{5999}), (profiles::Spent{1, 1}));
    EXPECT_EQ(budgets.spent(BootTime{6000}), (profiles::Spent{0, 1}));
}

TEST(Budgets, WhatWasNotSentIsGivenBack) {
    const std::vector<profiles::Budget> lines(1);
    Budgets budgets(lines);
    budgets.count({0}, BootTime{1});

    budgets.give_back({0});

    EXPECT_EQ(budgets.spent(BootTime{2}), (profiles::Spent{0}));
}

TEST(Budgets, AShareIsTakenWholeOrNotAtAllAndForGood) {
    std::vector<profiles::Budget> lines(2);
    lines[0].limit = 10;
    lines[1].limit = 5;
    lines[1].window_ms = 1000;
    Budgets budgets(lines);
    budgets.count({0, 1}, BootTime{5000});

    EXPECT_EQ(budgets.share({3, 5}, BootTime{5001}), 1U) << "one of the window's five is used";
    EXPECT_EQ(budgets.left(0, BootTime{5001}), 9U) << "nothing was taken";
    EXPECT_EQ(budgets.share({3, 2}, BootTime{5001}), std::nullopt);
    EXPECT_EQ(budgets.left(0, BootTime{5001}), 6U);
    EXPECT_EQ(budgets.left(1, BootTime{6000}), 3U) << "in the next window too";
    budgets.give_back({1});
    EXPECT_EQ(budgets.left(1, BootTime{6000}), 3U) << "what was shared is not given back";
    EXPECT_EQ(budgets.share({7, 0}, BootTime{6000}), 0U);
}

TEST(ConnectionNames, LookedUpNameServerNameHostAndPortHaveToAgree) {
    RequestHead head;
    head.host = "a.test";
    const AgentConnection fine{.id = 1,
                               .cookie = 0,
                               .dialled = "198.18.0.4:443",
                               .name = "a.test",
                               .server_name = "a.test",
                               .port = 443,
                               .is_tls = true};
    const auto reason = [&](auto change) {
        AgentConnection connection = fine;
        RequestHead changed = head;
        change(connection, changed);
        const auto refusal = check_connection_names(changed, connection);
        return refusal ? refusal->reason : std::string();
    };

    EXPECT_EQ(reason([](auto&, auto&) {}), "");
    EXPECT_EQ(reason([](auto& c, auto&) { c.name = ""; }), "address_without_name");
    EXPECT_EQ(reason([](auto& c, auto&) { c.name = "b.test"; }), "name_mismatch");
    EXPECT_EQ(reason([](auto& c, auto&) { c.server_name = ""; }), "name_mismatch");
    EXPECT_EQ(reason([](auto& c, auto&) { c.server_name = "b.test"; }), "name_mismatch");
    EXPECT_EQ(reason([](auto&, auto& h) { h.host = "b.test"; }), "name_mismatch");
    EXPECT_EQ(reason([](auto&, auto& h) { h.port = 444; }), "name_mismatch");
    EXPECT_EQ(reason([](auto& c, auto&) { c.port = 8443; }), "name_mismatch");
    EXPECT_EQ(reason([](auto& c, auto& h) { c.port = 8443; h.port = 8443; }), "");
    EXPECT_EQ(reason([](auto& c, auto&) { c.is_tls = false; c.server_name = ""; c.port = 80; }), "");
}

}  // namespace
}  // namespace sanctum::interceptor
