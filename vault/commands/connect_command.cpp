// SPDX-License-Identifier: Apache-2.0
#include "vault/commands/connect_command.hpp"

#include "base/limits.hpp"
#include "base/places.hpp"
#include "profiles/schema/consent_record.hpp"
#include "vault/changing_item.hpp"
#include "vault/commands/consent_flows.hpp"
#include "vault/commands/start_browser.hpp"
#include "vault/commands/store_context.hpp"
#include "vault/mission_lock.hpp"
#include "vault/oauth/scope_check.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sanctum::vault {
namespace {

using profiles::Account;
using profiles::IdentityClient;
using profiles::OperatorConfig;

struct ConnectOptions {
    StoreChoice choice;
    std::string account;
    std::vector<std::string> scopes;
    std::string flow;
    bool has_no_browser = false;
    std::uint16_t port = 0;
    bool is_dry = false;
};

enum class Flow { Device, Browser };

void say(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}

std::string words_of(const std::vector<std::string>& scopes) {
    return scopes.empty() ? "no scopes (the provider decides)" : join_scopes(scopes);
}

// --- which account ------------------------------------------------------------------------------------------------

// Why it cannot be connected here, with what to do instead; empty: it can.
std::string why_not(const Account& account) {
    if (account.source == "oauth") {
        if (account.provider.how == "refresh-token") return {};
        if (account.provider.how == "client-credentials") return "its client needs nobody's consent; just use it";
        return "it exchanges a token of yours: put that into the store with `sanctum vault add " + account.item + "`";
    }
    if (account.source == "auth0") {
        return "Token Vault takes the user's consent itself: the user connects `" + account.provider.connection +
               "` in an application of the tenant that uses Connected Accounts (/me/v1/connected-accounts/connect), "
               "and the user's Auth0 token goes into the store with `sanctum vault add " + account.item + "`";
    }
    if (account.source == "github-app") return "install the app for the repositories in its settings at GitHub";
    return "its source is `" + account.source + "`, which knows no consent";
}

std::string connectable(const OperatorConfig& config) {
    std::string names;
    for (const Account& account : config.accounts) {
        if (why_not(account).empty()) names += (names.empty() ? "" : ", ") + account.name;
    }
    return names.empty() ? "no account of the configuration can be connected: one needs source = \"oauth\""
                         : "accounts that can be connected: " + names;
}

Result<Account> find_connectable(const OperatorConfig& config, const std::string& name) {
    const auto found = std::find_if(config.accounts.begin(), config.accounts.end(),
                                    [&](const Account& account) { return account.name == name; });
    if (found == config.accounts.end()) {
        std::string shown;
        wire::append_json_string(shown, name);
        return Error{Errc::InvalidProfile, "there is no account " + shown + "; " + connectable(config)};
    }
    const std::string problem = why_not(*found);
    if (problem.empty()) return *found;
    return Error{Errc::InvalidProfile, "account " + name + " is not connected here: " + problem};
}

IdentityClient client_of(const OperatorConfig& config, const Account& account) {
    const auto found = std::find_if(config.clients.begin(), config.clients.end(), [&](const IdentityClient& client) {
        return !client.is_tenant && client.name == account.provider.client;
    });
    SANCTUM_ASSERT(found != config.clients.end());  // the configuration's reader has seen to it
    return *found;
}

// --- what the provider says about itself --------------------------------------------------------------------------

Result<ServerMetadata> discover(ProviderTalk& talk, const IdentityClient& client) {
    const std::string title = "provider " + client.name;
    for (const std::string& url : metadata_urls(client.issuer)) {
        HttpRequest request;
        request.method = "GET";
        request.url = url;
        request.headers = {{"accept", "application/json"}};
        request.repeat = Repeat::Safe;
        SANCTUM_TRY(const HttpResponse response, ask_provider(talk, title, std::move(request)));
        if (response.status != 200) continue;
        Result<ServerMetadata> metadata = read_server_metadata(response, client.issuer);
        if (!metadata) return std::move(metadata).error().in(title);
        return metadata;
    }
    return ServerMetadata{};
}

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

Result<Flow> choose_flow(const ConnectOptions& options, const IdentityClient& client) {
    const bool has_device = !client.device_authorization_endpoint.empty();
    const bool has_code = !client.authorization_endpoint.empty();
    const auto missing = [&](const std::string& key) {
        return Error{Errc::InvalidProfile, "provider " + client.name + " has no " + key +
                                               " in its metadata; if it knows one, write it below [provider." +
                                               client.name + "]" + (client.issuer.empty() ? ", or its `issuer`" : "")};
    };
    if (options.flow == "device") return has_device ? Result<Flow>(Flow::Device) : missing("device_authorization_endpoint");
    if (options.flow == "browser") return has_code ? Result<Flow>(Flow::Browser) : missing("authorization_endpoint");
    if (!has_device && !has_code) return missing("authorization_endpoint and no device_authorization_endpoint");
    const bool can_start = !options.has_no_browser && has_browser();
    return has_code && (can_start || !has_device) ? Flow::Browser : Flow::Device;
}

// --- what is asked ------------------------------------------------------------------------------------------------

Result<ConsentQuestion> make_question(const ConnectOptions& options, const Account& account,
                                      const ServerMetadata& metadata) {
    const profiles::ProviderAccount& provider = account.provider;
    std::vector<std::string> scopes = options.scopes;
    if (scopes.empty() && account.grant) scopes = *account.grant;
    if (scopes.empty()) {
        for (const auto& [ours, theirs] : provider.scope_names) scopes.push_back(ours);
    }
    if (scopes.empty() && provider.asks_scopes) {
        return Error{Errc::InvalidProfile, "account " + account.name + " does not say which scopes it may have: name "
                                               "them with --scopes, or as `grant` of the account"};
    }
    ConsentQuestion question{provider_scopes(provider, scopes), provider.audience, provider.resource};
    for (const std::string& scope : question.scopes) {
        const bool is_scope = std::all_of(scope.begin(), scope.end(), [](char c) {
            return c > 0x20 && c < 0x7f && c != '"' && c != '\\';
        });
        if (!is_scope || scope.empty()) return Error{Errc::InvalidProfile, "--scopes: a scope has no blanks or quotes"};
    }
    const auto& known = metadata.scopes;
    if (known && std::find(known->begin(), known->end(), "offline_access") != known->end()) {
        question.scopes.emplace_back("offline_access");
        std::sort(question.scopes.begin(), question.scopes.end());
        question.scopes.erase(std::unique(question.scopes.begin(), question.scopes.end()), question.scopes.end());
    }
    return question;
}

// --- the command --------------------------------------------------------------------------------------------------

// One account from its name to its token in the store; the steps are those of run().
class Connecting {
public:
    Connecting(const ConnectOptions& options, StoreContext context)
        : options_(options), context_(std::move(context)), talk_(clock_) {}

