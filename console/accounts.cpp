// SPDX-License-Identifier: Apache-2.0
// `sanctum accounts`: what each account was consented to, what profiles may use of it, and when it was last used. The
// store stays closed: a consent is shown as `sanctum connect` wrote it down beside the store.
#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "console/commands.hpp"
#include "console/load_mission.hpp"
#include "console/run_program.hpp"
#include "ledger/printable.hpp"
#include "ledger/receipt_file.hpp"
#include "profiles/schema/consent_record.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

namespace sanctum::console {
namespace {

using ledger::printable;
using profiles::Account;
using profiles::ConsentRecord;
using profiles::OperatorConfig;

// One service of a profile that a mission could run with.
struct ProfileUse {
    std::string file;
    std::string service;
    std::vector<std::string> grant;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("file", self.file);
        archive("service", self.service);
        archive("grant", self.grant);
    }
};

struct LastUse {
    std::string when;       ///< RFC 3339; empty: no use is on record
    bool is_exact = false;  ///< false: a mission that used it ended then
};

struct AccountView {
    const Account* account = nullptr;
    std::string provider;  ///< `provider corp`; empty: none is asked
    std::string client_id;
    std::optional<ConsentRecord> consent;
    std::vector<ProfileUse> uses;
    LastUse last;
};

std::string provider_of(const Account& account) {
    const bool is_github_user = account.source == "github-app" && !account.provider.client.empty();
    if (account.source == "oauth" || is_github_user) return "provider " + account.provider.client;
    if (account.source == "auth0") return "tenant " + account.provider.client;
    return account.source == "github-app" ? account.provider.api : std::string();
}

std::string client_id_of(const OperatorConfig& config, const Account& account) {
    for (const profiles::IdentityClient& client : config.clients) {
        const bool is_its = client.name == account.provider.client && client.is_tenant == (account.source == "auth0");
        if (is_its) return client.client_id;
    }
    return {};
}

// --- what profiles may use ----------------------------------------------------------------------------------------

// Shipped ones, the operator's own, and those pinned by hand; each once.
Result<std::set<std::string>> find_profiles(const Places& places) {
    std::set<std::string> files;
    for (const std::string& folder : {places.shipped + "/profiles", places.trusted_profiles}) {
        std::error_code none;
        for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
            if (entry.path().extension() == ".toml") files.insert(entry.path().string());
        }
    }
    SANCTUM_TRY(const std::vector<profiles::TrustPin> pins, profiles::list_trust(places));
    for (const profiles::TrustPin& pin : pins) files.insert(pin.path);
    return files;
}

// The uses of the accounts in profiles that would run as they are. One that does not load could not run; shipped ones
// are many and want accounts that few have, so only of others it is said.
std::multimap<std::string, ProfileUse> uses_by_account(const Console& console, const std::set<std::string>& files,
                                                       std::vector<std::string>& notes) {
    std::multimap<std::string, ProfileUse> uses;
    for (const std::string& file : files) {
        const Result<LoadedMission> loaded = load_mission(console, file);
        if (!loaded && !file.starts_with(console.places.shipped + "/")) {
            notes.push_back(file + " does not load, so nothing of it is counted (sanctum check " + file + ")");
        }
        if (!loaded) continue;
        const Result<profiles::Trust> trust = profiles::trust_of(loaded->file, console.places);
        if (!trust || *trust == profiles::Trust::Changed || *trust == profiles::Trust::Unknown) continue;
        for (const profiles::Service& service : loaded->mission.services) {
            if (!service.account.empty()) uses.emplace(service.account, ProfileUse{file, service.name, service.grant});
        }
    }
    return uses;
}

// --- when it was used ---------------------------------------------------------------------------------------------

struct JournalLine {
    std::string account;
    std::int64_t last_used_unix_ms = 0;
};

std::optional<JournalLine> read_journal_line(const std::string& line) {
    const Result<wire::JsonText> json = wire::JsonText::parse(line);
    if (!json) return std::nullopt;
    const auto account = json->root().member("account");
    const auto used = json->root().member("last_used_unix_ms");
    const auto name = account ? account->text() : std::nullopt;
    const auto when = used ? used->integer() : std::nullopt;
    if (!name || !when) return std::nullopt;
    return JournalLine{*name, *when};
}

