// SPDX-License-Identifier: Apache-2.0
#include "vault/make_sources.hpp"

#include "base/limits.hpp"
#include "vault/changing_item.hpp"
#include "vault/oauth/identity.hpp"
#include "vault/oauth/subject_token.hpp"
#include "vault/oauth/token_endpoint.hpp"
#include "vault/sources/auth0.hpp"
#include "vault/sources/aws_sts.hpp"
#include "vault/sources/command.hpp"
#include "vault/sources/github_app.hpp"
#include "vault/sources/kubernetes.hpp"
#include "vault/sources/local.hpp"
#include "vault/sources/oauth.hpp"
#include "vault/sources/openbao.hpp"
#include "vault/unlock.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <unistd.h>

namespace sanctum::vault {
namespace {

using profiles::Account;
using Accounts = std::vector<const Account*>;
using Sources = std::map<std::string, AccountSource>;

const Account* find_account(const profiles::VaultConfig& config, const std::string& name) {
    for (const Account& account : config.accounts) {
        if (account.name == name) return &account;
    }
    return nullptr;
}

// Accounts that services of the mission name, each once; what else the message brought is not looked at.
Result<Accounts> accounts_in_use(const MissionStart& start) {
    std::map<std::string, const Account*> found;
    for (const profiles::Service& service : start.mission.services) {
        if (service.account.empty()) continue;
        const Account* account = find_account(start.config, service.account);
        if (account == nullptr) {
            return Error{Errc::NotFound, "service " + service.name + ": account " + service.account +
                                             " is not in the operator's configuration"};
        }
        found[account->name] = account;
    }
    Accounts out;
    for (const auto& [name, account] : found) out.push_back(account);
    return out;
}

std::map<std::string, std::string> own_environment() {
    std::map<std::string, std::string> out;
    for (const char* name : {"HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"}) {
        if (const char* value = std::getenv(name)) out[name] = value;
    }
    return out;
}

Status check_command(const Account& account) {
    if (account.command.empty() || !account.command.front().starts_with('/')) {
        return Error{Errc::InvalidProfile,
                     "account " + account.name + ": command must name a program by its full path"};
    }
    if (::access(account.command.front().c_str(), X_OK) != 0) {
        return Error{Errc::NotFound, "account " + account.name + ": " + account.command.front() +
                                         " is not there or cannot be executed"};
    }
    return {};
}

Status add_command_sources(const MissionStart& start, const Accounts& accounts, PollLoop& loop,
                           Sources& sources) {
    std::vector<Command> commands;
    for (const Account* account : accounts) {
        if (account->source != "command") continue;
        SANCTUM_CHECK(check_command(*account));
        Command command{account->command, environment_for_commands(own_environment())};
        command.environment.push_back("SANCTUM_MISSION=" + start.mission.id);
        command.environment.push_back("SANCTUM_ACCOUNT=" + account->name);
        commands.push_back(std::move(command));
    }
    if (commands.empty()) return {};
    SANCTUM_TRY(const std::shared_ptr<CommandRunner> runner,
                CommandRunner::start(std::move(commands), kCommandTimeout, loop));
    std::uint32_t index = 0;
    for (const Account* account : accounts) {
        if (account->source != "command") continue;
        sources[account->name] = {"command", account->username,
                                  std::make_unique<CommandSource>(runner, index++, account->command.front())};
    }
    return {};
}

bool has_client(const Account& account) { return account.source == "auth0" || account.source == "oauth"; }

// Of the sources that have one server and no client of the operator's; empty for the others.
std::string server_of(const Account& account) {
    if (account.source == "github-app" || account.source == "aws-sts") return account.provider.api;
    if (account.source == "openbao") return account.bao.address;
    return account.source == "kubernetes" ? account.kubernetes.server : "";
}

// The client that an account of auth0 or oauth names; the configuration's reader has seen to it that there is one.
Result<const profiles::IdentityClient*> client_of(const profiles::VaultConfig& config, const Account& account) {
    for (const profiles::IdentityClient& client : config.clients) {
        if (client.name == account.provider.client && client.is_tenant == (account.source == "auth0")) return &client;
    }
    return Error{Errc::InvalidProfile, "account " + account.name + ": its tenant or provider is missing"};
}

Result<std::vector<ProviderHost>> provider_hosts(const profiles::VaultConfig& config, const Accounts& accounts) {
    std::set<std::pair<std::string, std::uint16_t>> hosts;
    const auto add = [&](const std::string& url) {
        if (url.empty()) return;
        const ProviderHost host = provider_host(url);
        hosts.emplace(host.name, host.port);
    };
    for (const Account* account : accounts) {
        add(server_of(*account));
        if (!has_client(*account)) continue;
        SANCTUM_TRY(const profiles::IdentityClient* client, client_of(config, *account));
        add(client->token_endpoint);
        add(client->revocation_endpoint);
    }
    std::vector<ProviderHost> out;
    for (const auto& [name, port] : hosts) out.push_back({name, port});
    return out;
}

// The opened store while sources take what they need; key and other items are gone with it, before the first request.
class OpenedStore {
public:
    static Result<OpenedStore> open(const MissionStart& start, int launcher_fd) {
        UnlockMeans means;
        means.spec = start.config.unlock;
        means.terminal = start.terminal.get();
        means.cancel_fd = launcher_fd;
        if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY")) means.credentials_directory = folder;
        OpenedStore store;
        store.path_ = start.config.store;
        SANCTUM_TRY(const SealedBytes sealed, load_store(store.path_));
        SANCTUM_TRY(LockedBytes key, unlock_store(sealed, store.path_, means));
        store.key_ = std::make_shared<const LockedBytes>(std::move(key));
        Result<StoredItems> items = open_store(sealed, *store.key_);
        if (!items) return std::move(items).error().in(store.path_);
        store.items_ = std::move(*items);
        return store;
    }

