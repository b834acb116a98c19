// SPDX-License-Identifier: Apache-2.0
#include "vault/make_sources.hpp"

#include "base/limits.hpp"
#include "profiles/schema/owned_file.hpp"
#include "vault/changing_item.hpp"
#include "vault/http/provider_talk.hpp"
#include "vault/oauth/discovery.hpp"
#include "vault/oauth/identity.hpp"
#include "vault/oauth/subject_token.hpp"
#include "vault/oauth/token_endpoint.hpp"
#include "vault/sources/auth0.hpp"
#include "vault/sources/aws_sts.hpp"
#include "vault/sources/command.hpp"
#include "vault/sources/file.hpp"
#include "vault/sources/github_app.hpp"
#include "vault/sources/github_user.hpp"
#include "vault/sources/google.hpp"
#include "vault/sources/kubernetes.hpp"
#include "vault/sources/local.hpp"
#include "vault/sources/login.hpp"
#include "vault/sources/oauth.hpp"
#include "vault/sources/openbao.hpp"
#include "vault/sources/rotate.hpp"
#include "vault/unlock.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <sys/stat.h>
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

Status check_command(const Account& account, const std::vector<std::string>& command) {
    if (command.empty() || !command.front().starts_with('/')) {
        return Error{Errc::InvalidProfile,
                     "account " + account.name + ": command must name a program by its full path"};
    }
    if (::access(command.front().c_str(), X_OK) != 0) {
        return Error{Errc::NotFound, "account " + account.name + ": " + command.front() +
                                         " is not there or cannot be executed"};
    }
    return {};
}

Status check_file(const Account& account) {
    const Result<UniqueFd> file = profiles::open_owned_file(account.file, profiles::Secrecy::Private);
    if (!file) return Error(file.error()).in("account " + account.name);
    return {};
}

// Collects what the helper is to run or to read, forks it, and makes the sources that ask it.
class HelperSources {
public:
    HelperSources(const MissionStart& start, const Clock& clock, Sources& sources)
        : start_(start), clock_(clock), sources_(sources) {}

    static bool is_for(const Account& account) {
        return account.source == "command" || account.source == "rotate" || account.source == "file";
    }

    Status add_all(const Accounts& accounts, PollLoop& loop) {
        std::map<const Account*, AccountCommands> places;
        for (const Account* account : accounts) {
            if (!is_for(*account)) continue;
            SANCTUM_TRY(places[account], collect(*account));
        }
        if (commands_.empty()) return {};
        SANCTUM_TRY(runner_, CommandRunner::start(std::move(commands_), kCommandTimeout, loop));
        for (const auto& [account, place] : places) {
            sources_[account->name] = {account->source, account->username, make(*account, place)};
        }
        return {};
    }

private:
    Result<AccountCommands> collect(const Account& account) {
        AccountCommands places;
        if (account.source == "file") {
            SANCTUM_CHECK(check_file(account));
            places.print = add({{}, {}, {}, account.file});
            return places;
        }
        SANCTUM_CHECK(check_command(account, account.command));
        const std::string scopes = account.source == "command" ? "SANCTUM_SCOPES" : "";
        places.print = add({account.command, environment_of(account), scopes, {}});
        if (account.give_back.empty() && account.source == "command") return places;
        SANCTUM_CHECK(check_command(account, account.give_back));
        places.give_back = add({account.give_back, environment_of(account), "SANCTUM_HANDLE", {}});
        return places;
    }

    std::uint32_t add(Command command) {
        commands_.push_back(std::move(command));
        return static_cast<std::uint32_t>(commands_.size() - 1);
    }

    [[nodiscard]] std::vector<std::string> environment_of(const Account& account) const {
        return environment_of_account(start_.mission.id, account.name);
    }

    std::unique_ptr<Source> make(const Account& account, AccountCommands places) {
        if (account.source == "file") return std::make_unique<FileSource>(runner_, places.print, account.file);
        if (account.source == "rotate") return std::make_unique<RotateSource>(runner_, places, clock_, account);
        return std::make_unique<CommandSource>(runner_, places, clock_, account);
    }

    const MissionStart& start_;
    const Clock& clock_;
    Sources& sources_;
    std::vector<Command> commands_;
    std::shared_ptr<CommandRunner> runner_;
};

