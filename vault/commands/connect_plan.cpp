// SPDX-License-Identifier: Apache-2.0
#include "vault/commands/connect_plan.hpp"

#include "base/places.hpp"
#include "profiles/schema/resolve.hpp"
#include "vault/commands/consent_flows.hpp"
#include "vault/commands/start_browser.hpp"
#include "vault/oauth/connected_account.hpp"
#include "vault/oauth/discovery.hpp"
#include "vault/oauth/scope_check.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

namespace sanctum::vault {
namespace {

using profiles::Account;
using profiles::IdentityClient;
using profiles::OperatorConfig;

// --- which account ------------------------------------------------------------------------------------------------

// Why it cannot be connected here, with what to do instead; empty: it can.
std::string why_not(const Account& account) {
    if (account.source == "oauth") {
        if (account.provider.how == "refresh-token") return {};
        if (account.provider.how == "client-credentials") return "its client needs nobody's consent; just use it";
        return "it exchanges a token of yours: put that into the store with `sanctum vault add " + account.item + "`";
    }
    if (account.source == "auth0") {
        if (account.provider.how == "refresh-token") return {};
        return "connecting takes the user's refresh token, which exchange = \"" + account.provider.how +
               "\" does without: the user connects `" + account.provider.connection +
               "` in an application of the tenant that uses Connected Accounts";
    }
    if (account.source == "login") {
        if (!account.item.empty()) return {};
        return "it names no `item` to keep the login in: write item = \"" + account.name + "\"";
    }
    if (account.source == "github-app") {
        if (!account.provider.client.empty()) return {};
        return "install the app for the repositories in its settings at GitHub";
    }
    return "its source is `" + account.source + "`, which knows no consent";
}

std::string connectable(const OperatorConfig& config) {
    std::string names;
    for (const Account& account : config.accounts) {
        if (why_not(account).empty()) names += (names.empty() ? "" : ", ") + account.name;
    }
    return names.empty() ? "no account of the configuration can be connected: one needs source = \"oauth\", \"auth0\", "
                           "\"login\", or \"github-app\" with a provider"
                         : "accounts that can be connected: " + names;
}

Result<Account> find_connectable(const OperatorConfig& config, const std::string& name) {
    const auto found = std::find_if(config.accounts.begin(), config.accounts.end(),
                                    [&](const Account& account) { return account.name == name; });
    if (found == config.accounts.end()) {
        std::string shown;
        wire::append_json_string(shown, name);
        const Result<profiles::CompiledEntry> entry = profiles::load_entry(name, places_of_this_process());
        if (entry && entry->login()) {
            return Error{Errc::InvalidProfile, "there is no account " + shown + "; add to the configuration: "
                                                   "[[account]] name = " + shown + ", catalog = " + shown +
                                                   ", source = \"login\", item = " + shown};
        }
        return Error{Errc::InvalidProfile, "there is no account " + shown + "; " + connectable(config)};
    }
    const std::string problem = why_not(*found);
    if (problem.empty()) return *found;
    return Error{Errc::InvalidProfile, "account " + name + " is not connected here: " + problem};
}

IdentityClient client_of(const OperatorConfig& config, const Account& account) {
    const auto found = std::find_if(config.clients.begin(), config.clients.end(), [&](const IdentityClient& client) {
        return client.is_tenant == (account.source == "auth0") && client.name == account.provider.client;
    });
    SANCTUM_ASSERT(found != config.clients.end());  // the configuration's reader has seen to it
    return *found;
}

// --- where and how ------------------------------------------------------------------------------------------------

std::vector<ProviderHost> hosts_of(const IdentityClient& client) {
    std::set<std::pair<std::string, std::uint16_t>> hosts;
    for (const std::string& url : {client.token_endpoint, client.revocation_endpoint,
                                   client.device_authorization_endpoint, client.pushed_authorization_endpoint}) {
        if (url.empty()) continue;
        const ProviderHost host = provider_host(url);
        hosts.emplace(host.name, host.port);
    }
    std::vector<ProviderHost> out;
    for (const auto& [name, port] : hosts) out.push_back({name, port});
    return out;
}

Result<ConsentFlow> choose_flow(const ConnectOptions& options, const ConnectPlan& plan) {
    const IdentityClient& client = plan.client;
    const bool has_device = !client.device_authorization_endpoint.empty();
    const bool has_code = !client.authorization_endpoint.empty();
    const auto missing = [&](const std::string& key) {
        std::string what = plan.title() + " has no " + key + " in its metadata";
        if (!client.is_tenant) what += "; if it knows one, write it below [provider." + client.name + "]";
        if (client.issuer.empty()) what += ", or its `issuer`";
        return Error{Errc::InvalidProfile, what};
    };
    if (options.flow == "device" && !has_device) return missing("device_authorization_endpoint");
    if (options.flow == "browser" && !has_code) return missing("authorization_endpoint");
    if (options.flow == "device") return ConsentFlow::Device;
    if (options.flow == "browser") return ConsentFlow::Browser;
    if (!has_device && !has_code) return missing("authorization_endpoint and no device_authorization_endpoint");
    const bool can_start = !options.has_no_browser && has_browser();
    return has_code && (can_start || !has_device) ? ConsentFlow::Browser : ConsentFlow::Device;
}

// --- the login of an agent ----------------------------------------------------------------------------------------

// As the client has it registered: only `{port}` is ours to choose.
Result<LoopbackPlace> place_of(const profiles::Login& login, std::uint16_t port) {
    constexpr std::string_view kScheme = "http://";
    constexpr std::string_view kPort = "{port}";
    const std::string_view rest = std::string_view(login.redirect).substr(kScheme.size());
    const std::size_t colon = rest.find(':');
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    LoopbackPlace place{std::string(rest.substr(0, colon)), port, std::string(rest.substr(slash))};
    const std::string_view written = rest.substr(colon + 1, slash - colon - 1);
    if (written == kPort) return place;
    std::uint16_t fixed = 0;
    const auto [end, error] = std::from_chars(written.data(), written.data() + written.size(), fixed);
    if (error != std::errc() || end != written.data() + written.size()) {
        return Error{Errc::InvalidProfile, "the catalog's redirect address has no port: " + login.redirect};
    }
    if (port != 0 && port != fixed) {
        return Error{Errc::InvalidProfile, "--port: this client comes back to port " + std::to_string(fixed) + " only"};
    }
    place.port = fixed;
    return place;
}

Result<ConnectPlan> plan_login(const ConnectOptions& options, ConnectPlan plan) {
    const Places places = places_of_this_process();
    SANCTUM_TRY(const profiles::CompiledEntry entry, profiles::load_entry(plan.account.catalog, places));
    plan.login = entry.login();
    const std::string whose = "account " + plan.account.name;
    if (!plan.login) {
        return Error{Errc::InvalidProfile, whose + ": catalog entry `" + plan.account.catalog + "` has no login"};
    }
    if (options.flow == "device") {
        return Error{Errc::InvalidProfile, whose + ": its provider has no device flow for others than its own client; "
                                                   "take --flow browser, or let the agent log in within a mission"};
    }
    plan.client.name = plan.account.catalog;
    plan.client.token_endpoint = plan.login->token_endpoint;
    plan.client.revocation_endpoint = plan.login->revocation_endpoint;
    plan.client.authorization_endpoint = plan.login->authorization_endpoint;
    plan.client.client_id = plan.login->client_id;
    plan.flow = ConsentFlow::Browser;
    plan.question.scopes = options.scopes.empty() ? plan.login->scopes : options.scopes;
    std::sort(plan.question.scopes.begin(), plan.question.scopes.end());
    SANCTUM_TRY(plan.place, place_of(*plan.login, options.port));
    return plan;
}

// --- what is asked ------------------------------------------------------------------------------------------------

Status check_types(const ConnectPlan& plan, const ConsentQuestion& question) {
    const auto& known = plan.metadata.detail_types;
    for (const DetailMembers& detail : question.details) {
        const std::string& type = detail.texts.at("type");
        if (!known || std::find(known->begin(), known->end(), type) != known->end()) continue;
        return Error{Errc::InvalidProfile, "account " + plan.account.name + ": " + plan.title() +
                                               " knows no authorization_details of type " + type};
    }
    return {};
}

Result<ConsentQuestion> make_question(const ConnectOptions& options, const ConnectPlan& plan) {
    const Account& account = plan.account;
    const profiles::ProviderAccount& provider = account.provider;
    std::vector<std::string> scopes = options.scopes;
    // What a user may let an app of GitHub's do stands in the app.
    const bool asks_scopes = provider.asks_scopes && !plan.is_github_user();
    if (!asks_scopes && plan.is_github_user() && !scopes.empty()) {
        return Error{Errc::InvalidProfile, "--scopes: a GitHub App has permissions instead, in its own settings"};
    }
    if (scopes.empty() && account.grant && asks_scopes) scopes = *account.grant;
    if (scopes.empty() && asks_scopes) {
        for (const auto& [ours, theirs] : provider.scope_names) scopes.push_back(ours);
    }
    if (scopes.empty() && asks_scopes) {
        return Error{Errc::InvalidProfile, "account " + account.name + " does not say which scopes it may have: name "
                                               "them with --scopes, or as `grant` of the account"};
    }
    const std::string& resource = provider.resource.empty() ? plan.client.resource : provider.resource;
    ConsentQuestion question{provider_scopes(provider, scopes), provider.audience, resource};
    SANCTUM_TRY(question.details, details_to_consent(account, scopes));
    SANCTUM_CHECK(check_types(plan, question));
    for (const std::string& scope : question.scopes) {
        const bool is_scope = std::all_of(scope.begin(), scope.end(), [](char c) {
            return c > 0x20 && c < 0x7f && c != '"' && c != '\\';
        });
        if (!is_scope || scope.empty()) return Error{Errc::InvalidProfile, "--scopes: a scope has no blanks or quotes"};
    }
    // A connection of Token Vault is asked for refresh tokens by the tenant itself.
    const auto& known = plan.metadata.scopes;
    if (!plan.is_token_vault() && known && std::find(known->begin(), known->end(), "offline_access") != known->end()) {
        question.scopes.emplace_back("offline_access");
        std::sort(question.scopes.begin(), question.scopes.end());
        question.scopes.erase(std::unique(question.scopes.begin(), question.scopes.end()), question.scopes.end());
    }
    return question;
}

}  // namespace

ConsentQuestion login_question(const ConnectPlan& plan) {
    return {{kConnectScope, "offline_access", "openid"}, my_account_audience(plan.client.issuer), ""};
}

Result<ConnectPlan> plan_connection(const ConnectOptions& options, const OperatorConfig& config, ProviderTalk& talk) {
    ConnectPlan plan;
    SANCTUM_TRY(plan.account, find_connectable(config, options.account));
    if (plan.account.source == "login") {
        SANCTUM_TRY(plan, plan_login(options, std::move(plan)));
        SANCTUM_CHECK(talk.reach(hosts_of(plan.client), config.upstream));
        return plan;
    }
    plan.place.port = options.port;
    plan.client = client_of(config, plan.account);
    SANCTUM_TRY(Discovered found, discover(talk, config.upstream, plan.client));
    plan.client = std::move(found.client);
    plan.metadata = std::move(found.metadata);
    SANCTUM_TRY(plan.flow, choose_flow(options, plan));
    SANCTUM_TRY(plan.question, make_question(options, plan));
    SANCTUM_CHECK(talk.reach(hosts_of(plan.client), config.upstream));
    return plan;
}

}  // namespace sanctum::vault
