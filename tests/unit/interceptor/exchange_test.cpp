// SPDX-License-Identifier: Apache-2.0
// serve_connection as conversations: what goes upstream, what comes back, what is recorded, and what holds when
// anything breaks at any step.
#include "tests/support/script.hpp"

#include "base/digest.hpp"
#include "base/jose/dpop.hpp"
#include "base/limits.hpp"
#include "tests/support/git_packet.hpp"

#include <gtest/gtest.h>

#include <random>

namespace sanctum::interceptor {
namespace {

using std::string_literals::operator""s;
using test::kSecret;
using test::packet;
using test::Script;
using test::Wire;
using test::World;

const std::string kAuth = "authorization: Bearer " + std::string(kSecret) + "\r\n";
const std::string kGet = "GET /items/1 HTTP/1.1\r\nHost: api.test\r\nAccept: */*\r\n\r\n";
const std::string kGetSent =
    "GET /items/1 HTTP/1.1\r\nhost: api.test\r\naccept: */*\r\naccept-encoding: identity\r\n" + kAuth + "\r\n";
const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const std::string kOkSeen = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

TEST(Exchange, AnAllowedRequestGoesOutWithTheCredentialAndComesBack) {
    Script()
        .agent_sends(kGet)
        .upstream_expects(kGetSent)
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.upstreams.parked, 1U);
            EXPECT_EQ(world.leases.uses.size(), 1U);
            EXPECT_EQ(world.leases.uses[0].status, 200);
            EXPECT_EQ(world.upstreams.last_lease, "l1");
            const auto& intent = world.recorder.intents[0];
            EXPECT_EQ(intent.operation, "item/read");
            EXPECT_EQ(intent.lease, "l1");
            EXPECT_FALSE(intent.durable);
            EXPECT_EQ(intent.head, sha256("sanctum-head-1\nGET\nhttps://api.test\n/items/1\nhost:api.test\naccept:*/*\n"
                                          "accept-encoding:identity\n"));
            EXPECT_EQ(world.recorder.outcomes[0].status, 200);
            EXPECT_EQ(world.recorder.outcomes[0].received, 2U);
        })
        .completed("complete")
        .run_with_failure_at_every_step();
}

TEST(Exchange, ADeniedRequestReachesNobody) {
    Script("other.test").agent_sends("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")
        .agent_expects_containing("sanctum-reason: host_unknown\r\n")
        .refused("host_unknown")
        .run_with_failure_at_every_step();
    Script().agent_sends("GET /unknown HTTP/1.1\r\nHost: api.test\r\n\r\n")
        .agent_expects_containing("sanctum-reason: operation_unknown\r\n")
        .refused("operation_unknown")
        .run();
    Script("www.test").agent_sends("DELETE / HTTP/1.1\r\nHost: www.test\r\n\r\n")
        .agent_expects_containing("HTTP/1.1 403 Forbidden\r\n")
        .refused("operation_unknown")
        .run();
}

TEST(Exchange, DecisionsAreMadePerRequestOnOneConnection) {
    Script()
        .agent_sends(kGet)
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .agent_sends("GET /unknown HTTP/1.1\r\nHost: api.test\r\n\r\n")
        .agent_expects_containing("sanctum-reason: operation_unknown\r\n")
        .agent_sends("GET /items/1 HTTP/1.1\r\nHost: www.test\r\n\r\n")
        .agent_expects_containing("sanctum-reason: name_mismatch\r\n")
        .agent_sends(kGet)
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.upstreams.opened, 2U);
            EXPECT_EQ(world.recorder.refusals.size(), 2U);
        })
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .completed("complete", 2)
        .run_with_failure_at_every_step();
}

TEST(Exchange, APipelinedRequestWaitsForTheOneBefore) {
    Script()
        .agent_sends(kGet + kGet)
        .upstream_expects(kGetSent)
        .checks([](World& world, Wire&) { EXPECT_EQ(world.upstreams.opened, 1U); })
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .upstream_expects(kGetSent)
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .completed("complete", 2)
        .run_with_failure_at_every_step();
}

TEST(Exchange, WhatTheAgentBringsAsCredentialIsReplaced) {
    Script()
        .agent_sends("GET /items/1 HTTP/1.1\r\nHost: api.test\r\nAUTHORIZATION: Bearer placeholder\r\nCookie: a=b\r\n"
                     "Connection: accept\r\nAccept: */*\r\nX-Forwarded-Host: evil.test\r\nRange: bytes=0-1\r\n\r\n")
        .upstream_expects("GET /items/1 HTTP/1.1\r\nhost: api.test\r\naccept-encoding: identity\r\n" + kAuth + "\r\n")
        .upstream_sends(kOk)
        .completed("complete")
        .run();
    Script()
        .agent_sends("GET /items/1?access_token=x HTTP/1.1\r\nHost: api.test\r\n\r\n")
        .agent_expects_containing("HTTP/1.1 400 Bad Request\r\n")
        .refused("request_invalid")
        .run();
}

