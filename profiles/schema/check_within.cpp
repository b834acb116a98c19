// SPDX-License-Identifier: Apache-2.0
// check_within: the part of a delegated profile's check that knows where everything is written.
#include "profiles/schema/delegated.hpp"

#include "base/limits.hpp"
#include "profiles/policy/patterns.hpp"
#include "profiles/schema/resolve_parts.hpp"
#include "profiles/schema/values.hpp"
#include "profiles/schema/words.hpp"

#include <algorithm>

namespace sanctum::profiles {
namespace {

std::string list_of(const std::vector<std::string>& texts) {
    std::string out;
    for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
    return out.empty() ? std::string("nothing") : out;
}

bool has(const std::vector<std::string>& texts, std::string_view text) {
    return std::find(texts.begin(), texts.end(), text) != texts.end();
}

const Service* service_named(const Mission& mission, std::string_view name) {
    for (const Service& service : mission.services) {
        if (service.name == name) return &service;
    }
    return nullptr;
}

/// One profile's check; one function per table of the file.
class WithinCheck {
public:
    WithinCheck(const ProfileText& text, const Caller& caller, const Mission& parent, Diagnostics& to)
        : text_(text), caller_(caller), parent_(parent), to_(to) {}

    void check() {
        check_life();
        check_sandbox();
        for (const ServiceText& service : text_.services) check_service(service);
        for (const HostText& host : text_.hosts) check_host(host);
        for (const RuleText& rule : text_.rules) check_rule(rule);
        check_approval();
        check_budgets();
    }

private:
    void wider(Place at, std::string text, std::string hint) {
        to_.denied(at, std::move(text), std::move(hint));
    }

    void check_life() {
        if (text_.ttl_ms && text_.ttl_ms->value > parent_.ttl_ms) {
            const std::string bound = format_duration(parent_.ttl_ms);
            wider(text_.ttl_ms->at, "`ttl` is longer than the parent's", "write ttl = \"" + bound + "\" or less");
        }
        if (text_.delegate && text_.delegate->value && parent_.depth + 1 >= kDelegationDepthMax) {
            wider(text_.delegate->at, "a child this deep may not start children of its own",
                  "remove `delegate`; " + std::to_string(kDelegationDepthMax) + " levels are the most");
        }
    }

    void check_sandbox() {
        const SandboxText& written = text_.sandbox;
        const Sandbox& bound = parent_.sandbox;
        if (written.workspace) {
            const auto path = complete(*written.workspace);
            if (path && *path != bound.workspace) {
                wider(written.workspace->at, "the workspace of a child is its parent's",
                      "remove `workspace`; what the child must not change, leave out or name in `read`");
            }
        }
        for (const PlacedText& place : written.read) check_place(place, false);
        for (const PlacedText& place : written.write) check_place(place, true);
        for (const PlacedText& name : written.pass) {
            if (bound.environment.contains(name.value)) continue;
            wider(name.at, "the parent does not have the variable `" + name.value + "`",
                  "remove it, or give it a value in `set`");
        }
        if (written.home == Home::Kept && bound.home != Home::Kept) {
            wider(written.home_at, "the parent's home is not kept", "write home = \"fresh\"");
        }
        if (!written.attribute && bound.attribute) {
            wider(written.attribute_at, "the parent's connections are recorded with their process",
                  "remove `attribute`");
        }
        check_limits(written);
    }

    std::optional<std::string> complete(const PlacedText& path) {
        return accept(to_, path.at, parse_path(path.value, caller_.working_directory, caller_.home));
    }

