// SPDX-License-Identifier: Apache-2.0
// The operator's configuration (formats 3): what a profile can only stay below, and where secrets lie.
#pragma once

#include "base/result.hpp"
#include "profiles/schema/mission.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::profiles {

/// How a client proves who it is at a token endpoint (RFC 6749 2.3, RFC 7523, RFC 8705).
enum class ClientAuthentication : std::uint8_t { SecretPost, SecretBasic, PrivateKeyJwt, Tls, None };
/// `client_secret_post | client_secret_basic | private_key_jwt | tls_client_auth | none`.
[[nodiscard]] std::string_view name_of(ClientAuthentication value);
[[nodiscard]] bool parse_name(std::string_view name, ClientAuthentication& value);

/// A client of the operator's at an identity provider: `[tenant.NAME]` (Auth0) or `[provider.NAME]` (any OAuth 2.0
/// provider). Secrets are items of the store.
struct IdentityClient {
    std::string name;
    bool is_tenant = false;
    std::string issuer;               ///< of assertions' `aud`; a tenant's is https://DOMAIN/, with its slash
    std::string resource;             ///< https: the API whose metadata names the issuer (RFC 9728); empty: none
    /// https; empty: the provider's metadata says it (RFC 8414). Of tenants only where the client shows a certificate.
    std::string token_endpoint;
    std::string revocation_endpoint;  ///< https; empty: the provider has none
    std::string introspection_endpoint;  ///< https (RFC 7662); empty: nobody is asked about a token
    std::string authorization_endpoint;         ///< https; empty: the provider's metadata says it (RFC 8414)
    std::string device_authorization_endpoint;  ///< https (RFC 8628); empty: as above
    std::string pushed_authorization_endpoint;  ///< https (RFC 9126); empty: as above
    bool requires_pushed = false;               ///< a consent is never asked for without RFC 9126
    std::string client_id;
    ClientAuthentication authentication = ClientAuthentication::None;
    std::string secret_item;
    std::string key_item;             ///< private key, PEM
    std::string key_id;               ///< `kid` of assertions; empty: none
    std::string certificate_pem;      ///< tls_client_auth: content of `certificate`
    bool dpop = false;                ///< its tokens are bound to a key of the mission (RFC 9449)
    /// Its tokens are bound to a certificate (RFC 8705 3): the client's own where that is how it proves who it is, else
    /// one of the mission.
    bool certificate_bound = false;
    bool reaps_with_secret = false;   ///< what the reaper sends may hold the client's secret, sealed to its key
    /// `tenant acme` or `provider corp`: for sentences.
    [[nodiscard]] std::string title() const { return (is_tenant ? "tenant " : "provider ") + name; }
    /// Tokens are asked for over a connection that shows a certificate (RFC 8705).
    [[nodiscard]] bool shows_certificate() const {
        return authentication == ClientAuthentication::Tls || certificate_bound;
    }
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("name", self.name);
        archive("is_tenant", self.is_tenant);
        archive("issuer", self.issuer);
        archive("resource", self.resource);
        archive("token_endpoint", self.token_endpoint);
        archive("revocation_endpoint", self.revocation_endpoint);
        archive("introspection_endpoint", self.introspection_endpoint);
        archive("authorization_endpoint", self.authorization_endpoint);
        archive("device_authorization_endpoint", self.device_authorization_endpoint);
        archive("pushed_authorization_endpoint", self.pushed_authorization_endpoint);
        archive("requires_pushed", self.requires_pushed);
        archive("client_id", self.client_id);
        archive("authentication", self.authentication);
        archive("secret_item", self.secret_item);
        archive("key_item", self.key_item);
        archive("key_id", self.key_id);
        archive("certificate_pem", self.certificate_pem);
        archive("dpop", self.dpop);
        archive("certificate_bound", self.certificate_bound);
        archive("reaps_with_secret", self.reaps_with_secret);
    }
};

/// One element of an account's `authorization_details` (RFC 9396 2). `{NAME}` in a text stands for the need's resource.
struct AuthorizationDetail {
    std::vector<std::string> scopes;           ///< `for`: the catalog's scopes that it belongs to; empty: to all
    std::map<std::string, std::string> texts;  ///< `type` is one of them
    std::map<std::string, std::vector<std::string>> lists;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("scopes", self.scopes);
        archive("texts", self.texts);
        archive("lists", self.lists);
    }
};