    [[nodiscard]] Result<Secret> item(const std::string& name) const {
        const auto found = items_.find(name);
        if (found != items_.end()) return Secret(found->second.value.reveal());
        return Error{Errc::NotFound,
                     path_ + " has no item `" + name + "` (add it with `sanctum vault add " + name + "`)"};
    }
    [[nodiscard]] ChangingItem changing(const std::string& name) const { return {path_, key_, name}; }

private:
    std::string path_;
    std::shared_ptr<const LockedBytes> key_;
    StoredItems items_;
};

// Makes the sources that need something of the store, one account after the other.
class StoreSources {
public:
    StoreSources(const MissionStart& start, const OpenedStore& store, PollLoop& loop, const Clock& clock,
                 MissionSources& out)
        : start_(start), store_(store), loop_(loop), clock_(clock), out_(out) {}

    Status add(const Account& account) {
        Status added;
        if (account.source == "local") added = add_local(account);
        else if (account.source == "auth0") added = add_auth0(account);
        else if (account.source == "oauth") added = add_oauth(account);
        else if (account.source == "github-app") added = add_github_app(account);
        else if (account.source == "aws-sts") added = add_aws_sts(account);
        else if (account.source == "openbao") added = add_server_source<OpenbaoSource>(account);
        else if (account.source == "kubernetes") added = add_server_source<KubernetesSource>(account);
        if (!added) return std::move(added).error().in("account " + account.name);
        return {};
    }

private:
    Status add_local(const Account& account) {
        SANCTUM_TRY(const Secret value, store_.item(account.item));
        keep(account, std::make_unique<LocalSource>(LockedBytes(value.reveal())));
        return {};
    }

    Status add_auth0(const Account& account) {
        SANCTUM_TRY(const auto tenant, endpoint_of(account));
        Secret subject;
        if (!account.item.empty()) {
            SANCTUM_TRY(subject, store_.item(account.item));
        }
        keep(account, std::make_unique<Auth0Source>(tenant, account, std::move(subject)));
        return {};
    }

    Status add_oauth(const Account& account) {
        SANCTUM_TRY(const auto provider, endpoint_of(account));
        std::shared_ptr<SubjectToken> subject;
        if (!account.item.empty()) {
            SANCTUM_TRY(const Secret value, store_.item(account.item));  // missing ones are found at the start
            subject = std::make_shared<SubjectToken>(store_.changing(account.item), loop_, clock_);
            out_.replaces_items = true;
        }
        keep(account, std::make_unique<OauthSource>(provider, account, std::move(subject)));
        return {};
    }

