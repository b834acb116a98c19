// SPDX-License-Identifier: Apache-2.0
#include "world.hpp"

#include "base/files.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace sanctum::profiles::test {
namespace {

constexpr std::string_view kZero = "0000000000000000000000000000000000000000";
constexpr std::string_view kOne = "1111111111111111111111111111111111111111";
constexpr std::string_view kTwo = "2222222222222222222222222222222222222222";

[[noreturn]] void give_up(const Error& error) {
    std::fprintf(stderr, "the test's own profile is wrong:\n%s\n", error.what.c_str());
    std::abort();
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sanctum-profiles-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::write(const std::string& name, std::string_view text) const {
    std::string path = path_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    if (!write_file_atomically(path, text, 0600)) std::abort();
    return path;
}

Places places_below(const std::string& folder) {
    Places places = find_places({{"HOME", folder}, {"XDG_CONFIG_HOME", folder + "/config"},
                                 {"XDG_DATA_HOME", folder + "/data"}, {"XDG_STATE_HOME", folder + "/state"}},
                                1000, std::string(SANCTUM_BINARY_DIR) + "/bin");
    places.shipped = std::string(SANCTUM_BINARY_DIR) + "/share/sanctum";
    return places;
}

Caller caller() {
    return {.working_directory = "/work",
            .home = "/home/alice",
            .environment = {{"LANG", "C.UTF-8"}, {"TERM", "xterm"}, {"GH_TOKEN", "canary"}},
            .state_folder = "/home/alice/.local/state/sanctum"};
}

OperatorConfig operator_config() {
    OperatorConfig config;
    config.path = "/home/alice/.config/sanctum/config.toml";
    config.bounds.ttl_ms = 7'200'000;
    config.bounds.critical = Verdict::StepUp;
    const auto account = [&](const char* name, const char* catalog) -> Account& {
        Account& added = config.accounts.emplace_back();
        added.name = name;
        added.catalog = catalog;
        added.source = "local";
        added.item = name;
        added.place = "config.toml:" + std::to_string(10 * config.accounts.size());
        return added;
    };
    Account& git = account("quickstart", "git-http");
    git.hosts = {"git.quickstart.test"};
    git.base_path = "/git";
    git.username = "agent";
    git.grant = {"fetch", "push", "push:delete"};
    Account& open = account("open-git", "git-http");
    open.hosts = {"git.open.test"};
    Account& github = account("alice", "github");
    github.resources = {{"repo", {"acme/*"}}};
    account("team", "anthropic");
    Account& api = account("api", "http-bearer");
    api.hosts = {"api.corp.test"};
    account("nowhere", "http-bearer");
    Account& buckets = account("buckets", "google-storage");
    buckets.source = "google";
    buckets.provider.boundary = {{"objects:read", "roles/storage.objectViewer"}};
    Account& variable = account("exported", "http-bearer");
    variable.source = "environment";
    variable.variable = "CORP_API";
    variable.hosts = {"api.exported.test"};
    account("subscription", "claude").source = "login";
    account("long-lived", "claude");
    Account& inside = account("inside", "codex");
    inside.source = "login";
    inside.item.clear();
    Account& narrow = account("narrow", "codex");
    narrow.source = "login";
    narrow.grant = {"responses"};
    config.upstream.plain_http = {"metrics.corp.test"};
    return config;
}

Result<Mission> resolve(std::string_view toml, const Overrides& overrides, CatalogSet* catalog,
                        std::string_view file_name) {
    SANCTUM_TRY(const Profile profile, load_profile(std::string(file_name), toml));
    SANCTUM_TRY(CatalogSet entries, load_catalog(profile, places_below("/nonexistent")));
    Result<Mission> mission =
        resolve_mission(profile, operator_config(), entries, overrides, caller(), "01hzy3v7q8r9s0t1v2w3x4y5z6");
    if (catalog != nullptr) *catalog = std::move(entries);
    return mission;
}

World::World(std::string_view toml, const Overrides& overrides) {
    Result<Mission> resolved = resolve(toml, overrides, &catalog);
    if (!resolved) give_up(resolved.error());
    mission = std::move(*resolved);
}

Operation World::classify(const Request& request) const { return profiles::classify(mission, catalog, request); }

Decision World::decide(const Request& request) const { return decide(request, Spent(mission.budgets.size(), 0)); }

Decision World::decide(const Request& request, const Spent& spent) const {
    return profiles::decide(mission, request, classify(request), spent);
}

Request request(std::string_view method, std::string_view url) {
    Request out;
    out.method = method;
    out.is_tls = url.starts_with("https://");
    out.port = out.is_tls ? 443 : 80;
    url.remove_prefix(out.is_tls ? 8 : 7);
    const std::size_t slash = url.find('/');
    std::string_view authority = url.substr(0, slash);
    const std::size_t colon = authority.find(':');
    if (colon != std::string_view::npos) {
        out.port = static_cast<std::uint16_t>(std::stoi(std::string(authority.substr(colon + 1))));
        authority = authority.substr(0, colon);
    }
    out.host = authority;
    const std::string_view target = url.substr(slash);
    const std::size_t question = target.find('?');
    out.path = target.substr(0, question);
    if (question != std::string_view::npos) out.query = target.substr(question + 1);
    return out;
}

Request push(std::string_view url, std::vector<RefUpdate> updates) {
    Request out = request("POST", url);
    out.ref_updates = std::move(updates);
    return out;
}

RefUpdate created(std::string name) { return {std::string(kZero), std::string(kOne), std::move(name)}; }
RefUpdate updated(std::string name) { return {std::string(kOne), std::string(kTwo), std::move(name)}; }
RefUpdate deleted(std::string name) { return {std::string(kOne), std::string(kZero), std::move(name)}; }

}  // namespace sanctum::profiles::test