/// What an account of `auth0`, `oauth`, `github-app` or `google` says beyond its name, and what the scopes of `command`
/// are called. Empty texts: not said.
struct ProviderAccount {
    std::string client;      ///< the IdentityClient; github-app: then tokens are a user's, else the installation's
    std::string how;         ///< auth0: refresh-token | access-token | worker; oauth: refresh-token |
                             ///< client-credentials | token-exchange; google: refresh-token | service-account
    std::string connection;  ///< auth0
    std::string login_hint;  ///< auth0: which of several accounts of one connection
    /// auth0 refresh-token: `subject_token_type` of the tenant's Custom Token Exchange that gives each mission a
    /// refresh token of its own; empty: none does.
    std::string mission_token_type;
    std::string user;        ///< auth0 worker: the user's id; google service-account: for whom it acts
    std::string audience;    ///< oauth
    std::string resource;    ///< oauth (RFC 8707)
    std::vector<AuthorizationDetail> details;  ///< oauth; empty: tokens are narrowed by scopes alone
    std::string app_id;        ///< github-app
    std::string installation;  ///< github-app
    std::string target;        ///< github-app, of a user: whose installation; empty: the repositories' owner
    std::string client_id;           ///< google refresh-token
    std::string client_secret_item;  ///< google refresh-token: its name in the store
    std::map<std::string, std::string> boundary;  ///< google: the catalog's scope → role of Cloud Storage; empty: none
    std::string api;           ///< github-app: https://api.github.com, or an own server's; aws-sts: of the region
    std::string role;          ///< aws-sts: the ARN
    std::string external_id;   ///< aws-sts
    bool asks_scopes = true;   ///< the provider is asked for no more than the need
    bool accepts_wider = false;  ///< a wider answer is used all the same; then ours alone is what narrows
    std::map<std::string, std::string> scope_names;  ///< the catalog's scope → what the provider calls it
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("client", self.client);
        archive("how", self.how);
        archive("connection", self.connection);
        archive("login_hint", self.login_hint);
        archive("mission_token_type", self.mission_token_type);
        archive("user", self.user);
        archive("audience", self.audience);
        archive("resource", self.resource);
        archive("details", self.details);
        archive("app_id", self.app_id);
        archive("installation", self.installation);
        archive("target", self.target);
        archive("api", self.api);
        archive("client_id", self.client_id);
        archive("client_secret_item", self.client_secret_item);
        archive("boundary", self.boundary);
        archive("role", self.role);
        archive("external_id", self.external_id);
        archive("asks_scopes", self.asks_scopes);
        archive("accepts_wider", self.accepts_wider);
        archive("scope_names", self.scope_names);
    }
};

/// What an account of `openbao` says beyond its name: an OpenBao or HashiCorp Vault server. Empty texts: not said.
struct BaoAccount {
    std::string address;         ///< `https://bao.example:8200`, without a slash at its end
    std::string bao_namespace;   ///< sent as X-Vault-Namespace
    std::string login;           ///< token | approle: what the account's item is
    std::string auth_mount;      ///< approle: where the auth method is mounted
    std::string role_id;         ///< approle
    bool is_wrapped = false;     ///< the item is a wrapping token around it, good for one mission
    std::string engine;          ///< kv | dynamic | token: a stored secret, one made for the lease, the child token
    std::string path;            ///< kv, dynamic: of the secret below /v1/, `secret/data/app`, `database/creds/reader`
    std::map<std::string, std::string> parameters;  ///< dynamic: what the engine is told; none: it is only read
    std::string field;           ///< kv, dynamic: which text of the secret is the credential
    std::string username_field;  ///< kv, dynamic: which is the user's name
    std::vector<std::string> policies;  ///< of every child token, beside those that scope_names gives
    std::string retire_policy;          ///< dynamic, token: of the token that can do nothing but revoke
    bool revokes_prefix = false;        ///< dynamic: at the end all that was ever made at `path` is revoked
    std::int64_t uses = 0;              ///< token: requests that a child token is good for; 0: any number
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("address", self.address);
        archive("bao_namespace", self.bao_namespace);
        archive("login", self.login);
        archive("auth_mount", self.auth_mount);
        archive("role_id", self.role_id);
        archive("is_wrapped", self.is_wrapped);
        archive("engine", self.engine);
        archive("path", self.path);
        archive("parameters", self.parameters);
        archive("field", self.field);
        archive("username_field", self.username_field);
        archive("policies", self.policies);
        archive("retire_policy", self.retire_policy);
        archive("revokes_prefix", self.revokes_prefix);
        archive("uses", self.uses);
    }
};

/// What an account of `kubernetes` says beyond its name: a service account whose tokens a mission gets.
struct KubernetesAccount {
    std::string server;           ///< `https://kube.example:6443`, without a slash at its end
    std::string name_space;       ///< of the service accounts and of the Secrets that tokens are bound to
    std::string service_account;
    std::vector<std::string> audiences;  ///< empty: the API server itself
    std::string retire_as;        ///< service account that may do nothing but delete these Secrets; empty: none
    std::string certificate_pem;  ///< content of `certificate`: then the item is its private key, else a bearer token
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("server", self.server);
        archive("name_space", self.name_space);
        archive("service_account", self.service_account);
        archive("audiences", self.audiences);
        archive("retire_as", self.retire_as);
        archive("certificate_pem", self.certificate_pem);
    }
};

