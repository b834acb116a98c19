// SPDX-License-Identifier: Apache-2.0
// Sessions of AWS STS: the policy that a mission becomes, what is asked, what is made of each answer, and XML.
#include "base/limits.hpp"
#include "tests/unit/vault/provider_script.hpp"
#include "tests/unit/vault/support.hpp"
#include "vault/http/http_date.hpp"
#include "vault/sources/aws_sts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sanctum::vault {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Names = std::vector<std::string>;

// --- the policy

std::string policy_of(const Names& actions, const std::vector<ResourceBounds>& bounds, const char* partition = "aws") {
    const Result<std::string> policy = session_policy(partition, actions, bounds);
    return policy ? *policy : "refused: " + policy.error().what;
}

TEST(SessionPolicy, LimitsActionsToBucketsKeysAndPrefixes) {
    const ResourceBounds bounds = {{"bucket", {"data"}}, {"key", {"in/**", "notes/*"}}, {"prefix", {"in/**"}}};
    EXPECT_EQ(policy_of({"s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"}, {bounds}),
              R"({"Version":"2012-10-17","Statement":[)"
              R"({"Effect":"Allow","Action":["s3:GetObject"],)"
              R"("Resource":["arn:aws:s3:::data/in/*","arn:aws:s3:::data/notes/*"]},)"
              R"({"Effect":"Allow","Action":["s3:GetBucketLocation"],"Resource":["arn:aws:s3:::data"]},)"
              R"({"Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::data"],)"
              R"("Condition":{"StringLike":{"s3:prefix":["in/*"]}}}]})");
}

TEST(SessionPolicy, WithoutBoundsTheActionsAloneAreLimited) {
    EXPECT_EQ(policy_of({"s3:GetObject"}, {{}}, "aws-cn"),
              R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],)"
              R"("Resource":["arn:aws-cn:s3:::*/*"]}]})");
    EXPECT_EQ(policy_of({"sts:GetCallerIdentity"}, {{}}),
              R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:GetCallerIdentity"],)"
              R"("Resource":["*"]}]})");
}

