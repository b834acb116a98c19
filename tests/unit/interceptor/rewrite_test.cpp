// SPDX-License-Identifier: Apache-2.0
// inject, strip and scrub: the credential goes out once, and nothing of it comes back.
#include "base/digest.hpp"
#include "base/limits.hpp"
#include "interceptor/http/http1_encoder.hpp"
#include "interceptor/rewrite/form_guard.hpp"
#include "interceptor/rewrite/forward_request.hpp"
#include "interceptor/rewrite/forward_response.hpp"
#include "interceptor/rewrite/inject.hpp"
#include "interceptor/rewrite/redact.hpp"
#include "interceptor/rewrite/scrub.hpp"

#include <gtest/gtest.h>

#include <random>

namespace sanctum::interceptor {
namespace {

using std::string_literals::operator""s;
using profiles::AuthForm;
using profiles::Endpoint;

constexpr std::string_view kRewrittenSecret = "tok\"en/with+odd=chars\\and-15";

std::shared_ptr<HeldLease> lease_of(std::string_view secret, std::string username = "") {
    auto lease = std::make_shared<HeldLease>();
    lease->id = "l1";
    lease->username = std::move(username);
    lease->secret = Secret(secret);
    return lease;
}

Endpoint endpoint_of(AuthForm form, std::string name = "") {
    Endpoint endpoint;
    endpoint.form = form;
    endpoint.form_name = std::move(name);
    return endpoint;
}

RequestHead head_of(std::string query = "", bool has_query = false) {
    RequestHead head;
    head.method = "GET";
    head.host = "a.test";
    head.path = "/x";
    head.query = std::move(query);
    head.has_query = has_query;
    head.fields = {{"accept", "*/*"}};
    return head;
}

std::string injected(const RequestHead& head, const HeldLease& lease, const Endpoint& endpoint) {
    const Secret bytes = inject(head, &lease, &endpoint);
    return std::string(bytes.reveal());
}

TEST(Inject, EachFormPutsTheCredentialInItsPlace) {
    const auto lease = lease_of("s3cr3t+/", "agent");
    const std::string begin = "GET /x HTTP/1.1\r\nhost: a.test\r\naccept: */*\r\n";

    EXPECT_EQ(injected(head_of(), *lease, endpoint_of(AuthForm::Bearer)),
              begin + "authorization: Bearer s3cr3t+/\r\n\r\n");
    EXPECT_EQ(injected(head_of(), *lease, endpoint_of(AuthForm::Basic)),
              begin + "authorization: Basic YWdlbnQ6czNjcjN0Ky8=\r\n\r\n");
    EXPECT_EQ(injected(head_of(), *lease, endpoint_of(AuthForm::Header, "X-Api-Key")),
              begin + "x-api-key: s3cr3t+/\r\n\r\n");
    EXPECT_EQ(injected(head_of(), *lease, endpoint_of(AuthForm::Query, "key")),
              "GET /x?key=s3cr3t%2B%2F HTTP/1.1\r\nhost: a.test\r\naccept: */*\r\n\r\n");
    EXPECT_EQ(injected(head_of("a=b", true), *lease, endpoint_of(AuthForm::Query, "key")).substr(0, 27),
              "GET /x?a=b&key=s3cr3t%2B%2F");
}

TEST(Inject, BytesThatWouldEndTheFieldAreRefused) {
    for (const std::string& secret : {"a\r\nX: y"s, "a\nb"s, "a\0b"s, ""s, " a"s, "a "s, "a\x7f"s, "\xc3\xa9"s}) {
        EXPECT_FALSE(check_lease(*lease_of(secret), endpoint_of(AuthForm::Header, "x-k")).has_value());
    }
    EXPECT_FALSE(check_lease(*lease_of("a b"), endpoint_of(AuthForm::Bearer)).has_value());
    EXPECT_FALSE(check_lease(*lease_of("abc", "user:name"), endpoint_of(AuthForm::Basic)).has_value());
    EXPECT_TRUE(check_lease(*lease_of("pass word", "user"), endpoint_of(AuthForm::Basic)).has_value());
}

TEST(Inject, ATokenThatIsBoundToACertificateIsABearerTokenAndNeedsItsCertificate) {
    const Endpoint bound = endpoint_of(AuthForm::Certificate);
    const auto lease = lease_of("s3cr3t+/");
    EXPECT_FALSE(check_lease(*lease, bound).has_value()) << "on any connection";
    lease->certificate = {"CERTIFICATE", Secret("KEY")};
    EXPECT_TRUE(check_lease(*lease, bound).has_value());
    EXPECT_EQ(injected(head_of(), *lease, bound),
              "GET /x HTTP/1.1\r\nhost: a.test\r\naccept: */*\r\nauthorization: Bearer s3cr3t+/\r\n\r\n");
    EXPECT_FALSE(check_lease(*lease, endpoint_of(AuthForm::Bearer)).has_value()) << "where none would be shown";
    lease->secret = Secret("a b");
    EXPECT_FALSE(check_lease(*lease, bound).has_value());
}

TEST(HeadDigest, CoversEverythingSentButTheCredential) {
    RequestHead head = head_of("q=1", true);
    head.framing = Framing::Length;
    head.content_length = 3;

    const wire::Digest digest = head_digest(head, 8443, true);

    EXPECT_EQ(digest,
              sha256("sanctum-head-1\nGET\nhttps://a.test:8443\n/x?q=1\nhost:a.test\naccept:*/*\ncontent-length:3\n"));
}

// Credentials the agent brings (CRED-13) and headers that change the request's meaning (POL-10, POL-22).
TEST(Strip, NothingThatAuthenticatesOrReroutesLeavesWithOurCredential) {
    Endpoint endpoint = endpoint_of(AuthForm::Header, "X-Key");
    endpoint.strip = {"x-special"};
    Fields fields;
    for (const char* name : {"authorization",
                             "cookie",
                             "x-api-key",
                             "x_api_key",
                             "x-authorization",
                             "x-token",
                             "x-http-host-override",
                             "x-host-override",
                             "x-forward-host",
                             "private-token",
                             "x-http-method-override",
                             "x-method-override",
                             "x-forwarded-for",
                             "x-forwarded-host",
                             "forwarded",
                             "x-original-url",
                             "x-rewrite-url",
                             "impersonate-user",
                             "sudo",
                             "client-ip",
                             "cf-connecting-ip",
                             "x-accel-redirect",
                             "x-override-url",
                             "x-proxy-url",
                             "x-on-behalf-of",
                             "remote_user",
                             "x-auth-request-user",
                             "x-ms-client-principal-id",
                             "x-vault-namespace",
                             "range",
                             "if-range",
                             "accept-encoding",
                             "x-key",
                             "x_key",
                             "x-special",
                             "x-goog-api-key",
                             "x-auth-token",
                             "proxy-x",
                             "sanctum-decision",
                             "access-token",
                             "circle-token",
                             "x-figma-token",
                             "dd-api-key",
                             "dd_application_key",
                             "x-redmine-api-key",
                             "x-api-token",
                             "x-shopify-access-token",
                             "ocp-apim-subscription-key",
                             "x-ms-authorization-auxiliary",
                             "x-gitlab-sudo",
                             "x-method",
                             "x-http-verb"}) {
        fields.push_back({name, "v"});
    }
    fields.push_back({"accept", "v"});
    fields.push_back({"x-request-id", "v"});
    fields.push_back({"x-csrf-token", "v"});
    fields.push_back({"idempotency-key", "v"});

    strip_fields(fields, &endpoint);

    EXPECT_EQ(fields,
              (Fields{{"accept", "v"}, {"x-request-id", "v"}, {"x-csrf-token", "v"}, {"idempotency-key", "v"}}));
}

TEST(Strip, OnPlainHostsTheAgentsFieldsStay) {
    Fields fields{{"authorization", "a"}, {"cookie", "b"}, {"accept-encoding", "gzip"}};

    strip_fields(fields, nullptr);

    EXPECT_EQ(fields.size(), 3U);
}

TEST(QueryParameters, OwnCredentialsAndMethodOverridesAreRefused) {
    const Endpoint bearer = endpoint_of(AuthForm::Bearer);
    for (const char* query : {"access_token=x", "a=b&key=x", "API_KEY=x", "token", "a=b;api_key=x", "%74oken=x",
                              "_method=DELETE", "access-token=1", "a=b&.method=PUT", "%20_method=PUT", "[_method]=PUT",
                              "_METHOD=PUT"}) {
        EXPECT_FALSE(check_query_parameters(head_of(query, true), bearer).has_value()) << query;
    }
    EXPECT_FALSE(check_query_parameters(head_of("sig=1", true), endpoint_of(AuthForm::Query, "sig")).has_value());
    for (const char* query : {"a=token", "page_token=x", "keyword=x", "q=key%3Dx", "", "method=x", "a_method=x"}) {
        EXPECT_TRUE(check_query_parameters(head_of(query, true), bearer).has_value()) << query;
    }
    EXPECT_TRUE(check_query_parameters(head_of("key=x", true), endpoint_of(AuthForm::None)).has_value());
}

// --- forms

RequestHead form_of(std::string content_type, std::string method = "POST") {
    RequestHead head;
    head.method = std::move(method);
    head.framing = Framing::Chunked;
    if (!content_type.empty()) head.fields = {{"content-type", std::move(content_type)}};
    return head;
}

/// In one piece and in pieces of any size, a body is judged alike.
bool passes(const RequestHead& head, const std::string& body) {
    const Endpoint bearer = endpoint_of(AuthForm::Bearer);
    const auto judge = [&](std::size_t piece) {
        FormGuard guard = *FormGuard::create(head, &bearer);
        for (std::size_t at = 0; at < body.size(); at += piece) {
            if (!guard.passes(std::string_view(body).substr(at, piece))) return false;
        }
        return true;
    };
    const bool whole = judge(std::max<std::size_t>(body.size(), 1));
    for (std::size_t piece = 1; piece < body.size(); ++piece) EXPECT_EQ(judge(piece), whole) << body << " by " << piece;
    return whole;
}

std::string part_of(const std::string& disposition) {
    return "--b0\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\nDELETE\r\n--b0--\r\n";
}

TEST(Forms, AFieldThatOverridesTheMethodDoesNotPass) {
    for (const char* type :
         {"application/x-www-form-urlencoded", "Application/X-WWW-Form-URLencoded; charset=utf-8", ""}) {
        for (const char* body : {"_method=DELETE", "a=b&_method=PUT&c=d", "a=b;_method=PUT", "%5Fmethod=PUT",
                                 "_%6dethod=PUT", "+_method=PUT", "%20%20_method=PUT", ".method=PUT", "[_method]=PUT",
                                 "_method]=PUT", "a&_method=PUT", "_METHOD=PUT", "a==b&_method=PUT"}) {
            EXPECT_FALSE(passes(form_of(type), body)) << type << ": " << body;
        }
        for (const char* body : {"", "method=PUT", "a=_method=b", "x_method=PUT", "_methods=PUT", "_method[a]=b",
                                 "a=%26_method%3DPUT", "_metho=d", "{\"_method\": 1}"}) {
            EXPECT_TRUE(passes(form_of(type), body)) << type << ": " << body;
        }
    }
    for (const char* name : {"name=\"_method\"", "name=_method", "name=\"_meth\\od\"", "NAME=\"_Method\"; x=y",
                             "filename=x; name=\"_method\"", "name*=utf-8''_method", "name*=utf-8''%5fmethod",
                             "name=\"[_method]\"", "name=\".method\""}) {
        EXPECT_FALSE(passes(form_of("multipart/form-data; boundary=b0"), part_of(name))) << name;
        EXPECT_FALSE(passes(form_of("multipart/mixed; boundary=\"b0\""), part_of(name))) << name;
    }
    for (const char* name : {"name=\"method\"", "name=\"x_method\"", "name=\"f\"; filename=\"_method.rb\"",
                             "name=\"a\"\r\n\r\nname=\"_method\""}) {
        EXPECT_TRUE(passes(form_of("multipart/form-data; boundary=b0"), part_of(name))) << name;
    }
    const std::string lines = "--b0\nContent-Disposition: form-data; name=_method\n\nPUT\n--b0--\n";
    EXPECT_FALSE(passes(form_of("multipart/form-data; boundary=b0"), lines)) << "without carriage returns";
    const Endpoint bearer = endpoint_of(AuthForm::Bearer);
    FormGuard guard = *FormGuard::create(form_of("multipart/form-data; boundary=b0"), &bearer);
    EXPECT_FALSE(guard.passes("--b0\r\n" + std::string(kPartHeadBytesMax, 'x'))) << "a head without an end";
}

TEST(Forms, OnlyFormsThatAServerCouldReadAnOverrideFromAreWatched) {
    const std::string body = "_method=DELETE";
    EXPECT_TRUE(passes(form_of("application/json"), body));
    EXPECT_TRUE(passes(form_of("application/x-www-form-urlencoded", "PUT"), body));
    FormGuard plain = *FormGuard::create(form_of("application/x-www-form-urlencoded"), nullptr);
    EXPECT_TRUE(plain.passes(body));
}

TEST(Forms, AFormThatCannotBeWatchedIsRefused) {
    const Endpoint bearer = endpoint_of(AuthForm::Bearer);
    for (const char* type : {"multipart/form-data", "multipart/form-data; boundary=",
                             "multipart/form-data; boundary=\"", "multipart/form-data; boundary=a; boundary=b",
                             "multipart/form-data; boundary=\"a\\\"b\"",
                             "multipart/form-data; boundary*=utf-8''a; boundary=b"}) {
        EXPECT_FALSE(FormGuard::create(form_of(type), &bearer).has_value()) << type;
    }
    for (const char* type : {"application/x-www-form-urlencoded,x", "application/x-www-form-urlencoded x",
                             "text/plain, application/x-www-form-urlencoded", "text/plain;a=\"b\",c/d", "text",
                             "text/plain/x", "application/x-www-form-urlencoded\xa0", "text/plain; a=\"b"}) {
        EXPECT_FALSE(FormGuard::create(form_of(type), &bearer).has_value()) << type;
    }
    EXPECT_TRUE(passes(form_of("text/plain; a=\"b,c\""), "_method=DELETE"));
    for (const char* body :
         {"_method%00x=DELETE", "_method%00=DELETE", "a=b&_method%00%00=PUT", "_HttpMethod=DELETE"}) {
        EXPECT_FALSE(passes(form_of("application/x-www-form-urlencoded"), body)) << body;
    }
    EXPECT_TRUE(passes(form_of("application/x-www-form-urlencoded"), "a%00_method=b&_methods=c&d%00=_method"));
    RequestHead head = form_of("application/x-www-form-urlencoded");
    head.fields.push_back({"content-encoding", "gzip"});
    EXPECT_FALSE(FormGuard::create(head, &bearer).has_value());
    head = form_of("application/json");
    head.fields.push_back({"content-type", "application/x-www-form-urlencoded"});
    EXPECT_FALSE(FormGuard::create(head, &bearer).has_value());
}

TEST(Responses, CookiesBoughtWithACredentialAndOtherWaysStayHere) {
    const Endpoint bearer = endpoint_of(AuthForm::Bearer);
    Fields fields{{"set-cookie", "a=b"},
                  {"alt-svc", "h3=\":443\""},
                  {"content-type", "x"},
                  {"set-cookie", "c=d"},
                  {"sanctum-reason", "x"}};
    Fields plain = fields;

    EXPECT_EQ(prepare_response(fields, &bearer), 2U);
    EXPECT_EQ(prepare_response(plain, nullptr), 0U);

    EXPECT_EQ(fields, (Fields{{"content-type", "x"}}));
    EXPECT_EQ(plain.size(), 3U);
}

TEST(Responses, WhatTheScrubberCannotReadIsNotPassedOn) {
    const Endpoint bearer = endpoint_of(AuthForm::Bearer);
    ResponseHead head;
    head.status = 200;
    head.framing = Framing::Length;
    for (const char* coding : {"gzip", "br", "zstd", "deflate", "gzip, gzip", "identity, gzip"}) {
        head.fields = {{"content-encoding", coding}};
        EXPECT_FALSE(check_readable(head, &bearer).has_value()) << coding;
        EXPECT_TRUE(check_readable(head, nullptr).has_value()) << coding;
    }
    head.fields = {{"content-encoding", "identity"}};
    EXPECT_TRUE(check_readable(head, &bearer).has_value());
}

// --- scrub
// ------------------------------------------------------------------------------------------------------------

std::string base64_of(std::string_view text, bool is_url) {
    const std::string_view alphabet = is_url ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                                             : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    unsigned bits = 0;
    unsigned count = 0;
    for (const char c : text) {
        bits = (bits << 8U) | static_cast<unsigned char>(c);
        for (count += 8; count >= 6; count -= 6) out.push_back(alphabet[(bits >> (count - 6)) & 63U]);
    }
    if (count > 0) out.push_back(alphabet[(bits << (6 - count)) & 63U]);
    return out;
}

std::string each_byte(std::string_view text, const char* format) {
    std::string out;
    for (const char c : text) {
        std::array<char, 8> buffer{};
        std::snprintf(buffer.data(), buffer.size(), format, static_cast<unsigned>(static_cast<unsigned char>(c)));
        out += buffer.data();
    }
    return out;
}

/// Every form that has to be found, as an upstream would produce it.
std::vector<std::pair<std::string, std::string>> forms_of(std::string_view secret) {
    const std::string text(secret);
    std::vector<std::pair<std::string, std::string>> forms{
        {"raw", text},
        {"hex", each_byte(secret, "%02x")},
        {"upper-case hex", each_byte(secret, "%02X")},
        {"percent", each_byte(secret, "%%%02X")},
        {"lower-case percent", each_byte(secret, "%%%02x")},
        {"reserved percent", "tok%22en%2Fwith%2Bodd%3Dchars%5Cand-15"},
        {"lower-case reserved percent", "tok%22en%2fwith%2bodd%3dchars%5cand-15"},
        {"JSON escapes", each_byte(secret, "\\u%04x")},
        {"upper-case JSON escapes", each_byte(secret, "\\u%04X")},
        {"JSON string", "tok\\\"en/with+odd=chars\\\\and-15"},
        {"JSON string with escaped slashes", "tok\\\"en\\/with+odd=chars\\\\and-15"}};
    for (const std::string prefix : {"", "x", "xy"}) {
        forms.emplace_back("base64 at " + std::to_string(prefix.size()), base64_of(prefix + text + "tail", false));
        forms.emplace_back("base64url at " + std::to_string(prefix.size()), base64_of(prefix + text, true));
    }
    return forms;
}

std::string scrubbed(Scrubber& scrubber, std::string bytes, std::size_t first_piece) {
    std::string first = bytes.substr(0, first_piece);
    std::string second = bytes.substr(first.size());
    std::string out(scrubber.push(first));
    if (!second.empty()) out += scrubber.push(second);
    out += scrubber.finish();
    return out;
}

TEST(Scrub, EveryFormIsRemovedWhereverTheStreamIsCut) {
    const auto needles = std::make_shared<NeedleSet>(std::vector{lease_of(kRewrittenSecret)});
    for (const auto& [name, form] : forms_of(kRewrittenSecret)) {
        SCOPED_TRACE(name);
        const std::string bytes = "before " + form + " behind";
        for (std::size_t cut = 1; cut <= bytes.size(); ++cut) {
            Scrubber scrubber(needles);

            const std::string out = scrubbed(scrubber, bytes, cut);

            ASSERT_EQ(out.size(), bytes.size());
            EXPECT_EQ(out.find(form), std::string::npos) << "cut at " << cut;
            EXPECT_GE(std::count(out.begin(), out.end(), '*'), static_cast<std::ptrdiff_t>(form.size()) * 2 / 3);
            EXPECT_EQ(scrubber.hits(), 1U) << "cut at " << cut;
            EXPECT_EQ(out.substr(0, 7), "before ");
            EXPECT_EQ(out.substr(out.size() - 7), " behind");
        }
    }
}

TEST(Scrub, EveryFormThatUsualWritersGiveIsRemoved) {
    // What each of them really writes for this secret: libraries differ in what they leave as it is.
    constexpr std::string_view secret = "aZ09~-x/y+z==&<k>'q(m)*;n!";
    const auto needles = std::make_shared<NeedleSet>(std::vector{lease_of(secret)});
    const std::vector<std::pair<std::string, std::string>> forms{
        {"Python urllib.parse.quote", "aZ09~-x/y%2Bz%3D%3D%26%3Ck%3E%27q%28m%29%2A%3Bn%21"},
        {"Python urllib.parse.quote_plus", "aZ09~-x%2Fy%2Bz%3D%3D%26%3Ck%3E%27q%28m%29%2A%3Bn%21"},
        {"JavaScript encodeURIComponent", "aZ09~-x%2Fy%2Bz%3D%3D%26%3Ck%3E'q(m)*%3Bn!"},
        {"JavaScript encodeURI", "aZ09~-x/y+z==&%3Ck%3E'q(m)*;n!"},
        {"JavaScript escape", "aZ09%7E-x/y+z%3D%3D%26%3Ck%3E%27q%28m%29*%3Bn%21"},
        {"Java URLEncoder", "aZ09%7E-x%2Fy%2Bz%3D%3D%26%3Ck%3E%27q%28m%29*%3Bn%21"},
        {"PHP urlencode", "aZ09%7E-x%2Fy%2Bz%3D%3D%26%3Ck%3E%27q%28m%29%2A%3Bn%21"},
        {".NET HttpUtility.UrlEncode of RFC 3986", "aZ09~-x%2fy%2bz%3d%3d%26%3ck%3e%27q%28m%29%2a%3bn%21"},
        {"Go encoding/json", R"(aZ09~-x/y+z==\u0026\u003ck\u003e'q(m)*;n!)"},
        {"Gson", R"(aZ09~-x/y+z\u003d\u003d\u0026\u003ck\u003e\u0027q(m)*;n!)"},
        {".NET System.Text.Json", R"(aZ09~-x/y\u002Bz==\u0026\u003Ck\u003E\u0027q(m)*;n!)"},
        {"PHP json_encode", R"(aZ09~-x\/y+z==&<k>'q(m)*;n!)"},
        {"PHP json_encode, JSON_HEX_*", R"(aZ09~-x\/y+z==\u0026\u003Ck\u003E\u0027q(m)*;n!)"},
        {"Python html.escape", "aZ09~-x/y+z==&amp;&lt;k&gt;&#x27;q(m)*;n!"},
        {"PHP htmlspecialchars", "aZ09~-x/y+z==&amp;&lt;k&gt;&#39;q(m)*;n!"},
        {"XML text", "aZ09~-x/y+z==&amp;&lt;k&gt;'q(m)*;n!"},
        {"Go html/template", "aZ09~-x/y&#43;z==&amp;&lt;k&gt;&#39;q(m)*;n!"},
        {".NET HtmlEncoder", "aZ09~-x/y&#x2B;z==&amp;&lt;k&gt;&#x27;q(m)*;n!"},
        {"Handlebars", "aZ09~-x/y+z&#x3D;&#x3D;&amp;&lt;k&gt;&#x27;q(m)*;n!"},
        {"mustache.js", "aZ09~-x&#x2F;y+z&#x3D;&#x3D;&amp;&lt;k&gt;&#39;q(m)*;n!"}};
    for (const auto& [writer, form] : forms) {
        Scrubber scrubber(needles);
        std::string text = "before " + form + " behind";

        scrubber.scrub_whole(text);

        EXPECT_EQ(text, "before " + std::string(form.size(), '*') + " behind") << writer;
    }
}

TEST(Scrub, ABlankInAPasswordIsFoundAsPlusToo) {
    Scrubber scrubber(std::make_shared<NeedleSet>(std::vector{lease_of("one two/three")}));
    std::string text = "a=one+two%2Fthree&b=one%20two/three";

    scrubber.scrub_whole(text);

    EXPECT_EQ(text, "a=***************&b=***************");
}

TEST(Scrub, ASecretThatComesByteByByteIsRemoved) {
    const auto needles = std::make_shared<NeedleSet>(std::vector{lease_of(kRewrittenSecret)});
    for (const auto& [name, form] : forms_of(kRewrittenSecret)) {
        SCOPED_TRACE(name);
        Scrubber scrubber(needles);
        std::string out;

        for (const char c : form + form) {
            std::string piece(1, c);
            out += scrubber.push(piece);
        }
        out += scrubber.finish();

        EXPECT_EQ(out.size(), form.size() * 2);
        EXPECT_EQ(out.find(form), std::string::npos);
        EXPECT_EQ(scrubber.hits(), 2U);
    }
}

TEST(Scrub, TheBasicPairIsRemovedToo) {
    Scrubber scrubber(std::make_shared<NeedleSet>(std::vector{lease_of("password1", "agent")}));
    std::string head = "x-echo: Basic " + base64_of("agent:password1", false) + "\r\n";

    scrubber.scrub_whole(head);

    EXPECT_EQ(head, "x-echo: Basic " + std::string(20, '*') + "\r\n");
}

TEST(Scrub, NothingIsHeldBackThatCannotBecomeASecret) {
    Scrubber scrubber(std::make_shared<NeedleSet>(std::vector{lease_of(kRewrittenSecret)}));
    std::string event = "data: {\"delta\":\"hello\"}\n\n";
    const std::string expected = event;

    EXPECT_EQ(scrubber.push(event), expected);
}

TEST(Scrub, BytesWithoutSecretsPassUnchangedInAnyPieces) {
    // Random bytes over few letters, so that false beginnings are frequent.
    std::mt19937 random(42);
    const auto needles = std::make_shared<NeedleSet>(std::vector{lease_of("abcabcabd"), lease_of("bcabca-x")});
    for (int round = 0; round < 200; ++round) {
        Scrubber scrubber(needles);
        std::string all;
        std::string out;
        for (int piece = 0; piece < 20; ++piece) {
            std::string bytes;
            for (std::size_t i = random() % 12; i > 0; --i) bytes.push_back(static_cast<char>('a' + random() % 3));
            all += bytes;
            out += scrubber.push(bytes);
        }
        out += scrubber.finish();
        EXPECT_EQ(out, all);
    }
}

TEST(Scrub, AStreamedResultIsThatOfTheWholeText) {
    std::mt19937 random(7);
    const auto needles = std::make_shared<NeedleSet>(std::vector{lease_of("aabaab"), lease_of("abaabaaab")});
    for (int round = 0; round < 500; ++round) {
        std::string all;
        for (int i = 0; i < 200; ++i) all.push_back(static_cast<char>('a' + random() % 2));
        Scrubber whole(needles);
        std::string expected = all;
        whole.scrub_whole(expected);
        Scrubber scrubber(needles);
        std::string out;

        for (std::size_t at = 0; at < all.size();) {
            std::string piece = all.substr(at, 1 + random() % 9);
            at += piece.size();
            out += scrubber.push(piece);
        }
        out += scrubber.finish();

        EXPECT_EQ(out, expected);
        EXPECT_EQ(scrubber.hits() > 0, whole.hits() > 0);
    }
}

TEST(Scrub, SecretsShorterThanTheMinimumAreLeftAlone) {
    Scrubber scrubber(std::make_shared<NeedleSet>(std::vector{lease_of("the")}));
    std::string text = "the rest";

    EXPECT_EQ(scrubber.push(text), "the rest");
}


// --- redact

struct RedactRow {
    std::string body;
    std::vector<std::string> pointers;
    std::string expected;
    std::size_t count;
};

TEST(Redact, EveryNamedValueIsStarredAndNothingElse) {
    const std::vector<RedactRow> rows{
        {R"({"a":"secret"})", {"/a"}, R"({"a":"******"})", 1},
        {R"({"a":"secret"})", {"/b"}, R"({"a":"secret"})", 0},
        {R"({"a":{"b":"secret"},"b":"plain"})", {"/a/b"}, R"({"a":{"b":"******"},"b":"plain"})", 1},
        {R"({ "a" : [ "x" , "y" ] })", {"/a/1"}, R"({ "a" : [ "x" , "*" ] })", 1},
        {R"({"a":["x"]})", {"/a/01", "/a/-", "/a/1", "/a/ 0"}, R"({"a":["x"]})", 0},
        {R"({"a":{"0":"x"}})", {"/a/0"}, R"({"a":{"0":"*"}})", 1},
        {R"([["t"]])", {"/0/0"}, R"([["*"]])", 1},
        // Names and their escapes, in the text and in the pointer.
        {R"({"\u0061":"one"})", {"/a"}, R"({"\u0061":"***"})", 1},
        {R"({"a/b":"one","m~n":"two","":"three"})", {"/a~1b", "/m~0n", "/"},
         R"({"a/b":"***","m~n":"***","":"*****"})", 3},
        {R"({"a~1b":"one"})", {"/a~1b"}, R"({"a~1b":"one"})", 0},
        // Every element and every member.
        {R"({"o":[{"a":{"get":{"h":"one"},"put":{"h":"two"}}},{"a":{}},{"b":1}],"h":"x"})", {"/o/*/a/*/h"},
         R"({"o":[{"a":{"get":{"h":"***"},"put":{"h":"***"}}},{"a":{}},{"b":1}],"h":"x"})", 2},
        {R"({"a":["x",7,null],"*":"y"})", {"/a/*"}, R"({"a":["*",0,null],"*":"y"})", 2},
        {R"({"a":"x","*":{"b":"y"}})", {"/*/b"}, R"({"a":"x","*":{"b":"*"}})", 1},
        {R"({"a":"x"})", {"/*/*", "/a/*"}, R"({"a":"x"})", 0},
        // Any kind of value keeps its length and becomes a string; what holds nothing stays.
        {R"({"a":12345})", {"/a"}, R"({"a":"***"})", 1},
        {R"({"a":7})", {"/a"}, R"({"a":0})", 1},
        {R"({"a":true})", {"/a"}, R"({"a":"**"})", 1},
        {R"({"a":null,"b":""})", {"/a", "/b"}, R"({"a":null,"b":""})", 0},
        {R"({"a":{"k":["]",{"}":"\""}]},"b":1})", {"/a"}, R"({"a":"********************","b":1})", 1},
        {R"({"a":"x\\","b":"y\"z"})", {"/a", "/b"}, R"({"a":"***","b":"****"})", 2},
        {R"("text")", {"/a"}, R"("text")", 0},
        {"", {"/a"}, "", 0},
    };
    for (const RedactRow& row : rows) {
        std::string body = row.body;
        const Result<std::size_t> count = redact(body, row.pointers);
        ASSERT_TRUE(count.has_value()) << row.body;
        EXPECT_EQ(*count, row.count) << row.body;
        EXPECT_EQ(body, row.expected);
    }
}

