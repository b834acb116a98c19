// SPDX-License-Identifier: Apache-2.0
// Services of AWS: which hosts they have, and which operation a request is by host, path and query.
#include "world.hpp"

#include <gtest/gtest.h>

namespace sanctum::profiles {
namespace {

using namespace test;
using Texts = std::vector<std::string>;

constexpr std::string_view kS3Service = R"([[service]]
name = "s3"
catalog = "aws-s3"
account = "data"
grant = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]
resources = { bucket = ["data"], key = ["in/**"], prefix = ["in/**"] }
)";

Account s3_account() {
    Account account;
    account.name = "data";
    account.catalog = "aws-s3";
    account.source = "aws-sts";
    account.region = "eu-central-1";
    account.resources = {{"bucket", {"data", "my.dots", "logs"}}};
    account.place = "config.toml:80";
    return account;
}

struct S3World {
    explicit S3World(const Account& account = s3_account(), std::string_view service = kS3Service) {
        const Result<Profile> profile = load_profile("mission.toml", std::string(kHead) + std::string(service));
        EXPECT_TRUE(profile.has_value()) << profile.error().what;
        Result<CatalogSet> entries = load_catalog(*profile, places_below("/nonexistent"));
        EXPECT_TRUE(entries.has_value()) << entries.error().what;
        OperatorConfig config = operator_config();
        config.accounts.push_back(account);
        mission = resolve_mission(*profile, config, *entries, {}, caller(), "01hzy3v7q8r9s0t1v2w3x4y5z6");
        catalog = std::move(*entries);
    }
    [[nodiscard]] Operation classify(const char* method, const std::string& url) const {
        return profiles::classify(*mission, catalog, request(method, url));
    }
    [[nodiscard]] std::string id(const char* method, const std::string& url) const {
        const Operation operation = classify(method, url);
        return operation.is_known ? operation.id : "";
    }
    [[nodiscard]] std::string reason(const char* method, const std::string& url) const {
        const Request asked = request(method, url);
        return decide(*mission, asked, profiles::classify(*mission, catalog, asked), {}).reason;
    }

    Result<Mission> mission = Error{Errc::Internal, "not resolved"};
    CatalogSet catalog;
};

constexpr const char* kPath = "https://s3.eu-central-1.amazonaws.com";
constexpr const char* kHost = "https://data.s3.eu-central-1.amazonaws.com";

TEST(AwsService, HasTheHostsOfItsRegionAndOneForEachBucketThatTheAccountNames) {
    const S3World world;
    ASSERT_TRUE(world.mission.has_value()) << world.mission.error().what;
    const std::vector<Endpoint>& endpoints = world.mission->services[0].endpoints;

    ASSERT_EQ(endpoints.size(), 3U) << "a bucket with dots has no host";
    EXPECT_EQ(endpoints[0].hosts, (Texts{"s3.eu-central-1.amazonaws.com", "s3.amazonaws.com"}));
    EXPECT_EQ(endpoints[0].path_prefix, "");
    EXPECT_EQ(endpoints[1].hosts, (Texts{"data.s3.eu-central-1.amazonaws.com", "data.s3.amazonaws.com"}));
    EXPECT_EQ(endpoints[1].path_prefix, "/data");
    EXPECT_EQ(endpoints[2].path_prefix, "/logs");
    for (const Endpoint& endpoint : endpoints) {
        EXPECT_EQ(endpoint.form, AuthForm::Sigv4);
        EXPECT_EQ(endpoint.form_name, "s3");
        EXPECT_EQ(endpoint.region, "eu-central-1");
    }
}

TEST(AwsService, OfAnotherProviderHasTheHostsThatTheAccountNames) {
    Account account = s3_account();
    account.source = "local";
    account.hosts = {"minio.corp.test"};
    account.ports = {9000};
    const S3World world(account);
    ASSERT_TRUE(world.mission.has_value()) << world.mission.error().what;
    ASSERT_EQ(world.mission->services[0].endpoints.size(), 1U);
    EXPECT_EQ(world.mission->services[0].endpoints[0].hosts, Texts{"minio.corp.test"});
    EXPECT_EQ(world.mission->services[0].endpoints[0].ports, std::vector<std::uint16_t>{9000});
}

TEST(AwsService, WithoutARegionOrWithKeysForAnotherFormIsRefusedWithTheRemedy) {
    Account nowhere = s3_account();
    nowhere.region.clear();
    const S3World no_region(nowhere);
    ASSERT_FALSE(no_region.mission.has_value());
    EXPECT_NE(no_region.mission.error().what.find("has no region"), std::string::npos);
    EXPECT_NE(no_region.mission.error().what.find("region = \"eu-central-1\""), std::string::npos);

    Account bearer = s3_account();
    bearer.catalog = "http-bearer";
    bearer.hosts = {"api.corp.test"};
    const S3World leaking(bearer, "[[service]]\nname = \"s3\"\ncatalog = \"http-bearer\"\naccount = \"data\"\n"
                                  "grant = [\"read\"]\n");
    ASSERT_FALSE(leaking.mission.has_value());
    EXPECT_NE(leaking.mission.error().what.find("keys that sign requests"), std::string::npos);
    EXPECT_NE(leaking.mission.error().what.find("are not signed"), std::string::npos);
}

