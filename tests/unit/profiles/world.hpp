// SPDX-License-Identifier: Apache-2.0
// What tests of profiles stand on: the catalog of this build, one operator's configuration, one caller.
#pragma once

#include "profiles/policy/decide.hpp"
#include "profiles/schema/resolve.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sanctum::profiles::test {

/// A folder that is removed with its content.
class TemporaryFolder {
public:
    TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder();
    [[nodiscard]] const std::string& path() const { return path_; }
    /// Writes a file (mode 0600) and returns its path.
    std::string write(const std::string& name, std::string_view text) const;

private:
    std::string path_;
};

/// Shipped places of this build; everything of the user below `folder`.
[[nodiscard]] Places places_below(const std::string& folder);

/// HOME=/home/alice, working in /work, LANG and GH_TOKEN set.
[[nodiscard]] Caller caller();

/// Accounts: quickstart (git-http), alice (github), team (anthropic), api (http-bearer); bounds of ttl 2h.
[[nodiscard]] OperatorConfig operator_config();

/// load_profile, load_catalog and resolve_mission in one; `catalog` takes the entries when given.
[[nodiscard]] Result<Mission> resolve(std::string_view toml, const Overrides& overrides = {},
                                      CatalogSet* catalog = nullptr, std::string_view file_name = "mission.toml");

/// A mission and its catalog, ready to decide. Aborts the test program when the profile has a mistake.
struct World {
    explicit World(std::string_view toml, const Overrides& overrides = {});
    [[nodiscard]] Operation classify(const Request& request) const;
    [[nodiscard]] Decision decide(const Request& request) const;
    [[nodiscard]] Decision decide(const Request& request, const Spent& spent) const;

    CatalogSet catalog;
    Mission mission;
};

/// `GET https://host/path?query` as a canonical request.
[[nodiscard]] Request request(std::string_view method, std::string_view url);

/// The POST of a push with these commands.
[[nodiscard]] Request push(std::string_view url, std::vector<RefUpdate> updates);
[[nodiscard]] RefUpdate created(std::string name);
[[nodiscard]] RefUpdate updated(std::string name);
[[nodiscard]] RefUpdate deleted(std::string name);

/// `[mission]` with a name and a ttl, to be followed by what a test is about.
inline constexpr std::string_view kHead = "schema = 1\n[mission]\nname = \"test\"\nttl = \"30m\"\n";

/// A service on the account quickstart with fetch and push on demo.git below agent/**.
inline constexpr const char* kRepo = "https://git.quickstart.test/git/demo.git";
inline constexpr std::string_view kGit = R"(
[[service]]
name = "git"
catalog = "git-http"
account = "quickstart"
grant = ["fetch", "push"]
resources = { repo = ["demo.git"], ref = ["agent/**"] }
)";

}  // namespace sanctum::profiles::test
