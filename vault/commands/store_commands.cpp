// SPDX-License-Identifier: Apache-2.0
#include "vault/commands/store_commands.hpp"

#include "base/command_line/describe.hpp"
#include "base/command_line/mistake.hpp"
#include "base/limits.hpp"
#include "base/nearest.hpp"
#include "profiles/schema/values.hpp"
#include "vault/commands/command_line.hpp"
#include "vault/commands/store_context.hpp"
#include "vault/keyring.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <variant>
#include <vector>
#include <unistd.h>

namespace sanctum::vault {
namespace {

constexpr int kLocked = 4;
constexpr int kInterrupted = 130;
constexpr int kUsage = 2;

// Everything the command line can say.
struct Options {
    StoreChoice choice;
    std::string key_file;
    bool with_passphrase = false;
    std::string name;
    std::string note;
    std::string file;
    bool replace = false;
    bool as_json = false;
    bool dry_run = false;
    std::string life = profiles::format_duration(Milliseconds(kUnlockDefault).count());
};

void say(const Options& options, const std::string& done) {
    std::fprintf(stderr, "sanctum vault: %s%s\n", options.dry_run ? "would have " : "", done.c_str());
}

Status check_name(const std::string& name) {
    if (is_item_name(name)) return {};
    return Error{Errc::InvalidProfile, "`" + name + "` cannot be an item's name (a letter or digit first, then "
                                           "letters, digits and . _ - @ /, at most " +
                                           std::to_string(kStoreNameBytesMax) + ")"};
}

// --- init ---------------------------------------------------------------------------------------------------------

Result<LockedBytes> new_passphrase(StoreContext& context) {
    SANCTUM_TRY(LockedBytes passphrase,
                context.ask_twice("New passphrase of " + context.path(), kPassphraseBytesMax));
    if (passphrase.is_empty()) return Error{Errc::Denied, "an empty passphrase protects nothing"};
    return passphrase;
}

Status init(const Options& options) {
    SANCTUM_TRY(StoreContext context, StoreContext::choose(options.choice));
    if (::access(context.path().c_str(), F_OK) == 0) {
        return Error{Errc::Denied, context.path() + ": a store is there already; it is not overwritten"};
    }
    const bool ask = options.key_file.empty() || options.with_passphrase;
    if (ask && !context.has_terminal()) {
        return Error{Errc::InvalidProfile, "there is no terminal to ask for a passphrase at; give --key-file PATH"};
    }
    if (options.dry_run) {
        say(options, "made " + context.path());
        return {};
    }
    NewStoreKeys keys;
    if (ask) {
        SANCTUM_TRY(keys.passphrase, new_passphrase(context));
    }
    if (!options.key_file.empty()) {
        Result<LockedBytes> key = load_key_file(options.key_file);
        if (!key && key.error().code == Errc::NotFound) key = create_key_file(options.key_file);
        if (!key) return std::move(key).error();
        keys.key = std::move(*key);
    }
    SANCTUM_CHECK(create_store(context.path(), keys));
    say(options, "made " + context.path());
    if (!options.key_file.empty()) {
        std::fprintf(stderr, "It opens with its key file; in the configuration: [store] unlock = \"key-file:%s\"\n",
                     std::filesystem::absolute(options.key_file).c_str());
    }
    return {};
}

// --- add ----------------------------------------------------------------------------------------------------------

// Everything from standard input; one newline at its end is not part of the value.
Result<LockedBytes> read_value_from_stdin() {
    LockedBytes value(kStoreValueBytesMax + 2);
    std::size_t used = 0;
    while (used < value.size()) {
        const ssize_t size = ::read(STDIN_FILENO, value.data() + used, value.size() - used);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return io_error("read the value from standard input");
        if (size == 0) break;
        used += static_cast<std::size_t>(size);
    }
    if (used > 0 && value.data()[used - 1] == '\n') --used;
    value.shrink(used);
    if (used > kStoreValueBytesMax) {
        return Error{Errc::Limit, "the value is longer than " + std::to_string(kStoreValueBytesMax) + " bytes"};
    }
    return value;
}

bool has_control_characters(std::string_view value) {
    return std::any_of(value.begin(), value.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
}

Status add(const Options& options) {
    SANCTUM_CHECK(check_name(options.name));
    if (options.note.size() > kStoreNoteBytesMax) return Error{Errc::Limit, "the note is too long"};
    SANCTUM_TRY(StoreContext context, StoreContext::choose(options.choice));
    SANCTUM_TRY(const SealedBytes sealed, load_store(context.path()));
    SANCTUM_TRY(const LockedBytes key, context.open(sealed));
    Result<LockedBytes> value = ::isatty(STDIN_FILENO) != 0
                                    ? context.ask_twice("Value of " + options.name, kStoreValueBytesMax)
                                    : read_value_from_stdin();
    if (!value) return std::move(value).error();
    if (value->is_empty()) return Error{Errc::Denied, "the value is empty; nothing was changed"};
    if (has_control_characters(value->reveal())) {
        std::fputs("sanctum vault: note: the value has line breaks or other control characters; it cannot be put on a "
                   "request as it is\n", stderr);
    }
    if (value->reveal().size() < kNeedleBytesMin) {
        std::fputs("sanctum vault: note: the value is so short that it is not looked for in answers to the agent\n",
                   stderr);
    }
    const SystemClock clock;
    SANCTUM_CHECK(change_store(context.path(), key, [&](StoredItems& items) -> Result<Change> {
        if (items.contains(options.name) && !options.replace) {
            return Error{Errc::Denied, "item " + options.name + " is there already (--replace puts the new value in)"};
        }
        items.insert_or_assign(options.name,
                               StoredItem{clock.wall().unix_ms, options.note, LockedBytes(value->reveal())});
        return options.dry_run ? Change::Leave : Change::Write;
    }));
    say(options, "added " + options.name);
    return {};
}

// --- list, remove -------------------------------------------------------------------------------------------------

void print_items(const Options& options, const std::string& path, const StoredItems& items) {
    if (!options.as_json) {
        for (const auto& [name, item] : items) {
            std::printf("%s  %s%s%s\n", format_rfc3339({item.created_unix_ms}).c_str(), name.c_str(),
                        item.note.empty() ? "" : "  ", item.note.c_str());
        }
        return;
    }
    std::string out = "{\"schema\":\"sanctum.vault.list/1\",\"store\":";
    wire::append_json_string(out, path);
    out += ",\"items\":[";
    for (const auto& [name, item] : items) {
        if (out.back() != '[') out += ",";
        out += "{\"name\":";
        wire::append_json_string(out, name);
        out += ",\"created\":\"" + format_rfc3339({item.created_unix_ms}) + "\",\"note\":";
        wire::append_json_string(out, item.note);
        out += "}";
    }
    std::printf("%s]}\n", out.c_str());
}

Status list(const Options& options) {
    SANCTUM_TRY(StoreContext context, StoreContext::choose(options.choice));
    SANCTUM_TRY(const SealedBytes sealed, load_store(context.path()));
    SANCTUM_TRY(const LockedBytes key, context.open(sealed));
    Result<StoredItems> items = open_store(sealed, key);
    if (!items) return std::move(items).error().in(context.path());
    print_items(options, context.path(), *items);
    return {};
}

Status remove_item(const Options& options) {
    SANCTUM_CHECK(check_name(options.name));
    SANCTUM_TRY(StoreContext context, StoreContext::choose(options.choice));
    SANCTUM_TRY(const SealedBytes sealed, load_store(context.path()));
    SANCTUM_TRY(const LockedBytes key, context.open(sealed));
    SANCTUM_CHECK(change_store(context.path(), key, [&](StoredItems& items) -> Result<Change> {
        if (!items.contains(options.name)) {
            return Error{Errc::NotFound,
                         context.path() + " has no item " + options.name + " (see `sanctum vault list`)"};
        }
        items.erase(options.name);
        return options.dry_run ? Change::Leave : Change::Write;
    }));
    say(options, "removed " + options.name);
    return {};
}

// --- backup, restore ----------------------------------------------------------------------------------------------

Status back_up(const Options& options) {
    SANCTUM_TRY(const StoreContext context, StoreContext::choose(options.choice));
    SANCTUM_CHECK(back_up_store(context.path(), options.file,
                                options.replace ? Existing::Replace : Existing::Refuse,
                                options.dry_run ? Change::Leave : Change::Write));
    say(options, "copied " + context.path() + " to " + options.file + " (sealed; it opens as the store does)");
    return {};
}

// The backup is opened before it takes the store's place: a copy that is damaged, or whose key is lost, restores
// nothing.
Status restore(const Options& options) {
    SANCTUM_TRY(StoreContext context, StoreContext::choose(options.choice));
    Result<SealedBytes> sealed = load_store(options.file);
    if (!sealed && sealed.error().code == Errc::NotFound) {
        return Error{Errc::NotFound, options.file + ": there is no such backup"};
    }
    if (!sealed && sealed.error().code == Errc::Protocol) {
        return Error{Errc::Protocol, options.file + ": is no backup of a store, or a damaged one; nothing was changed"};
    }
    if (!sealed) return std::move(sealed).error();
    std::error_code error;
    if (std::filesystem::equivalent(options.file, context.path(), error)) {
        return Error{Errc::InvalidProfile, options.file + ": is the store itself; name the copy that `backup` made"};
    }
    SANCTUM_TRY(const LockedBytes key, context.open(*sealed));
    Result<StoredItems> items = open_store(*sealed, key);
    if (!items) return std::move(items).error().in(options.file);
    std::string kept;
    if (!options.dry_run) {
        const SystemClock clock;
        SANCTUM_TRY(kept, restore_store(context.path(), *sealed,
                                        options.replace ? Existing::Replace : Existing::Refuse, clock.wall()));
    }
    say(options, "restored " + context.path() + " with " + std::to_string(items->size()) + " item(s) from " +
                     options.file + " (refresh tokens that rotated since are dead; `sanctum connect` gets new ones)" +
                     (kept.empty() ? "" : "; the store before is kept as " + kept));
    return {};
}

// --- unlock, lock -------------------------------------------------------------------------------------------------

Status unlock(const Options& options) {
    const auto parsed = profiles::parse_duration(options.life);
    const std::int64_t* life_ms = std::get_if<std::int64_t>(&parsed);
    if (life_ms == nullptr || *life_ms < 1000 || *life_ms > Milliseconds(kUnlockMax).count()) {
        return Error{Errc::InvalidProfile, "--for " + options.life + " is not a time between 1s and 7d (like 30m, 8h)"};
    }
    SANCTUM_TRY(StoreContext context, StoreContext::choose(options.choice));
    SANCTUM_TRY(const SealedBytes sealed, load_store(context.path()));
    SANCTUM_TRY(const LockedBytes key, context.open(sealed));
    if (const Result<StoredItems> items = open_store(sealed, key); !items) {
        return Error{items.error()}.in(context.path());
    }
    SANCTUM_CHECK(keep_in_keyring(sealed.header.id, key, std::chrono::seconds(*life_ms / 1000)));
    say(options, "unlocked " + context.path() + " for " + options.life);
    return {};
}

Status lock(const Options& options) {
    SANCTUM_TRY(const StoreContext context, StoreContext::choose(options.choice));
    SANCTUM_TRY(const SealedBytes sealed, load_store(context.path()));
    Status removed = remove_from_keyring(sealed.header.id);
    if (!removed && removed.error().code != Errc::NotFound) return removed;
    say(options, removed ? "locked " + context.path() : context.path() + " was locked already");
    return {};
}

// --- the command line ---------------------------------------------------------------------------------------------

using Action = Status (*)(const Options&);

CLI::App* add_command(CLI::App& app, const char* name, const char* what, const char* example, Options& options,
                      Action action, Action& chosen) {
    CLI::App* command = app.add_subcommand(name, what);
    command->footer(std::string("Example:\n  ") + example);
    command->add_option("--config", options.choice.config, "Operator's configuration")->type_name("FILE");
    command->add_option("--store", options.choice.store, "The store, instead of the usual place")->type_name("PATH");
    command->add_option("--unlock", options.choice.unlock,
                        "How it opens: key-file:PATH, passphrase, keyring, credential:NAME")->type_name("HOW");
    command->callback([&chosen, action] { chosen = action; });
    return command;
}

void describe_copies(CLI::App& app, Options& options, Action& chosen) {
    CLI::App* command = add_command(app, "backup", "Copies the store, sealed as it is, to a file",
                                    "sanctum vault backup /media/safe/store.sealed", options, back_up, chosen);
    command->add_option("file", options.file, "The copy")->required()->type_name("FILE");
    command->add_flag("--replace", options.replace, "Replace a copy that is there");
    command->add_flag("--dry-run", options.dry_run, "Only say what would be done");

    command = add_command(app, "restore", "Puts a backup in the store's place, after it has been opened",
                          "sanctum vault restore /media/safe/store.sealed --replace", options, restore, chosen);
    command->add_option("file", options.file, "The backup")->required()->type_name("FILE");
    command->add_flag("--replace", options.replace, "Also when there is a store; that one is kept beside it");
    command->add_flag("--dry-run", options.dry_run, "Only open the backup and say what would be done");
}

void describe(CLI::App& app, Options& options, Action& chosen) {
    app.require_subcommand(1);
    app.footer("No command ever prints a value. Example:\n  sanctum vault init\n  sanctum vault add github-token");
    CLI::App* command = add_command(app, "init", "Makes the sealed store",
                                    "sanctum vault init --key-file ~/.config/sanctum/store.key", options, init,
                                    chosen);
    command->add_option("--key-file", options.key_file,
                        "Opens with this file (made when it is not there); needed without a terminal")
        ->type_name("PATH");
    command->add_flag("--passphrase", options.with_passphrase, "With --key-file: a passphrase opens it as well");
    command->add_flag("--dry-run", options.dry_run, "Only say what would be done");

    command = add_command(app, "add", "Puts a value into the store; it is asked for, or read from standard input",
                          "printf %s \"$TOKEN\" | sanctum vault add github-token", options, add, chosen);
    command->add_option("name", options.name, "Name of the item")->required()->type_name("NAME");
    command->add_option("--note", options.note, "A remark that `list` shows")->type_name("TEXT");
    command->add_flag("--replace", options.replace, "Replace the value of an item that is there");
    command->add_flag("--dry-run", options.dry_run, "Only say what would be done");

    command = add_command(app, "list", "Names of what is stored, never values", "sanctum vault list --json", options,
                          list, chosen);
    command->add_flag("--json", options.as_json, "As JSON");

    command = add_command(app, "remove", "Takes an item out of the store", "sanctum vault remove github-token",
                          options, remove_item, chosen);
    command->add_option("name", options.name, "Name of the item")->required()->type_name("NAME");
    command->add_flag("--dry-run", options.dry_run, "Only say what would be done");

    describe_copies(app, options, chosen);

    command = add_command(app, "unlock", "Keeps the store's key in the user keyring for a while",
                          "sanctum vault unlock --for 8h", options, unlock, chosen);
    command->add_option("--for", options.life, "How long, up to 7d (8h unless given)")->type_name("TIME");

    add_command(app, "lock", "Takes the store's key out of the user keyring at once", "sanctum vault lock", options,
                lock, chosen);
}

int exit_code(const Error& error) {
    switch (error.code) {
        case Errc::InvalidProfile: return kUsage;
        case Errc::NotPermitted: return kLocked;
        case Errc::Cancelled: return kInterrupted;
        default: return 1;
    }
}

}  // namespace

int run_store_command(int argc, char** argv) {
    Options options;
    Action chosen = nullptr;
    CLI::App app("The sealed store of credentials on this machine", "sanctum vault");
    describe(app, options, chosen);
    refuse_empty_values(app);
    std::vector<std::string> names;
    for (const CLI::App* known : app.get_subcommands([](const CLI::App*) { return true; })) {
        names.push_back(known->get_name());
    }
    if (argc > 1 && argv[1][0] != '-' && std::find(names.begin(), names.end(), argv[1]) == names.end()) {
        std::string word;
        wire::append_json_string(word, argv[1]);  // escapes what a terminal would obey
        const std::string near = nearest(argv[1], names);
        const std::string meant = near.empty() ? "" : "did you mean `" + near + "`? ";
        std::fprintf(stderr, "sanctum vault: unknown command %s (%ssanctum vault --help lists them)\n", word.c_str(),
                     meant.c_str());
        return kUsage;
    }
    if (argc == 2 && std::string_view(argv[1]) == kDescribeOption) {
        return std::printf("%s\n", wire::to_json(describe_command_line(app)).c_str()) > 0 ? 0 : 1;
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return end_at_command_line(app, error);
    }
    const Status done = chosen(options);
    if (done) return 0;
    std::fprintf(stderr, "sanctum vault: %s\n", done.error().what.c_str());
    return exit_code(done.error());
}

}  // namespace sanctum::vault