TEST(AwsService, ARequestIsTheSameOperationByHostAndByPath) {
    const S3World world;
    for (const std::string& base : {std::string(kPath) + "/data", std::string(kHost)}) {
        const Operation get = world.classify("GET", base + "/in/a%20b/c.txt?x-id=GetObject");
        EXPECT_EQ(get.id, "object/get") << base;
        EXPECT_EQ(get.resources.at("bucket"), Texts{"data"});
        EXPECT_EQ(get.resources.at("key"), Texts{"in/a b/c.txt"});
        EXPECT_EQ(get.says, "Read in/a b/c.txt in data");
        const Operation list = world.classify("GET", base + (base == kHost ? "/" : "") + "?list-type=2&prefix=in%2F");
        EXPECT_EQ(list.id, "bucket/list") << base;
        EXPECT_EQ(list.resources.at("prefix"), Texts{"in/*"});
    }
}

TEST(AwsService, EachSubresourceIsAnOperationOfItsOwnOrUnknown) {
    const S3World world;
    const std::string object = std::string(kHost) + "/in/a";
    EXPECT_EQ(world.id("PUT", object), "object/put");
    EXPECT_EQ(world.id("HEAD", object), "object/get");
    EXPECT_EQ(world.id("DELETE", object), "object/delete");
    EXPECT_EQ(world.id("GET", object + "?versionId=1"), "object/get-version");
    EXPECT_EQ(world.id("POST", object + "?uploads"), "upload/create");
    EXPECT_EQ(world.id("PUT", object + "?partNumber=1&uploadId=u"), "upload/part");
    EXPECT_EQ(world.id("POST", object + "?uploadId=u"), "upload/complete");
    EXPECT_EQ(world.id("DELETE", object + "?uploadId=u"), "upload/abort");
    EXPECT_EQ(world.id("GET", object + "?uploadId=u"), "upload/parts");
    EXPECT_EQ(world.id("GET", std::string(kHost) + "/?location"), "bucket/location");
    EXPECT_EQ(world.id("GET", std::string(kPath) + "/data/?list-type=2"), "bucket/list-slash");
    for (const char* query : {"?acl", "?tagging", "?torrent", "?legal-hold", "?retention", "?restore", "?select",
                              "?%61cl", "?x-id=GetObject&acl", "?x-id=GetObject;acl", "?uploads", "?attributes",
                              "?versionId=1&versionId=2", "?uploadId=u&uploadId=v"}) {
        EXPECT_EQ(world.id("GET", object + query), "") << query;
        EXPECT_EQ(world.id("PUT", object + query), "") << query;
    }
    for (const char* query : {"?policy", "?acl", "?versions", "?uploads", "?cors", "?delete"}) {
        EXPECT_EQ(world.id("GET", std::string(kHost) + "/" + query), "") << query;
        EXPECT_EQ(world.id("POST", std::string(kHost) + "/" + query), "") << query;
    }
    EXPECT_EQ(world.id("DELETE", object + "?versionId=1"), "");
    EXPECT_EQ(world.id("POST", object), "");
    EXPECT_EQ(world.id("GET", std::string(kPath) + "/"), "") << "the list of all buckets";
}

TEST(AwsService, AnObjectWithoutANameIsNone) {
    const S3World world;
    EXPECT_EQ(world.id("PUT", std::string(kPath) + "/data"), "") << "makes a bucket";
    EXPECT_EQ(world.id("PUT", std::string(kPath) + "/data/"), "") << "the same";
    EXPECT_EQ(world.id("PUT", std::string(kHost) + "/"), "");
    EXPECT_EQ(world.id("DELETE", std::string(kPath) + "/data/"), "");
}

TEST(AwsService, BoundsHoldForBucketsKeysAndPrefixes) {
    const S3World world;
    EXPECT_EQ(world.reason("GET", std::string(kHost) + "/in/a"), "");
    EXPECT_EQ(world.reason("GET", std::string(kHost) + "/in/"), "resource_outside");
    EXPECT_EQ(world.reason("GET", std::string(kHost) + "/out/a"), "resource_outside");
    EXPECT_EQ(world.reason("GET", std::string(kPath) + "/other/in/a"), "resource_outside");
    EXPECT_EQ(world.reason("GET", "https://logs.s3.eu-central-1.amazonaws.com/in/a"), "resource_outside")
        << "the account has it, the profile not";
    EXPECT_EQ(world.reason("GET", "https://other.s3.eu-central-1.amazonaws.com/in/a"), "host_unknown");
    EXPECT_EQ(world.reason("DELETE", std::string(kHost) + "/in/a"), "scope_missing");
    EXPECT_EQ(world.reason("GET", std::string(kHost) + "/?prefix=in/"), "");
    EXPECT_EQ(world.reason("GET", std::string(kHost) + "/?prefix=in"), "resource_outside") << "also what begins so";
    EXPECT_EQ(world.reason("GET", std::string(kHost) + "/"), "resource_outside") << "everything";
    EXPECT_EQ(world.reason("GET", std::string(kHost) + "/?prefix=in/&prefix=out/"), "resource_outside");
}

TEST(AwsService, AbortingComesWithWriting) {
    const S3World world;
    EXPECT_EQ(world.reason("DELETE", std::string(kHost) + "/in/a?uploadId=u"), "");
    EXPECT_EQ(world.reason("GET", std::string(kHost) + "/in/a?uploadId=u"), "");
}

}  // namespace
}  // namespace sanctum::profiles
