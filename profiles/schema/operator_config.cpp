// SPDX-License-Identifier: Apache-2.0
// Reads the operator's configuration (formats 3). What belongs to channels of later versions is checked for form and
// then refused, so that nobody believes a line is in force that is not.
#include "profiles/schema/operator_config.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "profiles/policy/patterns.hpp"
#include "profiles/schema/owned_file.hpp"
#include "profiles/schema/read_sources.hpp"
#include "profiles/schema/words.hpp"

#include <algorithm>
#include <cerrno>
#include <set>

namespace sanctum::profiles {
namespace {

constexpr std::string_view kWitnessExample = "command:/usr/local/bin/publish-head";

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
}

class ConfigReader {
public:
    ConfigReader(const TomlValue& tree, Place top, const std::string& path, Diagnostics& diagnostics)
        : diagnostics_(diagnostics), top_(tree, top, "the configuration", diagnostics),
          sources_(folder_of(path), diagnostics) {
        config_.path = path;
    }

    OperatorConfig read() {
        check_schema(top_);
        read_store();
        read_bounds();
        read_accounts();
        sources_.read_clients(top_);
        config_.clients = sources_.finish();
        read_approvers();
        read_upstream();
        read_ledger();
        top_.finish();
        return std::move(config_);
    }

private:
    void read_store() {
        const TomlMember* member = top_.table("store", {});
        if (member == nullptr) return;
        TableReader reader(member->value, member->at, "[store]", diagnostics_);
        const auto unlock = reader.text("unlock", Need::Required, "key-file:/etc/sanctum/store.key");
        reader.finish();
        if (unlock && check_unlock(*unlock)) config_.unlock = unlock->value;
    }

    bool check_unlock(const Placed<std::string>& unlock) {
        if (unlock.value == "passphrase" || unlock.value == "keyring") return true;
        constexpr std::string_view kKeyFile = "key-file:";
        constexpr std::string_view kCredential = "credential:";
        if (unlock.value.starts_with(kCredential) && unlock.value.size() > kCredential.size() &&
            unlock.value.find('/') == std::string::npos) {
            return true;
        }
        if (!unlock.value.starts_with(kKeyFile)) {
            diagnostics_.error(unlock.at, "`unlock` cannot be `" + unlock.value + "`",
                               "key-file:/PATH, passphrase, keyring or credential:NAME");
            return false;
        }
        const std::string file = unlock.value.substr(kKeyFile.size());
        if (!file.starts_with('/')) {
            diagnostics_.error(unlock.at, "the key file's path is not absolute",
                               "write key-file:/etc/sanctum/store.key");
            return false;
        }
        if (const auto fault = private_file_fault(file)) {
            diagnostics_.error(unlock.at, fault->text, fault->hint);
            return false;
        }
        return true;
    }

    void read_bounds() {
        const TomlMember* member = top_.table("bounds", {});
        if (member == nullptr) return;
        TableReader reader(member->value, member->at, "[bounds]", diagnostics_);
        if (const auto ttl = read_duration(reader, "ttl", "2h")) {
            config_.bounds.ttl_ms = ttl->value;
            if (ttl->value < kMissionTtlMin.count()) {
                diagnostics_.error(ttl->at, "no mission could run under this bound", "write ttl = \"2h\"");
            }
        }
        if (const auto delegate = reader.boolean("delegate")) config_.bounds.delegate = delegate->value;
        if (const TomlMember* approval = reader.table("approval", R"({ high = "ask" })")) {
            TableReader risks(approval->value, approval->at, "approval", diagnostics_);
            const auto all = {Verdict::Allow, Verdict::Ask, Verdict::StepUp, Verdict::Deny};
            const auto read = [&](std::string_view key, std::optional<Verdict>& bound) {
                if (const auto verdict = risks.word<Verdict>(key, all)) bound = verdict->value;
            };
            read("low", config_.bounds.low);
            read("medium", config_.bounds.medium);
            read("high", config_.bounds.high);
            read("critical", config_.bounds.critical);
            risks.finish();
        }
        reader.finish();
    }

