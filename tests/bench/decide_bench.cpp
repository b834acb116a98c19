// SPDX-License-Identifier: Apache-2.0
// How many requests per second classify() and decide() judge on one core: the shipped `github` entry with scopes,
// resources, a sharper rule and a budget. Prints one number. Called by tests/bench/bench.py.
#include "base/places.hpp"
#include "profiles/policy/decide.hpp"
#include "profiles/schema/resolve.hpp"

#include <array>
#include <chrono>
#include <cstdio>

namespace {

using namespace sanctum;

constexpr std::string_view kProfile = R"(schema = 1
[mission]
name = "bench"
agent = "bench"
purpose = "Measure decisions"
ttl = "1m"
[sandbox]
workspace = "."
[[service]]
name = "github"
catalog = "github"
account = "bench"
grant = ["issues:write"]
resources = { repo = ["acme/api", "acme/web"] }
[[rule]]
verdict = "deny"
service = "github"
match = ["POST /repos/{owner}/{repo}/issues/{number}/lock"]
reason = "visible to customers"
[budget]
"github:issues:write" = 20
)";

Result<profiles::Mission> resolve(const profiles::Profile& profile, const profiles::CatalogSet& catalog) {
    profiles::OperatorConfig config;
    profiles::Account account;
    account.name = "bench";
    account.catalog = "github";
    account.source = "local";
    account.item = "bench";
    config.accounts.push_back(account);
    const profiles::Caller caller{.working_directory = "/tmp/work", .home = "/home/bench", .environment = {},
                                  .state_folder = "/tmp/state"};
    return profiles::resolve_mission(profile, config, catalog, {}, caller, "01k00000000000000000000000");
}

profiles::Request request_for(std::string_view method, std::string_view path) {
    profiles::Request request;
    request.method = method;
    request.host = "api.github.com";
    request.path = path;
    return request;
}

Result<double> decisions_per_second() {
    SANCTUM_TRY(const profiles::Profile profile, profiles::load_profile("bench.toml", kProfile));
    SANCTUM_TRY(const profiles::CatalogSet catalog, profiles::load_catalog(profile, places_of_this_process()));
    SANCTUM_TRY(const profiles::Mission mission, resolve(profile, catalog));
    const std::array requests = {
        request_for("GET", "/repos/acme/api/issues"), request_for("POST", "/repos/acme/api/issues"),
        request_for("POST", "/repos/acme/other/issues"), request_for("POST", "/repos/acme/api/issues/7/lock"),
        request_for("GET", "/user/keys")};
    const profiles::Spent spent(mission.budgets.size(), 0);

    const auto begin = std::chrono::steady_clock::now();
    std::uint64_t judged = 0;
    std::uint64_t allowed = 0;
    std::chrono::duration<double> took{};
    while (took.count() < 1.0) {
        for (const profiles::Request& request : requests) {
            const profiles::Operation operation = profiles::classify(mission, catalog, request);
            const profiles::Decision decision = profiles::decide(mission, request, operation, spent);
            allowed += decision.verdict == profiles::Verdict::Allow ? 1 : 0;
            judged++;
        }
        took = std::chrono::steady_clock::now() - begin;
    }
    // Two of the five are allowed; anything else would mean that something else was measured.
    if (allowed * 5 != judged * 2) return Error{Errc::Internal, "unexpected decisions", 0};
    return static_cast<double>(judged) / took.count();
}

}  // namespace

int main() {
    const Result<double> figure = decisions_per_second();
    if (!figure) {
        std::fprintf(stderr, "decide_bench: %s\n", figure.error().what.c_str());
        return 1;
    }
    std::printf("%.0f\n", *figure);
    return 0;
}
