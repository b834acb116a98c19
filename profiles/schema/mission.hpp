// SPDX-License-Identifier: Apache-2.0
// Mission: one run's complete, resolved intent. Only resolve_mission() makes one, and for a child mission only
// narrow_to_parent() narrows it; it never changes afterwards.
//
// It is what launcher, interceptor and vault share: it travels between them as JSON (see wire::to_json). It holds no
// secret and nothing that says where a credential lies; that is VaultConfig.
#pragma once

#include "base/wire/archive.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::profiles {

enum class Risk : std::uint8_t { Low, Medium, High, Critical };
enum class Verdict : std::uint8_t { Allow, Ask, StepUp, Deny };
enum class AuthForm : std::uint8_t { None, Bearer, Basic, Header, Query, Sigv4, Dpop, Certificate };
enum class EndpointKind : std::uint8_t { Http, Git };
enum class Home : std::uint8_t { Fresh, Kept };
enum class RunsLater : std::uint8_t { Hold, Report };
enum class MissingLimits : std::uint8_t { Refuse, Accept };

// The words of the formats: `low`, `step-up`, `bearer`, `kept`, …; parse_name is the inverse, false for another word.
[[nodiscard]] std::string_view name_of(Risk value);
[[nodiscard]] std::string_view name_of(Verdict value);
[[nodiscard]] std::string_view name_of(AuthForm value);
[[nodiscard]] std::string_view name_of(EndpointKind value);
[[nodiscard]] std::string_view name_of(Home value);
[[nodiscard]] std::string_view name_of(RunsLater value);
[[nodiscard]] std::string_view name_of(MissingLimits value);
[[nodiscard]] bool parse_name(std::string_view name, Risk& value);
[[nodiscard]] bool parse_name(std::string_view name, Verdict& value);
[[nodiscard]] bool parse_name(std::string_view name, AuthForm& value);
[[nodiscard]] bool parse_name(std::string_view name, EndpointKind& value);
[[nodiscard]] bool parse_name(std::string_view name, Home& value);
[[nodiscard]] bool parse_name(std::string_view name, RunsLater& value);
[[nodiscard]] bool parse_name(std::string_view name, MissingLimits& value);

/// `METHOD TEMPLATE` of a rule or host entry, already checked. `method` may be `*`.
struct RequestPattern {
    std::string method;
    std::string path;   ///< segments: literal, `*`, `{name}`; a last `**` is the rest
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("method", self.method);
        archive("path", self.path);
    }
};

/// One group of hosts of a service with one way of authentication.
struct Endpoint {
    std::string name;
    std::vector<std::string> hosts;  ///< exact names, lower-case A-labels
    std::vector<std::uint16_t> ports;
    EndpointKind kind = EndpointKind::Http;
    AuthForm form = AuthForm::None;
    std::string form_name;           ///< header or query parameter for Header and Query; the AWS service for Sigv4
    std::string region;              ///< Sigv4: what requests are signed for
    std::string username;            ///< Basic; empty: it comes with each credential
    std::string base_path;           ///< `/git`: stripped before templates and resources are matched; empty: none
    std::string path_prefix;         ///< `/bucket`, which the host names: put before what they are matched against
    std::vector<std::string> strip;  ///< lower-case names of agent-sent headers that never leave
    bool plain_http = false;         ///< operator's upstream.plain_http names the host
    std::vector<std::string> amz_headers;  ///< Sigv4: `x-amz-` headers that may leave; a last `*` stands for any end
    std::string repo_suffix;         ///< Git: `.git` where it is not part of a repository's name; empty: none
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("name", self.name);
        archive("hosts", self.hosts);
        archive("ports", self.ports);
        archive("kind", self.kind);
        archive("form", self.form);
        archive("form_name", self.form_name);
        archive("region", self.region);
        archive("username", self.username);
        archive("base_path", self.base_path);
        archive("path_prefix", self.path_prefix);
        archive("strip", self.strip);
        archive("plain_http", self.plain_http);
        archive("amz_headers", self.amz_headers);
        archive("repo_suffix", self.repo_suffix);
    }
};

/// The scope of a request to a token endpoint, in every catalog entry that has a [login].
inline constexpr std::string_view kLoginScope = "login";

/// A file of the agent's home by which it takes itself for logged in. `{NAME}` in its text is what it is shown of that
/// name (LoginShown).
struct LoginFile {
    std::string path;  ///< below the home
    std::string text;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("path", self.path);
        archive("text", self.text);
    }
};