TEST(SessionPolicy, WhatIamWouldReadInATextIsWrittenAsAVariable) {
    EXPECT_THAT(policy_of({"s3:GetObject"}, {{{"bucket", {"data"}}, {"key", {"a$b/c?d/e\"f/%41/**"}}}}),
                HasSubstr(R"("arn:aws:s3:::data/a${$}b/c${?}d/e\"f/A/*")"));
    EXPECT_THAT(policy_of({"s3:GetObject"}, {{{"key", {"ä/**"}}}}), StartsWith("refused: `ä/**` has a character"));
}

TEST(SessionPolicy, NothingInCommonOrTooMuchIsRefused) {
    EXPECT_THAT(policy_of({"s3:GetObject"}, {{{"bucket", {}}}}), HasSubstr("no resource in common"));
    EXPECT_THAT(policy_of({"s3:ListBucket"}, {{{"bucket", {"data"}}, {"prefix", {}}}}), HasSubstr("no resource"));
    Names keys;
    for (int i = 0; i < 100; ++i) keys.push_back("a/rather/long/folder/" + std::to_string(i) + "/**");
    EXPECT_THAT(policy_of({"s3:GetObject"}, {{{"key", keys}}}),
                AllOf(HasSubstr("2048"), HasSubstr("bound fewer resources")));
    for (const char* scope : {"read", "s3:", ":GetObject", "s3:*", "S3:GetObject", "s3:Get Object"}) {
        EXPECT_THAT(policy_of({scope}, {{}}), HasSubstr("is no action of IAM; say with scope_names")) << scope;
    }
}

TEST(SessionPolicy, WhatTwoPatternsBothCoverIsAPattern) {
    EXPECT_EQ(common_patterns({"a/**"}, {"a/b/*", "c/**"}), Names{"a/b/*"});
    EXPECT_EQ(common_patterns({"*/x"}, {"a/*"}), Names{"a/x"});
    EXPECT_EQ(common_patterns({"**"}, {"a", "b/**"}), (Names{"a", "b/**"}));
    EXPECT_EQ(common_patterns({"a"}, {"b"}), Names{});
    EXPECT_EQ(common_patterns({"a/b"}, {"a"}), Names{});
    EXPECT_EQ(common_patterns({"a/**"}, {"a"}), Names{}) << "** stands for one segment or more";
    EXPECT_EQ(common_patterns({"a"}, {"a/**"}), Names{});
}

TEST(SessionPolicy, TheBoundsOfAServiceAreThoseOfProfileAndAccount) {
    profiles::Mission mission;
    profiles::Service& service = mission.services.emplace_back();
    service.account = "data";
    service.resources = {{"bucket", {"data", "other"}}, {"key", {"in/**"}}};
    service.account_resources = {{"bucket", {"data"}}, {"prefix", {"in/**"}}};
    mission.services.emplace_back().account = "another";
    EXPECT_THAT(bounds_of(mission, "data"),
                ElementsAre(ResourceBounds{{"bucket", {"data"}}, {"key", {"in/**"}}, {"prefix", {"in/**"}}}));
}

// --- the source

const std::string kSession =
    "<Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>sec/ret+12</SecretAccessKey>"
    "<SessionToken>tok&amp;en==</SessionToken><Expiration>2030-01-01T00:00:00.123Z</Expiration></Credentials>";

std::string answer_of(const std::string& credentials = kSession,
                      const std::string& rest = "<PackedPolicySize>6</PackedPolicySize>") {
    return "<?xml version=\"1.0\"?>\n<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
           "  <AssumeRoleResult><AssumedRoleUser><Arn>a</Arn></AssumedRoleUser>" + credentials + rest +
           "</AssumeRoleResult></AssumeRoleResponse>\n";
}

class AwsSts : public ::testing::Test {
protected:
    AwsSts() {
        account_.name = "data";
        account_.region = "eu-central-1";
        account_.provider.role = "arn:aws:iam::123456789012:role/agent";
        account_.provider.api = "https://sts.eu-central-1.amazonaws.com";
    }
    Fetched acquire(Names scopes = {"s3:GetObject"}, std::int64_t seconds = 1800) {
        AwsStsSource source(provider_, clock_, account_, {"AKID", Secret("user-secret"), Secret()},
                            {{{"bucket", {"data"}}, {"key", {"in/**"}}}});
        SourceNeed need;
        need.mission = "01k9mission000000000000000";
        need.scopes = std::move(scopes);
        need.wanted_until = {clock_.wall().unix_ms + seconds * 1000};
        std::optional<Fetched> got;
        source.acquire(need, [&](Fetched fetched) { got.emplace(std::move(fetched)); });
        EXPECT_TRUE(got) << "no answer";
        return got ? std::move(*got) : Fetched(SourceFailure{});
    }
    void will_answer(int status, std::string body, const char* type = "text/xml; charset=utf-8") {
        provider_.will_answer(status, std::move(body), {{"content-type", type}});
    }
    SourceFailure refused(const std::string& code, const std::string& message = "no", int status = 400) {
        will_answer(status, "<ErrorResponse><Error><Type>Sender</Type><Code>" + code + "</Code><Message>" + message +
                                "</Message></Error></ErrorResponse>");
        return acquire().failure();
    }

    ManualClock clock_;
    test::ProviderScript provider_;
    profiles::Account account_;
};

TEST_F(AwsSts, ASessionIsCalledAfterTheMissionAndLimitedToIt) {
    account_.provider.external_id = "word";
    will_answer(200, answer_of());

    Fetched fetched = acquire();

    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->secret.reveal(), "ASIA1 sec/ret+12 tok&en==");
    EXPECT_EQ(fetched->expires->unix_ms, 1'893'456'000'000);
    EXPECT_EQ(fetched->retire, RetireClass::Expires);
    EXPECT_EQ(fetched->scopes.asked, Names{"s3:GetObject"});
    EXPECT_EQ(fetched->scopes.narrowed_by, NarrowedBy::Both);
    const test::SeenRequest& seen = provider_.seen.at(0);
    EXPECT_EQ(seen.method, "POST");
    EXPECT_EQ(seen.url, "https://sts.eu-central-1.amazonaws.com/");
    EXPECT_EQ(seen.repeat, Repeat::Never);
    EXPECT_EQ(seen.parameter("Action"), "AssumeRole");
    EXPECT_EQ(seen.parameter("Version"), "2011-06-15");
    EXPECT_EQ(seen.parameter("RoleArn"), "arn:aws:iam::123456789012:role/agent");
    EXPECT_EQ(seen.parameter("RoleSessionName"), "01k9mission000000000000000");
    EXPECT_EQ(seen.parameter("ExternalId"), "word");
    EXPECT_EQ(seen.parameter("DurationSeconds"), "1800");
    EXPECT_THAT(seen.parameter("Policy"), HasSubstr(R"("Resource":["arn:aws:s3:::data/in/*"])"));
    EXPECT_THAT(seen.authorization, AllOf(StartsWith("AWS4-HMAC-SHA256 Credential=AKID/20261122/eu-central-1/sts/"),
                                          HasSubstr("SignedHeaders=content-type;host;x-amz-date"),
                                          Not(HasSubstr("user-secret"))));
    EXPECT_THAT(seen.body, Not(HasSubstr("user-secret")));
}

TEST_F(AwsSts, ASessionLastsAsLongAsTheMissionWithinWhatAwsMakes) {
    const auto duration = [&](std::int64_t seconds) {
        will_answer(200, answer_of());
        acquire({"s3:GetObject"}, seconds);
        return provider_.seen.back().parameter("DurationSeconds");
    };
    EXPECT_EQ(duration(10), "900");
    EXPECT_EQ(duration(-5), "900");
    EXPECT_EQ(duration(2000), "2000");
    EXPECT_EQ(duration(86'400), "3600");
}

TEST_F(AwsSts, ASessionWhosePolicyIsNotConfirmedIsRefusedUnlessTheOperatorAcceptsThat) {
    will_answer(200, answer_of(kSession, ""));
    const Fetched refused = acquire();
    EXPECT_EQ(refused.failure().fault, SourceFault::ScopeTooWide);
    EXPECT_THAT(refused.failure().what, HasSubstr("wider = \"accept\""));

    account_.provider.accepts_wider = true;
    will_answer(200, answer_of(kSession, ""));
    Fetched accepted = acquire();
    ASSERT_TRUE(accepted);
    EXPECT_EQ(accepted->scopes.narrowed_by, NarrowedBy::Proxy);
}

TEST_F(AwsSts, NothingEndsASession) {
    AwsStsSource source(provider_, clock_, account_, {}, {});
    std::optional<RetireOutcome> got;
    source.retire(Credential{}, RetireCause::MissionEnd, [&](const RetireOutcome& outcome) { got = outcome; });
    EXPECT_EQ(got->end, RetireOutcome::End::LeftToExpire);
    EXPECT_THAT(got->detail, HasSubstr("no call that ends a session"));
    EXPECT_EQ(source.retirement(Credential{}), nullptr);
    EXPECT_TRUE(provider_.seen.empty());
    EXPECT_EQ(source.capabilities().retire, RetireClass::Expires);
    EXPECT_TRUE(source.capabilities().mints);
}

TEST_F(AwsSts, WhatCannotBeAskedForIsSaidAndNothingIsAsked) {
    const Fetched fetched = acquire({"read"});
    EXPECT_EQ(fetched.failure().fault, SourceFault::Misconfigured);
    EXPECT_THAT(fetched.failure().what, AllOf(StartsWith("account data: arn:aws:iam"), HasSubstr("scope_names")));
    EXPECT_TRUE(provider_.seen.empty());

    account_.provider.scope_names = {{"read", "s3:GetObject"}};
    will_answer(200, answer_of());
    EXPECT_TRUE(acquire({"read"}));
}

TEST_F(AwsSts, EveryRefusalOfStsIsOneFaultWithItsRemedy) {
    EXPECT_THAT(refused("AccessDenied", "User: x is not authorized", 403).what, HasSubstr("sts:AssumeRole"));
    const SourceFailure escaped = refused("AccessDenied", "a\nb&lt;&#x1b;");
    EXPECT_EQ(escaped.fault, SourceFault::Protocol) << "numeric entities are not read";
    EXPECT_THAT(refused("AccessDenied", "a\nb").what, Not(HasSubstr("\n")));
    EXPECT_EQ(refused("AccessDenied").fault, SourceFault::Misconfigured);
    EXPECT_EQ(refused("InvalidClientTokenId").fault, SourceFault::Misconfigured);
    EXPECT_EQ(refused("SignatureDoesNotMatch", "The request signature we calculated").fault,
              SourceFault::Misconfigured);
    EXPECT_EQ(refused("SignatureDoesNotMatch", "Signature expired: x is now earlier than y").fault,
              SourceFault::ClockSkew);
    EXPECT_EQ(refused("SignatureDoesNotMatch", "Signature not yet current: x").fault, SourceFault::ClockSkew);
    EXPECT_EQ(refused("RegionDisabledException").fault, SourceFault::Misconfigured);
    EXPECT_EQ(refused("PackedPolicyTooLarge").fault, SourceFault::Misconfigured);
    EXPECT_EQ(refused("ExpiredToken").fault, SourceFault::SubjectExpired);
    EXPECT_EQ(refused("Throttling").fault, SourceFault::RateLimited);
    EXPECT_EQ(refused("ServiceUnavailable", "no", 503).fault, SourceFault::Unavailable);
    EXPECT_EQ(refused("InternalFailure", "no", 500).fault, SourceFault::NoAnswer);
    EXPECT_EQ(refused("SomethingNew").fault, SourceFault::Failed);
    EXPECT_EQ(refused("SomethingNew", "no", 504).fault, SourceFault::NoAnswer);
    for (const auto& [status, fault] : std::vector<std::pair<int, SourceFault>>{
             {429, SourceFault::RateLimited}, {502, SourceFault::NoAnswer}, {503, SourceFault::Unavailable},
             {404, SourceFault::Protocol}}) {
        will_answer(status, "sorry", "text/plain");
        EXPECT_EQ(acquire().failure().fault, fault) << status;
    }
}

// STS gives a signature fifteen minutes, and S3 as well; a machine whose clock is wrong by more can use neither.
TEST_F(AwsSts, ASignatureWhoseTimeIsRefusedIsMadeAgainWithTheTimeOfSts) {
    const Milliseconds ahead{20 * 60'000};
    const std::string error = "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code>"
                              "<Message>Signature expired: x is now earlier than y</Message></Error></ErrorResponse>";
    provider_.will_answer(403, error, {{"content-type", "text/xml"}}, ahead);
    provider_.will_answer(200, answer_of(), {{"content-type", "text/xml"}}, ahead);

    Fetched fetched = acquire();

    ASSERT_TRUE(fetched) << fetched.failure().what;
    ASSERT_EQ(provider_.seen.size(), 2U);
    const std::int64_t now = clock_.wall().unix_ms;
    const auto moment = [](std::int64_t unix_ms) { return sigv4::Signer({}, {}, WallTime{unix_ms}).moment(); };
    EXPECT_EQ(provider_.seen[0].headers.at("x-amz-date"), moment(now));
    EXPECT_EQ(provider_.seen[1].headers.at("x-amz-date"), moment(now + ahead.count()));
    EXPECT_EQ(fetched->clock_offset, ahead) << "what is signed with it bears the same time";
    EXPECT_THAT(fetched->remark, HasSubstr("1200 s behind that of AWS STS"));
    EXPECT_EQ(fetched->expires->unix_ms, 1'893'456'000'000 - ahead.count());
}

TEST_F(AwsSts, ARefusalIsNotAskedAboutTwiceWhereOurClockIsRightOrWasCorrected) {
    EXPECT_EQ(refused("RequestExpired").fault, SourceFault::ClockSkew);
    EXPECT_EQ(provider_.seen.size(), 1U);
    const std::string error = "<ErrorResponse><Error><Code>RequestExpired</Code><Message>m</Message></Error>"
                              "</ErrorResponse>";
    for (int i = 1; i <= 3; ++i) {
        provider_.will_answer(400, error, {{"content-type", "text/xml"}}, Milliseconds(i * 600'000));
    }
    EXPECT_EQ(acquire().failure().fault, SourceFault::ClockSkew);
    EXPECT_EQ(provider_.seen.size(), 3U) << "the second try is the last";
}

TEST_F(AwsSts, AnAnswerThatHoldsNoSessionIsNone) {
    for (const std::string& broken :
         {std::string("<AssumeRoleResponse/>"), answer_of(""), answer_of() + "<more/>",
          answer_of(kSession + "<Credentials/>"), answer_of(kSession + kSession), std::string("{}"),
          answer_of("<Credentials><AccessKeyId>A B</AccessKeyId><SecretAccessKey>secret-12</SecretAccessKey>"
                    "<SessionToken>t</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials>"),
          answer_of("<Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>secret-12</SecretAccessKey>"
                    "<Expiration>2030-01-01T00:00:00Z</Expiration></Credentials>"),
          answer_of("<Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>secret-12</SecretAccessKey>"
                    "<SessionToken>t</SessionToken><Expiration>soon</Expiration></Credentials>")}) {
        will_answer(200, broken);
        const Fetched fetched = acquire();
        ASSERT_FALSE(fetched) << broken;
        EXPECT_EQ(fetched.failure().fault, SourceFault::Protocol) << broken;
        EXPECT_THAT(fetched.failure().what, Not(HasSubstr("secret-12")));
    }
    provider_.will_fail(Error{Errc::Timeout, "no whole answer"});
    EXPECT_EQ(acquire().failure().fault, SourceFault::NoAnswer);
}

// --- XML

std::string xml_text(const std::string& body, const char* path) {
    HttpResponse response;
    response.headers = {{"content-type", "application/xml"}};
    response.body = Secret(body);
    Result<XmlAnswer> xml = XmlAnswer::parse(response);
    return xml ? xml->text(path) : "refused";
}

TEST(XmlAnswer, ElementsAreFoundByTheirPathAndEntitiesAreResolved) {
    EXPECT_EQ(xml_text("<a x=\"1\"><b>1 &lt; 2 &amp;amp;</b><c/></a>", "a/b"), "1 < 2 &amp;");
    EXPECT_EQ(xml_text("<a><b>1</b></a>", "a/c"), "");
    EXPECT_EQ(xml_text("<?xml version=\"1.0\"?>\r\n<a>\n <b><c>1</c></b>\n</a>\n", "a/b/c"), "1");
}

TEST(XmlAnswer, WhatIsMoreThanElementsAndTextsIsRefused) {
    std::string deep;
    for (std::size_t i = 0; i <= kXmlDepthMax; ++i) deep += "<a>";
    for (const std::string& broken :
         {std::string(), std::string("text"), std::string("<a>"), std::string("<a></b>"), std::string("</a>"),
          std::string("<a></a></a>"), std::string("<a/><b/>"), std::string("<a>1</a>2"),
          std::string("<a><b>1</b><b>2</b></a>"), std::string("<a><b><c/></b><b/></a>"), std::string("<a>&#65;</a>"),
          std::string("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"), std::string("<a>&b;</a>"),
          std::string("<a><![CDATA[x]]></a>"), std::string("<a><!-- x --></a>"), std::string("<a><?x?></a>"),
          std::string("<a b"), std::string("<a <b>"), std::string("<>"), std::string("< a/>"), deep}) {
        EXPECT_EQ(xml_text(broken, "a"), "refused") << broken;
    }
}

TEST(UtcTime, HasOneFormWithAndWithoutAFraction) {
    EXPECT_EQ(parse_utc_time("2030-01-01T00:00:00Z")->unix_ms, 1'893'456'000'000);
    EXPECT_EQ(parse_utc_time("2030-01-01T00:00:00.5Z")->unix_ms, 1'893'456'000'000);
    for (const char* text : {"", "2030-01-01", "2030-01-01T00:00:00", "2030-01-01T00:00:00+00:00",
                             "2030-13-01T00:00:00Z", "2030-02-30T00:00:00Z", "2030-01-01T25:00:00Z",
                             "2030-01-01T00:00:00.Z",
                             "2030-01-01T00:00:00Z ", "2030-1-01T00:00:00Z"}) {
        EXPECT_FALSE(parse_utc_time(text).has_value()) << text;
    }
}

}  // namespace
}  // namespace sanctum::vault