TEST(Redact, WhatIsNotOneJsonTextIsAnError) {
    for (const std::string& text :
         {"{"s, "{}{}"s, "{} x"s, "not json"s, "{\"a\":1,}"s, "{'a':1}"s, "[1,]"s, "{\"a\":\"\xff\"}"s,
          "\xef\xbb\xbf{}"s,
          "{\"a\":\"x\"}\0"s, "\xff\xfe{\0}\0"s, "{\"a\":\"\n\"}"s, " "s,
          // A name that stands twice: which one a reader takes is not known.
          "{\"a\":1,\"a\":2}"s, "{\"a\":1,\"\\u0061\":2}"s, "{\"a\":\"\\ud800\"}"s}) {
        std::string body = text;
        EXPECT_FALSE(redact(body, {"/a"}).has_value()) << text;
    }
}

TEST(Redact, DepthIsBoundedAndCostsNoStack) {
    const auto nested = [](std::size_t depth) {
        std::string body = R"({"a":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
        return redact(body, {"/a"}).has_value();
    };
    EXPECT_TRUE(nested(kJsonDepthMax - 2));
    EXPECT_FALSE(nested(kJsonDepthMax + 1));
    EXPECT_FALSE(nested(kRedactedBodyBytesMax / 2 - 8));
    std::string body = "{}";
    EXPECT_FALSE(redact(body, {"a"}).has_value()) << "a damaged catalog";
}

TEST(PrepareRequest, ARedactedAnswerIsAskedForWholeAndPlain) {
    const Endpoint open = endpoint_of(AuthForm::None);
    for (const AnswerIs answer : {AnswerIs::Streamed, AnswerIs::Redacted}) {
        RequestHead head = head_of();
        head.fields = {{"range", "bytes=0-9"}, {"accept-encoding", "gzip"}, {"if_range", "x"}, {"accept", "*/*"}};

        prepare_request(head, &open, answer);

        const Fields whole{{"accept", "*/*"}, {"accept-encoding", "identity"}};
        if (answer == AnswerIs::Redacted) EXPECT_EQ(head.fields, whole);
        else EXPECT_EQ(head.fields.size(), 4U);
    }
}

}  // namespace
}  // namespace sanctum::interceptor