// From the journal of leases, which vaults keep while missions run and for a time after.
Result<std::map<std::string, LastUse>> uses_of_journal(const Places& places) {
    SANCTUM_TRY(const ProgramEnd end,
                run_program(places.vault(), {"leases", "--all", "--json", "--state", places.state},
                            ErrorStream::Inherited, kReapOutputBytesMax));
    if (end.code != 0) return Error{Errc::Io, "the journal of leases cannot be read"};
    std::map<std::string, std::int64_t> latest;
    std::size_t begin = 0;
    while (begin < end.output.size()) {
        const std::size_t newline = std::min(end.output.find('\n', begin), end.output.size());
        if (const auto line = read_journal_line(end.output.substr(begin, newline - begin))) {
            std::int64_t& known = latest[line->account];
            known = std::max(known, line->last_used_unix_ms);
        }
        begin = newline + 1;
    }
    std::map<std::string, LastUse> uses;
    for (const auto& [account, unix_ms] : latest) {
        if (unix_ms > 0) uses[account] = {format_rfc3339({unix_ms}), true};
    }
    return uses;
}

// From the signed receipts, for what the journal no longer knows: not later than the end of that lease.
Status add_uses_of_receipts(const Places& places, std::map<std::string, LastUse>& uses) {
    const Result<ledger::VerifyingKey> key = ledger::VerifyingKey::load(places.ledger_public_key());
    if (!key && key.error().code == Errc::NotFound) return {};
    if (!key) return key.error();
    SANCTUM_TRY(const ledger::ReceiptChain chain, ledger::read_receipts(places.receipts(), *key));
    for (const ledger::ChainedReceipt& line : chain.receipts) {
        SANCTUM_TRY(const ledger::OpenedReceipt opened, ledger::open_envelope(line.envelope, *key));
        for (const ledger::ReceiptLease& lease : opened.receipt.leases) {
            LastUse& known = uses[lease.account];
            if (lease.uses == 0 || known.is_exact || lease.ended <= known.when) continue;
            known.when = lease.ended;
        }
    }
    return {};
}

// --- the command --------------------------------------------------------------------------------------------------

// A record of another client or another item says nothing about what is used now.
std::optional<ConsentRecord> consent_of(const Console& console, const AccountView& view, std::string& note) {
    const Result<ConsentRecord> record = profiles::read_consent_record(console.places.store(), view.account->name);
    if (!record) {
        if (record.error().code != Errc::NotFound) note = record.error().what;
        return std::nullopt;
    }
    const bool is_this = record->item == view.account->item && record->provider == view.provider &&
                         record->client_id == view.client_id;
    if (is_this) return *record;
    note = "account " + view.account->name + " was connected as another client or item; connect it again";
    return std::nullopt;
}

// In the provider's words, sorted: what the profiles' grants come to.
std::vector<std::string> granted_words(const AccountView& view) {
    std::set<std::string> words;
    const auto& names = view.account->provider.scope_names;
    for (const ProfileUse& use : view.uses) {
        for (const std::string& scope : use.grant) {
            const auto named = names.find(scope);
            words.insert(named == names.end() ? scope : named->second);
        }
    }
    return {words.begin(), words.end()};
}

// Consented to, and of no use to any profile that was found.
std::vector<std::string> unused_consents(const AccountView& view) {
    if (!view.consent) return {};
    std::vector<std::string> consented = view.consent->received.value_or(view.consent->asked);
    std::erase_if(consented, [](const std::string& s) { return s == "openid" || s == "offline_access"; });
    const std::vector<std::string> granted = granted_words(view);
    std::erase_if(consented, [&](const std::string& scope) {
        return std::find(granted.begin(), granted.end(), scope) != granted.end();
    });
    return consented;
}

std::string joined(const std::vector<std::string>& words, const std::string& nothing) {
    std::string out;
    for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
    return out.empty() ? nothing : out;
}

std::string last_in_words(const LastUse& last) {
    if (last.when.empty()) return "no use on record";
    return last.is_exact ? last.when : "by " + last.when;
}

std::string connected_in_words(const AccountView& view) {
    if (view.consent) return format_rfc3339({view.consent->connected_unix_ms});
    return view.account->source == "oauth" && view.account->provider.how == "refresh-token" ? "not by connect" : "-";
}