    // SECURITY: only what the parent's own profile names. A place below one would be looked up in a folder that a
    // living agent may change, and could be a secret that is hidden from the parent.
    void check_place(const PlacedText& written, bool is_written) {
        const auto path = complete(written);
        if (!path) return;
        const Sandbox& bound = parent_.sandbox;
        if (*path == bound.workspace && (!is_written || bound.workspace_writable)) return;
        const bool is_there = std::any_of(bound.mounts.begin(), bound.mounts.end(), [&](const Mount& mount) {
            return mount.source == *path && mount.target == *path && (mount.writable || !is_written);
        });
        if (is_there) return;
        std::vector<std::string> places{bound.workspace};
        for (const Mount& mount : bound.mounts) {
            if (mount.writable || !is_written) places.push_back(mount.source);
        }
        const char* what = is_written ? " is no place that the parent may write" : " is no place of the parent";
        wider(written.at, *path + what, "the parent names: " + list_of(places));
    }

    void check_limits(const SandboxText& written) {
        const SandboxLimits& asked = written.limits;
        const SandboxLimits& bound = parent_.sandbox.limits;
        const auto check = [&](const char* key, const std::optional<std::uint64_t>& value,
                               const std::optional<std::uint64_t>& most) {
            if (!value || !most || *value <= *most) return;
            wider(written.limits_at, std::string("`") + key + "` is above the parent's limit", "lower or remove it");
        };
        check("memory", asked.memory_bytes, bound.memory_bytes);
        check("processes", asked.processes, bound.processes);
        check("cpus", asked.cpus_milli, bound.cpus_milli);
        check("file_size", asked.file_bytes, bound.file_bytes);
        check("open_files", asked.open_files, bound.open_files);
        if (asked.missing == MissingLimits::Accept && bound.missing == MissingLimits::Refuse) {
            wider(written.limits_at, "the parent does not accept that a limit is missing", "remove `missing`");
        }
    }

    void check_service(const ServiceText& written) {
        const Service* bound = service_named(parent_, written.name.value);
        if (bound == nullptr) {
            std::vector<std::string> names;
            for (const Service& service : parent_.services) names.push_back(service.name);
            return wider(written.name.at, "the parent has no service `" + written.name.value + "`",
                         "it has: " + list_of(names));
        }
        if (bound->catalog != written.catalog.value) {
            wider(written.catalog.at, "the parent's service `" + bound->name + "` is another API",
                  "write catalog = \"" + bound->catalog + "\"");
        }
        if (bound->account != written.account.value) {
            wider(written.account.at, "the parent's service `" + bound->name + "` has another account",
                  "name the account that the parent's profile names");
        }
        if (written.captures_login && !bound->captures_login) {
            wider(*written.captures_login, "the parent's agent may not log in to `" + bound->name + "` by itself",
                  "remove `login`");
        }
        for (const PlacedText& scope : written.grant) {
            if (has(bound->implied, scope.value)) continue;
            wider(scope.at, "the parent is not granted `" + scope.value + "` of `" + bound->name + "`",
                  "it is granted: " + list_of(bound->grant));
        }
        for (const NamedTexts& resource : written.resources) check_resource(resource, *bound);
    }

    void check_resource(const NamedTexts& written, const Service& bound) {
        const auto most = bound.resources.find(written.name.value);
        if (most == bound.resources.end()) return;
        const bool is_git = std::any_of(bound.endpoints.begin(), bound.endpoints.end(), [](const Endpoint& endpoint) {
            return endpoint.kind == EndpointKind::Git;
        });
        for (const PlacedText& text : written.texts) {
            const std::string pattern = full_pattern(written.name.value, text.value, is_git);
            const bool is_within_one = std::any_of(
                most->second.begin(), most->second.end(),
                [&](const std::string& allowed) { return is_resource_within(pattern, allowed); });
            if (is_within_one) continue;
            wider(text.at, "`" + text.value + "` is wider than the parent's `" + written.name.value + "`",
                  "the parent has: " + list_of(most->second));
        }
    }

    // Who the parent would ask for this name: its entry decides, not the child's.
    const Host* bound_of(const HostText& written) {
        const std::vector<DialEntry> entries = dial_entries(parent_);
        for (const DialEntry& entry : entries) {
            if (entry.name == written.name.value && entry.host >= 0) {
                return &parent_.hosts[static_cast<std::size_t>(entry.host)];
            }
        }
        if (written.name.value.starts_with("*.")) return nullptr;
        const auto found = find_dial_entry(entries, written.name.value);
        if (!found || entries[*found].host < 0) return nullptr;
        return &parent_.hosts[static_cast<std::size_t>(entries[*found].host)];
    }