    void read_accounts() {
        const std::vector<const TomlValue*> tables = top_.tables("account");
        std::set<std::string> seen;
        for (const TomlValue* table : tables) {
            TableReader reader(*table, table->at, "[[account]]", diagnostics_);
            Account account;
            account.place = diagnostics_.name_of(table->at);
            const auto name = reader.text("name", Need::Required, "alice");
            if (name && accept(diagnostics_, name->at, parse_name_text(name->value, "an account"))) {
                account.name = name->value;
            }
            if (name && !seen.insert(name->value).second) {
                diagnostics_.error(name->at, "a second account `" + name->value + "`",
                                   "profiles name accounts; rename one");
            }
            const auto catalog = reader.text("catalog", Need::Required, "github");
            if (catalog && accept(diagnostics_, catalog->at, parse_name_text(catalog->value, "a catalog entry"))) {
                account.catalog = catalog->value;
            }
            read_hosts(reader, account);
            sources_.read_account(reader, account);
            read_bounds_of_account(reader, account);
            refuse_inline_secrets(reader, account.source);
            reader.finish();
            config_.accounts.push_back(std::move(account));
        }
    }

    void read_hosts(TableReader& reader, Account& account) {
        if (const auto hosts = reader.texts("hosts", Need::Optional, R"(["git.example.org"])")) {
            for (const auto& host : hosts->value) {
                if (const auto name = accept(diagnostics_, host.at, parse_host(host.value, Wildcard::Refused))) {
                    account.hosts.push_back(*name);
                }
            }
        }
        if (const TomlMember* ports = reader.take("ports")) read_ports(*ports, account);
        if (const auto base = reader.text("base_path", Need::Optional, "/git")) {
            const auto path = accept(diagnostics_, base->at, parse_path_template(base->value));
            const bool is_plain = base->value.find_first_of("*{%") == std::string::npos && !base->value.ends_with('/');
            if (path && !is_plain) {
                diagnostics_.error(base->at, "`base_path` is a plain path without a slash at its end",
                                   "write base_path = \"/git\"");
            }
            account.base_path = base->value;
        }
        if (const auto region = reader.text("region", Need::Optional, "eu-central-1")) {
            const auto is_region = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
            const std::string& name = region->value;
            if (!name.empty() && name.size() <= kNameCharsMax && std::all_of(name.begin(), name.end(), is_region)) {
                account.region = name;
            } else {
                diagnostics_.error(region->at, "`" + name + "` is no region of AWS", "as in eu-central-1");
            }
        }
        if (account.hosts.empty() && (!account.base_path.empty() || !account.ports.empty())) {
            diagnostics_.error(reader.at(), "`base_path` and `ports` belong to `hosts`",
                               "add hosts = [\"git.example.org\"]");
        }
    }

    void read_ports(const TomlMember& member, Account& account) {
        for (const TomlValue& port : member.value.elements) {
            if (port.kind == TomlKind::Integer && port.integer >= 1 && port.integer <= 65535 && port.integer != 53) {
                account.ports.push_back(static_cast<std::uint16_t>(port.integer));
            } else {
                diagnostics_.error(port.at, "not a port", "a whole number from 1 to 65535, not 53");
            }
        }
        if (member.value.kind != TomlKind::Array || member.value.elements.empty()) {
            report_kind(diagnostics_, member.value, "ports", "a list of ports", "[443]");
        }
    }

    void read_bounds_of_account(TableReader& reader, Account& account) {
        if (const auto grant = reader.texts("grant", Need::Optional, R"(["issues:read"])")) {
            account.grant.emplace();
            for (const auto& scope : grant->value) account.grant->push_back(scope.value);
        }
        const TomlMember* resources = reader.table("resources", R"({ repo = ["**"] })");
        if (resources == nullptr) return;
        for (const TomlMember& resource : resources->value.members) {
            if (resource.value.kind != TomlKind::Array) {
                report_kind(diagnostics_, resource.value, resource.key, "a list of patterns", R"(["**"])");
                continue;
            }
            std::vector<std::string>& patterns = account.resources[resource.key];
            for (const auto& pattern : read_texts(resource.value, resource.key, R"(["**"])", diagnostics_)) {
                if (accept(diagnostics_, pattern.at, parse_resource_pattern(pattern.value))) {
                    patterns.push_back(pattern.value);
                }
            }
        }
    }

