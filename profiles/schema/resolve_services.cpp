// SPDX-License-Identifier: Apache-2.0
// Services: the profile's wish ∩ the account's bound, with the catalog's hosts. Where a credential goes is decided by
// catalog and account alone.
#include "profiles/schema/resolve_parts.hpp"

#include "base/limits.hpp"
#include "profiles/policy/patterns.hpp"
#include "profiles/schema/words.hpp"

#include <algorithm>
#include <set>

namespace sanctum::profiles {
namespace {

using Texts = std::vector<std::string>;

Texts owned(const std::vector<std::string_view>& texts) { return {texts.begin(), texts.end()}; }

bool contains(const Texts& texts, std::string_view text) {
    return std::find(texts.begin(), texts.end(), text) != texts.end();
}

bool contains_port(const std::vector<std::uint16_t>& ports, std::uint16_t port) {
    return std::find(ports.begin(), ports.end(), port) != ports.end();
}

std::string joined(const Texts& texts) {
    std::string out;
    for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
    return out;
}

void sort_unique(Texts& texts) {
    std::sort(texts.begin(), texts.end());
    texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
}

// The scopes with everything that the catalog says they imply.
Texts with_implied(const Texts& scopes, const CompiledEntry& entry) {
    Texts out = scopes;
    for (const std::string& scope : scopes) {
        for (const std::string_view implied : entry.implied_by(scope)) out.emplace_back(implied);
    }
    sort_unique(out);
    return out;
}

const Account* find_account(const ServiceText& text, Resolving& to) {
    Texts fitting;
    for (const Account& account : to.config.accounts) {
        if (account.name == text.account.value && account.catalog == text.catalog.value) return &account;
        if (account.name == text.account.value) {
            to.diagnostics.error(
                text.account.at,
                "account `" + account.name + "` is bound to the catalog entry `" + account.catalog + "`, not `" +
                    text.catalog.value + "`",
                "write catalog = \"" + account.catalog + "\", or name another account (" + account.place + ")");
            return nullptr;
        }
        if (account.catalog == text.catalog.value) fitting.push_back(account.name);
    }
    const std::string where = to.config.path.empty() ? "the operator's configuration" : to.config.path;
    std::string hint = suggest(text.account.value, fitting);
    if (hint.empty()) {
        hint = "add to " + where + ": [[account]] name = \"" + text.account.value + "\", catalog = \"" +
               text.catalog.value + "\", source = \"local\", item = \"" + text.account.value + "\"";
    }
    to.diagnostics.error(text.account.at, "there is no account `" + text.account.value + "` in " + where, hint);
    return nullptr;
}

void resolve_grant(const ServiceText& text, const CompiledEntry& entry, const Account& account, Service& service,
                   Resolving& to) {
    const Texts known = owned(entry.scopes());
    const std::optional<Texts> bound =
        account.grant ? std::optional(with_implied(*account.grant, entry)) : std::nullopt;
    for (const PlacedText& scope : text.grant) {
        if (!contains(known, scope.value)) {
            to.diagnostics.error(scope.at, "`" + service.catalog + "` has no scope `" + scope.value + "`",
                                 suggest(scope.value, known));
        } else if (bound && !contains(*bound, scope.value)) {
            to.diagnostics.denied(scope.at,
                                  "scope `" + scope.value + "` is outside the grant of account `" + account.name + "`",
                                  "remove it, or add it to the account (" + account.place + ")");
        } else {
            service.grant.push_back(scope.value);
        }
    }
    std::sort(service.grant.begin(), service.grant.end());
    service.implied = with_implied(service.grant, entry);
    // An implied scope is never more than the account has: the account's own list decides.
    if (bound) std::erase_if(service.implied, [&](const std::string& scope) { return !contains(*bound, scope); });
}

void resolve_resources(const ServiceText& text, const CompiledEntry& entry, const Account& account, Service& service,
                       Resolving& to) {
    const Texts known = owned(entry.resource_names());
    const bool is_git = std::any_of(service.endpoints.begin(), service.endpoints.end(),
                                    [](const Endpoint& endpoint) { return endpoint.kind == EndpointKind::Git; });
    for (const auto& [name, patterns] : account.resources) {
        if (!contains(known, name)) {
            to.diagnostics.error(text.account.at,
                                 "account `" + account.name + "` (" + account.place + ") bounds `" + name +
                                     "`, which `" + service.catalog + "` does not have",
                                 suggest(name, known));
        }
        for (const std::string& pattern : patterns) {
            service.account_resources[name].push_back(full_pattern(name, pattern, is_git));
        }
    }
    for (const NamedTexts& resource : text.resources) {
        if (!contains(known, resource.name.value)) {
            to.diagnostics.error(resource.name.at,
                                 "`" + service.catalog + "` has no resource `" + resource.name.value + "`",
                                 suggest(resource.name.value, known));
            continue;
        }
        Texts& patterns = service.resources[resource.name.value];
        const auto bound = service.account_resources.find(resource.name.value);
        for (const PlacedText& written : resource.texts) {
            patterns.push_back(full_pattern(resource.name.value, written.value, is_git));
            if (bound == service.account_resources.end()) continue;
            const bool can_match =
                std::any_of(bound->second.begin(), bound->second.end(),
                            [&](const std::string& allowed) { return can_overlap(allowed, patterns.back()); });
            if (!can_match) {
                to.diagnostics.denied(
                    written.at, "`" + written.value + "` is outside what account `" + account.name + "` may reach",
                    "the account has: " + joined(bound->second) + " (" + account.place + ")");
            }
        }
    }
}

// An account with a boundary gets no token that is not bounded: what cannot be drawn is said here and not at the first
// request.
void check_boundary(const ServiceText& text, const Account& account, const Service& service, Resolving& to) {
    if (account.provider.boundary.empty()) return;
    const std::string whose = "the boundary of account `" + account.name + "` (" + account.place + ")";
    for (const PlacedText& scope : text.grant) {
        if (account.provider.boundary.contains(scope.value)) continue;
        to.diagnostics.error(scope.at, whose + " has no role for scope `" + scope.value + "`",
                             "add it there with a role that permits it: \"" + scope.value + "\" = \"roles/storage.…\"");
    }
    const Texts* buckets = nullptr;
    for (const auto* bounds : {&service.account_resources, &service.resources}) {
        if (const auto found = bounds->find("bucket"); found != bounds->end()) buckets = &found->second;
    }
    const auto is_pattern = [](const std::string& bucket) { return bucket.find('*') != std::string::npos; };
    const char* hint = "write resources = { bucket = [\"NAME\"] }";
    if (buckets == nullptr) {
        to.diagnostics.error(text.at, whose + " needs the buckets by name", hint);
    } else if (std::any_of(buckets->begin(), buckets->end(), is_pattern)) {
        to.diagnostics.error(text.at, whose + " needs the buckets by name, and `*` is none", hint);
    } else if (buckets->size() > kBoundaryRulesMax) {
        to.diagnostics.error(text.at, whose + " holds at most " + std::to_string(kBoundaryRulesMax) + " buckets",
                             "name fewer of them");
    }
}

// One endpoint may hold hosts with and without TLS; a credential's way is then two endpoints of the same name.
void add_endpoint(Endpoint endpoint, const OperatorConfig& config, Service& service) {
    Endpoint plain = endpoint;
    plain.plain_http = true;
    plain.hosts.clear();
    std::erase_if(endpoint.hosts, [&](const std::string& host) {
        if (!contains(config.upstream.plain_http, host)) return false;
        plain.hosts.push_back(host);
        return true;
    });
    if (!endpoint.hosts.empty()) service.endpoints.push_back(std::move(endpoint));
    if (!plain.hosts.empty()) {
        if (!contains_port(plain.ports, 80)) plain.ports.insert(plain.ports.begin(), 80);
        service.endpoints.push_back(std::move(plain));
    }
}

bool has_templates(const Endpoint& endpoint) {
    return std::any_of(endpoint.hosts.begin(), endpoint.hosts.end(),
                       [](const std::string& host) { return host.find('{') != std::string::npos; });
}

bool is_host_label(std::string_view text) {
    constexpr std::size_t kLabelCharsMax = 63;
    const auto is_label_character = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    return !text.empty() && text.size() <= kLabelCharsMax && !text.starts_with('-') && !text.ends_with('-') &&
           std::all_of(text.begin(), text.end(), is_label_character);
}

// The endpoint at `name.s3.…`, or for an empty name at the hosts that hold none.
Endpoint fill_hosts(const Endpoint& endpoint, const std::string& name, const std::string& region) {
    constexpr std::string_view kRegion = "{region}";
    Endpoint out = endpoint;
    out.hosts.clear();
    if (!name.empty()) out.path_prefix = "/" + name;
    for (const std::string& host : endpoint.hosts) {
        const std::size_t region_at = host.find(kRegion);
        const bool holds_name = host.starts_with('{') && region_at != 0;
        if (holds_name == name.empty()) continue;
        std::string filled = host;
        if (region_at != std::string::npos) filled.replace(region_at, kRegion.size(), region);
        if (holds_name) filled.replace(0, filled.find('}') + 1, name);
        out.hosts.push_back(std::move(filled));
    }
    return out;
}

// A host's name is never more than the names that the account's own bound spells out: credentials, and be it as
// signatures, go to hosts that somebody wrote down.
std::vector<Endpoint> fill_templates(const Endpoint& endpoint, const Account& account) {
    std::vector<Endpoint> out = {fill_hosts(endpoint, {}, account.region)};
    for (const std::string& host : endpoint.hosts) {
        if (!host.starts_with('{')) continue;
        const auto names = account.resources.find(host.substr(1, host.find('}') - 1));
        if (names == account.resources.end()) continue;
        for (const std::string& name : names->second) {
            // What is no label (a pattern, or dots, for which no certificate would fit) is reached by its path.
            if (is_host_label(name)) out.push_back(fill_hosts(endpoint, name, account.region));
        }
        break;  // all of an endpoint's templates name the same resource
    }
    return out;
}

void check_signing(const ServiceText& text, const CompiledEntry& entry, const Account& account, Resolving& to) {
    const std::vector<Endpoint> endpoints = entry.endpoints();
    const bool is_signed = std::any_of(endpoints.begin(), endpoints.end(), [](const Endpoint& endpoint) {
        return endpoint.form == AuthForm::Sigv4;
    });
    const std::string whose = "account `" + account.name + "` (" + account.place + ")";
    if (is_signed && account.region.empty()) {
        to.diagnostics.error(text.account.at, whose + " has no region, and requests of `" + text.catalog.value +
                                                  "` are signed for one",
                             "add to the account: region = \"eu-central-1\"");
    }
    if (!is_signed && !account.region.empty()) {
        to.diagnostics.error(text.account.at,
                             whose + " has a region, but requests of `" + text.catalog.value + "` are not signed",
                             "remove `region`, or name a catalog entry of AWS");
    }
    // SECURITY: in any other form the secret key itself would leave this machine.
    if (!is_signed && account.source == "aws-sts") {
        to.diagnostics.error(text.account.at,
                             whose + " gets keys that sign requests, which `" + text.catalog.value + "` does not take",
                             "name a catalog entry of AWS, as in catalog = \"aws-s3\"");
    }
}

// Tokens of this account are bound to a key or to a certificate: what would be a bearer token goes out with a proof, or
// on connections that show the certificate.
void bind_tokens(const ServiceText& text, const Account& account, Service& service, Resolving& to) {
    const auto client = std::find_if(to.config.clients.begin(), to.config.clients.end(), [&](const auto& known) {
        return account.source == "oauth" && !known.is_tenant && known.name == account.provider.client;
    });
    if (client == to.config.clients.end() || (!client->dpop && !client->certificate_bound)) return;
    const std::string what = client->dpop ? "a key" : "a certificate";
    const std::string remedy = std::string(", or remove `") + (client->dpop ? "dpop" : "certificate_bound") +
                               "` from [provider." + client->name + "]";
    const std::string whose = "account `" + account.name + "` (" + account.place + ") gets tokens that are bound to ";
    for (Endpoint& endpoint : service.endpoints) {
        if (endpoint.form == AuthForm::None) continue;
        if (endpoint.form != AuthForm::Bearer) {
            to.diagnostics.error(text.account.at,
                                 whose + what + ", and `" + service.catalog + "` takes them as " +
                                     std::string(name_of(endpoint.form)),
                                 "name a catalog entry that takes bearer tokens" + remedy);
            return;
        }
        if (client->certificate_bound && endpoint.plain_http) {
            to.diagnostics.error(text.account.at,
                                 whose + what + ", and " + endpoint.hosts.front() +
                                     " is reached without TLS, where none can be shown",
                                 "take the host out of upstream.plain_http" + remedy);
            return;
        }
        endpoint.form = client->dpop ? AuthForm::Dpop : AuthForm::Certificate;
    }
}

void resolve_endpoints(const ServiceText& text, const CompiledEntry& entry, const Account& account, Service& service,
                       Resolving& to) {
    bool takes_hosts = false;
    check_signing(text, entry, account, to);
    for (Endpoint& endpoint : entry.endpoints()) {
        // An account may name other hosts than those of AWS itself: of another service with the same API.
        if (endpoint.hosts.empty() || (has_templates(endpoint) && !account.hosts.empty())) {
            takes_hosts = true;
            endpoint.hosts = account.hosts;
            endpoint.base_path = account.base_path;
            if (!account.ports.empty()) endpoint.ports = account.ports;
        }
        if (endpoint.form == AuthForm::Basic && !account.username.empty()) endpoint.username = account.username;
        if (!account.bao.username_field.empty()) endpoint.username.clear();
        if (endpoint.form == AuthForm::Header) endpoint.strip.push_back(endpoint.form_name);
        for (const char* always : {"authorization", "proxy-authorization"}) endpoint.strip.emplace_back(always);
        sort_unique(endpoint.strip);
        if (endpoint.form == AuthForm::Sigv4) endpoint.region = account.region;
        if (!has_templates(endpoint)) {
            add_endpoint(std::move(endpoint), to.config, service);
            continue;
        }
        for (Endpoint& filled : fill_templates(endpoint, account)) {
            add_endpoint(std::move(filled), to.config, service);
        }
    }
    const std::string whose = "account `" + account.name + "` (" + account.place + ")";
    if (takes_hosts && account.hosts.empty()) {
        to.diagnostics.error(text.account.at,
                             whose + " names no hosts, and `" + service.catalog + "` has none of its own",
                             "add to the account: hosts = [\"git.example.org\"]");
    }
    if (!takes_hosts && (!account.hosts.empty() || !account.base_path.empty() || !account.ports.empty())) {
        to.diagnostics.error(text.account.at, whose + " names hosts, but `" + service.catalog + "` has its own",
                             "remove hosts, ports and base_path from the account");
    }
}

// What an agent does at a token endpoint is the vault's, which needs an account whose source is a login.
void resolve_login(const ServiceText& text, const CompiledEntry& entry, const Account& account, Service& service,
                   Resolving& to) {
    service.login = entry.login();
    const std::string whose = "account `" + account.name + "` (" + account.place + ")";
    const bool is_login = account.source == "login";
    if (is_login && !service.login) {
        to.diagnostics.error(text.account.at, whose + " logs in, and `" + service.catalog + "` names no token endpoint",
                             "name an entry with a [login], as in catalog = \"claude\", or another source");
    } else if (is_login && account.item.empty() && !text.captures_login) {
        to.diagnostics.error(text.account.at, whose + " has no login: it names no `item`",
                             "write item = \"" + account.name + "\" there and run `sanctum connect " + account.name +
                                 "`, or let the agent log in: login = \"capture\" in the service");
    }
    if (!text.captures_login) return;
    if (!service.login) {
        to.diagnostics.error(*text.captures_login,
                             "`" + service.catalog + "` names no token endpoint, so that no login can be captured",
                             "remove `login`; entries that have one: claude, codex");
    } else if (!is_login) {
        to.diagnostics.error(*text.captures_login, whose + " takes no login",
                             "write source = \"login\" there, or remove `login`");
    } else if (account.grant && !contains(with_implied(*account.grant, entry), kLoginScope)) {
        to.diagnostics.denied(*text.captures_login,
                              "scope `login` is outside the grant of account `" + account.name + "`",
                              "remove `login`, or add the scope to the account (" + account.place + ")");
    } else {
        service.captures_login = true;
        for (Texts* scopes : {&service.grant, &service.implied}) {
            scopes->emplace_back(kLoginScope);
            sort_unique(*scopes);
        }
    }
}

void resolve_present(const ServiceText& text, const CompiledEntry* entry, Service& service) {
    const std::string placeholder(entry == nullptr ? std::string_view() : entry->placeholder());
    for (const PresentText& present : text.present) {
        service.present[present.variable.value] = present.literal.value_or(placeholder);
    }
}

void resolve_service(const ServiceText& text, Resolving& to) {
    const CompiledEntry* entry = to.catalog.find(text.catalog.value);
    if (entry == nullptr) {
        to.diagnostics.error(text.catalog.at, "the catalog entry `" + text.catalog.value + "` was not loaded",
                             "name it in the file; it cannot be changed on the command line");
    }
    Service service;
    service.name = text.name.value;
    service.catalog = text.catalog.value;
    service.account = text.account.value;
    service.reuse = text.reuse;
    service.warm = text.warm;
    service.place = to.diagnostics.name_of(text.at);
    if (const Account* account = entry == nullptr ? nullptr : find_account(text, to)) {
        resolve_endpoints(text, *entry, *account, service, to);
        bind_tokens(text, *account, service, to);
        resolve_grant(text, *entry, *account, service, to);
        resolve_resources(text, *entry, *account, service, to);
        resolve_login(text, *entry, *account, service, to);
        check_boundary(text, *account, service, to);
    }
    resolve_present(text, entry, service);
    // Kept even when entry or account is missing, so that rules about it are not reported as well.
    to.mission.services.push_back(std::move(service));
}

void check_names(const ProfileText& text, Resolving& to) {
    std::set<std::string> seen;
    for (const ServiceText& service : text.services) {
        if (seen.insert(service.name.value).second) continue;
        to.diagnostics.error(service.name.at, "a second service `" + service.name.value + "`",
                             "names are used in rules and records; rename one");
    }
}

void check_hosts(const ProfileText& text, Resolving& to) {
    std::map<std::string, std::size_t> owners;
    for (std::size_t i = 0; i < to.mission.services.size(); ++i) {
        for (const Endpoint& endpoint : to.mission.services[i].endpoints) {
            for (const std::string& host : endpoint.hosts) {
                const auto [owner, is_first] = owners.emplace(host, i);
                if (is_first || to.mission.services[owner->second].name == to.mission.services[i].name) continue;
                to.diagnostics.error(text.services[i].name.at,
                                     "host " + host + " belongs to the services `" +
                                         to.mission.services[owner->second].name + "` and `" +
                                         to.mission.services[i].name + "`",
                                     "a request could not say which is meant; keep one");
                return;
            }
        }
    }
}

}  // namespace

std::string full_pattern(const std::string& resource, const std::string& pattern, bool is_git) {
    if (!is_git || resource != "ref" || pattern.starts_with("refs/")) return pattern;
    return "refs/heads/" + pattern;
}

void resolve_services(const ProfileText& text, Resolving& to) {
    check_names(text, to);
    for (const ServiceText& service : text.services) resolve_service(service, to);
    check_hosts(text, to);
}

void resolve_hosts(const ProfileText& text, Resolving& to) {
    std::set<std::string> seen;
    const std::vector<DialEntry> taken = dial_entries(to.mission);
    for (const HostText& written : text.hosts) {
        const std::string& name = written.name.value;
        if (!seen.insert(name).second) {
            to.diagnostics.error(written.name.at, "a second [[host]] `" + name + "`",
                                 "join the two: one list of ports, one match");
            continue;
        }
        const auto owner =
            std::find_if(taken.begin(), taken.end(), [&](const DialEntry& entry) { return entry.name == name; });
        if (owner != taken.end()) {
            to.diagnostics.error(
                written.name.at,
                "host " + name + " belongs to the service `" +
                    to.mission.services[static_cast<std::size_t>(owner->service)].name + "`",
                "remove the [[host]]; to allow more of it, write a [[rule]] with verdict = \"allow\" and service");
            continue;
        }
        Host host{.name = name, .ports = written.ports, .match = {}, .place = to.diagnostics.name_of(written.at)};
        for (const auto& pattern : written.match) host.match.push_back(pattern.value);
        host.plain_http = contains(to.config.upstream.plain_http, name);
        if (host.plain_http && !contains_port(host.ports, 80)) host.ports.insert(host.ports.begin(), 80);
        to.mission.hosts.push_back(std::move(host));
    }
}

}  // namespace sanctum::profiles