TEST(Exchange, AnInvalidRequestIsAnsweredOnceAndTheConnectionEnds) {
    Script()
        .agent_sends(
            "GET /items/1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .agent_expects_containing("connection: close\r\n")
        .agent_sees_close()
        .refused("request_invalid")
        .run_with_failure_at_every_step();
}

TEST(Exchange, BodiesFlowBothWaysInAnyFraming) {
    const std::string sent = "POST /items/1 HTTP/1.1\r\nhost: api.test\r\naccept-encoding: identity\r\n";
    Script()
        .agent_sends("POST /items/1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 6\r\n\r\nabc")
        .upstream_expects(sent + "content-length: 6\r\n" + kAuth + "\r\nabc")
        .agent_sends("def")
        .upstream_expects("def")
        .upstream_sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxy\n\r\n")
        .agent_expects("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nxy\n\r\n")
        .upstream_sends("0\r\nX-Sum: 1\r\n\r\n")
        .agent_expects("0\r\nx-sum: 1\r\n\r\n")
        .checks([](World& world, Wire&) {
            EXPECT_TRUE(world.recorder.intents[0].durable);
            EXPECT_EQ(world.recorder.outcomes[0].sent, 6U);
            EXPECT_EQ(world.recorder.outcomes[0].body, sha256("saltabcdef"));
        })
        .completed("complete")
        .run_with_failure_at_every_step();
    Script()
        .agent_sends("POST /items/1 HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .upstream_expects(sent + "transfer-encoding: chunked\r\n" + kAuth + "\r\n3\r\nabc\r\n")
        .agent_sends("0\r\nX-T: 1\r\nCookie2: x\r\n\r\n")
        .upstream_expects("0\r\nx-t: 1\r\n\r\n")
        .upstream_sends("HTTP/1.1 200 OK\r\n\r\nuntil the end")
        .agent_expects("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\nuntil the end\r\n")
        .upstream_closes()
        .agent_expects("0\r\n\r\n")
        .completed("complete")
        .run_with_failure_at_every_step();
}

TEST(Exchange, AServerMayAnswerBeforeTheBodyHasEnded) {
    Script()
        .agent_sends("POST /items/1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 600000\r\n\r\nabc")
        .upstream_sends("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        .agent_expects("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        .agent_sees_close()
        .checks([](World& world, Wire&) { EXPECT_EQ(world.upstreams.parked, 0U); })
        .completed("complete")
        .run_with_failure_at_every_step();
}

TEST(Exchange, PermissionToSendTheBodyComesBehindTheDecision) {
    const std::string expecting = "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    Script()
        .agent_sends("POST /items/1 HTTP/1.1\r\nHost: api.test\r\n" + expecting)
        .agent_expects("HTTP/1.1 100 Continue\r\n\r\n")
        .agent_sends("abc")
        .upstream_expects_containing("abc")
        .upstream_sends("HTTP/1.1 100 Continue\r\n\r\n" + kOk)
        .agent_expects(kOkSeen)
        .completed("complete")
        .run_with_failure_at_every_step();
    Script()
        .agent_sends("POST /unknown HTTP/1.1\r\nHost: api.test\r\n" + expecting)
        .agent_expects_containing("HTTP/1.1 403 Forbidden\r\n")
        .agent_sees_close()
        .refused("operation_unknown")
        .run();
}

TEST(Exchange, ARefusedSmallBodyIsReadAndTheConnectionGoesOn) {
    Script()
        .agent_sends("POST /unknown HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3\r\n\r\nabc" + kGet)
        .agent_expects_containing("HTTP/1.1 403 Forbidden\r\n")
        .upstream_expects(kGetSent)
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .completed("complete")
        .run();
    Script()
        .agent_sends("POST /unknown HTTP/1.1\r\nHost: api.test\r\nContent-Length: 900000\r\n\r\nabc")
        .agent_expects_containing("connection: close\r\n")
        .agent_sees_close()
        .refused("operation_unknown")
        .run();
}

TEST(Exchange, HeadAndEmptyAnswersHaveNoBody) {
    Script()
        .agent_sends("HEAD /items/1 HTTP/1.1\r\nHost: api.test\r\n\r\n")
        .upstream_sends("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
        .agent_expects("HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n")
        .agent_sends(kGet)
        .upstream_sends("HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")
        .agent_expects("HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n")
        .agent_sends(kGet)
        .upstream_sends("HTTP/1.1 204 No Content\r\n\r\n")
        .agent_expects("HTTP/1.1 204 No Content\r\n\r\n")
        .completed("complete", 3)
        .run_with_failure_at_every_step();
}

TEST(Exchange, EventsPassAsTheyCome) {
    Script()
        .agent_sends(kGet)
        .upstream_sends("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .agent_expects("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        .upstream_sends("9\r\ndata: 1\n\n\r\n")
        .agent_expects("9\r\ndata: 1\n\n\r\n")
        .upstream_sends("9\r\ndata: 2\n\n\r\n")
        .agent_expects("9\r\ndata: 2\n\n\r\n")
        .upstream_sends("0\r\n\r\n")
        .agent_expects("0\r\n\r\n")
        .completed("complete")
        .run();
}

// CRED-03: wherever a server puts the credential, the agent gets stars.
TEST(Exchange, AnEchoedSecretIsRemovedFromEveryPartOfTheResponse) {
    const std::string secret(kSecret);
    const std::string stars(secret.size(), '*');
    Script()
        .agent_sends(kGet)
        .upstream_sends("HTTP/1.1 103 Early " + secret + "\r\nLink: <" + secret + ">\r\n\r\n")
        .upstream_sends("HTTP/1.1 200 " + secret + "\r\nLocation: https://b.test/?t=" + secret +
                        "\r\nX-OAuth-Scopes: " + secret + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" +
                        secret.substr(0, 5) + "\r\n")
        .upstream_sends("1b\r\n" + secret.substr(5) + "!\r\n0\r\nX-T: " + secret + "\r\n\r\n")
        .checks([stars](World& world, Wire& agent) {
            EXPECT_NE(agent.written.find("HTTP/1.1 103 Early " + stars + "\r\nlink: <" + stars + ">"),
                      std::string::npos);
            EXPECT_NE(agent.written.find("HTTP/1.1 200 " + stars), std::string::npos);
            EXPECT_NE(agent.written.find("location: https://b.test/?t=" + stars), std::string::npos);
            EXPECT_NE(agent.written.find(stars + "!"), std::string::npos);
            EXPECT_NE(agent.written.find("x-t: " + stars), std::string::npos);
            EXPECT_GE(world.recorder.outcomes[0].scrubbed, 6U);
            EXPECT_EQ(world.recorder.outcomes[0].evidence["x-oauth-scopes"], stars);
        })
        .completed("complete")
        .run_with_failure_at_every_step();
}

TEST(Exchange, AnEncodedAnswerToACredentialIsStopped) {
    Script()
        .agent_sends(kGet)
        .upstream_sends("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi")
        .agent_expects_containing("sanctum-reason: upstream_unreachable\r\n")
        .completed("scrub_stopped")
        .run_with_failure_at_every_step();
    Script("www.test")
        .agent_sends("GET / HTTP/1.1\r\nHost: www.test\r\nAccept-Encoding: gzip\r\n\r\n")
        .upstream_expects("GET / HTTP/1.1\r\nhost: www.test\r\naccept-encoding: gzip\r\n\r\n")
        .upstream_sends("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi")
        .agent_expects("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nhi")
        .completed("complete")
        .run();
}

// --- redaction

const std::string kGetKey = "GET /items/1/key HTTP/1.1\r\nHost: api.test\r\n\r\n";
const std::string kJson = "Content-Type: application/json; charset=utf-8\r\n";
const std::string kWithKey = R"({"key":"other-credential","links":[{"href":"x"},{"href":"https://signed"}],"n":1})";
const std::string kWithoutKey = R"({"key":"****************","links":[{"href":"x"},{"href":"**************"}],"n":1})";

std::string with_length(const std::string& fields, const std::string& body) {
    return "HTTP/1.1 200 OK\r\n" + fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(Exchange, WhatTheCatalogNamesForRedactionIsStarredInTheAnswer) {
    ASSERT_EQ(kWithKey.size(), kWithoutKey.size());
    Script()
        .agent_sends(kGetKey)
        .upstream_sends(with_length(kJson, kWithKey))
        .agent_expects("HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: " +
                       std::to_string(kWithKey.size()) + "\r\n\r\n" + kWithoutKey)
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.recorder.outcomes[0].scrubbed, 2U);
            EXPECT_EQ(world.recorder.outcomes[0].evidence["redacted"], "2");
            EXPECT_EQ(world.upstreams.parked, 1U);
        })
        .completed("complete")
        .run_with_failure_at_every_step();
    Script()  // the same body where nothing is named
        .agent_sends(kGet)
        .upstream_sends(with_length(kJson, kWithKey))
        .agent_expects_containing(kWithKey)
        .checks([](World& world, Wire&) { EXPECT_EQ(world.recorder.outcomes[0].scrubbed, 0U); })
        .completed("complete")
        .run();
}

TEST(Exchange, ARedactedAnswerIsTheSameInAnyPiecesAndNothingLeavesBeforeItsEnd) {
    const std::string head = "HTTP/1.1 200 OK\r\n" + kJson;
    for (std::size_t cut = 1; cut < kWithKey.size(); ++cut) {
        const std::string first = kWithKey.substr(0, cut);
        Script()
            .agent_sends(kGetKey)
            .upstream_sends(head + "Content-Length: " + std::to_string(kWithKey.size()) + "\r\n\r\n" + first)
            .agent_expects_nothing()
            .upstream_sends(kWithKey.substr(cut))
            .agent_expects_containing("\r\n\r\n" + kWithoutKey)
            .completed("complete")
            .run();
    }
    Script chunked;
    chunked.agent_sends(kGetKey).upstream_sends(head + "Transfer-Encoding: chunked\r\n\r\n");
    for (const char c : kWithKey) chunked.upstream_sends("1\r\n" + std::string(1, c) + "\r\n").agent_expects_nothing();
    chunked.upstream_sends("0\r\n\r\n").agent_expects_containing(kWithoutKey).completed("complete").run();
    Script()
        .agent_sends(kGetKey)
        .upstream_sends(head + "\r\n" + kWithKey)
        .agent_expects_nothing()
        .upstream_closes()
        .agent_expects_containing(kWithoutKey)
        .completed("complete")
        .run_with_failure_at_every_step();
}

TEST(Exchange, AnAnswerThatCannotBeRedactedIsNotPassedOn) {
    const std::string large = std::to_string(kRedactedBodyBytesMax + 1);
    for (const std::string& answer : std::vector<std::string>
         {with_length("", kWithKey), with_length("Content-Type: text/html\r\n", kWithKey),
          with_length(kJson + "Content-Type: text/plain\r\n", kWithKey),
          with_length(kJson + "Content-Encoding: gzip\r\n", kWithKey), with_length(kJson, kWithKey + "x"),
          with_length(kJson, R"({"key":"other-credential")"), with_length(kJson, "\xef\xbb\xbf" + kWithKey),
          "HTTP/1.1 206 Partial\r\n" + kJson + "Content-Length: 3\r\n\r\n\"k\"",
          "HTTP/1.1 200 OK\r\n" + kJson + "Content-Length: " + large + "\r\n\r\n{",
          "HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\nContent-Length: 16\r\n\r\nother-credential"}) {
        Script()
            .agent_sends(kGetKey)
            .upstream_sends(answer)
            .agent_expects_containing("sanctum-reason: upstream_unreachable\r\n")
            .agent_sees_close()
            .checks([](World& world, Wire& agent) {
                EXPECT_EQ(agent.written.find("other"), std::string::npos);
                EXPECT_EQ(world.upstreams.parked, 0U);
            })
            .completed("scrub_stopped")
            .run_with_failure_at_every_step();
    }
    Script endless;
    endless.agent_sends(kGetKey).upstream_sends("HTTP/1.1 200 OK\r\n" + kJson + "Transfer-Encoding: chunked\r\n\r\n");
    for (std::size_t sent = 0; sent <= kRedactedBodyBytesMax; sent += 65536) {
        endless.upstream_sends("10000\r\n" + std::string(65536, ' ') + "\r\n");
    }
    endless.agent_expects_containing("HTTP/1.1 502 Bad Gateway\r\n").completed("scrub_stopped").run();
}

TEST(Exchange, AnAnswerWithoutABodyNeedsNoRedaction) {
    for (const char* answer : {"HTTP/1.1 304 Not Modified\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"}) {
        Script().agent_sends(kGetKey).upstream_sends(answer).agent_expects_containing("HTTP/1.1 ")
            .checks([](World& world, Wire&) { EXPECT_EQ(world.recorder.outcomes[0].evidence.count("redacted"), 0U); })
            .completed("complete")
            .run_with_failure_at_every_step();
    }
    Script().agent_sends(kGetKey).upstream_sends("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
        .agent_expects("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n").completed("complete").run();
}

TEST(Exchange, CookiesAndRejectedCredentialsAreNotedForTheOperator) {
    Script()
        .agent_sends(kGet)
        .upstream_sends(
            "HTTP/1.1 401 Unauthorized\r\nSet-Cookie: s=1\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer "
            "scope=\"repo\"\r\n\r\n")
        .agent_expects(
            "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer scope=\"repo\"\r\ncontent-length: 0\r\n\r\n")
        .checks([](World& world, Wire&) {
            auto evidence = world.recorder.outcomes[0].evidence;
            EXPECT_EQ(evidence["upstream_rejected_credential"], "401");
            EXPECT_EQ(evidence["cookies_kept"], "1");
            EXPECT_EQ(evidence["www-authenticate"], "Bearer scope=\"repo\"");
        })
        .completed("complete")
        .run();
}

TEST(Exchange, ABrokenUpstreamIsA502BeforeItsAnswerAndACutBehindIt) {
    for (const char* answer :
         {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "rubbish\r\n\r\n"}) {
        Script()
            .agent_sends(kGet)
            .upstream_sends(answer)
            .agent_expects_containing("HTTP/1.1 502 Bad Gateway\r\n")
            .agent_sees_close()
            .completed("upstream_protocol")
            .run_with_failure_at_every_step();
    }
    Script()
        .agent_sends(kGet)
        .upstream_sends("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nab\n")
        .upstream_closes()
        .agent_expects_containing("ab\n")
        .agent_sees_close()
        .completed("upstream_closed")
        .run_with_failure_at_every_step();
    Script()
        .agent_sends(kGet)
        .upstream_resets()
        .agent_expects_containing("HTTP/1.1 502 Bad Gateway\r\n")
        .completed("upstream_closed")
        .run();
}

TEST(Exchange, AFloodOfInterimResponsesIsCut) {
    std::string flood;
    for (int i = 0; i <= kInterimResponsesMax; ++i) flood += "HTTP/1.1 103 Early\r\n\r\n";
    Script().agent_sends(kGet).upstream_sends(flood).completed("upstream_protocol").run();
}

TEST(Exchange, TheSecondAnswerOfASmugglingServerIsNeverDelivered) {
    Script()
        .agent_sends(kGet)
        .upstream_sends(kOk + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        .agent_expects(kOkSeen)
        .agent_sends(kGet)
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.upstreams.parked, 0U);
            EXPECT_EQ(world.upstreams.opened, 2U);
        })
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .completed("complete", 2)
        .run();
}

TEST(Exchange, ASafeRequestIsRepeatedOnceWhenAKeptConnectionWasGone) {
    Script()
        .given([](World& world) { world.upstreams.is_first_reused = true; })
        .agent_sends(kGet)
        .upstream_closes()
        .upstream_expects(kGetSent)
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .checks([](World& world, Wire&) { EXPECT_EQ(world.upstreams.last_pool, Upstreams::Pool::OnlyFresh); })
        .completed("complete")
        .run();
    Script()
        .given([](World& world) { world.upstreams.is_first_reused = true; })
        .agent_sends("POST /items/1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\n\r\na")
        .upstream_closes()
        .agent_expects_containing("HTTP/1.1 502 Bad Gateway\r\n")
        .checks([](World& world, Wire&) { EXPECT_EQ(world.upstreams.opened, 1U); })
        .completed("upstream_closed")
        .run();
}

TEST(Exchange, ACredentialTakenBackMeanwhileIsNotSentAgain) {
    Script()
        .given([](World& world) { world.upstreams.is_first_reused = true; })
        .agent_sends(kGet)
        .upstream_expects(kGetSent)
        .then([](World& world, Wire&) { world.leases.lease->is_live = false; })
        .upstream_closes()
        .agent_expects_containing("sanctum-reason: credential_unavailable\r\n")
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.upstreams.opened, 2U);
            EXPECT_EQ(world.upstreams.wires[1]->written, "");
        })
        .completed("upstream_closed")
        .run();
}

