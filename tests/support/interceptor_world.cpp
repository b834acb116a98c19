// SPDX-License-Identifier: Apache-2.0
#include "tests/support/interceptor_world.hpp"

#include "base/jose/dpop.hpp"

namespace sanctum::interceptor::test {
namespace {

using profiles::AuthForm;
using profiles::Endpoint;
using profiles::EndpointKind;
using profiles::Host;
using profiles::Service;

constexpr std::string_view kApiEntry = R"(schema = 1
name = "api-test"
[[endpoint]]
name = "api"
hosts = ["api.test"]
kind = "http"
auth = { form = "bearer" }
[[operation]]
id = "item/read"
endpoint = "api"
method = "GET"
path = "/items/{item}"
any_of = [["read"]]
resources = { item = "{item}" }
risk = "low"
says = "Read {item}"
[[operation]]
id = "item/write"
endpoint = "api"
method = "POST"
path = "/items/{item}"
any_of = [["write"]]
resources = { item = "{item}" }
risk = "medium"
says = "Write {item}"
[[operation]]
id = "item/replace"
endpoint = "api"
method = "PUT"
path = "/items/{item}"
any_of = [["write"]]
resources = { item = "{item}" }
risk = "medium"
says = "Replace {item}"
[[operation]]
id = "item/key"
endpoint = "api"
method = "GET"
path = "/items/{item}/key"
any_of = [["read"]]
resources = { item = "{item}" }
risk = "low"
says = "Read {item} with its key"
redact = ["/key", "/links/1/href"]
[[operation]]
id = "item/drop"
endpoint = "api"
method = "DELETE"
path = "/items/{item}"
any_of = [["write"]]
resources = { item = "{item}" }
risk = "high"
says = "Delete {item}"
)";

constexpr std::string_view kGitEntry = R"(schema = 1
name = "git-test"
[[endpoint]]
name = "git"
hosts = ["git.test"]
kind = "git"
auth = { form = "basic", username = "agent" }
[[operation]]
id = "git.fetch"
endpoint = "git"
any_of = [["fetch"]]
risk = "low"
says = "Fetch from {repo}"
[[operation]]
id = "git.lfs:download"
endpoint = "git"
any_of = [["fetch"]]
resources = { repo = "{repo}" }
risk = "low"
says = "Ask for LFS objects of {repo}"
redact = ["/objects/*/actions/*/href", "/objects/*/actions/*/header/*"]
[[operation]]
id = "git.push"
endpoint = "git"
any_of = [["push"]]
risk = "medium"
says = "Push to {repo}"
)";

constexpr std::string_view kAwsEntry = R"(schema = 1
name = "aws-test"
[[endpoint]]
name = "s3"
hosts = ["s3.test"]
kind = "http"
auth = { form = "sigv4", name = "s3" }
amz_headers = ["x-amz-meta-*"]
[[endpoint]]
name = "function"
hosts = ["function.test"]
kind = "http"
auth = { form = "sigv4", name = "execute-api" }
[[operation]]
id = "object/get"
endpoint = "s3"
method = "GET"
path = "/{bucket}/**"
query = { takes = ["part"] }
any_of = [["read"]]
resources = { key = "{**}" }
risk = "low"
says = "Read {**}"
[[operation]]
id = "object/put"
endpoint = "s3"
method = "PUT"
path = "/{bucket}/**"
query = { takes = ["part"] }
any_of = [["write"]]
resources = { key = "{**}" }
risk = "low"
says = "Write {**}"
[[operation]]
id = "call"
endpoint = "function"
method = "POST"
path = "/{name}"
any_of = [["write"]]
risk = "low"
says = "Call {name}"
)";

constexpr std::string_view kLoginEntry = R"(schema = 1
name = "login-test"
[[endpoint]]
name = "api"
hosts = ["agent.test"]
auth = { form = "bearer" }
[[endpoint]]
name = "login"
hosts = ["login.test"]
[[operation]]
id = "login/token"
endpoint = "login"
method = "POST"
path = "/token"
any_of = [["login"]]
risk = "medium"
says = "Log in"
[login]
operation = "login/token"
token_endpoint = "https://login.test/token"
authorization_endpoint = "https://login.test/authorize"
redirect = "http://localhost:{port}/callback"
client_id = "CID"
body = "form"
sends = ["code", "code_verifier", "redirect_uri"]
tokens = { access_token = "", refresh_token = "rt_" }
keeps = ["expires_in"]
)";

