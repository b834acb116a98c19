// SPDX-License-Identifier: Apache-2.0
#include "vault/commands/connect_command.hpp"

#include "base/digest.hpp"
#include "base/limits.hpp"
#include "base/places.hpp"
#include "base/wire/archive.hpp"
#include "profiles/schema/consent_record.hpp"
#include "vault/changing_item.hpp"
#include "vault/commands/command_line.hpp"
#include "vault/commands/connect_plan.hpp"
#include "vault/commands/consent_flows.hpp"
#include "vault/mission_lock.hpp"
#include "vault/oauth/connected_account.hpp"
#include "vault/oauth/login_exchange.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/sources/github_tokens.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sanctum::vault {
namespace {

using profiles::Account;
using profiles::OperatorConfig;

void say(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}

std::string words_of(const std::vector<std::string>& scopes) {
    return scopes.empty() ? "no scopes (the provider decides)" : join_scopes(scopes);
}

// --- the command --------------------------------------------------------------------------------------------------

// One account from its name to its token in the store; the steps are those of run().
class Connecting {
public:
    Connecting(const ConnectOptions& options, StoreContext context)
        : options_(options), context_(std::move(context)), talk_(clock_) {}

    Status run(const OperatorConfig& config);

private:
    void announce() const;
    Status unlock();
    Status connect_provider();
    Status connect_login();
    Status connect_token_vault();
    [[nodiscard]] Result<Secret> my_account_token();
    [[nodiscard]] Result<TokenAnswer> consent(const ConsentQuestion& question);
    [[nodiscard]] Result<TokenAnswer> consent_and_keep(const ConsentQuestion& question);
    [[nodiscard]] Status keep(const TokenAnswer& answer);
    [[nodiscard]] Status keep_github_user(const TokenAnswer& answer);
    void note_dropped(const TokenAnswer& answer) const;
    Status write_item(const Secret& token);
    void note_consent(const std::string& flow, const std::optional<std::vector<std::string>>& received,
                      std::optional<std::map<std::string, std::string>> shown = std::nullopt);
    void take_back(const Secret& token, std::string_view hint);
    void report_details(const std::optional<std::vector<DetailMembers>>& received) const;
    void report(const std::optional<std::vector<std::string>>& received) const;
    [[nodiscard]] ConsentParts parts(const ConsentQuestion& question) {
        return {talk_, *endpoint_, plan_.client, plan_.metadata, question, plan_.account.name};
    }
    [[nodiscard]] BrowserChoice browser() const { return {!options_.has_no_browser, plan_.place}; }