/// How an agent logs in by itself at its provider (OAuth 2.0), and what of the token endpoint's answers is whose. No
/// request of the operation ever leaves as the agent made it: the vault asks in its place.
struct Login {
    std::string operation;
    std::string token_endpoint;          ///< https
    std::string revocation_endpoint;     ///< https (RFC 7009); empty: the provider has none
    std::string authorization_endpoint;  ///< https, for `sanctum connect`
    std::string redirect;                ///< where a browser comes back to, `http://localhost:{port}/callback`
    std::string client_id;
    std::string body;                     ///< json | form: how the token endpoint is asked
    std::string revocation_body;          ///< json | form: how the revocation endpoint is asked
    std::vector<std::string> scopes;      ///< that a login asks for
    std::vector<std::string> parameters;  ///< further ones of the authorization request, `NAME=VALUE`
    std::vector<std::string> sends;       ///< members of the agent's request that go on, sorted
    std::map<std::string, std::string> tokens;  ///< members of the answer that are credentials → how they begin
    std::vector<std::string> keeps;       ///< members of the answer that the agent sees as they are, sorted
    std::vector<std::string> claims;      ///< of a token that is a JWT: what the agent sees of it, sorted
    std::vector<LoginFile> files;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("operation", self.operation);
        archive("token_endpoint", self.token_endpoint);
        archive("revocation_endpoint", self.revocation_endpoint);
        archive("authorization_endpoint", self.authorization_endpoint);
        archive("redirect", self.redirect);
        archive("client_id", self.client_id);
        archive("body", self.body);
        archive("revocation_body", self.revocation_body);
        archive("scopes", self.scopes);
        archive("parameters", self.parameters);
        archive("sends", self.sends);
        archive("tokens", self.tokens);
        archive("keeps", self.keeps);
        archive("claims", self.claims);
        archive("files", self.files);
    }
};

/// A service of the profile, bounded by its account, with the catalog's endpoints.
struct Service {
    std::string name;
    std::string catalog;              ///< entry name; CatalogSet finds it
    std::string account;
    std::vector<std::string> grant;   ///< scopes as written ∩ account, sorted
    std::vector<std::string> implied; ///< grant plus what the catalog says it implies, sorted; decisions use this
    std::map<std::string, std::vector<std::string>> resources;          ///< patterns; absent name: unbounded
    std::map<std::string, std::vector<std::string>> account_resources;  ///< the account's, checked as well
    std::map<std::string, std::string> present;  ///< environment variable → placeholder that the agent sees
    bool reuse = true;
    bool warm = false;
    std::optional<Login> login;       ///< the entry's, where it has one
    bool captures_login = false;      ///< the agent may log in by itself; what comes of it is the vault's
    std::vector<Endpoint> endpoints;
    std::string place;                ///< `triage.toml:14` for explain
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("name", self.name);
        archive("catalog", self.catalog);
        archive("account", self.account);
        archive("grant", self.grant);
        archive("implied", self.implied);
        archive("resources", self.resources);
        archive("account_resources", self.account_resources);
        archive("present", self.present);
        archive("reuse", self.reuse);
        archive("warm", self.warm);
        archive("login", self.login);
        archive("captures_login", self.captures_login);
        archive("endpoints", self.endpoints);
        archive("place", self.place);
    }
};

/// A line of policy sharper than scopes.
struct Rule {
    Verdict verdict = Verdict::Deny;
    std::string service;  ///< exactly one of service and host is set
    std::string host;
    std::vector<RequestPattern> match;
    std::vector<std::string> operations;
    std::optional<Risk> risk;
    std::string reason;
    std::string place;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("verdict", self.verdict);
        archive("service", self.service);
        archive("host", self.host);
        archive("match", self.match);
        archive("operations", self.operations);
        archive("risk", self.risk);
        archive("reason", self.reason);
        archive("place", self.place);
    }
};

/// A plain host: reachable, never with a credential.
struct Host {
    std::string name;  ///< exact, or one leading `*.`
    std::vector<std::uint16_t> ports;
    std::vector<RequestPattern> match;
    bool plain_http = false;
    std::string place;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("name", self.name);
        archive("ports", self.ports);
        archive("match", self.match);
        archive("plain_http", self.plain_http);
        archive("place", self.place);
    }
};

/// What happens per risk, never milder than the operator's bounds.
struct ApprovalPolicy {
    Verdict low = Verdict::Allow;
    Verdict medium = Verdict::Allow;
    Verdict high = Verdict::Ask;
    Verdict critical = Verdict::StepUp;
    std::int64_t timeout_ms = 300'000;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("low", self.low);
        archive("medium", self.medium);
        archive("high", self.high);
        archive("critical", self.critical);
        archive("timeout_ms", self.timeout_ms);
    }
};