    // The value is not repeated in the message: it may be one.
    void refuse_inline_secrets(TableReader& reader, std::string_view source) {
        for (const char* key : {"secret", "token", "password", "api_key", "key", "client_secret", "value"}) {
            const TomlMember* member = reader.peek(key);
            const bool is_named = source == "google" && key == std::string_view("client_secret");
            if (member == nullptr || is_named) continue;
            reader.forgive(key);
            diagnostics_.error(member->at, "a secret is never written into the configuration",
                               "run `sanctum vault add NAME` and write item = \"NAME\"", Show::NotTheValue);
        }
    }

    void read_approvers() {
        std::set<std::string> seen;
        for (const TomlValue* table : top_.tables("approver")) {
            TableReader reader(*table, table->at, "[[approver]]", diagnostics_);
            Approver approver;
            if (const auto name = reader.text("name", Need::Required, "bob")) {
                if (const auto checked = accept(diagnostics_, name->at, parse_name_text(name->value, "an approver"))) {
                    approver.name = *checked;
                }
                if (!seen.insert(name->value).second) {
                    diagnostics_.error(name->at, "a second approver `" + name->value + "`", "rename one");
                }
            }
            constexpr std::int64_t kUidMax = 4294967294;
            if (const auto uid = reader.integer("uid", 0, kUidMax))
                approver.uid = static_cast<std::uint32_t>(uid->value);
            else if (table->find("uid") == nullptr) {
                diagnostics_.error(table->at, "[[approver]] needs `uid`", "write uid = 1001");
            }
            if (const auto channels = reader.texts("channels", Need::Required, R"(["control"])")) {
                for (const auto& channel : channels->value) {
                    approver.channels.push_back(channel.value);
                    if (channel.value == "control") continue;
                    diagnostics_.error(channel.at, "channel `" + channel.value + "` is not supported by this version",
                                       "use `control`");
                }
            }
            reader.finish();
            config_.approvers.push_back(std::move(approver));
        }
    }

    void read_upstream() {
        const TomlMember* member = top_.table("upstream", {});
        if (member == nullptr) return;
        TableReader reader(member->value, member->at, "[upstream]", diagnostics_);
        UpstreamConfig& upstream = config_.upstream;
        if (const auto resolver = reader.text("resolver", Need::Optional, "127.0.0.53:53")) {
            if (const auto address = accept(diagnostics_, resolver->at, parse_address_port(resolver->value))) {
                upstream.resolver = *address;
            }
        }
        if (const auto ranges = reader.texts("allow_addresses", Need::Optional, R"(["10.2.0.0/16"])")) {
            for (const auto& range : ranges->value) {
                if (const auto cidr = accept(diagnostics_, range.at, parse_cidr(range.value))) {
                    upstream.allow_addresses.push_back(*cidr);
                }
            }
        }
        if (const auto plain = reader.texts("plain_http", Need::Optional, R"(["metrics.corp"])")) {
            for (const auto& host : plain->value) {
                if (const auto name = accept(diagnostics_, host.at, parse_host(host.value, Wildcard::Refused))) {
                    upstream.plain_http.push_back(*name);
                }
            }
        }
        if (const auto file = reader.text("ca_file", Need::Optional, "ca.pem")) {
            if (const auto path = read_ca_file(*file, config_.upstream.ca_pem)) config_.ca_file = *path;
        }
        if (const TomlMember* hosts = reader.table("host", {})) read_upstream_hosts(*hosts);
        reader.finish();
    }

