// SPDX-License-Identifier: Apache-2.0
// What goes to a provider and into a browser when a person consents, and how the answers are read.
#include "base/limits.hpp"
#include "vault/http/loopback_listener.hpp"
#include "vault/oauth/browser_grant.hpp"
#include "vault/oauth/confined_lookup.hpp"
#include "vault/oauth/connected_account.hpp"
#include "vault/oauth/consent_question.hpp"
#include "vault/oauth/device_grant.hpp"
#include "vault/oauth/resource_metadata.hpp"
#include "vault/oauth/server_metadata.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sanctum::vault {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

HttpResponse json_response(int status, const std::string& body) {
    HttpResponse out;
    out.status = status;
    out.headers["content-type"] = "application/json";
    out.body = Secret(body);
    return out;
}

// --- metadata -----------------------------------------------------------------------------------------------------

TEST(ServerMetadata, IsLookedForWhereBothStandardsPutIt) {
    EXPECT_THAT(metadata_urls("https://login.test/"),
                ElementsAre("https://login.test/.well-known/oauth-authorization-server",
                            "https://login.test/.well-known/openid-configuration"));
    EXPECT_THAT(metadata_urls("https://login.test/realms/a"),
                ElementsAre("https://login.test/.well-known/oauth-authorization-server/realms/a",
                            "https://login.test/realms/a/.well-known/openid-configuration"));
}