    void check_host(const HostText& written) {
        const Host* bound = bound_of(written);
        if (bound == nullptr) {
            std::vector<std::string> names;
            for (const Host& host : parent_.hosts) names.push_back(host.name);
            return wider(written.name.at, "the parent has no [[host]] that covers " + written.name.value,
                         "it has: " + list_of(names));
        }
        check_names_below(written);
        for (const std::uint16_t port : written.ports) {
            if (std::find(bound->ports.begin(), bound->ports.end(), port) != bound->ports.end()) continue;
            wider(written.name.at, "the parent may not reach port " + std::to_string(port) + " of " + bound->name,
                  "write the parent's ports");
        }
        for (const Placed<RequestPattern>& pattern : written.match) {
            const bool is_within_one =
                std::any_of(bound->match.begin(), bound->match.end(),
                            [&](const RequestPattern& allowed) { return is_within(pattern.value, allowed); });
            if (is_within_one) continue;
            wider(pattern.at, "`" + pattern.value.method + " " + pattern.value.path +
                                  "` is more than the parent may do on " + bound->name,
                  "write a part of the parent's `match`");
        }
    }

    // `*.example.org` of the child must not take what the parent treats by a name of its own below it.
    void check_names_below(const HostText& written) {
        if (!written.name.value.starts_with("*.")) return;
        const std::string end = written.name.value.substr(1);
        for (const DialEntry& entry : dial_entries(parent_)) {
            if (entry.name == written.name.value || !entry.name.ends_with(end)) continue;
            const bool is_named = std::any_of(text_.hosts.begin(), text_.hosts.end(), [&](const HostText& other) {
                return other.name.value == entry.name;
            });
            const bool has_service =
                entry.service >= 0 &&
                std::any_of(text_.services.begin(), text_.services.end(), [&](const ServiceText& service) {
                    return service.name.value == parent_.services[static_cast<std::size_t>(entry.service)].name;
                });
            if (is_named || has_service) continue;
            wider(written.name.at, written.name.value + " covers " + entry.name +
                                       ", for which the parent has rules of its own",
                  "name the hosts one by one");
        }
    }

    // Only allow rules can widen: the parent's own deny, ask and step-up rules hold for the child in any case.
    void check_rule(const RuleText& written) {
        if (written.verdict != Verdict::Allow) return;
        for (const Placed<RequestPattern>& pattern : written.match) check_allowed_pattern(written, pattern);
        for (const PlacedText& operation : written.operations) {
            bool is_covered = false;
            for (const Rule* rule : allow_rules_about(written)) {
                const bool names_it = has(rule->operations, operation.value);
                is_covered = is_covered || names_it;
                if (names_it || !rule->match.empty()) check_risk(written, *rule, operation.at);
            }
            if (is_covered) continue;
            wider(operation.at, "the parent has no rule that allows `" + operation.value + "`", "remove it");
        }
    }

    void check_allowed_pattern(const RuleText& written, const Placed<RequestPattern>& pattern) {
        bool is_covered = false;
        for (const Rule* rule : allow_rules_about(written)) {
            bool overlaps = !rule->operations.empty();
            for (const RequestPattern& allowed : rule->match) {
                is_covered = is_covered || is_within(pattern.value, allowed);
                overlaps = overlaps || may_overlap(pattern.value, allowed);
            }
            // Whichever of its rules the parent would have found first: the child's is no milder.
            if (overlaps) check_risk(written, *rule, pattern.at);
        }
        if (is_covered) return;
        const std::string what = "`" + pattern.value.method + " " + pattern.value.path + "`";
        wider(pattern.at, "the parent has no rule that allows " + what, "write a part of what one of its rules allows");
    }