profiles::CompiledEntry entry_of(std::string_view name, std::string_view toml) {
    Result<std::string> bytes = profiles::compile_entry(std::string(name), toml);
    if (!bytes.has_value()) std::fprintf(stderr, "%s\n", bytes.error().what.c_str());
    Result<profiles::CompiledEntry> entry = profiles::CompiledEntry::open(*std::move(bytes));
    return *std::move(entry);
}

Service service_of(std::string name, const profiles::CompiledEntry& entry, std::vector<std::string> grant) {
    Service service;
    service.name = std::move(name);
    service.catalog = entry.name();
    service.account = "account";
    service.grant = std::move(grant);
    service.implied = service.grant;
    service.endpoints = entry.endpoints();
    for (Endpoint& endpoint : service.endpoints) {
        if (endpoint.ports.empty()) endpoint.ports = {443};
        if (endpoint.form == AuthForm::Sigv4) endpoint.region = "eu-central-1";
    }
    return service;
}

}  // namespace

void World::have_another_lease() {
    leases.other = std::make_shared<HeldLease>();
    leases.other->id = "l2";
    leases.other->secret = Secret(kOtherSecret);
}

void World::bind_to_a_key() {
    for (Endpoint& endpoint : mission.services[0].endpoints) endpoint.form = AuthForm::Dpop;
    leases.lease->form = AuthForm::Dpop;
    const Result<dpop::Key> key = dpop::Key::generate();
    leases.lease->secret = dpop::join_bound_token(Secret(kSecret), *key->jwk());
}

void World::bind_to_a_certificate() {
    for (Endpoint& endpoint : mission.services[0].endpoints) endpoint.form = AuthForm::Certificate;
    leases.lease->form = AuthForm::Certificate;
    leases.lease->certificate = {"CERTIFICATE", Secret("KEY-CANARY")};
}

void World::sign_with_keys() {
    leases.lease->form = AuthForm::Sigv4;
    leases.lease->secret = Secret("AKIDEXAMPLE " + std::string(kSecret) + " " + std::string(kSessionToken));
}

World::World() {
    catalog.add(entry_of("api-test.toml", kApiEntry));
    catalog.add(entry_of("git-test.toml", kGitEntry));
    catalog.add(entry_of("aws-test.toml", kAwsEntry));
    catalog.add(entry_of("login-test.toml", kLoginEntry));
    mission.id = "01kaaaaaaaaaaaaaaaaaaaaaaa";
    mission.services.push_back(service_of("api", catalog.entries()[0], {"read", "write"}));
    mission.services.push_back(service_of("git", catalog.entries()[1], {"fetch", "push"}));
    mission.services[1].resources = {{"repo", {"team/app.git"}}, {"ref", {"refs/heads/agent/**"}}};
    mission.services.push_back(service_of("aws", catalog.entries()[2], {"read", "write"}));
    mission.services.push_back(service_of("agent", catalog.entries()[3], {"login"}));
    mission.services[3].login = catalog.entries()[3].login();
    mission.services[3].captures_login = true;
    mission.hosts.push_back(Host{"www.test", {443}, {{"GET", "/**"}, {"HEAD", "/**"}, {"POST", "/open"}}, false, ""});
    mission.hosts.push_back(Host{"plain.test", {80}, {{"GET", "/**"}}, true, ""});
    entries = profiles::dial_entries(mission);
    leases.lease = std::make_shared<HeldLease>();
    leases.lease->id = "l1";
    leases.lease->secret = Secret(kSecret);
    budgets = std::make_unique<Budgets>(mission.budgets);
    services = std::make_unique<Services>(Services{.mission = mission,
                                                   .catalog = catalog,
                                                   .entries = entries,
                                                   .recorder = recorder,
                                                   .leases = leases,
                                                   .upstreams = upstreams,
                                                   .clock = clock,
                                                   .salt = "salt",
                                                   .budgets = *budgets,
                                                   .is_ending = false,
                                                   .needles = nullptr});
}

}  // namespace sanctum::interceptor::test