TEST(Exchange, AnAgentThatLeavesEndsTheUpstreamExchange) {
    Script()
        .agent_sends(kGet)
        .agent_closes()
        .checks([](World& world, Wire&) { EXPECT_TRUE(world.upstreams.wires[0]->is_closed); })
        .completed("agent_closed")
        .run_with_failure_at_every_step();
    Script()
        .agent_sends("POST /items/1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 9\r\n\r\nabc")
        .agent_closes()
        .checks([](World& world, Wire&) { EXPECT_TRUE(world.upstreams.wires[0]->is_closed); })
        .completed("agent_closed")
        .run();
}

TEST(Exchange, ABodyThatBreaksItsFramingIsNotMadeToLookComplete) {
    Script()
        .agent_sends("POST /items/1 HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .agent_sends("zz\r\n")
        .agent_expects_containing("HTTP/1.1 400 Bad Request\r\n")
        .agent_sees_close()
        .checks([](World& world, Wire& agent) {
            EXPECT_NE(agent.written.find("sanctum-reason: request_invalid\r\n"), std::string::npos);
            EXPECT_EQ(world.upstreams.wires[0]->written.find("\r\n0\r\n"), std::string::npos);
            EXPECT_TRUE(world.upstreams.wires[0]->is_closed);
        })
        .completed("request_invalid")
        .run_with_failure_at_every_step();
}

TEST(Exchange, AFormThatOverridesTheMethodNeverArrivesWhole) {
    Script()
        .agent_sends("POST /items/1 HTTP/1.1\r\nHost: api.test\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                     "Content-Length: 18\r\n\r\na=b&")
        .agent_sends("_method=DELETE")
        .agent_expects_containing("HTTP/1.1 400 Bad Request\r\n")
        .agent_sees_close()
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.upstreams.wires[0]->written.find("_method"), std::string::npos);
            EXPECT_TRUE(world.upstreams.wires[0]->is_closed);
        })
        .completed("request_invalid")
        .run_with_failure_at_every_step();
    Script()
        .agent_sends("POST /items/1 HTTP/1.1\r\nHost: api.test\r\nContent-Type: multipart/form-data\r\n"
                     "Content-Length: 1\r\n\r\nx")
        .agent_expects_containing("HTTP/1.1 400 Bad Request\r\n")
        .refused("request_invalid")
        .run();
}

