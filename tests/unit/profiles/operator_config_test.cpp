// SPDX-License-Identifier: Apache-2.0
#include "profiles/schema/operator_config.hpp"

#include "profiles/schema/owned_file.hpp"
#include "world.hpp"

#include <filesystem>
#include <gtest/gtest.h>

namespace sanctum::profiles {
namespace {

using test::TemporaryFolder;

constexpr std::string_view kWhole = R"(
schema = 1
[store]
unlock = "passphrase"
[bounds]
ttl = "2h"
approval = { high = "ask", critical = "step-up" }
[[account]]
name = "quickstart"
catalog = "git-http"
hosts = ["git.quickstart.test"]
ports = [443, 8443]
base_path = "/git"
source = "local"
item = "quickstart"
username = "agent"
grant = ["fetch", "push"]
resources = { repo = ["**"] }
[[account]]
name = "work"
catalog = "github"
source = "command"
command = ["/usr/bin/print-token", "work"]
on_exit = "expire"
[tenant.acme]
domain = "acme.us.auth0.com"
client_id = "CID"
client_secret = { item = "acme-client" }
[[approver]]
name = "bob"
uid = 1001
channels = ["control"]
[upstream]
resolver = "127.0.0.53:53"
allow_addresses = ["10.2.0.0/16"]
ca_file = "ca.pem"
plain_http = ["metrics.corp"]
[upstream.host."git.quickstart.test"]
address = "127.0.0.1:18443"
[ledger]
witness = "command:/usr/local/bin/publish-head"
keep = "400d"
)";

constexpr std::string_view kCertificate = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n";

TEST(OperatorConfig, EveryKeyOfTheFormatIsRead) {
    const TemporaryFolder folder;
    folder.write("ca.pem", kCertificate);
    const std::string path = folder.write("config.toml", kWhole);

    const Result<OperatorConfig> config = load_operator_config(path, Missing::IsAnError);

    ASSERT_TRUE(config.has_value()) << config.error().what;
    EXPECT_EQ(config->path, path);
    EXPECT_EQ(config->unlock, "passphrase");
    EXPECT_EQ(config->bounds.ttl_ms, 7'200'000);
    EXPECT_EQ(config->bounds.high, Verdict::Ask);
    EXPECT_EQ(config->bounds.low, std::nullopt);
    ASSERT_EQ(config->accounts.size(), 2U);
    EXPECT_EQ(config->accounts[0].base_path, "/git");
    EXPECT_EQ(config->accounts[0].ports, (std::vector<std::uint16_t>{443, 8443}));
    EXPECT_EQ(config->accounts[0].grant, (std::vector<std::string>{"fetch", "push"}));
    EXPECT_EQ(config->accounts[0].place, "config.toml:8");
    EXPECT_EQ(config->accounts[1].command, (std::vector<std::string>{"/usr/bin/print-token", "work"}));
    EXPECT_EQ(config->accounts[1].grant, std::nullopt);
    EXPECT_EQ(config->approvers.at(0).uid, 1001U);
    EXPECT_EQ(config->upstream.ca_pem, kCertificate);
    EXPECT_EQ(config->upstream.addresses.at("git.quickstart.test"), "127.0.0.1:18443");
    EXPECT_EQ(config->upstream.allow_addresses, std::vector<std::string>{"10.2.0.0/16"});
    EXPECT_EQ(config->keep_ms, 400LL * 86'400'000);
    EXPECT_EQ(config->witness, "/usr/local/bin/publish-head");
}

constexpr std::string_view kServers = R"(
schema = 1
[[account]]
name = "db"
catalog = "http-bearer"
hosts = ["api.example.org"]
source = "openbao"
address = "https://bao.example.org:8200/"
namespace = "org/team"
login = "approle"
role_id = "R1"
item = "bao"
wrapped = true
engine = "dynamic"
path = "database/creds/reader"
field = "password"
username_field = "username"
policies = ["db-reader"]
scope_names = { write = "db-writer" }
retire_policy = "sanctum-retire"
revoke_prefix = true
on_exit = "revoke"
[[account]]
name = "key"
catalog = "http-bearer"
hosts = ["b.example.org"]
source = "openbao"
address = "https://bao.example.org:8200"
login = "token"
item = "bao"
engine = "kv"
path = "app/key"
field = "token"
policies = ["kv-app"]
[[account]]
name = "cluster"
catalog = "http-bearer"
hosts = ["c.example.org"]
source = "kubernetes"
server = "https://kube.example.org:6443"
namespace = "agents"
service_account = "mission"
audiences = ["api"]
retire_as = "sanctum-retire"
certificate = "client.pem"
item = "kube-key"
[upstream.host."kube.example.org"]
ca_file = "cluster.pem"
)";