    [[nodiscard]] std::vector<const Rule*> allow_rules_about(const RuleText& written) {
        std::vector<const Rule*> rules;
        std::string host = written.host ? written.host->value : std::string();
        for (const HostText& entry : text_.hosts) {
            if (!written.host || entry.name.value != host) continue;
            if (const Host* bound = bound_of(entry)) host = bound->name;
            break;
        }
        for (const Rule& rule : parent_.rules) {
            const bool is_about = written.service ? rule.service == written.service->value
                                                  : !rule.host.empty() && rule.host == host;
            if (is_about && rule.verdict == Verdict::Allow) rules.push_back(&rule);
        }
        return rules;
    }

    void check_risk(const RuleText& written, const Rule& bound, Place at) {
        const std::optional<Risk> risk = written.risk ? std::optional(written.risk->value) : std::nullopt;
        const bool is_milder = risk.value_or(Risk::High) < bound.risk.value_or(Risk::High) ||
                               risk.value_or(Risk::Low) < bound.risk.value_or(Risk::Low);
        if (!is_milder) return;
        wider(written.risk ? written.risk->at : at, "the parent's rule gives this a higher risk",
              "write risk = \"" + std::string(name_of(bound.risk.value_or(Risk::High))) + "\"");
    }

    void check_approval() {
        const auto check = [&](const std::optional<Placed<Verdict>>& written, Verdict bound, const char* risk) {
            if (!written || written->value >= bound) return;
            wider(written->at, std::string(risk) + " = \"" + std::string(name_of(written->value)) +
                                   "\" is milder than the parent's",
                  "write \"" + std::string(name_of(bound)) + "\" or stricter");
        };
        check(text_.approval.low, parent_.approval.low, "low");
        check(text_.approval.medium, parent_.approval.medium, "medium");
        check(text_.approval.high, parent_.approval.high, "high");
        check(text_.approval.critical, parent_.approval.critical, "critical");
    }

    void check_budgets() {
        for (const Budget& bound : parent_.budgets) {
            const bool is_about_child =
                bound.service.empty() ||
                std::any_of(text_.services.begin(), text_.services.end(),
                            [&](const ServiceText& service) { return service.name.value == bound.service; });
            if (is_about_child) check_share(bound);
        }
    }

    void check_share(const Budget& bound) {
        const std::string key = budget_key(bound);
        const auto line = std::find_if(text_.budgets.begin(), text_.budgets.end(),
                                       [&](const BudgetText& written) { return written.key.value == key; });
        if (line == text_.budgets.end()) {
            return wider(text_.mission_at, "the parent has a budget for `" + key + "`, and no part of it is asked for",
                         "write under [budget]: \"" + key + "\" = N, at most " + std::to_string(bound.limit));
        }
        if (line->limit > bound.limit) {
            wider(line->key.at, "the budget of `" + key + "` is above the parent's " + std::to_string(bound.limit),
                  "ask for less");
        }
        // A budget for the whole mission never exceeds one for a window; the other way round it would begin anew.
        if (line->window_ms == 0 || line->window_ms == bound.window_ms) return;
        wider(line->key.at, "the budget of `" + key + "` has another window than the parent's",
              bound.window_ms == 0 ? "write a number without a window"
                                   : "write in = \"" + format_duration(bound.window_ms) + "\"");
    }

    const ProfileText& text_;
    const Caller& caller_;
    const Mission& parent_;
    Diagnostics& to_;
};

}  // namespace

Status check_within(const Profile& profile, const Overrides& overrides, const Caller& caller, const Mission& parent) {
    const Profile::Written& written = profile.written();
    Diagnostics diagnostics = written.sources;
    TomlValue tree = written.tree;
    merge_overrides(overrides, tree, diagnostics);
    const ProfileText text = read_profile_tree(tree, written.source, diagnostics);
    if (!diagnostics.empty()) return diagnostics.to_error();
    WithinCheck(text, caller, parent, diagnostics).check();
    if (!diagnostics.empty()) return diagnostics.to_error();
    return {};
}

}  // namespace sanctum::profiles