TEST(Exchange, WithoutALeaseOrARecordNothingIsSent) {
    Script().given([](World& world) { world.leases.is_failing = true; })
        .agent_sends(kGet)
        .agent_expects_containing("sanctum-reason: credential_unavailable\r\n")
        .refused("credential_unavailable")
        .run_with_failure_at_every_step();
    Script().given([](World& world) { world.recorder.is_failing = true; })
        .agent_sends(kGet)
        .agent_expects_containing("sanctum-reason: record_unavailable\r\n")
        .refused("record_unavailable")
        .run_with_failure_at_every_step();
    Script().given([](World& world) { world.leases.lease->secret = Secret("a\r\nX: y"); })
        .agent_sends(kGet)
        .agent_expects_containing("sanctum-reason: credential_unavailable\r\n")
        .refused("credential_unavailable")
        .run();
    Script().given([](World& world) { world.upstreams.failure = "upstream_certificate: expired"; })
        .agent_sends(kGet)
        .agent_expects_containing("sanctum-reason: upstream_certificate\r\n")
        .refused("upstream_certificate")
        .run();
}

TEST(Exchange, ALeaseTakenBackWhileTheRecordWasWrittenIsNotInjected) {
    Script()
        .given([](World& world) { world.recorder.on_intent = [&world] { world.leases.lease->is_live = false; }; })
        .agent_sends(kGet)
        .upstream_expects_nothing()
        .agent_expects_containing("sanctum-reason: credential_unavailable\r\n")
        .completed("mission_ended")
        .run();
}

// --- a credential that the upstream refuses

const std::string kUnauthorized =
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer error=\"invalid_token\"\r\nContent-Length: 4\r\n\r\nbad!";
const std::string kUnauthorizedSeen =
    "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer error=\"invalid_token\"\r\ncontent-length: 4\r\n\r\nbad!";
const std::string kOtherAuth = "authorization: Bearer " + std::string(test::kOtherSecret) + "\r\n";

void have_another_lease(World& world) { world.have_another_lease(); }

TEST(Exchange, ARefusedCredentialIsReplacedOnceAndTheAgentSeesTheSecondAnswer) {
    Script()
        .given(have_another_lease)
        .agent_sends(kGet)
        .upstream_expects(kGetSent)
        .upstream_sends(kUnauthorized)
        .upstream_expects("GET /items/1 HTTP/1.1\r\nhost: api.test\r\naccept: */*\r\naccept-encoding: identity\r\n" +
                          kOtherAuth + "\r\n")
        .agent_expects_nothing()
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.leases.needs.at(1).instead_of, "l1");
            ASSERT_EQ(world.leases.uses.size(), 2U);
            EXPECT_EQ(world.leases.uses[0].lease + " " + std::to_string(world.leases.uses[0].status), "l1 401");
            EXPECT_EQ(world.leases.uses[1].lease + " " + std::to_string(world.leases.uses[1].status), "l2 200");
            EXPECT_EQ(world.upstreams.last_lease, "l2") << "connections are never shared between credentials";
            EXPECT_TRUE(world.upstreams.wires[0]->is_closed);
            auto evidence = world.recorder.outcomes.at(0).evidence;
            EXPECT_EQ(evidence["lease_replaced"], "l1");
            EXPECT_EQ(evidence["sent_with"], "l2");
            EXPECT_EQ(evidence["refused_with"], "Bearer error=\"invalid_token\"");
            EXPECT_EQ(evidence.count("upstream_rejected_credential"), 0U);
        })
        .completed("complete")
        .run_with_failure_at_every_step();
}

TEST(Exchange, ASecondRefusalGoesToTheAgentAsItIs) {
    Script()
        .given(have_another_lease)
        .agent_sends(kGet)
        .upstream_sends(kUnauthorized)
        .upstream_expects_containing(kOtherAuth)
        .upstream_sends(kUnauthorized)
        .agent_expects(kUnauthorizedSeen)
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.upstreams.opened, 2U);
            EXPECT_EQ(world.recorder.outcomes.at(0).evidence["upstream_rejected_credential"], "401");
            EXPECT_EQ(world.recorder.outcomes.at(0).evidence["www-authenticate"], "Bearer error=\"invalid_token\"");
        })
        .completed("complete")
        .run_with_failure_at_every_step();
}

TEST(Exchange, ARefusalGoesToTheAgentWhereThereIsNoOtherCredential) {
    Script()
        .agent_sends(kGet)
        .upstream_sends(kUnauthorized)
        .agent_expects(kUnauthorizedSeen)
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.upstreams.opened, 1U);
            ASSERT_EQ(world.leases.uses.size(), 1U) << "told once";
            EXPECT_EQ(world.leases.uses[0].status, 401);
            EXPECT_EQ(world.recorder.outcomes.at(0).evidence["not_sent_again"],
                      "credential_refused: its source gave the same credential again");
        })
        .completed("complete")
        .run_with_failure_at_every_step();
}

TEST(Exchange, ASmallBodyIsSentAgainAsItWasAndAnythingElseIsNot) {
    const std::string put = "PUT /items/1 HTTP/1.1\r\nHost: api.test\r\n";
    Script()
        .given(have_another_lease)
        .agent_sends(put + "Content-Length: 6\r\n\r\nabc")
        .agent_sends("def")
        .upstream_sends(kUnauthorized)
        .upstream_expects_containing("content-length: 6\r\n" + kOtherAuth + "\r\nabcdef")
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .agent_sends(kGet)  // what came behind the body is read as before
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.recorder.outcomes.at(0).body, sha256("saltabcdef"));
            EXPECT_EQ(world.recorder.outcomes.at(0).sent, 6U);
        })
        .completed("complete", 2)
        .run_with_failure_at_every_step();
    const std::vector<std::string> never = {
        "POST /items/1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\n\r\na",   // not idempotent
        put + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",            // of no known length
        put + "Content-Length: 20000\r\n\r\n" + std::string(20'000, 'a'),           // not kept
        put + "Content-Length: 6\r\n\r\nabc"};                                      // not whole
    for (const std::string& request : never) {
        Script()
            .given(have_another_lease)
            .agent_sends(request)
            .upstream_sends(kUnauthorized)
            .agent_expects_containing(kUnauthorizedSeen)
            .checks([](World& world, Wire&) {
                EXPECT_EQ(world.upstreams.opened, 1U);
                EXPECT_EQ(world.leases.uses.at(0).status, 401) << "the next request gets another credential";
            })
            .completed("complete")
            .run();
    }
}