/// An account as the vault needs it; secrets by name.
struct Account {
    std::string name;
    std::string catalog;
    std::vector<std::string> hosts;
    std::vector<std::uint16_t> ports;  ///< of `hosts`; empty: 443
    std::string base_path;
    std::string source;                ///< local | command | rotate | file | environment | systemd | auth0 | oauth |
                                       ///< github-app | google | openbao | kubernetes | aws-sts | login
    std::string region;                ///< of AWS, for entries whose requests are signed
    std::string item;                  ///< name in the store: the credential itself, a subject token, a private key, or
                                       ///< what logs us in
    std::vector<std::string> command;  ///< command, rotate: argv of what prints it, absolute program
    std::vector<std::string> give_back;  ///< command, rotate: argv of what ends it; empty: nothing does
    std::string file;                  ///< file: absolute path
    std::string variable;              ///< environment
    std::string credential;            ///< systemd: name in $CREDENTIALS_DIRECTORY
    std::string username;
    std::string on_exit;                            ///< expire | revoke
    ProviderAccount provider;                       ///< of the sources that ask an identity provider
    BaoAccount bao;                                 ///< openbao
    KubernetesAccount kubernetes;                   ///< kubernetes
    std::optional<std::vector<std::string>> grant;  ///< absent: unbounded
    std::map<std::string, std::vector<std::string>> resources;
    std::string place;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("name", self.name);
        archive("catalog", self.catalog);
        archive("hosts", self.hosts);
        archive("ports", self.ports);
        archive("base_path", self.base_path);
        archive("region", self.region);
        archive("source", self.source);
        archive("item", self.item);
        archive("command", self.command);
        archive("give_back", self.give_back);
        archive("file", self.file);
        archive("variable", self.variable);
        archive("credential", self.credential);
        archive("username", self.username);
        archive("on_exit", self.on_exit);
        archive("provider", self.provider);
        archive("bao", self.bao);
        archive("kubernetes", self.kubernetes);
        archive("grant", self.grant);
        archive("resources", self.resources);
        archive("place", self.place);
    }
};

/// How real servers are reached: the interceptor's memfd `upstream`, and a part of the vault's.
struct UpstreamConfig {
    std::string resolver;                      ///< `address:port`; empty: the machine's resolv.conf
    std::vector<std::string> allow_addresses;  ///< CIDR; otherwise only public addresses
    std::string ca_pem;                        ///< content of ca_file, added to the system's roots
    std::vector<std::string> plain_http;
    std::map<std::string, std::string> addresses;  ///< host → `address:port`, permits exactly this
    std::map<std::string, std::string> pinned;     ///< host → content of its ca_file: its only roots
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("resolver", self.resolver);
        archive("allow_addresses", self.allow_addresses);
        archive("ca_pem", self.ca_pem);
        archive("plain_http", self.plain_http);
        archive("addresses", self.addresses);
        archive("pinned", self.pinned);
    }
};

/// Goes to the vault as the memfd `accounts`.
struct VaultConfig {
    std::string store;  ///< path of store.sealed
    std::string
        unlock;  ///< `key-file:PATH`, `passphrase`, `keyring`, `credential:NAME`; empty: try keyring, then passphrase
    std::vector<Account> accounts;
    std::vector<IdentityClient> clients;  ///< of these accounts
    UpstreamConfig upstream;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("store", self.store);
        archive("unlock", self.unlock);
        archive("accounts", self.accounts);
        archive("clients", self.clients);
        archive("upstream", self.upstream);
    }
};

struct Approver {
    std::string name;
    std::uint32_t uid = 0;
    std::vector<std::string> channels;
};

/// Upper bounds for every profile.
struct Bounds {
    std::optional<std::int64_t> ttl_ms;
    std::optional<Verdict> low, medium, high, critical;  ///< the mildest verdict allowed per risk
    bool delegate = true;                                ///< false: no agent may start child missions
};

struct OperatorConfig {
    std::string path;  ///< empty when no file exists: then nothing but plain hosts can be used
    std::string unlock;
    Bounds bounds;
    std::vector<Account> accounts;
    std::vector<IdentityClient> clients;
    std::vector<Approver> approvers;
    UpstreamConfig upstream;
    std::string ca_file;  ///< where upstream.ca_pem was read; empty: none
    std::vector<std::string> pinned_files;  ///< where upstream.pinned was read
    std::int64_t keep_ms = 0;
    std::string witness;  ///< absolute path of the command that is told of signed heads; empty: none
};

/// Reads and checks a configuration file; a missing file gives an empty configuration unless `Missing::IsAnError`.
/// Reads upstream.ca_file too. Errors: InvalidProfile with `file:line:col`, source line, caret and hint; Io.
enum class Missing { IsEmpty, IsAnError };
[[nodiscard]] Result<OperatorConfig> load_operator_config(const std::string& path, Missing missing);

/// The same of a text that was read already; `path` says where it stands and where relative paths begin. Files that it
/// names are read. Errors: InvalidProfile with every place.
[[nodiscard]] Result<OperatorConfig> read_operator_config(const std::string& path, const std::string& text);

/// The JSON Schema of the configuration, for editors. What only the machine can say (whether a file is there and who
/// may read it) and what two keys say together is the loader's alone.
[[nodiscard]] std::string configuration_json_schema();

}  // namespace sanctum::profiles