std::unique_ptr<Source> source_of_value(std::string_view value) {
    if (value.ends_with('\n')) value.remove_suffix(1);
    return std::make_unique<LocalSource>(LockedBytes(value));
}

// The launcher took the variable out of its environment before anything else was started, and hands it over here.
Result<std::unique_ptr<Source>> take_variable(const MissionStart& start, const Account& account) {
    if (!start.variables) {
        return Error{Errc::NotFound, "account " + account.name + ": the launcher brought no variables"};
    }
    struct stat status {};
    if (::fstat(start.variables.get(), &status) != 0) return io_error("variables");
    LockedBytes bytes(std::min(static_cast<std::size_t>(status.st_size), kMemfdBytesMax));
    const ssize_t size = ::pread(start.variables.get(), bytes.data(), bytes.size(), 0);
    if (size < 0) return io_error("variables");
    const std::string_view all = bytes.reveal().substr(0, static_cast<std::size_t>(size));
    const std::string wanted = account.variable + "=";
    std::string_view value;
    for (std::size_t begin = 0; begin < all.size() && value.empty();) {
        const std::size_t end = std::min(all.find('\0', begin), all.size());
        const std::string_view entry = all.substr(begin, end - begin);
        if (entry.starts_with(wanted)) value = entry.substr(wanted.size());
        begin = end + 1;
    }
    if (value.empty()) {
        return Error{Errc::NotFound, "account " + account.name + ": the variable " + account.variable + " is not set"};
    }
    return source_of_value(value);
}

// systemd made the file for this service alone and takes it away with it; it never changes meanwhile.
Result<std::unique_ptr<Source>> take_credential(const Account& account) {
    const std::string place = "account " + account.name;
    const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
    if (folder == nullptr || *folder != '/') {
        return Error{Errc::NotFound, place + ": CREDENTIALS_DIRECTORY is not set (start Sanctum from a unit with "
                                             "LoadCredential=" + account.credential + ":PATH)"};
    }
    const std::string file = std::string(folder) + "/" + account.credential;
    const Result<UniqueFd> fd = profiles::open_owned_file(file, profiles::Secrecy::Unit);
    if (!fd && fd.error().code == Errc::NotFound) {
        return Error{Errc::NotFound, place + ": the unit has no credential `" + account.credential +
                                         "` (add LoadCredential=" + account.credential + ":PATH to it)"};
    }
    if (!fd) return Error(fd.error()).in(place);
    LockedBytes bytes(kCredentialBytesMax + 2);
    const ssize_t size = ::pread(fd->get(), bytes.data(), bytes.size(), 0);
    if (size < 0) return io_error("read " + file).in(place);
    return source_of_value(bytes.reveal().substr(0, static_cast<std::size_t>(size)));
}

bool is_handed_over(const Account& account) { return account.source == "environment" || account.source == "systemd"; }

Status add_handed_over(const MissionStart& start, const Accounts& accounts, Sources& sources) {
    for (const Account* account : accounts) {
        if (!is_handed_over(*account)) continue;
        Result<std::unique_ptr<Source>> source =
            account->source == "environment" ? take_variable(start, *account) : take_credential(*account);
        if (!source) return std::move(source).error();
        sources[account->name] = {account->source, account->username, std::move(*source)};
    }
    return {};
}

bool is_github_user(const Account& account) {
    return account.source == "github-app" && !account.provider.client.empty();
}

bool has_client(const Account& account) {
    return account.source == "auth0" || account.source == "oauth" || is_github_user(account);
}

// Of the sources that have one server and no client of the operator's; empty for the others.
std::string server_of(const Account& account) {
    if (account.source == "github-app" || account.source == "aws-sts") return account.provider.api;
    if (account.source == "openbao") return account.bao.address;
    return account.source == "kubernetes" ? account.kubernetes.server : "";
}

bool is_client_of(const profiles::IdentityClient& client, const Account& account) {
    return client.name == account.provider.client && client.is_tenant == (account.source == "auth0");
}