TEST(Exchange, ALeaseForOneRequestIsNotReplaced) {
    Script()
        .given([](World& world) {
            world.have_another_lease();
            world.leases.lease->uses = 1;
        })
        .agent_sends(kGet)
        .upstream_sends(kUnauthorized)
        .agent_expects(kUnauthorizedSeen)
        .checks([](World& world, Wire&) { EXPECT_EQ(world.upstreams.opened, 1U); })
        .completed("complete")
        .run();
}

TEST(Exchange, ALeaseThatEndsWhileTheRecordIsWrittenIsReplacedBeforeAnythingIsSent) {
    Script()
        .given([](World& world) {
            world.have_another_lease();
            world.recorder.on_intent = [&world] { world.leases.lease->is_live = false; };
        })
        .agent_sends("POST /items/1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\n\r\na")
        .upstream_expects_containing(kOtherAuth)
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.upstreams.wires[0]->written, "");
            EXPECT_EQ(world.recorder.outcomes.at(0).evidence["sent_with"], "l2");
        })
        .completed("complete")
        .run_with_failure_at_every_step();
}

// --- tokens bound to a key

// Of the last request on `wire`: the value of `dpop`, and its claims.
std::string proof_on(const Wire& wire) {
    const std::size_t begin = wire.written.rfind("\r\ndpop: ");
    if (begin == std::string::npos) return "";
    const std::size_t value = begin + 8;
    return wire.written.substr(value, wire.written.find("\r\n", value) - value);
}

std::string claims_of(const std::string& proof) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const std::size_t begin = proof.find('.') + 1;
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : proof.substr(begin, proof.find('.', begin) - begin)) {
        bits = (bits << 6U) | static_cast<std::uint32_t>(alphabet.find(c));
        count += 6;
        if (count < 8) continue;
        count -= 8;
        out.push_back(static_cast<char>((bits >> static_cast<unsigned>(count)) & 0xffU));
    }
    return out;
}

bool says(const std::string& claims, const std::string& name, const std::string& value) {
    return claims.find("\"" + name + "\":\"" + value + "\"") != std::string::npos;
}

void bind_to_a_key(World& world) { world.bind_to_a_key(); }

const std::string kWantsNonce =
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: DPoP error=\"use_dpop_nonce\"\r\nDPoP-Nonce: n-1\r\n"
    "Content-Length: 0\r\n\r\n";

TEST(Exchange, ABoundTokenLeavesWithAProofForThisRequestAndNothingOfTheAgents) {
    Script()
        .given(bind_to_a_key)
        .agent_sends("GET /items/1?page=2 HTTP/1.1\r\nHost: api.test\r\nAuthorization: DPoP placeholder\r\n"
                     "DPoP: the.agents.own\r\n\r\n")
        .checks([](World& world, Wire&) {
            const std::string& sent = world.upstreams.wires[0]->written;
            EXPECT_NE(sent.find("authorization: DPoP " + std::string(kSecret) + "\r\ndpop: "), std::string::npos);
            EXPECT_EQ(sent.find("placeholder"), std::string::npos);
            EXPECT_EQ(sent.find("the.agents.own"), std::string::npos);
            EXPECT_EQ(sent.find("\"d\""), std::string::npos);
            const std::string claims = claims_of(proof_on(*world.upstreams.wires[0]));
            EXPECT_TRUE(says(claims, "htm", "GET")) << claims;
            EXPECT_TRUE(says(claims, "htu", "https://api.test/items/1")) << "without the query: " << claims;
            EXPECT_TRUE(says(claims, "ath", dpop::token_hash(kSecret))) << claims;
        })
        .upstream_sends("HTTP/1.1 200 OK\r\nDPoP-Nonce: n-1\r\nContent-Length: 2\r\n\r\nhi")
        .agent_expects(kOkSeen)  // the nonce is not for the agent
        .agent_sends(kGet)
        .checks([](World& world, Wire&) {
            const std::string claims = claims_of(proof_on(*world.upstreams.wires[world.upstreams.opened - 1]));
            EXPECT_TRUE(says(claims, "nonce", "n-1")) << "used at once: " << claims;
        })
        .upstream_sends(kOk)
        .completed("complete", 2)
        .run_with_failure_at_every_step();
}

TEST(Exchange, AProofIsMadeOnceMoreWithTheNonceThatTheServerWantsForAnyMethod) {
    Script()
        .given(bind_to_a_key)
        .agent_sends("POST /items/1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3\r\n\r\nabc")
        .upstream_sends(kWantsNonce)
        .agent_expects_nothing()
        .upstream_expects_containing("\r\n\r\nabc")
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .checks([](World& world, Wire&) {
            ASSERT_EQ(world.upstreams.opened, 2U);
            const std::string first = claims_of(proof_on(*world.upstreams.wires[0]));
            const std::string second = claims_of(proof_on(*world.upstreams.wires[1]));
            EXPECT_EQ(first.find("\"nonce\""), std::string::npos);
            EXPECT_TRUE(says(second, "nonce", "n-1"));
            ASSERT_EQ(world.leases.uses.size(), 1U) << "the credential itself was not refused";
            EXPECT_EQ(world.leases.uses[0].status, 200);
            EXPECT_EQ(world.leases.needs.size(), 1U);
            EXPECT_EQ(world.recorder.outcomes.at(0).evidence["sent_again"], "use_dpop_nonce");
        })
        .completed("complete")
        .run_with_failure_at_every_step();
}

TEST(Exchange, AServerThatWantsNoncesWithoutEndGetsOneMoreAndTheAgentItsAnswer) {
    Script()
        .given(bind_to_a_key)
        .agent_sends(kGet)
        .upstream_sends(kWantsNonce)
        .upstream_sends("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: DPoP error=\"use_dpop_nonce\"\r\n"
                        "DPoP-Nonce: n-2\r\nContent-Length: 0\r\n\r\n")
        .agent_expects_containing("HTTP/1.1 401 Unauthorized\r\n")
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.upstreams.opened, 2U);
            EXPECT_EQ(world.leases.uses.at(0).status, 0) << "nothing was said against the credential";
        })
        .completed("complete")
        .run();
}

TEST(Exchange, ABoundTokenThatIsRefusedIsReplacedLikeAnyOther) {
    Script()
        .given([](World& world) {
            world.bind_to_a_key();
            world.have_another_lease();
            world.leases.other->form = profiles::AuthForm::Dpop;
            const auto key = dpop::Key::generate();
            world.leases.other->secret = dpop::join_bound_token(Secret(test::kOtherSecret), *key->jwk());
        })
        .agent_sends(kGet)
        .upstream_sends("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: DPoP error=\"invalid_token\"\r\n"
                        "Content-Length: 0\r\n\r\n")
        .upstream_expects_containing("authorization: DPoP " + std::string(test::kOtherSecret))
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .completed("complete")
        .run();
}

TEST(Exchange, AProofThatComesBackIsStarred) {
    Script()
        .given(bind_to_a_key)
        .agent_sends(kGet)
        .then([](World& world, Wire&) {
            const std::string proof = proof_on(*world.upstreams.wires[0]);
            world.upstreams.wires[0]->send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(proof.size()) +
                                           "\r\n\r\n" + proof);
        })
        .checks([](World& world, Wire& agent) {
            const std::string proof = proof_on(*world.upstreams.wires[0]);
            EXPECT_EQ(agent.written.find(proof), std::string::npos);
            EXPECT_NE(agent.written.find(std::string(proof.size(), '*')), std::string::npos);
        })
        .completed("complete")
        .run();
}

