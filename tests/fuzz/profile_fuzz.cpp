// SPDX-License-Identifier: Apache-2.0
// Fuzzes what reads text from repositories: profiles, overrides, patterns and queries. The first byte chooses the
// reader.
#include "profiles/catalog/catalog.hpp"
#include "profiles/policy/decide.hpp"
#include "profiles/policy/patterns.hpp"
#include "profiles/policy/query.hpp"
#include "profiles/schema/resolve.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace sanctum::profiles;

const Caller kCaller{.working_directory = "/work", .home = "/home/a", .environment = {}, .state_folder = "/state"};

// Whatever was accepted must be printable and must allow nothing to an unknown host.
void use(const Mission& mission) {
    static_cast<void>(explain_mission(mission));
    static_cast<void>(policy_json(mission));
    Request request;
    request.method = "GET";
    request.host = "unknown.invalid";
    request.path = "/";
    const Operation operation = classify(mission, {}, request);
    if (decide(mission, request, operation, Spent(mission.budgets.size(), 0)).verdict == Verdict::Allow) std::abort();
}

void fuzz_profile(std::string_view text, const Overrides& overrides) {
    const auto profile = load_profile("mission.toml", text);
    if (!profile) return;
    const auto mission = resolve_mission(*profile, {}, {}, overrides, kCaller, "id");
    if (mission) use(*mission);
}

void fuzz_override(std::string_view text) {
    Overrides overrides;
    overrides.settings = {std::string(text)};
    overrides.environment = {std::string(text)};
    overrides.mounts = {std::string(text)};
    fuzz_profile("schema = 1\n[mission]\nname = \"a\"\nttl = \"1m\"\n", overrides);
}

void fuzz_patterns(std::string_view text) {
    const std::size_t line = text.find('\n');
    const std::string_view path = line == std::string_view::npos ? std::string_view("/a/b") : text.substr(line + 1);
    const auto pattern = parse_request_pattern(text.substr(0, line));
    if (const auto* accepted = std::get_if<RequestPattern>(&pattern)) {
        // Ignoring case covers at least what exact comparison covers.
        const bool is_covered = covers(*accepted, "GET", path, Reading::Exact);
        if (is_covered && !covers(*accepted, "GET", path, Reading::Lenient)) std::abort();
    }
    static_cast<void>(parse_query(text));
    static_cast<void>(covers_resource(text.substr(0, line), path));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 3) {
        case 0: fuzz_profile(text, {}); break;
        case 1: fuzz_override(text); break;
        default: fuzz_patterns(text); break;
    }
    return 0;
}