    const ConnectOptions& options_;
    StoreContext context_;
    SystemClock clock_;
    ProviderTalk talk_;
    ConnectPlan plan_;
    std::shared_ptr<const LockedBytes> key_;
    std::optional<TokenEndpoint> endpoint_;
    Secret user_token_;  ///< Token Vault: the item as it is now; empty: there is none
};

Status Connecting::run(const OperatorConfig& config) {
    SANCTUM_CHECK(context_.take_signals());
    talk_.cancel_on(context_.signals());
    SANCTUM_CHECK(load_store(context_.path()));
    SANCTUM_TRY(plan_, plan_connection(options_, config, talk_));
    announce();
    if (options_.is_dry) return {};
    // The dialler of this process is made; from here on there are secrets in it.
    SANCTUM_CHECK(unlock());
    if (plan_.login) return connect_login();
    return plan_.is_token_vault() ? connect_token_vault() : connect_provider();
}

void Connecting::announce() const {
    const Account& account = plan_.account;
    const bool is_device = plan_.flow == ConsentFlow::Device;
    const std::string place = "item `" + account.item + "` of " + context_.path();
    const std::string flow = is_device ? "the device flow (RFC 8628)" : "a browser on this machine (RFC 8252)";
    say("Account " + account.name + " (" + account.catalog + ") at " + plan_.title() + ", client " +
        plan_.client.client_id);
    say("  asks for   " + words_of(plan_.question.scopes) +
        (plan_.is_token_vault() ? " of connection " + account.provider.connection : ""));
    for (const DetailMembers& detail : plan_.question.details) say("  and for    " + detail.words());
    if (plan_.is_token_vault()) {
        say("  stores     the provider's tokens in the tenant's Token Vault, and the user's Auth0 refresh token, "
            "sealed, as " + place + " where there is none that works");
        say("  by         a browser on this machine; a login before it by " + flow);
    } else {
        const std::string what = plan_.is_github_user() ? "the user's tokens" : "the refresh token";
        say("  stores     " + what + ", sealed, as " + place + " (what is there is replaced)");
        say("  by         " + flow);
    }
    say("  notes      when and with which scopes, without any secret, in " +
        profiles::consent_record_path(context_.path(), account.name));
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
    if (Result<Secret> token = lookup(plan_.account.item); token) user_token_ = std::move(*token);
    SANCTUM_TRY(Identity identity, Identity::create(plan_.client, lookup));
    endpoint_.emplace(talk_.http(), clock_, std::move(identity));
    if (plan_.client.certificate_bound) {
        // As below: for this one answer, where it is not the client's own.
        SANCTUM_CHECK(endpoint_->bind_to_certificate("Sanctum connect", clock_.wall()));
    }
    if (!plan_.client.dpop) return {};
    // A key for this one answer: the refresh token of a client that proves who it is belongs to no key (RFC 9449 5).
    SANCTUM_TRY(dpop::Key passing, dpop::Key::generate());
    endpoint_->bind_to(std::move(passing));
    return {};
}

Status Connecting::connect_provider() {
    SANCTUM_TRY(const TokenAnswer answer, consent_and_keep(plan_.question));
    note_consent(plan_.flow == ConsentFlow::Device ? "device" : "browser", answer.scopes);
    say("Connected: account " + plan_.account.name + " has its " +
        (answer.refresh_token.is_empty() ? "token." : "refresh token."));
    report(answer.scopes);
    report_details(answer.details);
    return {};
}

// The agent's own login, done outside: what it would have kept is sealed, and the note has what it will see instead.
Status Connecting::connect_login() {
    const profiles::Login& login = *plan_.login;
    const ConsentParts asked = parts(plan_.question);
    std::optional<BrowserGrant> grant;
    SANCTUM_TRY(const Secret code, wait_for_browser(asked, browser(), AnswerIn::Query, grant, [&](BrowserGrant& made) {
        return Result<std::string>(login_address(login, made, plan_.question.scopes));
    }));
    SANCTUM_TRY(const HttpResponse response, ask_provider(talk_, plan_.title(), code_request(login, *grant, code)));
    auto read = read_login_answer(response, login, {plan_.title(), plan_.account.name, "", SourceFault::ConsentLost});
    if (const auto* failure = std::get_if<SourceFailure>(&read)) return consent_error(asked, *failure);
    auto& tokens = std::get<LoginTokens>(read);
    SANCTUM_CHECK(keep(tokens.answer));
    note_consent("browser", tokens.answer.scopes, std::move(tokens.shown));
    say("Connected: account " + plan_.account.name + " is logged in; missions get the login without its tokens.");
    report(tokens.answer.scopes);
    return {};
}

// The user's token of the My Account API first, then the connection's consent, which only a browser can bring back.
Status Connecting::connect_token_vault() {
    SANCTUM_TRY(const Secret token, my_account_token());
    const std::string& connection = plan_.account.provider.connection;
    const MyAccount account{plan_.client.issuer, plan_.client.client_id, token};
    const ConsentParts asked = parts(plan_.question);
    std::optional<BrowserGrant> grant;
    ConnectBegun begun;
    const auto begin = [&](BrowserGrant& made) -> Result<std::string> {
        made.code_name = "connect_code";
        made.sends_issuer = false;  // it is no answer of the authorization endpoint
        HttpRequest request = connect_request(account, connection, plan_.question.scopes, made);
        SANCTUM_TRY(const HttpResponse response, ask_provider(talk_, plan_.title(), std::move(request)));
        SANCTUM_TRY(begun, read_connect_answer(response, account, connection));
        return begun.address;
    };
    SANCTUM_TRY(const Secret code, wait_for_browser(asked, browser(), AnswerIn::Fragment, grant, begin));
    SANCTUM_TRY(const HttpResponse response,
                ask_provider(talk_, plan_.title(), complete_request(account, begun, code, *grant)));
    SANCTUM_TRY(const auto scopes, read_complete_answer(response, account, connection));
    note_consent("browser", scopes);
    say("Connected: the tenant's Token Vault has " + connection + " for account " + plan_.account.name + ".");
    if (!plan_.question.scopes.empty()) report(scopes);
    return {};
}

Result<Secret> Connecting::my_account_token() {
    const ConsentQuestion login = login_question(plan_);
    if (!user_token_.is_empty()) {
        SANCTUM_TRY(TokenOutcome outcome,
                    ask_for_token(parts(login), my_account_form(plan_.client.issuer, user_token_)));
        if (auto* answer = std::get_if<TokenAnswer>(&outcome)) {
            note_dropped(*answer);
            return std::move(answer->access_token);
        }
        const auto& failure = std::get<SourceFailure>(outcome);
        if (failure.error != "invalid_grant") return consent_error(parts(login), failure);
        say("The user's Auth0 token in the store is dead: a new login is needed.");
    } else {
        say("The store has no Auth0 token of the user yet: a login comes first.");
    }
    SANCTUM_TRY(TokenAnswer answer, consent_and_keep(login));
    say("The user is logged in; now the account itself.");
    return std::move(answer.access_token);
}

Result<TokenAnswer> Connecting::consent(const ConsentQuestion& question) {
    if (plan_.flow == ConsentFlow::Device) return consent_by_device(parts(question));
    return consent_by_browser(parts(question), browser());
}

Result<TokenAnswer> Connecting::consent_and_keep(const ConsentQuestion& question) {
    SANCTUM_TRY(TokenAnswer answer, consent(question));
    SANCTUM_CHECK(keep(answer));
    return answer;
}

Status Connecting::keep(const TokenAnswer& answer) {
    if (plan_.is_github_user()) return keep_github_user(answer);
    if (answer.refresh_token.is_empty()) {
        take_back(answer.access_token, "access_token");
        return Error{Errc::Denied, plan_.title() + " gave no refresh token, so nothing was stored: switch refresh "
                                                   "tokens (grant type refresh_token, offline access) on for client " +
                                       plan_.client.client_id + " there"};
    }
    if (Status kept = write_item(answer.refresh_token); !kept) {
        take_back(answer.refresh_token, "refresh_token");
        return std::move(kept).error().in("the new refresh token was not stored");
    }
    note_dropped(answer);
    return {};
}

// Both, as a mission's refresh writes them: the first mission uses the token that came along, and none is dropped.
Status Connecting::keep_github_user(const TokenAnswer& answer) {
    // An app whose users' tokens do not run out gives no other.
    if (answer.refresh_token.is_empty()) return write_item(answer.access_token);
    GithubTokens tokens{answer.access_token.duplicate(), answer.refresh_token.duplicate(), std::nullopt};
    if (answer.expires_in) tokens.ends = WallTime{endpoint_->provider_time().unix_ms + answer.expires_in->count()};
    const Secret item = github_item(tokens);
    Status kept = Error{Errc::Protocol, plan_.title() + " gave no usable tokens"};
    if (parse_github_item(item)) kept = write_item(item);
    if (kept) return {};
    take_back(answer.access_token, "access_token");
    return std::move(kept).error().in("the user's new tokens were not stored");
}

// Only the refresh token is kept, and a provider may end that with the other (RFC 7009 2.1): it is not revoked.
void Connecting::note_dropped(const TokenAnswer& answer) const {
    const std::string thumbprint = wire::to_hex(sha256(answer.access_token.reveal()));
    const std::string ends = answer.expires_in
                                 ? format_rfc3339({clock_.wall().unix_ms + answer.expires_in->count()})
                                 : "a time that the provider did not say";
    std::fprintf(stderr, "sanctum connect: note: the access token that came along (SHA-256 %s) is dropped when this "
                         "command ends, and ends itself at %s\n", thumbprint.c_str(), ends.c_str());
}

// Under the lock that every user of the token takes: a mission that is using the old one would write its successor
// over ours.
Status Connecting::write_item(const Secret& token) {
    const std::string& name = plan_.account.item;
    const ChangingItem item(context_.path(), key_, name);
    const BootTime give_up = clock_.boot().plus(Milliseconds(kSubjectLockTimeout));
    Result<UniqueFd> lock = lock_file(item.lock_path(), Wait::No);
    while (!lock && lock.error().code == Errc::Timeout && clock_.boot() < give_up) {
        SANCTUM_CHECK(talk_.wait([] { return false; }, clock_.boot().plus(Milliseconds(kSubjectLockPause))));
        lock = lock_file(item.lock_path(), Wait::No);
    }
    if (!lock) return Error{Errc::Io, lock.error().what};
    return change_store(context_.path(), *key_, [&](StoredItems& items) -> Result<Change> {
        StoredItem stored{clock_.wall().unix_ms, "refresh token of account " + plan_.account.name,
                          LockedBytes(token.reveal())};
        items.insert_or_assign(name, std::move(stored));
        return Change::Write;
    });
}

// The account works without it; only `sanctum accounts` knows less.
void Connecting::note_consent(const std::string& flow, const std::optional<std::vector<std::string>>& received,
                              std::optional<std::map<std::string, std::string>> shown) {
    profiles::ConsentRecord record;
    record.account = plan_.account.name;
    record.provider = plan_.title();
    record.client_id = plan_.client.client_id;
    record.item = plan_.account.item;
    record.flow = flow;
    record.connected_unix_ms = clock_.wall().unix_ms;
    record.asked = plan_.question.scopes;
    record.received = received;
    record.shown = std::move(shown);
    const Status written = profiles::write_consent_record(context_.path(), record);
    if (!written) std::fprintf(stderr, "sanctum connect: note: %s\n", written.error().what.c_str());
}

// Made for us and of no use: it does not stay, as far as the provider can do that.
void Connecting::take_back(const Secret& token, std::string_view hint) {
    const auto outcome = std::make_shared<std::optional<RetireOutcome>>();
    endpoint_->revoke(token, hint, [outcome](RetireOutcome end) { outcome->emplace(std::move(end)); });
    const Result<bool> waited = talk_.wait([&] { return outcome->has_value(); }, std::nullopt);
    const bool is_gone = waited && *waited && (*outcome)->end == RetireOutcome::End::Gone;
    if (is_gone) return;
    std::fprintf(stderr, "sanctum connect: note: the token that was made could not be revoked; it ends at its own "
                         "time, or when the consent is withdrawn at the provider\n");
}

// Missions compare again, each for what it needs.
void Connecting::report_details(const std::optional<std::vector<DetailMembers>>& received) const {
    if (plan_.question.details.empty()) return;
    if (!received) return say("The provider did not say which authorization_details it gave.");
    for (const DetailMembers& detail : *received) say("Given is " + provider_words(detail.words()));
    const auto difference = check_details(plan_.account, plan_.question.details, received);
    if (difference) say("That is not what was asked for: " + provider_words(difference->what));
}

void Connecting::report(const std::optional<std::vector<std::string>>& received) const {
    if (!received) {
        say("The provider did not say which scopes it gave; by RFC 6749 5.1 those that were asked for.");
        return;
    }
    const ScopeDifference difference = compare_scopes(plan_.question.scopes, *received);
    if (!difference.missing.empty()) {
        say("Narrower than asked: not given are " + join_scopes(difference.missing) +
            ". What needs them will be refused (scope_unavailable).");
    }
    if (!difference.beyond.empty()) {
        say("Wider than asked: given are also " + join_scopes(difference.beyond) +
            ". Missions still ask for no more than they need.");
    }
    const bool is_equal = difference.missing.empty() && difference.beyond.empty();
    if (is_equal) say("Given are exactly the scopes that were asked for.");
}

void describe(CLI::App& app, ConnectOptions& options) {
    app.footer("Example:\n  sanctum connect calendar --flow device");
    app.add_option("ACCOUNT", options.account,
                   "An account with source = \"oauth\", \"auth0\", \"login\" or \"github-app\"")
        ->required();
    app.add_option("--scopes", options.scopes, "What to ask for, instead of the account's `grant`")
        ->delimiter(',')
        ->allow_extra_args(false);
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
        return end_at_command_line(app, error);
    }
    const Status done = connect(options);
    if (done) return 0;
    std::fprintf(stderr, "sanctum connect: %s\n", done.error().what.c_str());
    return connect_exit_code(done.error());
}

}  // namespace sanctum::vault