/// One budget line: at most `limit` exchanges that count under `key`, per window or per mission (window 0).
struct Budget {
    std::string service;    ///< empty for `calls`
    std::string scope;      ///< `SERVICE:SCOPE`
    std::string operation;  ///< `SERVICE/OPERATION`
    std::uint64_t limit = 0;
    std::int64_t window_ms = 0;
    std::string place;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("service", self.service);
        archive("scope", self.scope);
        archive("operation", self.operation);
        archive("limit", self.limit);
        archive("window_ms", self.window_ms);
        archive("place", self.place);
    }
};

/// Limits asked for; absent: not asked.
struct SandboxLimits {
    std::optional<std::uint64_t> memory_bytes;
    std::optional<std::uint64_t> processes;
    std::optional<std::uint64_t> cpus_milli;  ///< 2.0 cpus = 2000
    std::optional<std::uint64_t> file_bytes;  ///< largest file the agent may write
    std::optional<std::uint64_t> open_files;
    MissingLimits missing = MissingLimits::Refuse;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("memory_bytes", self.memory_bytes);
        archive("processes", self.processes);
        archive("cpus_milli", self.cpus_milli);
        archive("file_bytes", self.file_bytes);
        archive("open_files", self.open_files);
        archive("missing", self.missing);
    }
};

/// A place of the machine that the agent sees at the same path (`--mount SRC:DST[:ro]` may move it).
struct Mount {
    std::string source;  ///< absolute, `~` expanded
    std::string target;
    bool writable = false;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("source", self.source);
        archive("target", self.target);
        archive("writable", self.writable);
    }
};

/// What the profile asks of the sandbox; plan_sandbox turns it into a SandboxPlan.
struct Sandbox {
    std::string workspace;  ///< absolute
    bool workspace_writable = true;
    std::vector<Mount> mounts;
    Home home = Home::Fresh;
    std::string home_store;  ///< absolute folder of a kept home; empty when fresh
    RunsLater runs_later = RunsLater::Hold;
    bool attribute = true;
    SandboxLimits limits;
    std::map<std::string, std::string> environment;  ///< complete: passed (values taken) and set
    std::uint32_t landlock_min = 1;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("workspace", self.workspace);
        archive("workspace_writable", self.workspace_writable);
        archive("mounts", self.mounts);
        archive("home", self.home);
        archive("home_store", self.home_store);
        archive("runs_later", self.runs_later);
        archive("attribute", self.attribute);
        archive("limits", self.limits);
        archive("environment", self.environment);
        archive("landlock_min", self.landlock_min);
    }
};

/// Everything one run may do.
struct Mission {
    std::string id;
    std::string name;
    std::string agent;
    std::string purpose;
    std::int64_t ttl_ms = 0;
    std::string profile_path;
    std::string profile_sha256;             ///< hex, of the file's bytes
    std::vector<std::string> overrides;     ///< `ttl=10m`, `--mount …` as given, recorded
    std::vector<Service> services;
    std::vector<Host> hosts;
    std::vector<Rule> rules;
    ApprovalPolicy approval;
    std::vector<Budget> budgets;
    Sandbox sandbox;
    bool delegate = false;    ///< the agent may start child missions
    std::string parent;       ///< id of the mission whose agent started this one; empty: a person did
    std::uint32_t depth = 0;  ///< parents above it
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("id", self.id);
        archive("name", self.name);
        archive("agent", self.agent);
        archive("purpose", self.purpose);
        archive("ttl_ms", self.ttl_ms);
        archive("profile_path", self.profile_path);
        archive("profile_sha256", self.profile_sha256);
        archive("overrides", self.overrides);
        archive("services", self.services);
        archive("hosts", self.hosts);
        archive("rules", self.rules);
        archive("approval", self.approval);
        archive("budgets", self.budgets);
        archive("sandbox", self.sandbox);
        archive("delegate", self.delegate);
        archive("parent", self.parent);
        archive("depth", self.depth);
    }
};

/// One name the mission may reach: the dialler's table, in a fixed order (services by endpoint and host, then hosts).
struct DialEntry {
    std::string name;  ///< exact, or one leading `*.`
    std::vector<std::uint16_t> ports;
    bool plain_http = false;
    int service = -1;   ///< index into Mission::services, -1 for a plain host
    int endpoint = -1;  ///< index into Service::endpoints
    int host = -1;      ///< index into Mission::hosts, -1 for a service
};

/// The dial table of a mission. Pure; interceptor and dialler both call it.
[[nodiscard]] std::vector<DialEntry> dial_entries(const Mission& mission);

/// Index of the entry that covers `host` (lower-case): exact names win over wildcards; nullopt when none.
[[nodiscard]] std::optional<std::size_t> find_dial_entry(const std::vector<DialEntry>& entries, std::string_view host);

/// TCP ports on which the sandbox listens: 80, 443 and every port that an entry names; sorted, no repeats.
[[nodiscard]] std::vector<std::uint16_t> listening_ports(const Mission& mission);

}  // namespace sanctum::profiles