TEST(OperatorConfig, ServersOfCredentialsAreReadWithAllTheirKeys) {
    const TemporaryFolder folder;
    folder.write("cluster.pem", kCertificate);
    folder.write("client.pem", kCertificate);
    const std::string path = folder.write("config.toml", kServers);

    const Result<OperatorConfig> config = load_operator_config(path, Missing::IsAnError);

    ASSERT_TRUE(config.has_value()) << config.error().what;
    const BaoAccount& bao = config->accounts.at(0).bao;
    EXPECT_EQ(bao.address, "https://bao.example.org:8200") << "one form, with or without a slash";
    EXPECT_EQ(bao.bao_namespace, "org/team");
    EXPECT_EQ(bao.path, "database/creds/reader");
    EXPECT_EQ(bao.auth_mount, "approle");
    EXPECT_TRUE(bao.is_wrapped && bao.revokes_prefix);
    EXPECT_EQ(config->accounts[0].provider.scope_names.at("write"), "db-writer");
    EXPECT_EQ(config->accounts.at(1).bao.path, "secret/data/app/key");
    const KubernetesAccount& cluster = config->accounts.at(2).kubernetes;
    EXPECT_EQ(cluster.audiences, std::vector<std::string>{"api"});
    EXPECT_EQ(cluster.certificate_pem, kCertificate);
    EXPECT_EQ(cluster.retire_as, "sanctum-retire");
    EXPECT_EQ(config->upstream.pinned.at("kube.example.org"), kCertificate);
    EXPECT_FALSE(config->upstream.addresses.contains("kube.example.org"));
    EXPECT_EQ(config->pinned_files.size(), 1U);
}

constexpr std::string_view kProvider = R"(
schema = 1
[[account]]
name = "things"
catalog = "http-bearer"
hosts = ["api.example.org"]
source = "oauth"
provider = "corp"
grant_type = "client-credentials"
[[account.authorization_details]]
for = ["read"]
type = "repository"
actions = ["read"]
locations = ["https://api.example.org/{repo}"]
[provider.corp]
token_endpoint = "https://login.example.org/token"
introspection_endpoint = "https://login.example.org/introspect"
client_id = "CID"
client_secret = { item = "corp" }
dpop = true
reap_with_secret = true
)";

TEST(OperatorConfig, WhatAProvidersTokensAreIsRead) {
    const TemporaryFolder folder;
    const Result<OperatorConfig> config =
        load_operator_config(folder.write("config.toml", kProvider), Missing::IsAnError);

    ASSERT_TRUE(config.has_value()) << config.error().what;
    const IdentityClient& client = config->clients.at(0);
    EXPECT_EQ(client.introspection_endpoint, "https://login.example.org/introspect");
    EXPECT_TRUE(client.dpop && client.reaps_with_secret && !client.certificate_bound && !client.shows_certificate());
    const AuthorizationDetail& detail = config->accounts.at(0).provider.details.at(0);
    EXPECT_EQ(detail.scopes, std::vector<std::string>{"read"});
    EXPECT_EQ(detail.texts, (std::map<std::string, std::string>{{"type", "repository"}}));
    EXPECT_EQ(detail.lists.at("locations"), std::vector<std::string>{"https://api.example.org/{repo}"});
}

TEST(OperatorConfig, ATenantsEndpointsAreKnownButThoseOfAClientThatShowsACertificate) {
    const TemporaryFolder folder;
    folder.write("client.pem", kCertificate);
    const std::string tenant = "schema = 1\n[tenant.acme]\ndomain = \"acme.example.org\"\nclient_id = \"desk\"\n";
    const auto client_with = [&](const std::string& proof) {
        return load_operator_config(folder.write("config.toml", tenant + proof), Missing::IsAnError);
    };
    const Result<OperatorConfig> secret = client_with("client_secret = { item = \"s\" }\n");
    ASSERT_TRUE(secret.has_value()) << secret.error().what;
    EXPECT_EQ(secret->clients.at(0).token_endpoint, "https://acme.example.org/oauth/token");
    EXPECT_EQ(secret->clients.at(0).revocation_endpoint, "https://acme.example.org/oauth/revoke");

    const Result<OperatorConfig> shown = client_with("client_authentication = \"tls_client_auth\"\n"
                                                     "certificate = \"client.pem\"\nprivate_key = { item = \"k\" }\n");
    ASSERT_TRUE(shown.has_value()) << shown.error().what;
    EXPECT_EQ(shown->clients.at(0).issuer, "https://acme.example.org/");
    EXPECT_EQ(shown->clients.at(0).token_endpoint + shown->clients.at(0).revocation_endpoint, "");
}