// The client that an account of auth0 or oauth names; the configuration's reader has seen to it that there is one.
Result<const profiles::IdentityClient*> client_of(const profiles::VaultConfig& config, const Account& account) {
    for (const profiles::IdentityClient& client : config.clients) {
        if (is_client_of(client, account)) return &client;
    }
    return Error{Errc::InvalidProfile, "account " + account.name + ": its tenant or provider is missing"};
}

// How an account whose source is a login logs in: as the catalog entry of its services says.
Result<const profiles::Login*> login_of(const profiles::Mission& mission, const Account& account) {
    for (const profiles::Service& service : mission.services) {
        if (service.account == account.name && service.login) return &*service.login;
    }
    return Error{Errc::InvalidProfile, "account " + account.name + ": its catalog entry names no token endpoint"};
}

bool captures_login(const profiles::Mission& mission, const Account& account) {
    return std::any_of(mission.services.begin(), mission.services.end(), [&](const profiles::Service& service) {
        return service.account == account.name && service.captures_login;
    });
}

Result<std::vector<ProviderHost>> provider_hosts(const MissionStart& start, const Accounts& accounts) {
    const profiles::VaultConfig& config = start.config;
    std::set<std::pair<std::string, std::uint16_t>> hosts;
    const auto add = [&](const std::string& url) {
        if (url.empty()) return;
        const ProviderHost host = provider_host(url);
        hosts.emplace(host.name, host.port);
    };
    for (const Account* account : accounts) {
        add(server_of(*account));
        if (account->source == "google") {
            add(std::string(kGoogleTokenEndpoint));
            add(std::string(kGoogleRevocationEndpoint));
            if (!account->provider.boundary.empty()) add(std::string(kGoogleExchangeEndpoint));
        }
        if (account->source == "login") {
            SANCTUM_TRY(const profiles::Login* login, login_of(start.mission, *account));
            add(login->token_endpoint);
            add(login->revocation_endpoint);
        }
        if (!has_client(*account)) continue;
        SANCTUM_TRY(const profiles::IdentityClient* client, client_of(config, *account));
        add(client->token_endpoint);
        add(client->revocation_endpoint);
        add(client->introspection_endpoint);
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
        else if (is_github_user(account)) added = add_github_user(account);
        else if (account.source == "github-app") added = add_github_app(account);
        else if (account.source == "aws-sts") added = add_aws_sts(account);
        else if (account.source == "openbao") added = add_server_source<OpenbaoSource>(account);
        else if (account.source == "kubernetes") added = add_server_source<KubernetesSource>(account);
        else if (account.source == "google") added = add_google(account);
        else if (account.source == "login") added = add_login(account);
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
        if (!account.provider.mission_token_type.empty()) {
            out_.replaces_items = true;
            keep(account, std::make_unique<Auth0Source>(
                              tenant, account,
                              std::make_shared<SubjectToken>(store_.changing(account.item), loop_, clock_)));
            return {};
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
        Account asking = account;
        if (asking.provider.resource.empty()) asking.provider.resource = provider->identity().client().resource;
        keep(account, std::make_unique<OauthSource>(provider, std::move(asking), std::move(subject)));
        return {};
    }

    // Where the agent may log in by itself, nobody needs to have done it before.
    Status add_login(const Account& account) {
        SANCTUM_TRY(const profiles::Login* login, login_of(start_.mission, account));
        const Result<Secret> item = store_.item(account.item);
        if (!item && !captures_login(start_.mission, account)) {
            return Error{Errc::NotFound, item.error().what + "; or log in with `sanctum connect " + account.name + "`"};
        }
        std::shared_ptr<SubjectToken> stored;
        if (item) {
            stored = std::make_shared<SubjectToken>(store_.changing(account.item), loop_, clock_);
            out_.replaces_items = true;
        }
        keep(account, std::make_unique<LoginSource>(*out_.providers, clock_, account, *login, std::move(stored)));
        return {};
    }

    Status add_github_user(const Account& account) {
        SANCTUM_TRY(const auto github, endpoint_of(account));
        SANCTUM_TRY(const Secret value, store_.item(account.item));  // missing ones are found at the start
        out_.replaces_items = true;
        keep(account, std::make_unique<GithubUserSource>(
                          *out_.providers, clock_, github, account,
                          std::make_shared<SubjectToken>(store_.changing(account.item), loop_, clock_)));
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

    Status add_google(const Account& account) {
        const auto item = [this](const std::string& name) { return store_.item(name); };
        SANCTUM_TRY(Identity identity, Identity::create(google_client(account), item));
        const auto google = std::make_shared<TokenEndpoint>(*out_.providers, clock_, std::move(identity));
        SANCTUM_TRY(const Secret value, store_.item(account.item));
        if (account.provider.how == "service-account") {
            Result<ServiceAccount> robot = ServiceAccount::parse(value);
            if (!robot) return std::move(robot).error().in("store item `" + account.item + "`");
            keep(account, std::make_unique<GoogleSource>(google, *out_.providers, account, std::move(*robot)));
            return {};
        }
        auto refresh_token = std::make_shared<SubjectToken>(store_.changing(account.item), loop_, clock_);
        out_.replaces_items = true;
        keep(account, std::make_unique<GoogleSource>(google, *out_.providers, account, std::move(refresh_token)));
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
        if (client->certificate_bound) {
            const WallTime ends{start_.message.ends_unix_ms};
            SANCTUM_CHECK(endpoint->bind_to_certificate("Sanctum mission " + start_.mission.id, ends));
        }
        if (!client->dpop) return endpoint;
        SANCTUM_TRY(dpop::Key key, dpop::Key::generate());
        endpoint->bind_to(std::move(key));
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
    SANCTUM_TRY(const std::vector<ProviderHost> hosts, provider_hosts(start, accounts));
    if (hosts.empty()) return {};
    const network::RootCertificates roots = network::find_root_certificates();
    SANCTUM_TRY(sources.providers, ProviderClient::start(hosts, start.config.upstream, roots, loop, clock));
    for (const std::string& path : roots.readable) sources.paths.push_back({path, AllowedPath::Access::Read});
    return {};
}

std::string folder_of(const std::string& path) { return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1)); }

}  // namespace