    Status add_github_app(const Account& account) {
        SANCTUM_TRY(const Secret pem, store_.item(account.item));
        Result<SigningKey> key = SigningKey::parse(pem);
        if (!key) return std::move(key).error().in("store item `" + account.item + "`");
        keep(account, std::make_unique<GithubAppSource>(*out_.providers, clock_, account, std::move(*key)));
        return {};
    }

    Status add_aws_sts(const Account& account) {
        SANCTUM_TRY(const Secret pair, store_.item(account.item));
        const std::string place = "store item `" + account.item + "`";
        Result<sigv4::Keys> keys = sigv4::parse_keys(pair.reveal());
        if (!keys) return std::move(keys).error().in(place);
        if (!keys->session_token.is_empty()) {
            return Error{Errc::InvalidProfile,
                         place + ": keys with a session token end within hours; put a user's own key pair there"};
        }
        keep(account, std::make_unique<AwsStsSource>(*out_.providers, clock_, account, std::move(*keys),
                                                     bounds_of(start_.mission, account.name)));
        return {};
    }

    template <class ServerSource>
    Status add_server_source(const Account& account) {
        SANCTUM_TRY(Secret item, store_.item(account.item));
        keep(account, std::make_unique<ServerSource>(*out_.providers, clock_, account, std::move(item)));
        return {};
    }

    // Accounts of one client share its endpoint, and with it what was learnt about the provider's clock.
    Result<std::shared_ptr<TokenEndpoint>> endpoint_of(const Account& account) {
        SANCTUM_TRY(const profiles::IdentityClient* client, client_of(start_.config, account));
        std::shared_ptr<TokenEndpoint>& endpoint = endpoints_[client];
        if (endpoint) return endpoint;
        SANCTUM_TRY(Identity identity,
                    Identity::create(*client, [this](const std::string& item) { return store_.item(item); }));
        endpoint = std::make_shared<TokenEndpoint>(*out_.providers, clock_, std::move(identity));
        return endpoint;
    }

    void keep(const Account& account, std::unique_ptr<Source> source) {
        out_.accounts[account.name] = {account.source, account.username, std::move(source)};
    }

    const MissionStart& start_;
    const OpenedStore& store_;
    PollLoop& loop_;
    const Clock& clock_;
    MissionSources& out_;
    std::map<const profiles::IdentityClient*, std::shared_ptr<TokenEndpoint>> endpoints_;
};

Status start_providers(const MissionStart& start, const Accounts& accounts, PollLoop& loop, const Clock& clock,
                       MissionSources& sources) {
    SANCTUM_TRY(const std::vector<ProviderHost> hosts, provider_hosts(start.config, accounts));
    if (hosts.empty()) return {};
    const network::RootCertificates roots = network::find_root_certificates();
    SANCTUM_TRY(sources.providers, ProviderClient::start(hosts, start.config.upstream, roots, loop, clock));
    for (const std::string& path : roots.readable) sources.paths.push_back({path, AllowedPath::Access::Read});
    return {};
}

std::string folder_of(const std::string& path) { return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1)); }

}  // namespace

Result<MissionSources> make_sources(const MissionStart& start, int launcher_fd, PollLoop& loop, const Clock& clock) {
    SANCTUM_TRY(const Accounts accounts, accounts_in_use(start));
    MissionSources sources;
    // Helpers first: none of them may ever have seen the store's memory.
    SANCTUM_CHECK(add_command_sources(start, accounts, loop, sources.accounts));
    SANCTUM_CHECK(start_providers(start, accounts, loop, clock, sources));
    const auto needs_store = [](const Account* account) { return account->source != "command"; };
    if (std::none_of(accounts.begin(), accounts.end(), needs_store)) return sources;
    SANCTUM_TRY(const OpenedStore store, OpenedStore::open(start, launcher_fd));
    StoreSources from_store(start, store, loop, clock, sources);
    for (const Account* account : accounts) {
        if (!needs_store(account)) continue;
        SANCTUM_CHECK(from_store.add(*account));
        if (sources.accounts.contains(account->name)) continue;
        return Error{Errc::InvalidProfile, "account " + account->name + ": unknown source `" + account->source + "`"};
    }
    if (sources.replaces_items) {
        sources.paths.push_back({folder_of(start.config.store), AllowedPath::Access::ReadWrite});
    }
    return sources;
}

}  // namespace sanctum::vault