    // The path, with its content in `pem`; nullopt after reporting what is wrong with it.
    std::optional<std::string> read_ca_file(const Placed<std::string>& file, std::string& pem) {
        const auto refuse = [&](const std::string& what, const std::string& hint) -> std::optional<std::string> {
            diagnostics_.error(file.at, "ca_file: " + what, hint);
            return std::nullopt;
        };
        const auto path = accept(diagnostics_, file.at, parse_path(file.value, folder_of(config_.path), {}));
        if (!path) return std::nullopt;
        const Result<std::string> content = read_file(*path, kSmallFileBytesMax);
        if (!content) {
            return refuse(content.error().what, "a PEM file; a relative path starts at the configuration's folder");
        }
        if (content->find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
            return refuse(*path + " holds no certificate", "it begins with -----BEGIN CERTIFICATE-----");
        }
        if (content->find("PRIVATE KEY-----") != std::string::npos) {
            return refuse(*path + " holds a private key", "name a file with certificates only");
        }
        pem = *content;
        return path;
    }

    void read_upstream_hosts(const TomlMember& hosts) {
        for (const TomlMember& host : hosts.value.members) {
            const auto name = accept(diagnostics_, host.at, parse_host(host.key, Wildcard::Refused));
            if (host.value.kind != TomlKind::Table) {
                report_kind(diagnostics_, host.value, host.key, "a table", R"({ address = "127.0.0.1:8443" })");
                continue;
            }
            TableReader reader(host.value, host.at, "[upstream.host.\"" + host.key + "\"]", diagnostics_);
            const auto ca_file = reader.text("ca_file", Need::Optional, "cluster-ca.pem");
            const auto need = ca_file ? Need::Optional : Need::Required;
            const auto address = reader.text("address", need, "127.0.0.1:8443");
            const auto checked =
                address ? accept(diagnostics_, address->at, parse_address_port(address->value)) : std::nullopt;
            std::string pinned;
            if (ca_file) {
                if (const auto path = read_ca_file(*ca_file, pinned)) config_.pinned_files.push_back(*path);
            }
            reader.finish();
            if (name && checked) config_.upstream.addresses[*name] = *checked;
            if (name && !pinned.empty()) config_.upstream.pinned[*name] = pinned;
        }
    }

    void read_witness(const Placed<std::string>& witness) {
        static constexpr std::string_view kCommand = "command:";
        const std::string& word = witness.value;
        if (!word.starts_with(kCommand)) {
            return diagnostics_.error(witness.at, "`" + word + "` is no witness",
                                      "write command: and a program's absolute path, as in " +
                                          std::string(kWitnessExample));
        }
        const std::string program = word.substr(kCommand.size());
        if (!program.starts_with('/')) {
            return diagnostics_.error(witness.at, "the path of the witness's program is not absolute",
                                      "one program without arguments, as in " + std::string(kWitnessExample));
        }
        if (const auto path = accept(diagnostics_, witness.at, parse_path(program, {}, {}))) config_.witness = *path;
    }

    void read_ledger() {
        const TomlMember* member = top_.table("ledger", {});
        if (member == nullptr) return;
        TableReader reader(member->value, member->at, "[ledger]", diagnostics_);
        if (const auto witness = reader.text("witness", Need::Optional, kWitnessExample)) read_witness(*witness);
        if (const auto keep = read_duration(reader, "keep", "400d")) config_.keep_ms = keep->value;
        reader.finish();
    }

    Diagnostics& diagnostics_;
    TableReader top_;
    SourceReader sources_;
    OperatorConfig config_;
};

}  // namespace

Result<OperatorConfig> load_operator_config(const std::string& path, Missing missing) {
    Result<std::string> text = read_owned_file(path, Secrecy::Ordinary);
    if (!text && text.error().code == Errc::NotFound && missing == Missing::IsEmpty) return OperatorConfig{};
    if (!text) return std::move(text).error();
    return read_operator_config(path, *text);
}

Result<OperatorConfig> read_operator_config(const std::string& path, const std::string& text) {
    Diagnostics diagnostics;
    const std::uint32_t source = diagnostics.add_file(path, text);
    const std::optional<TomlValue> tree = parse_toml(text, source, diagnostics);
    if (!tree) return diagnostics.to_error();
    OperatorConfig config = ConfigReader(*tree, {.source = source, .line = 1, .column = 1}, path, diagnostics).read();
    if (!diagnostics.empty()) return diagnostics.to_error();
    return config;
}

}  // namespace sanctum::profiles