TEST(Exchange, ALeaseThatIsNoTokenWithItsKeyIsNotInjectedWhereOneIsWanted) {
    for (const std::string& secret : {std::string(kSecret), std::string(kSecret) + " {}", std::string(" {}")}) {
        Script()
            .given([&](World& world) {
                world.bind_to_a_key();
                world.leases.lease->secret = Secret(secret);
            })
            .agent_sends(kGet)
            .agent_expects_containing("sanctum-reason: credential_unavailable\r\n")
            .refused("credential_unavailable")
            .run();
    }
}

// --- tokens bound to a certificate

TEST(Exchange, ATokenBoundToACertificateGoesOutOnTheConnectionsOfItsLeaseAlone) {
    Script()
        .given([](World& world) { world.bind_to_a_certificate(); })
        .agent_sends(kGet)
        .upstream_expects_containing("\r\nauthorization: Bearer " + std::string(kSecret) + "\r\n")
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.upstreams.last_lease, "l1");
            EXPECT_EQ(world.upstreams.wires[0]->written.find("KEY-CANARY"), std::string::npos);
        })
        .completed("complete")
        .run_with_failure_at_every_step();
    Script()
        .given([](World& world) {
            world.bind_to_a_certificate();
            world.leases.lease->certificate = {};
        })
        .agent_sends(kGet)
        .agent_expects_containing("sanctum-reason: credential_unavailable\r\n")
        .refused("credential_unavailable")
        .run();
}

TEST(Exchange, AServerThatRefusesTheCertificateIsNamedAsThatAndOneThatWantsAnyAsUnreachable) {
    for (const bool is_bound : {true, false}) {
        const std::string reason = is_bound ? "client_certificate" : "upstream_unreachable";
        Script()
            .given([&](World& world) {
                if (is_bound) world.bind_to_a_certificate();
            })
            .agent_sends(kGet)
            .upstream_expects_containing("GET /")
            .upstream_refuses_certificate()
            .agent_expects_containing("sanctum-reason: " + reason + "\r\n")
            .agent_sees_close()
            .checks([&](World& world, Wire&) {
                EXPECT_EQ(world.recorder.outcomes.at(0).evidence.contains("client_certificate"), is_bound);
                EXPECT_EQ(world.upstreams.parked, 0U);
            })
            .completed("upstream_closed")
            .run();
    }
    Script().given([](World& world) { world.upstreams.failure = "client_certificate: asked for none"; })
        .agent_sends(kGet)
        .agent_expects_containing("sanctum-reason: client_certificate\r\n")
        .refused("client_certificate")
        .run();
}

TEST(Exchange, ACredentialThatWasFetchedAndCouldNotBeSentIsNoUseOfIt) {
    Script()
        .given([](World& world) {
            world.have_another_lease();
            world.leases.on_another = [&world] { world.upstreams.failure = "upstream_unreachable: refused"; };
        })
        .agent_sends(kGet)
        .upstream_sends(kUnauthorized)
        .agent_expects_containing("sanctum-reason: upstream_unreachable\r\n")
        .checks([](World& world, Wire&) {
            ASSERT_EQ(world.leases.uses.size(), 1U);
            EXPECT_EQ(world.leases.uses[0].lease, "l1");
        })
        .completed("upstream_closed")
        .run();
}

TEST(Exchange, AServiceTakenBackWhileItsCredentialIsReplacedIsNotAskedAgain) {
    Script()
        .given([](World& world) {
            world.have_another_lease();
            world.leases.on_another = [&world] { world.services->revoked.revoke(0); };
        })
        .agent_sends(kGet)
        .upstream_sends(kUnauthorized)
        .agent_expects_containing("sanctum-reason: service_revoked\r\n")
        .checks([](World& world, Wire&) { EXPECT_EQ(world.upstreams.opened, 1U); })
        .completed("upstream_closed")
        .run();
}

TEST(Exchange, AServiceThatWasTakenBackIsRefusedAndTheOthersAreNot) {
    Script()
        .agent_sends(kGet)
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .then([](World& world, Wire&) { world.services->revoked.revoke(0); })
        .agent_sends(kGet)
        .agent_expects_containing("sanctum-reason: service_revoked\r\n")
        .checks([](World& world, Wire&) { EXPECT_EQ(world.upstreams.opened, 1U); })
        .completed("complete")
        .run();
    Script()
        .given([](World& world) { world.services->revoked.revoke(1); })
        .agent_sends(kGet)
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .completed("complete")
        .run();
}

TEST(Exchange, ARequestUnderWayIsCutWhenItsServiceIsTakenBack) {
    Script()
        .agent_sends(kGet)
        .upstream_expects(kGetSent)
        .then([](World& world, Wire&) { world.services->revoked.revoke(0); })
        .agent_expects_containing("sanctum-reason: service_revoked\r\n")
        .checks([](World& world, Wire&) { EXPECT_TRUE(world.upstreams.wires[0]->is_closed); })
        .completed("upstream_closed")
        .run();
}

TEST(Exchange, AServiceTakenBackWhileTheRecordWasWrittenGetsNothing) {
    Script()
        .given([](World& world) { world.recorder.on_intent = [&world] { world.services->revoked.revoke(0); }; })
        .agent_sends(kGet)
        .upstream_expects_nothing()
        .agent_expects_containing("sanctum-reason: service_revoked\r\n")
        .completed("mission_ended")
        .run();
}

TEST(Exchange, AnEndingMissionTakesNoRequest) {
    Script()
        .agent_sends(kGet)
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .then([](World& world, Wire&) { world.services->is_ending = true; })
        .agent_sends(kGet)
        .agent_expects_containing("sanctum-reason: mission_ending\r\n")
        .agent_sees_close()
        .completed("complete")
        .run();
}

TEST(Exchange, HighRiskIsRefusedWhileNobodyCanBeAsked) {
    Script()
        .agent_sends("DELETE /items/1 HTTP/1.1\r\nHost: api.test\r\n\r\n")
        .agent_expects_containing("sanctum-reason: approval_unavailable\r\n")
        .refused("approval_unavailable")
        .run();
}

TEST(Exchange, NamesThatDisagreeAreRefused) {
    Script().given_connection([](AgentConnection& c) { c.name = ""; })
        .agent_sends(kGet).agent_expects_containing("address_without_name").refused("address_without_name").run();
    Script().given_connection([](AgentConnection& c) { c.server_name = "www.test"; })
        .agent_sends(kGet).agent_expects_containing("name_mismatch").refused("name_mismatch").run();
    Script().given_connection([](AgentConnection& c) { c.is_tls = false; c.server_name = ""; c.port = 80; })
        .agent_sends(kGet).agent_expects_containing("plain_http").refused("plain_http").run();
    Script("plain.test").given_connection([](AgentConnection& c) { c.is_tls = false; c.server_name = ""; c.port = 80; })
        .agent_sends("GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
        .upstream_expects("GET / HTTP/1.1\r\nhost: plain.test\r\n\r\n")
        .upstream_sends(kOk).completed("complete").run();
}

TEST(Exchange, HTTP10GetsAnAnswerThatEndsWithTheConnection) {
    Script()
        .agent_sends("GET /items/1 HTTP/1.0\r\nHost: api.test\r\n\r\n")
        .upstream_sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
        .agent_expects("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhi")
        .agent_sees_close()
        .completed("complete")
        .run_with_failure_at_every_step();
}

TEST(Exchange, ARequestInSingleBytesIsTheSameRequest) {
    Script()
        .agent_dribbles(kGet)
        .upstream_expects(kGetSent)
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .completed("complete")
        .run();
}

TEST(Exchange, ASlowHeadAndASlowBodyEndTheConnection) {
    Script()
        .agent_sends("GET /items/1 HT")
        .then([](World&, Wire& agent) { agent.expire(); })
        .agent_sees_close()
        .run();
    Script()
        .agent_sends("POST /items/1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 9\r\n\r\nabc")
        .then([](World&, Wire& agent) {
            EXPECT_TRUE(agent.is_deadline_armed);
            agent.expire();
        })
        .agent_sees_close()
        .run();
    Script()
        .agent_sends(kGet)
        .then([](World&, Wire& agent) { EXPECT_FALSE(agent.is_deadline_armed) << "a waiting agent has no deadline"; })
        .upstream_sends(kOk)
        .completed("complete")
        .run();
}

TEST(Exchange, ASlowReaderHoldsTheUpstreamBack) {
    Script()
        .agent_sends(kGet)
        .then([](World&, Wire& agent) { agent.set_stalled(true); })
        .upstream_sends("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        .then([](World& world, Wire&) {
            for (int i = 0; i < 50; ++i) world.upstreams.wires[0]->send(std::string(20000, 'x'));
        })
        .then([](World& world, Wire& agent) {
            EXPECT_GE(world.upstreams.wires[0]->incoming.size(), 49U) << "read ahead of a stalled agent";
            EXPECT_LE(world.upstreams.wires[0]->bytes_read_max, kReadBytes);
            EXPECT_TRUE(agent.is_deadline_armed);
            agent.set_stalled(false);
        })
        .then([](World&, Wire& agent) { EXPECT_GT(agent.written.size(), 1000000U); })
        .completed("complete")
        .run();
}