TEST(OperatorConfig, WithoutAWitnessNobodyIsTold) {
    const TemporaryFolder folder;
    const std::string path = folder.write("config.toml", "schema = 1\n[ledger]\nkeep = \"400d\"\n");

    EXPECT_EQ(load_operator_config(path, Missing::IsAnError)->witness, "");
}

TEST(OperatorConfig, AMissingFileIsEmptyOrAnErrorAsTheCallerSays) {
    const TemporaryFolder folder;

    const Result<OperatorConfig> empty = load_operator_config(folder.path() + "/none.toml", Missing::IsEmpty);
    ASSERT_TRUE(empty.has_value());
    EXPECT_TRUE(empty->accounts.empty());
    EXPECT_TRUE(empty->path.empty());
    EXPECT_EQ(load_operator_config(folder.path() + "/none.toml", Missing::IsAnError).error().code, Errc::NotFound);
}

TEST(OperatorConfig, AFileThatOthersCanChangeIsRefused) {
    const TemporaryFolder folder;
    const std::string path = folder.write("config.toml", "schema = 1\n");
    ASSERT_TRUE(load_operator_config(path, Missing::IsAnError).has_value());

    std::filesystem::permissions(path, std::filesystem::perms(0602));

    const Result<OperatorConfig> config = load_operator_config(path, Missing::IsAnError);
    ASSERT_FALSE(config.has_value());
    EXPECT_EQ(config.error().code, Errc::NotPermitted);
    EXPECT_NE(config.error().what.find("chmod go-w"), std::string::npos);
}

TEST(OperatorConfig, AFolderThatOthersCanChangeIsRefused) {
    const TemporaryFolder folder;
    const std::string path = folder.write("open/config.toml", "schema = 1\n");
    std::filesystem::permissions(folder.path() + "/open", std::filesystem::perms(0777));

    EXPECT_EQ(load_operator_config(path, Missing::IsAnError).error().code, Errc::NotPermitted);
}

TEST(OperatorConfig, AKeyFileThatOthersCanReadIsRefused) {
    const TemporaryFolder folder;
    const std::string key = folder.write("store.key", "k");
    const std::string path = folder.write("config.toml", "schema = 1\n[store]\nunlock = \"key-file:" + key + "\"\n");
    ASSERT_TRUE(load_operator_config(path, Missing::IsAnError).has_value());

    std::filesystem::permissions(key, std::filesystem::perms(0644));

    const Result<OperatorConfig> config = load_operator_config(path, Missing::IsAnError);
    ASSERT_FALSE(config.has_value());
    EXPECT_NE(config.error().what.find("can be read by other users"), std::string::npos) << config.error().what;
    EXPECT_NE(config.error().what.find("hint: run: chmod 600"), std::string::npos) << config.error().what;
}

TEST(OwnedProgram, IsExecutableAndOursAlone) {
    const TemporaryFolder folder;
    const std::string path = folder.write("publish-head", "#!/bin/sh\n");
    struct Row {
        unsigned mode;
        std::string remedy;
    };
    std::filesystem::permissions(path, std::filesystem::perms(0755));
    std::filesystem::create_symlink(path, folder.path() + "/link");
    ASSERT_TRUE(find_owned_program(path)) << find_owned_program(path).error().what;
    EXPECT_EQ(*find_owned_program(folder.path() + "/link"), *find_owned_program(path));
    for (const Row& row : {Row{0644, "chmod u+x"}, Row{0757, "chmod go-w"}}) {
        std::filesystem::permissions(path, std::filesystem::perms(row.mode));
        const Result<std::string> checked = find_owned_program(path);
        ASSERT_FALSE(checked) << row.mode;
        EXPECT_EQ(checked.error().code, Errc::NotPermitted);
        EXPECT_NE(checked.error().what.find(row.remedy + " " + path), std::string::npos) << checked.error().what;
    }
    EXPECT_EQ(find_owned_program(path + "-none").error().code, Errc::NotFound);
    EXPECT_EQ(find_owned_program(folder.path()).error().code, Errc::Unsupported);
}

TEST(OperatorConfig, AFolderOrAPipeIsNoConfiguration) {
    const TemporaryFolder folder;

    EXPECT_EQ(load_operator_config(folder.path(), Missing::IsAnError).error().code, Errc::Unsupported);
}

TEST(OperatorConfig, ACertificateFileWithAPrivateKeyIsRefused) {
    const TemporaryFolder folder;
    folder.write("ca.pem", std::string(kCertificate) + "-----BEGIN PRIVATE KEY-----\n");
    const std::string path = folder.write("config.toml", "schema = 1\n[upstream]\nca_file = \"ca.pem\"\n");

    EXPECT_FALSE(load_operator_config(path, Missing::IsAnError).has_value());
}

}  // namespace
}  // namespace sanctum::profiles
