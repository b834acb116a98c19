// SPDX-License-Identifier: Apache-2.0
// The words of the formats and what follows from a Mission without looking anywhere else: its dial table and ports.
#include "profiles/schema/mission.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace sanctum::profiles {
namespace {

constexpr std::array<std::string_view, 4> kRisks = {"low", "medium", "high", "critical"};
constexpr std::array<std::string_view, 4> kVerdicts = {"allow", "ask", "step-up", "deny"};
constexpr std::array<std::string_view, 8> kAuthForms = {"none",  "bearer", "basic", "header",
                                                        "query", "sigv4",  "dpop",  "certificate"};
constexpr std::array<std::string_view, 2> kEndpointKinds = {"http", "git"};
constexpr std::array<std::string_view, 2> kHomes = {"fresh", "kept"};
constexpr std::array<std::string_view, 2> kRunsLater = {"hold", "report"};
constexpr std::array<std::string_view, 2> kMissingLimits = {"refuse", "accept"};

constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;

template <class E>
std::string_view word_of(std::span<const std::string_view> words, E value) {
    const auto index = static_cast<std::size_t>(value);
    return index < words.size() ? words[index] : std::string_view("?");
}

template <class E>
bool word_in(std::span<const std::string_view> words, std::string_view name, E& value) {
    const auto found = std::find(words.begin(), words.end(), name);
    if (found == words.end()) return false;
    value = static_cast<E>(found - words.begin());
    return true;
}

bool covers(const DialEntry& entry, std::string_view host) {
    if (!entry.name.starts_with("*.")) return entry.name == host;
    // `*.example.org` stands for one or more labels before `.example.org`, never for `example.org` itself.
    const std::string_view suffix = std::string_view(entry.name).substr(1);
    return host.size() > suffix.size() && host.ends_with(suffix);
}

}  // namespace

std::string_view name_of(Risk value) { return word_of(kRisks, value); }
std::string_view name_of(Verdict value) { return word_of(kVerdicts, value); }
std::string_view name_of(AuthForm value) { return word_of(kAuthForms, value); }
std::string_view name_of(EndpointKind value) { return word_of(kEndpointKinds, value); }
std::string_view name_of(Home value) { return word_of(kHomes, value); }
std::string_view name_of(RunsLater value) { return word_of(kRunsLater, value); }
std::string_view name_of(MissingLimits value) { return word_of(kMissingLimits, value); }

bool parse_name(std::string_view name, Risk& value) { return word_in(kRisks, name, value); }
bool parse_name(std::string_view name, Verdict& value) { return word_in(kVerdicts, name, value); }
bool parse_name(std::string_view name, AuthForm& value) { return word_in(kAuthForms, name, value); }
bool parse_name(std::string_view name, EndpointKind& value) { return word_in(kEndpointKinds, name, value); }
bool parse_name(std::string_view name, Home& value) { return word_in(kHomes, name, value); }
bool parse_name(std::string_view name, RunsLater& value) { return word_in(kRunsLater, name, value); }
bool parse_name(std::string_view name, MissingLimits& value) { return word_in(kMissingLimits, name, value); }

std::vector<DialEntry> dial_entries(const Mission& mission) {
    std::vector<DialEntry> entries;
    for (std::size_t s = 0; s < mission.services.size(); ++s) {
        const std::vector<Endpoint>& endpoints = mission.services[s].endpoints;
        for (std::size_t e = 0; e < endpoints.size(); ++e) {
            for (const std::string& host : endpoints[e].hosts) {
                entries.push_back({.name = host,
                                   .ports = endpoints[e].ports,
                                   .plain_http = endpoints[e].plain_http,
                                   .service = static_cast<int>(s),
                                   .endpoint = static_cast<int>(e)});
            }
        }
    }
    for (std::size_t h = 0; h < mission.hosts.size(); ++h) {
        const Host& host = mission.hosts[h];
        entries.push_back(
            {.name = host.name, .ports = host.ports, .plain_http = host.plain_http, .host = static_cast<int>(h)});
    }
    return entries;
}

std::optional<std::size_t> find_dial_entry(const std::vector<DialEntry>& entries, std::string_view host) {
    std::optional<std::size_t> wildcard;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries[i].name == host) return i;
        if (!covers(entries[i], host)) continue;
        // Of several wildcards the longest, which is the most specific, decides.
        if (!wildcard || entries[i].name.size() > entries[*wildcard].name.size()) wildcard = i;
    }
    return wildcard;
}

std::vector<std::uint16_t> listening_ports(const Mission& mission) {
    std::vector<std::uint16_t> ports = {kHttpPort, kHttpsPort};
    for (const DialEntry& entry : dial_entries(mission)) {
        ports.insert(ports.end(), entry.ports.begin(), entry.ports.end());
    }
    std::sort(ports.begin(), ports.end());
    ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
    return ports;
}

}  // namespace sanctum::profiles