void print_scopes(Console& console, const AccountView& view) {
    const Account& account = *view.account;
    console.out << printable(account.name) << " (" << account.catalog << ", " << account.source
                << (view.provider.empty() ? "" : ", " + printable(view.provider)) << ")\n";
    if (view.consent) {
        const bool is_said = view.consent->received.has_value();
        const std::vector<std::string>& scopes = is_said ? *view.consent->received : view.consent->asked;
        console.out << "  consented   " << printable(joined(scopes, "none"))
                    << (is_said ? "" : "  (asked for; the provider did not say)") << "\n";
    } else {
        console.out << "  consented   not known here\n";
    }
    console.out << "  may be used " << (account.grant ? printable(joined(*account.grant, "nothing")) : "no bound")
                << "\n";
    for (const ProfileUse& use : view.uses) {
        console.out << "  granted     " << printable(joined(use.grant, "nothing")) << "  by service "
                    << printable(use.service) << " of " << printable(use.file) << "\n";
    }
    if (view.uses.empty()) console.out << "  granted     by no profile that was found\n";
    const std::vector<std::string> unused = unused_consents(view);
    if (!unused.empty()) {
        console.out << "  beyond      " << printable(joined(unused, "")) << "  (granted by no profile)\n";
    }
    console.out << "  last used   " << last_in_words(view.last) << "\n";
}

void print_table(Console& console, const std::vector<AccountView>& views) {
    std::vector<std::vector<std::string>> rows = {
        {"ACCOUNT", "CATALOG", "SOURCE", "PROVIDER", "CONNECTED", "PROFILES", "LAST USED"}};
    for (const AccountView& view : views) {
        rows.push_back({view.account->name, view.account->catalog, view.account->source,
                        view.provider.empty() ? "-" : view.provider, connected_in_words(view),
                        std::to_string(view.uses.size()), last_in_words(view.last)});
    }
    console.out << table(rows);
}

void print_account_json(Console& console, const AccountView& view) {
    const auto text_or_null = [](const std::string& text) {
        return text.empty() ? std::optional<std::string>() : std::optional<std::string>(text);
    };
    const auto scopes = [&](bool asked) -> std::optional<std::vector<std::string>> {
        if (!view.consent) return std::nullopt;
        return asked ? std::optional(view.consent->asked) : view.consent->received;
    };
    wire::JsonWriter json;
    json("schema", std::string("sanctum.accounts/1"));
    json("account", view.account->name);
    json("catalog", view.account->catalog);
    json("source", view.account->source);
    json("provider", text_or_null(view.provider));
    json("connected", view.consent ? text_or_null(format_rfc3339({view.consent->connected_unix_ms})) : std::nullopt);
    json("flow", view.consent ? text_or_null(view.consent->flow) : std::nullopt);
    json("asked", scopes(true));
    json("consented", scopes(false));
    json("consent_is_sealed", false);
    json("grant", view.account->grant);
    json("profiles", view.uses);
    json("beyond", unused_consents(view));
    json("last_used", text_or_null(view.last.when));
    json("last_used_is_exact", view.last.is_exact);
    console.out << json.take() << "\n";
}

Result<std::vector<AccountView>> make_views(Console& console, const OperatorConfig& config,
                                            std::vector<std::string>& notes) {
    SANCTUM_TRY(const std::set<std::string> files, find_profiles(console.places));
    const std::multimap<std::string, ProfileUse> uses = uses_by_account(console, files, notes);
    SANCTUM_TRY(auto last, uses_of_journal(console.places));
    SANCTUM_CHECK(add_uses_of_receipts(console.places, last));
    std::vector<AccountView> views;
    for (const Account& account : config.accounts) {
        AccountView view;
        view.account = &account;
        view.provider = provider_of(account);
        view.client_id = client_id_of(config, account);
        std::string note;
        view.consent = consent_of(console, view, note);
        if (!note.empty()) notes.push_back(note);
        const auto [begin, end] = uses.equal_range(account.name);
        for (auto use = begin; use != end; ++use) view.uses.push_back(use->second);
        view.last = last[account.name];
        views.push_back(std::move(view));
    }
    return views;
}

}  // namespace

Exit run_accounts(Console& console, const AccountsOptions& options) {
    const Result<OperatorConfig> config =
        profiles::load_operator_config(console.places.configuration, profiles::Missing::IsEmpty);
    if (!config) return fail(console, config.error());
    std::vector<std::string> notes;
    const Result<std::vector<AccountView>> views = make_views(console, *config, notes);
    if (!views) return fail(console, views.error());
    if (options.format == Format::Json) {
        for (const AccountView& view : *views) print_account_json(console, view);
    } else if (views->empty()) {
        console.out << "no account is configured (in " << printable(console.places.configuration) << ")\n";
    } else if (!options.shows_scopes) {
        print_table(console, *views);
    } else {
        for (const AccountView& view : *views) print_scopes(console, view);
        console.out << "What was consented to is as `sanctum connect` wrote it down; it is not sealed, and the "
                       "provider has the last word.\n";
    }
    for (const std::string& note : notes) console.err << "sanctum: note: " << printable(note) << "\n";
    return Exit::Ok;
}

}  // namespace sanctum::console