// --- decided = sent
// ---------------------------------------------------------------------------------------------------

/// A request as another program reads it off the wire: nothing shared with our codec.
struct WireRequest {
    std::string method, target, host, body;
    std::vector<std::pair<std::string, std::string>> fields;
};

std::string until(std::string& rest, const std::string& mark) {
    const std::size_t at = rest.find(mark);
    EXPECT_NE(at, std::string::npos) << "no '" << mark << "' in " << rest;
    std::string before = rest.substr(0, at);
    rest.erase(0, at == std::string::npos ? at : at + mark.size());
    return before;
}

WireRequest read_wire(std::string rest) {
    WireRequest request;
    request.method = until(rest, " ");
    request.target = until(rest, " HTTP/1.1\r\n");
    std::size_t length = 0;
    bool is_chunked = false;
    for (std::string line = until(rest, "\r\n"); !line.empty(); line = until(rest, "\r\n")) {
        const std::string name = until(line, ": ");
        if (name == "host") request.host = line;
        if (name == "content-length") length = std::stoul(line);
        if (name == "transfer-encoding") is_chunked = line == "chunked";
        request.fields.emplace_back(name, line);
    }
    if (!is_chunked) {
        EXPECT_EQ(rest.size(), length) << "bytes behind the body";
        request.body = rest;
        return request;
    }
    for (std::size_t size = std::stoul(until(rest, "\r\n"), nullptr, 16); size > 0;
         size = std::stoul(until(rest, "\r\n"), nullptr, 16)) {
        request.body += rest.substr(0, size);
        EXPECT_EQ(rest.substr(size, 2), "\r\n");
        rest.erase(0, size + 2);
    }
    EXPECT_EQ(rest, "\r\n");
    return request;
}

/// The digest of the record, from the bytes on the wire alone (formats 6).
wire::Digest digest_of(const WireRequest& request) {
    std::string text = "sanctum-head-1\n" + request.method + "\nhttps://" + request.host + "\n" + request.target + "\n";
    for (const auto& [name, value] : request.fields) {
        if (name != "transfer-encoding" && name != "authorization") text.append(name).append(":").append(value + "\n");
    }
    return sha256(text);
}

/// A request put together at random from parts that an agent might combine.
std::string random_request(std::mt19937& random, std::string& body) {
    const auto pick = [&](std::vector<std::string> parts) { return parts[random() % parts.size()]; };
    const std::string path = "/items/" + pick({"1", "a-b", "caf%c3%a9", "x%20y", "@me", "a:b", "~u", "1,2", "%40"});
    std::string fields;
    for (std::size_t i = random() % 6; i > 0; --i) {
        fields += pick({"Accept: */*", "X-One:  1 ", "x-two:", "User-Agent: t/1 (x; y)", "Authorization: Basic eDp5",
                        "TE: trailers", "Connection: x-one, keep-alive", "Cookie: a=b", "Range: bytes=0-",
                        "X-Utf8: \xc3\xa9", "ACCEPT-Encoding: br"}) +
                  "\r\n";
    }
    const std::string query = pick({"", "?", "?a=b", "?a=%2f..&b[]=c", "?q=a+b&q=c", "?x=%0d%0aevil"});
    const std::string begin = path + query + " HTTP/1.1\r\n" + fields + "hOST: API.test\r\n";
    if (random() % 2 == 0) return "GET " + begin + "\r\n";
    for (std::size_t i = random() % 40; i > 0; --i) body.push_back(static_cast<char>(random() % 256));
    if (random() % 2 == 0)
        return "POST " + begin + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    std::array<char, 16> size{};
    std::snprintf(size.data(), size.size(), "%zx", body.size());
    const std::string chunk = body.empty() ? "" : size.data() + ("\r\n" + body) + "\r\n";
    return "POST " + begin + "Transfer-Encoding: chunked\r\n\r\n" + chunk + "0\r\n\r\n";
}

TEST(DecidedIsSent, AnIndependentReaderFindsWhatWasRecorded) {
    std::mt19937 random(1);
    for (int round = 0; round < 300; ++round) {
        std::string body;
        const std::string request = random_request(random, body);
        SCOPED_TRACE(request);
        Script()
            .agent_sends(request)
            .checks([body](World& world, Wire&) {
                ASSERT_EQ(world.recorder.intents.size(), 1U);
                const WireRequest sent = read_wire(world.upstreams.wires[0]->written);
                const auto& intent = world.recorder.intents[0];
                EXPECT_EQ(sent.method, intent.method);
                EXPECT_EQ(sent.host, intent.host);
                EXPECT_EQ(sent.target.substr(0, sent.target.find('?')), intent.path);
                EXPECT_EQ(sent.body, body);
                EXPECT_EQ(digest_of(sent), intent.head);
                const auto is_auth = [](const auto& field) { return field.first == "authorization"; };
                EXPECT_EQ(std::count_if(sent.fields.begin(), sent.fields.end(), is_auth), 1);
            })
            .upstream_sends(kOk)
            .agent_expects(kOkSeen)
            .completed("complete")
            .run();
    }
}

// --- git
// --------------------------------------------------------------------------------------------------------------

std::string push_body(const std::string& ref, const std::string& capabilities = " report-status") {
    return packet(std::string(40, '0') + " " + std::string(40, '1') + " " + ref + "\0"s + capabilities) +
           "0000PACKdata";
}