    Status run(const OperatorConfig& config);

private:
    Status learn(const OperatorConfig& config);
    void announce() const;
    Status unlock();
    [[nodiscard]] Result<TokenAnswer> consent();
    Status keep(const TokenAnswer& answer);
    Status write_item(const Secret& token);
    void take_back(const Secret& token, std::string_view hint);
    void report(const TokenAnswer& answer) const;

    const ConnectOptions& options_;
    StoreContext context_;
    SystemClock clock_;
    ProviderTalk talk_;
    Account account_;
    IdentityClient client_;
    ServerMetadata metadata_;
    ConsentQuestion question_;
    Flow flow_ = Flow::Device;
    std::shared_ptr<const LockedBytes> key_;
    std::optional<TokenEndpoint> endpoint_;
};

Status Connecting::run(const OperatorConfig& config) {
    SANCTUM_TRY(account_, find_connectable(config, options_.account));
    client_ = client_of(config, account_);
    SANCTUM_CHECK(load_store(context_.path()));
    SANCTUM_CHECK(context_.take_signals());
    talk_.cancel_on(context_.signals());
    SANCTUM_CHECK(learn(config));
    announce();
    if (options_.is_dry) return {};
    // The dialler of this process is made; from here on there are secrets in it.
    SANCTUM_CHECK(unlock());
    SANCTUM_TRY(const TokenAnswer answer, consent());
    if (answer.refresh_token.is_empty()) {
        take_back(answer.access_token, "access_token");
        return Error{Errc::Denied, "provider " + client_.name + " gave no refresh token, so nothing was stored: switch "
                                       "refresh tokens (grant type refresh_token, offline access) on for client " +
                                       client_.client_id + " there"};
    }
    if (Status kept = keep(answer); !kept) {
        take_back(answer.refresh_token, "refresh_token");
        return std::move(kept).error().in("the new refresh token was not stored");
    }
    report(answer);
    return {};
}

Status Connecting::learn(const OperatorConfig& config) {
    if (!client_.issuer.empty()) {
        SANCTUM_CHECK(talk_.reach({provider_host(client_.issuer)}, config.upstream));
        SANCTUM_TRY(metadata_, discover(talk_, client_));
        Result<IdentityClient> complete = complete_client(client_, metadata_);
        if (!complete) return std::move(complete).error().in("provider " + client_.name);
        client_ = std::move(*complete);
    }
    SANCTUM_TRY(flow_, choose_flow(options_, client_));
    SANCTUM_TRY(question_, make_question(options_, account_, metadata_));
    return talk_.reach(hosts_of(client_), config.upstream);
}

void Connecting::announce() const {
    say("Account " + account_.name + " (" + account_.catalog + ") at provider " + client_.name + ", client " +
        client_.client_id);
    say("  asks for   " + words_of(question_.scopes));
    say("  stores     the refresh token, sealed, as item `" + account_.item + "` of " + context_.path() +
        " (what is there is replaced)");
    say("  notes      when and with which scopes, without any secret, in " +
        profiles::consent_record_path(context_.path(), account_.name));
    say(std::string("  by         ") + (flow_ == Flow::Device ? "the device flow (RFC 8628)"
                                                               : "a browser on this machine (RFC 8252)"));
}

Status Connecting::unlock() {
    SANCTUM_TRY(const SealedBytes sealed, load_store(context_.path()));
    Result<LockedBytes> key = context_.open(sealed);
    if (!key) {
        Error error = std::move(key).error();
        if (error.code == Errc::Timeout) error.code = Errc::NotPermitted;  // nobody typed the passphrase
        return error;
    }
    key_ = std::make_shared<const LockedBytes>(std::move(*key));
    Result<StoredItems> items = open_store(sealed, *key_);
    if (!items) return std::move(items).error().in(context_.path());
    const auto lookup = [&](const std::string& item) -> Result<Secret> {
        const auto found = items->find(item);
        if (found != items->end()) return Secret(found->second.value.reveal());
        return Error{Errc::NotFound, context_.path() + " has no item `" + item + "`, the client's secret (add it with "
                                         "`sanctum vault add " + item + "`)"};
    };
    SANCTUM_TRY(Identity identity, Identity::create(client_, lookup));
    endpoint_.emplace(talk_.http(), clock_, std::move(identity));
    return {};
}

Result<TokenAnswer> Connecting::consent() {
    const ConsentParts parts{talk_, *endpoint_, client_, metadata_, question_, account_.name};
    if (flow_ == Flow::Device) return consent_by_device(parts);
    return consent_by_browser(parts, {!options_.has_no_browser, options_.port});
}

// Under the lock that every user of the token takes: a mission that is using the old one would write its successor
// over ours.
Status Connecting::write_item(const Secret& token) {
    const ChangingItem item(context_.path(), key_, account_.item);
    const BootTime give_up = clock_.boot().plus(Milliseconds(kSubjectLockTimeout));
    Result<UniqueFd> lock = lock_file(item.lock_path(), Wait::No);
    while (!lock && lock.error().code == Errc::Timeout && clock_.boot() < give_up) {
        SANCTUM_CHECK(talk_.wait([] { return false; }, clock_.boot().plus(Milliseconds(kSubjectLockPause))));
        lock = lock_file(item.lock_path(), Wait::No);
    }
    if (!lock) return std::move(lock).error();
    return change_store(context_.path(), *key_, [&](StoredItems& items) -> Result<Change> {
        StoredItem stored{clock_.wall().unix_ms, "refresh token of account " + account_.name,
                          LockedBytes(token.reveal())};
        items.insert_or_assign(account_.item, std::move(stored));
        return Change::Write;
    });
}

Status Connecting::keep(const TokenAnswer& answer) {
    SANCTUM_CHECK(write_item(answer.refresh_token));
    profiles::ConsentRecord record;
    record.account = account_.name;
    record.provider = "provider " + client_.name;
    record.client_id = client_.client_id;
    record.item = account_.item;
    record.flow = flow_ == Flow::Device ? "device" : "browser";
    record.connected_unix_ms = clock_.wall().unix_ms;
    record.asked = question_.scopes;
    record.received = answer.scopes;
    const Status written = profiles::write_consent_record(context_.path(), record);
    // The account works without it; only `sanctum accounts` knows less.
    if (!written) std::fprintf(stderr, "sanctum connect: note: %s\n", written.error().what.c_str());
    return {};
}

// Made for us and of no use: it does not stay, as far as the provider can do that.
void Connecting::take_back(const Secret& token, std::string_view hint) {
    const auto outcome = std::make_shared<std::optional<RetireOutcome>>();
    endpoint_->revoke(token, hint, [outcome](RetireOutcome end) { outcome->emplace(std::move(end)); });
    const Result<bool> waited = talk_.wait([&] { return outcome->has_value(); }, std::nullopt);
    const bool is_gone = waited && *waited && (*outcome)->end == RetireOutcome::End::Gone;
    if (is_gone) return;
    std::fprintf(stderr, "sanctum connect: note: the token that was made could not be revoked; it ends at its own time, "
                         "or when the consent is withdrawn at the provider\n");
}

void Connecting::report(const TokenAnswer& answer) const {
    say("Connected: account " + account_.name + " has its refresh token.");
    if (!answer.scopes) {
        say("The provider did not say which scopes it gave; by RFC 6749 5.1 those that were asked for.");
        return;
    }
    const ScopeDifference difference = compare_scopes(question_.scopes, *answer.scopes);
    if (!difference.missing.empty()) {
        say("Narrower than asked: not given are " + join_scopes(difference.missing) +
            ". What needs them will be refused (scope_unavailable).");
    }
    if (!difference.beyond.empty()) {
        say("Wider than asked: given are also " + join_scopes(difference.beyond) +
            ". Missions still ask for no more than they need.");
    }
    if (difference.missing.empty() && difference.beyond.empty()) say("Given are exactly the scopes that were asked for.");
}

void describe(CLI::App& app, ConnectOptions& options) {
    app.footer("Example:\n  sanctum connect calendar --flow device");
    app.add_option("ACCOUNT", options.account, "An account of the configuration with source = \"oauth\"")->required();
    app.add_option("--scopes", options.scopes, "What to ask for, instead of the account's `grant`")->delimiter(',');
    app.add_option("--flow", options.flow, "device or browser")->check(CLI::IsMember({"device", "browser"}));
    app.add_flag("--no-browser", options.has_no_browser, "Start no browser; the address is printed either way");
    app.add_option("--port", options.port, "Port of 127.0.0.1 to come back to (a free one unless given)");
    app.add_flag("--dry-run", options.is_dry, "Only say what would be asked and stored");
    app.add_option("--config", options.choice.config, "Operator's configuration")->type_name("FILE");
    app.add_option("--store", options.choice.store, "The store, instead of the usual place")->type_name("PATH");
    app.add_option("--unlock", options.choice.unlock, "How the store opens")->type_name("HOW");
}

int connect_exit_code(const Error& error) {
    switch (error.code) {
        case Errc::InvalidProfile: return 2;
        case Errc::NotPermitted: return 4;
        case Errc::Timeout: return 5;
        case Errc::Cancelled: return 130;
        default: return 1;
    }
}

Status connect(const ConnectOptions& options) {
    const bool is_usual = options.choice.config.empty();
    const std::string path = is_usual ? places_of_this_process().configuration : options.choice.config;
    SANCTUM_TRY(const OperatorConfig config,
                profiles::load_operator_config(path, is_usual ? profiles::Missing::IsEmpty
                                                              : profiles::Missing::IsAnError));
    SANCTUM_TRY(StoreContext context, StoreContext::choose(options.choice));
    return Connecting(options, std::move(context)).run(config);
}

}  // namespace

int run_connect_command(int argc, char** argv) {
    ConnectOptions options;
    CLI::App app("Asks for a person's consent and keeps it in the sealed store", "sanctum connect");
    describe(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    const Status done = connect(options);
    if (done) return 0;
    std::fprintf(stderr, "sanctum connect: %s\n", done.error().what.c_str());
    return connect_exit_code(done.error());
}

}  // namespace sanctum::vault