Status find_providers(MissionStart& start, int launcher_fd, const Clock& clock) {
    SANCTUM_TRY(const Accounts accounts, accounts_in_use(start));
    std::optional<ProviderTalk> talk;
    for (profiles::IdentityClient& client : start.config.clients) {
        const bool is_used = std::any_of(accounts.begin(), accounts.end(), [&](const Account* account) {
            return has_client(*account) && is_client_of(client, *account);
        });
        if (!is_used || !client.token_endpoint.empty()) continue;
        if (!talk) {
            talk.emplace(clock).cancel_on(launcher_fd);
            talk->give_up_at(clock.boot().plus(Milliseconds(kDiscoveryTimeout)));
        }
        Result<Discovered> found = discover(*talk, start.config.upstream, client);
        if (!found) {
            Error error = std::move(found).error();
            if (error.code == Errc::Timeout) {
                error.what += " (it is asked at each start, since its ";
                error.what += client.is_tenant ? "client shows a certificate)"
                                               : "configuration names no `token_endpoint`)";
            }
            error.code = Errc::InvalidProfile;  // nothing of it is about the store
            return error;
        }
        client = std::move(found->client);
    }
    return {};
}

Result<MissionSources> make_sources(const MissionStart& start, int launcher_fd, PollLoop& loop, const Clock& clock) {
    SANCTUM_TRY(const Accounts accounts, accounts_in_use(start));
    MissionSources sources;
    // Helpers first: none of them may ever have seen the store's memory, or another secret.
    SANCTUM_CHECK(HelperSources(start, clock, sources.accounts).add_all(accounts, loop));
    SANCTUM_CHECK(start_providers(start, accounts, loop, clock, sources));
    SANCTUM_CHECK(add_handed_over(start, accounts, sources.accounts));
    const auto is_login_without_item = [](const Account* account) {
        return account->source == "login" && account->item.empty();
    };
    for (const Account* account : accounts) {
        if (!is_login_without_item(account)) continue;
        SANCTUM_TRY(const profiles::Login* login, login_of(start.mission, *account));
        sources.accounts[account->name] = {
            account->source, account->username,
            std::make_unique<LoginSource>(*sources.providers, clock, *account, *login, nullptr)};
    }
    const auto needs_store = [&](const Account* account) {
        return !HelperSources::is_for(*account) && !is_handed_over(*account) && !is_login_without_item(account);
    };
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