TEST(ServerMetadata, ThatOfAnotherIssuerOrWithoutTlsIsRefused) {
    const std::string issuer = "https://login.test/";
    EXPECT_TRUE(read_server_metadata(json_response(200, R"({"issuer":"https://login.test/"})"), issuer));
    for (const char* body : {R"({"issuer":"https://login.test"})", R"({"issuer":"https://evil.test/"})", R"({})",
                             R"({"issuer":"https://login.test/","token_endpoint":"http://login.test/token"})",
                             R"({"issuer":"https://login.test/","authorization_endpoint":"javascript:x"})",
                             R"({"issuer":"https://login.test/","issuer":"https://login.test/"})", "[]", "x"}) {
        EXPECT_FALSE(read_server_metadata(json_response(200, body), issuer)) << body;
    }
}

TEST(ServerMetadata, FillsWhatTheOperatorLeftOpenAndNothingElse) {
    profiles::IdentityClient client;
    client.token_endpoint = "https://login.test/token";
    client.authorization_endpoint = "https://other.test/authorize";
    ServerMetadata metadata;
    metadata.authorization_endpoint = "https://login.test/authorize";
    metadata.device_authorization_endpoint = "https://login.test/device";
    metadata.requires_pushed = true;

    const Result<profiles::IdentityClient> complete = complete_client(client, metadata);

    ASSERT_TRUE(complete);
    EXPECT_EQ(complete->authorization_endpoint, "https://other.test/authorize");
    EXPECT_EQ(complete->device_authorization_endpoint, "https://login.test/device");
    EXPECT_TRUE(complete->requires_pushed);
    metadata.token_endpoint = "https://evil.test/token";
    EXPECT_FALSE(complete_client(client, metadata)) << "a code would go there";
}

TEST(ServerMetadata, SaysWhereTokensAreAskedForRevokedAndExplainedWhereTheOperatorDoesNot) {
    const Result<ServerMetadata> metadata = read_server_metadata(json_response(200, R"({"issuer":"https://login.test/",
        "token_endpoint":"https://login.test/token","revocation_endpoint":"https://login.test/revoke",
        "introspection_endpoint":"https://login.test/introspect"})"), "https://login.test/");
    ASSERT_TRUE(metadata);
    profiles::IdentityClient client;
    client.introspection_endpoint = "https://written.test/introspect";

    const Result<profiles::IdentityClient> complete = complete_client(client, *metadata);

    ASSERT_TRUE(complete);
    EXPECT_EQ(complete->token_endpoint, "https://login.test/token");
    EXPECT_EQ(complete->revocation_endpoint, "https://login.test/revoke");
    EXPECT_EQ(complete->introspection_endpoint, "https://written.test/introspect");
    EXPECT_FALSE(complete_client(client, ServerMetadata{})) << "nowhere to ask";
    EXPECT_FALSE(read_server_metadata(
        json_response(200, R"({"issuer":"https://login.test/","revocation_endpoint":"http://login.test/revoke"})"),
        "https://login.test/"));
}

TEST(ServerMetadata, WhoShowsACertificateAsksAtTheEndpointsForIt) {
    const auto read = [](const std::string& aliases) {
        return read_server_metadata(json_response(200, R"({"issuer":"https://login.test/",
            "token_endpoint":"https://login.test/token","revocation_endpoint":"https://login.test/revoke",
            "introspection_endpoint":"https://login.test/introspect","mtls_endpoint_aliases":)" + aliases + "}"),
            "https://login.test/");
    };
    const Result<ServerMetadata> metadata = read(R"({"token_endpoint":"https://mtls.login.test/token",
        "revocation_endpoint":"https://mtls.login.test/revoke"})");
    ASSERT_TRUE(metadata) << metadata.error().what;
    profiles::IdentityClient client;
    EXPECT_EQ(complete_client(client, *metadata)->token_endpoint, "https://login.test/token");

    client.certificate_bound = true;
    Result<profiles::IdentityClient> bound = complete_client(client, *metadata);
    EXPECT_EQ(bound->token_endpoint, "https://mtls.login.test/token");
    EXPECT_EQ(bound->revocation_endpoint, "https://login.test/revoke") << "where it shows none";
    client.authentication = profiles::ClientAuthentication::Tls;
    for (const bool is_bound : {true, false}) {
        client.certificate_bound = is_bound;
        const Result<profiles::IdentityClient> known = complete_client(client, *metadata);
        EXPECT_EQ(known->token_endpoint, "https://mtls.login.test/token");
        EXPECT_EQ(known->revocation_endpoint, "https://mtls.login.test/revoke");
        EXPECT_EQ(known->introspection_endpoint, "https://login.test/introspect") << "it has no alias";
    }
    for (const char* written : {"https://login.test/token", "https://mtls.login.test/token"}) {
        client.token_endpoint = written;
        EXPECT_EQ(complete_client(client, *metadata)->token_endpoint, written) << "what the operator wrote wins";
    }
    client.token_endpoint = "https://evil.test/token";
    EXPECT_FALSE(complete_client(client, *metadata));
    EXPECT_THAT(read(R"({"token_endpoint":"http://mtls.login.test/token"})").error().what,
                HasSubstr("mtls_endpoint_aliases.token_endpoint"));
    EXPECT_TRUE(read("[]")) << "as if there were none";
}

LookupAnswer lookup_answer_of(const std::string& issuer) {
    LookupAnswer answer;
    answer.is_there = true;
    answer.server.issuer = issuer;
    answer.server.token_endpoint = "https://login.test/token";
    answer.server.mutual_tls.token_endpoint = "https://mtls.login.test/token";
    answer.server.scopes = {{"a", "b"}};
    answer.resource.resource = issuer;
    answer.resource.authorization_servers = {"https://login.test/"};
    answer.named = "https://login.test/metadata";
    return answer;
}

TEST(ConfinedLookup, WhatItsProcessFoundIsPassedOnAndCheckedOnceMore) {
    using For = Lookup::For;
    const std::string issuer = "https://login.test/";
    const auto decoded = [&](const LookupAnswer& answer, For what) {
        return decode_lookup(encode_lookup(answer), {what, issuer, issuer});
    };
    const auto read = decoded(lookup_answer_of(issuer), For::Issuer);
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(read->server.token_endpoint, "https://login.test/token");
    EXPECT_EQ(read->server.mutual_tls.token_endpoint, "https://mtls.login.test/token");
    EXPECT_THAT(read->server.scopes.value(), ElementsAre("a", "b"));
    EXPECT_FALSE(read->server.detail_types);
    EXPECT_TRUE(decoded(lookup_answer_of(issuer), For::Resource) && decoded(lookup_answer_of(issuer), For::Challenge));
    EXPECT_TRUE(decoded(LookupAnswer{}, For::Issuer)) << "nothing is there";

    EXPECT_FALSE(decoded(lookup_answer_of("https://evil.test/"), For::Issuer));
    EXPECT_FALSE(decoded(lookup_answer_of("https://evil.test/"), For::Resource));
    LookupAnswer plain = lookup_answer_of(issuer);
    plain.server.mutual_tls.token_endpoint = "http://mtls.login.test/token";
    plain.resource.authorization_servers.emplace_back("http://login.test/");
    plain.named = "http://login.test/metadata";
    for (const For what : {For::Issuer, For::Resource, For::Challenge}) EXPECT_FALSE(decoded(plain, what));
    LookupAnswer unnamed = lookup_answer_of(issuer);
    unnamed.named.clear();
    EXPECT_FALSE(decoded(unnamed, For::Challenge));
}

TEST(ConfinedLookup, NothingElseThatItsProcessSaysIsBelieved) {
    const Lookup lookup{Lookup::For::Issuer, "https://login.test/", "https://login.test/"};
    const std::string whole = encode_lookup(lookup_answer_of("https://login.test/"));
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(decode_lookup(whole.substr(0, size), lookup).error().code, Errc::Protocol) << size;
    }
    EXPECT_FALSE(decode_lookup(whole + "x", lookup));
    EXPECT_FALSE(decode_lookup(std::string(kLookupAnswerBytesMax + 1, '\0'), lookup));

    const std::string refusal = encode_lookup(Error{Errc::Denied, "asked in vain\x1b[2J"});
    EXPECT_EQ(decode_lookup(refusal, lookup).error().code, Errc::Denied);
    EXPECT_EQ(decode_lookup(refusal, lookup).error().what, "asked in vain?[2J");
    std::string unheard_of = refusal;
    unheard_of[1] = '\x7f';
    EXPECT_EQ(decode_lookup(unheard_of, lookup).error().code, Errc::Protocol);
}

// --- what is asked in the provider's own structure (RFC 9396) -----------------------------------------------------

TEST(ConsentQuestion, AsksForTheDetailsOfItsScopesWithTheAccountsOwnResources) {
    profiles::Account account;
    account.name = "alice";
    account.resources = {{"repo", {"acme/api", "acme/site"}}, {"org", {"*"}}};
    profiles::AuthorizationDetail read;
    read.scopes = {"read"};
    read.texts = {{"type", "repository"}};
    read.lists = {{"locations", {"https://api.test/{repo}"}}, {"actions", {"read"}}};
    profiles::AuthorizationDetail write = read;
    write.scopes = {"write"};
    write.lists["actions"] = {"write"};
    account.provider.details = {read, write};

    const auto details = details_to_consent(account, {"read", "offline_access"});

    ASSERT_TRUE(details) << details.error().what;
    ConsentQuestion question;
    question.details = *details;
    Form form;
    add_question(form, question);
    test::SeenRequest seen;
    seen.body = std::string(form.body().reveal());
    EXPECT_EQ(seen.parameter("authorization_details"),
              R"([{"type":"repository","actions":["read"],)"
              R"("locations":["https://api.test/acme/api","https://api.test/acme/site"]}])");
    EXPECT_EQ(details_to_consent(account, {"read", "write"})->size(), 2U);
    EXPECT_TRUE(details_to_consent(account, {})->empty());
    Form without;
    add_question(without, ConsentQuestion{});
    EXPECT_TRUE(without.body().is_empty());

    account.resources["repo"] = {"acme/*"};
    const auto unbounded = details_to_consent(account, {"read"});
    ASSERT_FALSE(unbounded) << "nobody can consent to a pattern";
    EXPECT_EQ(unbounded.error().code, Errc::InvalidProfile);
    EXPECT_THAT(unbounded.error().what, HasSubstr("`resources` of the account"));
}

// --- metadata of an API -------------------------------------------------------------------------------------------

// RFC 9728 3.1 with its examples.
TEST(ResourceMetadata, IsLookedForBetweenHostAndPath) {
    const std::string known = "/.well-known/oauth-protected-resource";
    EXPECT_EQ(resource_metadata_url("https://api.test"), "https://api.test" + known);
    EXPECT_EQ(resource_metadata_url("https://api.test/"), "https://api.test" + known);
    EXPECT_EQ(resource_metadata_url("https://api.test:8443/mcp"), "https://api.test:8443" + known + "/mcp");
    EXPECT_EQ(resource_metadata_url("https://api.test/mcp/"), "https://api.test" + known + "/mcp/");
}

TEST(ResourceMetadata, ThatOfAnotherApiOrWithoutTlsIsRefused) {
    const std::string resource = "https://api.test/mcp";
    const Result<ResourceMetadata> read = read_resource_metadata(json_response(200, R"({"resource":
        "https://api.test/mcp","authorization_servers":["https://login.test/"]})"), resource);
    ASSERT_TRUE(read);
    EXPECT_THAT(read->authorization_servers, ElementsAre("https://login.test/"));
    for (const char* body : {R"({"resource":"https://api.test/"})", R"({"resource":"https://api.test/mcp/"})", R"({})",
                             R"({"resource":"https://evil.test/mcp"})", "[]", "x",
                             R"({"resource":"https://api.test/mcp","authorization_servers":["http://login.test/"]})",
                             R"({"resource":"https://api.test/mcp","resource":"https://api.test/mcp"})"}) {
        EXPECT_FALSE(read_resource_metadata(json_response(200, body), resource)) << body;
    }
}

TEST(ResourceMetadata, OneServerIsTakenAndOfSeveralOnlyTheOneThatTheOperatorNames) {
    const ResourceMetadata one{"https://api.test", {"https://a.test/"}};
    const ResourceMetadata two{"https://api.test", {"https://a.test/", "https://b.test/"}};
    EXPECT_EQ(choose_issuer(one, "").value(), "https://a.test/");
    EXPECT_EQ(choose_issuer(two, "https://b.test/").value(), "https://b.test/");
    EXPECT_THAT(choose_issuer(two, "").error().what, HasSubstr("one of https://a.test/, https://b.test/"));
    EXPECT_FALSE(choose_issuer(one, "https://b.test/"));
    EXPECT_FALSE(choose_issuer(one, "https://a.test")) << "byte for byte";
    EXPECT_FALSE(choose_issuer(ResourceMetadata{"https://api.test", {}}, "https://a.test/"));
}

TEST(ResourceMetadata, IsWhereA401SaysThatItIs) {
    const auto told = [](std::string challenge, int status = 401) {
        HttpResponse response = json_response(status, "{}");
        response.headers["www-authenticate"] = std::move(challenge);
        return challenged_metadata_url(response);
    };
    EXPECT_EQ(told(R"(Bearer resource_metadata="https://api.test/m")"), "https://api.test/m");
    EXPECT_EQ(told(R"(DPoP algs="ES256", Bearer scope="a b",Resource_Metadata=https://api.test/m, realm="x")"),
              "https://api.test/m");
    EXPECT_EQ(told(R"(Bearer realm="resource_metadata=\"https://evil.test/m\"", error="x")"), "");
    EXPECT_EQ(told(R"(Bearer realm="a, resource_metadata=https://evil.test/m")"), "");
    EXPECT_EQ(told(R"(Bearer x_resource_metadata="https://evil.test/m")"), "");
    EXPECT_EQ(told(R"(Bearer resource_metadata="http://api.test/m")"), "");
    EXPECT_EQ(told("Bearer resource_metadata"), "");
    EXPECT_EQ(told(R"(Bearer resource_metadata="https://api.test/m")", 200), "");
}

// --- device -------------------------------------------------------------------------------------------------------

constexpr const char* kDevice = R"({"device_code":"dc","user_code":"WDJB-MJHT","verification_uri":"https://l.test/d",)"
                                R"("expires_in":1800)";

TEST(DeviceGrant, ReadsTheAnswerAndItsDefaults) {
    Result<DeviceAuthorization> read = read_device_authorization(json_response(200, std::string(kDevice) + "}"));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->interval, Milliseconds(kDeviceInterval));
    EXPECT_EQ(read->life, Milliseconds(kConsentTimeout)) << "nobody waits for longer";
    EXPECT_EQ(read->user_code, "WDJB-MJHT");
    read = read_device_authorization(json_response(200, std::string(kDevice) + R"(,"interval":"2"})"));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->interval, Milliseconds(2000));
    read = read_device_authorization(json_response(
        200, R"({"device_code":"dc","user_code":"A","verification_uri":"https://l.test/d","expires_in":)" +
                 std::to_string(INT64_MAX) + "}"));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->life, Milliseconds(kConsentTimeout)) << "whatever a provider writes there";
}

TEST(DeviceGrant, WhatMustNotBeShownIsRefused) {
    for (const char* member : {R"("user_code":"A B")", R"("user_code":"A\u001b[2J")", R"("user_code":"")",
                               R"("verification_uri":"http://l.test/d")", R"("verification_uri":"https://l.test/ d")",
                               R"("device_code":"")", R"("expires_in":0)", R"("expires_in":-1)",
                               R"("verification_uri_complete":"javascript:x")", R"("interval":-1)"}) {
        const std::string text(member);
        std::string body = std::string(kDevice) + R"(,"verification_uri_complete":"https://l.test/d?c=1","interval":5})";
        const std::string name = text.substr(0, text.find(':') + 1);
        const std::size_t at = body.find(name);
        ASSERT_NE(at, std::string::npos);
        std::size_t end = body.find(",\"", at);
        if (end == std::string::npos) end = body.size() - 1;
        body.replace(at, end - at, text);
        EXPECT_FALSE(read_device_authorization(json_response(200, body))) << body;
    }
}

SourceFailure poll_failure(SourceFault fault, const std::string& error, Milliseconds retry_after = Milliseconds(0)) {
    SourceFailure failure;
    failure.fault = fault;
    failure.error = error;
    failure.retry_after = retry_after;
    return failure;
}

TEST(DevicePoll, WaitsAsRfc8628Says) {
    DevicePoll poll(Milliseconds(5000));
    EXPECT_EQ(poll.wait_after(poll_failure(SourceFault::Failed, "authorization_pending")), Milliseconds(5000));
    EXPECT_EQ(poll.wait_after(poll_failure(SourceFault::Failed, "slow_down")), Milliseconds(10000));
    EXPECT_EQ(poll.wait_after(poll_failure(SourceFault::Failed, "authorization_pending")), Milliseconds(10000))
        << "for all that follow";
    EXPECT_EQ(poll.wait_after(poll_failure(SourceFault::RateLimited, "", Milliseconds(20000))), Milliseconds(20000));
    EXPECT_EQ(poll.wait_after(poll_failure(SourceFault::NoAnswer, "")), Milliseconds(30000)) << "backs off";
    EXPECT_EQ(poll.wait_after(poll_failure(SourceFault::Unavailable, "")), Milliseconds(60000));
    EXPECT_EQ(poll.wait_after(poll_failure(SourceFault::Unavailable, "")), Milliseconds(60000)) << "and no further";
}

TEST(DevicePoll, EveryOtherAnswerIsFinal) {
    for (const char* error : {"access_denied", "expired_token", "invalid_grant", "invalid_client", ""}) {
        DevicePoll poll(Milliseconds(5000));
        EXPECT_EQ(poll.wait_after(poll_failure(SourceFault::Failed, error)), std::nullopt) << error;
    }
}

// --- browser ------------------------------------------------------------------------------------------------------

BrowserGrant make_grant(bool sends_issuer = true) {
    return BrowserGrant("https://login.test/", sends_issuer, "http://127.0.0.1:4711/callback");
}

CallbackAnswer answer_to(const BrowserGrant& grant, const std::string& query) {
    const Result<LoopbackQuery> parsed = LoopbackQuery::parse(query);
    EXPECT_TRUE(parsed) << query;
    return read_callback(*parsed, grant);
}

// RFC 7636, appendix B.
TEST(BrowserGrant, TheChallengeOfAVerifierIsThePublishedOne) {
    EXPECT_EQ(challenge_of(Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")),
              "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

TEST(BrowserGrant, EveryQuestionHasItsOwnSecrets) {
    const BrowserGrant one = make_grant();
    const BrowserGrant other = make_grant();
    EXPECT_EQ(one.state.size(), 43U);
    EXPECT_EQ(one.verifier.size(), 43U);
    EXPECT_EQ(one.challenge.size(), 43U);
    EXPECT_NE(one.state, other.state);
    EXPECT_FALSE(one.verifier.equals(other.verifier));
    EXPECT_FALSE(one.verifier.equals(Secret(one.challenge)));
}

TEST(BrowserGrant, TheAddressHoldsTheChallengeAndNotTheVerifier) {
    BrowserGrant grant = make_grant();
    profiles::IdentityClient client;
    const std::string url =
        authorization_url("https://login.test/authorize",
                          authorization_form(client, grant, {{"a", "offline_access"}, "", "https://api.test"}));
    EXPECT_THAT(url, HasSubstr("code_challenge=" + grant.challenge + "&code_challenge_method=S256"));
    EXPECT_THAT(url, HasSubstr("scope=a%20offline_access"));
    EXPECT_THAT(url, HasSubstr("prompt=consent"));
    EXPECT_THAT(url, HasSubstr("resource=https%3A%2F%2Fapi.test"));
    EXPECT_THAT(url, Not(HasSubstr(std::string(grant.verifier.reveal()))));
    EXPECT_THAT(url, Not(HasSubstr("client_id"))) << "who asks adds it, once";
}

TEST(BrowserGrant, OnlyTheAnswerToOurOwnQuestionCounts) {
    const BrowserGrant grant = make_grant();
    const std::string ours = "&state=" + grant.state + "&iss=https%3A%2F%2Flogin.test%2F";
    EXPECT_TRUE(std::holds_alternative<Secret>(answer_to(grant, "code=c" + ours)));
    const std::string longer = "code=c&state=" + grant.state + "x";
    for (const std::string& query : {std::string("code=c"), std::string("code=c&state="), longer,
                                     std::string("error=access_denied"), std::string()}) {
        EXPECT_TRUE(std::holds_alternative<NotTheAnswer>(answer_to(grant, query))) << query;
    }
}

TEST(BrowserGrant, AnAnswerOfAnotherIssuerIsAnError) {
    const BrowserGrant grant = make_grant();
    const std::string state = "code=c&state=" + grant.state;
    EXPECT_TRUE(std::holds_alternative<Error>(answer_to(grant, state)));
    EXPECT_TRUE(std::holds_alternative<Error>(answer_to(grant, state + "&iss=https%3A%2F%2Flogin.test")));
    EXPECT_TRUE(std::holds_alternative<Error>(answer_to(grant, "state=" + grant.state + "&iss=https://login.test/")));
    const BrowserGrant silent = make_grant(false);
    EXPECT_TRUE(std::holds_alternative<Secret>(answer_to(silent, "code=c&state=" + silent.state)));
    EXPECT_TRUE(std::holds_alternative<Error>(answer_to(silent, "code=c&iss=https://x.test/&state=" + silent.state)));
}

TEST(BrowserGrant, ARefusalComesWithWordsThatATerminalDoesNotObey) {
    const BrowserGrant grant = make_grant(false);
    const CallbackAnswer read =
        answer_to(grant, "error=access_denied&error_description=no%C3%A9&state=" + grant.state);
    ASSERT_TRUE(std::holds_alternative<ConsentRefused>(read));
    EXPECT_EQ(std::get<ConsentRefused>(read).error, "access_denied");
    EXPECT_EQ(std::get<ConsentRefused>(read).description, "no??");
    const CallbackAnswer odd = answer_to(grant, "error=a%20b%3Cscript&state=" + grant.state);
    EXPECT_EQ(std::get<ConsentRefused>(odd).error, "an error without a proper name");
}

TEST(ConsentRefusal, SaysWhichSettingToChange) {
    const Error error = consent_refusal("provider corp", "desk", "unauthorized_client", "no device flow");
    EXPECT_THAT(error.what, HasSubstr("provider corp did not give the consent: unauthorized_client"));
    EXPECT_THAT(error.what, HasSubstr("(\"no device flow\")"));
    EXPECT_THAT(error.what, HasSubstr("switch this flow's grant type on"));
    EXPECT_THAT(error.what, HasSubstr("(client desk)"));
}

TEST(ScopeDifference, TellsPermissionsFromRequestsForTokens) {
    const ScopeDifference difference = compare_scopes({"a", "b", "offline_access"}, {"b", "c", "openid"});
    EXPECT_THAT(difference.missing, ElementsAre("a"));
    EXPECT_THAT(difference.beyond, ElementsAre("c"));
    EXPECT_THAT(compare_scopes({"a", "offline_access"}, {"a"}).missing, IsEmpty());
}

// --- what a browser, or anybody, sends to loopback ----------------------------------------------------------------

int status_of_request(const std::string& head) {
    const auto read = read_loopback_request(head, {.port = 4711});
    const auto* page = std::get_if<LoopbackPage>(&read);
    return page == nullptr ? 200 : page->status;
}

TEST(LoopbackRequest, OnlyAGetOfTheCallbackUnderOurOwnNameIsHeard) {
    const std::string host = "\r\nHost: 127.0.0.1:4711";
    EXPECT_EQ(status_of_request("GET /callback?code=a HTTP/1.1" + host), 200);
    EXPECT_EQ(status_of_request("GET /callback HTTP/1.1" + host + "\r\nUser-Agent: x"), 200);
    EXPECT_EQ(status_of_request("GET /callback?code=a HTTP/1.1\r\nhOsT:127.0.0.1:4711 "), 200);
    EXPECT_EQ(status_of_request("POST /callback?code=a HTTP/1.1" + host), 405);
    EXPECT_EQ(status_of_request("GET /favicon.ico HTTP/1.1" + host), 404);
    EXPECT_EQ(status_of_request("GET /callback/../callback HTTP/1.1" + host), 404);
    EXPECT_EQ(status_of_request("GET http://127.0.0.1:4711/callback HTTP/1.1" + host), 404);
    EXPECT_EQ(status_of_request("GET /callback?a=1&a=2 HTTP/1.1" + host), 400);
    EXPECT_EQ(status_of_request("GET /callback?a=%0a HTTP/1.1" + host), 400);
    EXPECT_EQ(status_of_request("GET /callback?a=%4 HTTP/1.1" + host), 400);
    EXPECT_EQ(status_of_request("GET /callback?code=a HTTP/2" + host), 400);
    EXPECT_EQ(status_of_request("GET"), 400);
    EXPECT_EQ(status_of_request(""), 400);
    for (const char* other : {"", "\r\nHost: evil.test", "\r\nHost: 127.0.0.1", "\r\nHost: localhost:4711",
                              "\r\nHost: 127.0.0.1:4711\r\nHost: evil.test", "\r\nX: 127.0.0.1:4711"}) {
        EXPECT_EQ(status_of_request(std::string("GET /callback?code=a HTTP/1.1") + other), 421) << other;
    }
}

TEST(LoopbackQuery, IsDecodedOnce) {
    const Result<LoopbackQuery> query = LoopbackQuery::parse("a=x%2526y+z&b&&c=%C3%A9");
    ASSERT_TRUE(query);
    EXPECT_EQ(query->text("a"), "x%26y z");
    EXPECT_EQ(query->text("b"), "");
    EXPECT_EQ(query->text("c"), "\xc3\xa9");
    EXPECT_EQ(query->text("d"), "");
    EXPECT_FALSE(LoopbackQuery::parse("a=1&%61=2")) << "the same name, coded in another way";
}

// --- Connected Accounts -------------------------------------------------------------------------------------------

TEST(ConnectedAccount, OpensNothingThatIsNotTheTenants) {
    const Secret token("t");
    const MyAccount account{"https://acme.auth0.test/", "desk", token};
    const auto read = [&](const std::string& uri) {
        return read_connect_answer(json_response(201, R"({"auth_session":"s","connect_uri":")" + uri +
                                                          R"(","connect_params":{"ticket":"a b"},"expires_in":300})"),
                                   account, "github");
    };
    const Result<ConnectBegun> good = read("https://acme.auth0.test/connect");
    ASSERT_TRUE(good);
    EXPECT_EQ(good->address, "https://acme.auth0.test/connect?ticket=a%20b");
    for (const char* uri : {"https://evil.test/", "https://acme.auth0.test.evil.test/", "http://acme.auth0.test/x", "",
                            "https://acme.auth0.test/ x", "https://acme.auth0.test/\\u001b[2J"}) {
        EXPECT_FALSE(read(uri)) << uri;
    }
}

TEST(ConnectedAccount, TheTokenIsInNoHeaderThatIsNoSecretAndTheBodyIsJson) {
    const Secret token("my-token");
    const MyAccount account{"https://acme.auth0.test/", "desk", token};
    const BrowserGrant grant = make_grant();
    const HttpRequest request = connect_request(account, "git\"hub", {"a", "b"}, grant);
    EXPECT_EQ(request.url, "https://acme.auth0.test/me/v1/connected-accounts/connect");
    EXPECT_EQ(request.authorization.reveal(), "Bearer my-token");
    EXPECT_THAT(std::string(request.body.reveal()), HasSubstr(R"("connection":"git\"hub")"));
    EXPECT_THAT(std::string(request.body.reveal()), HasSubstr(R"("scopes":["a","b"])"));
    EXPECT_THAT(std::string(request.body.reveal()), Not(HasSubstr(std::string(grant.verifier.reveal()))));
    EXPECT_THAT(std::string(connect_request(account, "github", {}, grant).body.reveal()), Not(HasSubstr("scopes")));
}

}  // namespace
}  // namespace sanctum::vault