std::string push_request(const std::string& body, const std::string& fields = "") {
    return "POST /team/app.git/git-receive-pack HTTP/1.1\r\nHost: git.test\r\nContent-Type: "
           "application/x-git-receive-pack-request\r\n" +
           fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(GitPush, AnAllowedRefIsSentWholeWithBasicAuthentication) {
    const std::string body = push_body("refs/heads/agent/x");
    for (const std::size_t cut : {body.size(), std::size_t{30}}) {
        const std::string request = push_request(body);
        Script("git.test")
            .agent_sends(request.substr(0, request.size() - body.size() + cut))
            .agent_sends(request.substr(request.size() - body.size() + cut))
            .upstream_expects_containing("authorization: Basic YWdlbnQ6")
            .checks([body](World& world, Wire&) {
                EXPECT_TRUE(world.upstreams.wires[0]->written.ends_with("\r\n\r\n" + body));
                EXPECT_EQ(world.recorder.intents[0].operation, "git.push");
                EXPECT_EQ(world.recorder.intents[0].resources["ref"], std::vector<std::string>{"refs/heads/agent/x"});
            })
            .upstream_sends(kOk)
            .agent_expects(kOkSeen)
            .checks([body](World& world, Wire&) { EXPECT_EQ(world.recorder.outcomes[0].body, sha256("salt" + body)); })
            .completed("complete")
            .run_with_failure_at_every_step();
    }
}

const std::string kRejected = packet("unpack ok\n") +
                              packet("ng refs/heads/main sanctum: resource_outside (resources.ref)\n") + "0000";

TEST(GitPush, ARefOutsideTheMissionIsRejectedInGitsOwnWords) {
    Script("git.test")
        .agent_sends(push_request(push_body("refs/heads/main")))
        .agent_expects("HTTP/1.1 200 OK\r\ncontent-type: application/x-git-receive-pack-result\r\n"
                       "cache-control: no-store\r\nsanctum-decision: 01kaaaaaaaaaaaaaaaaaaaaaaa-e1\r\n"
                       "sanctum-reason: resource_outside\r\ncontent-length: " +
                       std::to_string(kRejected.size()) + "\r\n\r\n" + kRejected)
        .checks([](World& world, Wire&) {
            EXPECT_EQ(world.recorder.refusals[0].status, 403);
            EXPECT_EQ(world.recorder.refusals[0].sent_status, 200);
        })
        .refused("resource_outside")
        .run_with_failure_at_every_step();
}

std::string batch_request(const std::string& body, const std::string& fields = "") {
    return "POST /team/app.git/info/lfs/objects/batch HTTP/1.1\r\nHost: git.test\r\nContent-Type: "
           "application/vnd.git-lfs+json\r\n" +
           fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(GitLfs, ABatchIsReadBeforeItIsDecidedOnAndTheCredentialsOfItsAnswerAreStarred) {
    const std::string body = R"({"operation":"download","objects":[{"oid":"aa","size":1}]})";
    const std::string answer = R"({"objects":[{"oid":"aa","actions":{"download":{"href":"https://s.test/?sig=canary",)"
                               R"("header":{"Authorization":"RemoteAuth canary"},"expires_in":900}}}]})";
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.git-lfs+json\r\nContent-Length: " +
                             std::to_string(answer.size()) + "\r\n\r\n";
    Script("git.test")
        .agent_sends(batch_request(body))
        .upstream_expects_containing("authorization: Basic YWdlbnQ6")
        .checks([body](World& world, Wire&) {
            EXPECT_TRUE(world.upstreams.wires[0]->written.ends_with("\r\n\r\n" + body));
            EXPECT_EQ(world.recorder.intents[0].operation, "git.lfs:download");
            EXPECT_EQ(world.recorder.intents[0].resources["repo"], std::vector<std::string>{"team/app.git"});
        })
        .upstream_sends(head + answer)
        .agent_expects_containing(R"("expires_in":900)")
        .checks([](World& world, Wire& agent) {
            EXPECT_EQ(agent.written.find("canary"), std::string::npos) << agent.written;
            EXPECT_EQ(world.recorder.outcomes[0].evidence["redacted"], "2");
        })
        .completed("complete")
        .run_with_failure_at_every_step();
}

TEST(GitLfs, ABatchThatCannotBeReadInOneWayIsRefusedBeforeAnythingIsAskedFor) {
    const std::string both = R"({"operation":"download","Operation":"upload"})";
    const std::string long_one = R"({"operation":"download","x":")" + std::string(kLfsBatchBytesMax, 'x') + "\"}";
    for (const std::string& body : {std::string(), both, std::string("operation=download"), long_one}) {
        Script("git.test")
            .agent_sends(batch_request(body))
            .agent_expects_containing("HTTP/1.1 400 Bad Request\r\n")
            .refused("request_invalid")
            .run();
    }
}

TEST(GitPush, AClientThatReadsNoReportGetsTheStatus) {
    for (const char* capabilities : {"", " side-band-64k", " xreport-status report-statusx", " atomic"}) {
        Script("git.test")
            .agent_sends(push_request(push_body("refs/heads/main", capabilities)))
            .agent_expects_containing("HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain; charset=utf-8\r\n")
            .checks([](World& world, Wire&) { EXPECT_EQ(world.recorder.refusals[0].sent_status, 0); })
            .refused("resource_outside")
            .run_with_failure_at_every_step();
    }
}

TEST(GitPush, TheReportComesBehindTheWholeBodyAndTheConnectionGoesOn) {
    const std::string begin = "POST /team/app.git/git-receive-pack HTTP/1.1\r\nHost: git.test\r\n";
    const std::string body = push_body("refs/heads/main");
    std::array<char, 16> size{};
    std::snprintf(size.data(), size.size(), "%zx\r\n", body.size());
    Script("git.test")
        .agent_sends(begin + "Transfer-Encoding: chunked\r\n\r\n" + size.data() + body + "\r\n")
        .agent_expects_nothing()
        .agent_sends("4\r\nmore\r\n0\r\n\r\n")
        .agent_expects_containing(kRejected)
        .agent_sends(push_request("0000"))
        .upstream_expects_containing("\r\n\r\n0000")
        .upstream_sends(kOk)
        .agent_expects(kOkSeen)
        .completed("complete")
        .run_with_failure_at_every_step();
    Script("git.test")  // more than is read for a report: the plain status, at once
        .agent_sends(begin + "Content-Length: " + std::to_string(kRefusedPushBytesMax + 1) + "\r\n\r\n" + body)
        .agent_expects_containing("HTTP/1.1 403 Forbidden\r\n")
        .agent_sees_close()
        .refused("resource_outside")
        .run_with_failure_at_every_step();
    Script("git.test")  // one that dawdles
        .agent_sends(begin + "Content-Length: 1000\r\n\r\n" + body)
        .agent_expects_nothing()
        .then([](World& world, Wire&) { world.clock.advance(kRefusedPushTime); })
        .agent_sends("x")
        .agent_expects_containing("HTTP/1.1 403 Forbidden\r\n")
        .agent_sees_close()
        .refused("resource_outside")
        .run_with_failure_at_every_step();
}

TEST(GitPush, ABodyThatCannotBeDecidedOnIsRefused) {
    Script("git.test").agent_sends(push_request("hello world"))
        .agent_expects_containing("HTTP/1.1 400 Bad Request\r\n").refused("request_invalid").run();
    Script("git.test").agent_sends(push_request(push_body("refs/heads/agent/x"), "Content-Encoding: gzip\r\n"))
        .agent_expects_containing("HTTP/1.1 400 Bad Request\r\n").refused("request_invalid").run();
    Script("git.test").agent_sends(push_request("00"))
        .agent_expects_containing("HTTP/1.1 400 Bad Request\r\n").refused("request_invalid").run();
}

TEST(GitPush, TheEmptyProbeBeforeALargePushPasses) {
    Script("git.test")
        .agent_sends(push_request("0000"))
        .upstream_expects_containing("\r\n\r\n0000")
        .upstream_sends(kOk)
        .completed("complete")
        .run();
}

TEST(GitPush, AClientThatWaitsForPermissionIsAskedForItsCommands) {
    const std::string body = push_body("refs/heads/main");
    const std::string request = push_request(body, "Expect: 100-continue\r\n");
    Script("git.test")
        .agent_sends(request.substr(0, request.size() - body.size()))
        .agent_expects("HTTP/1.1 100 Continue\r\n\r\n")
        .agent_sends(body)
        .agent_expects_containing("resource_outside")
        .refused("resource_outside")
        .run();
}

}  // namespace
}  // namespace sanctum::interceptor
