// SPDX-License-Identifier: Apache-2.0
// The grammar of profiles (design 5, formats 4): one function per table of the file.
#include "profiles/schema/profile_text.hpp"

#include "base/digest.hpp"
#include "base/limits.hpp"
#include "profiles/policy/patterns.hpp"
#include "profiles/schema/words.hpp"

#include <algorithm>
#include <cmath>

namespace sanctum::profiles {
namespace {

constexpr std::int64_t kCountMax = 1'000'000'000;
constexpr std::int64_t kProcessesMax = 4'194'304;  // PID_MAX_LIMIT of 64-bit kernels, proc(5)
constexpr double kCpusMax = 4096;
constexpr std::int64_t kLandlockAbiMax = 99;

std::string read_sentence(TableReader& reader, std::string_view key, std::string_view example) {
    const auto text = reader.text(key, Need::Optional, example);
    if (!text) return {};
    if (text->value.size() > kSentenceCharsMax) {
        reader.diagnostics().error(
            text->at, "`" + std::string(key) + "` is longer than " + std::to_string(kSentenceCharsMax) + " characters",
            "it is shown on one card; say it shorter");
    }
    return text->value;
}

std::optional<PlacedText> read_name(TableReader& reader, std::string_view key, Need need, std::string_view what,
                                    std::string_view example) {
    const auto text = reader.text(key, need, example);
    if (!text) return std::nullopt;
    const auto name = accept(reader.diagnostics(), text->at, parse_name_text(text->value, what));
    return name ? std::optional(PlacedText{*name, text->at}) : std::nullopt;
}

void read_mission(TableReader& top, ProfileText& out) {
    const TomlMember* member = top.take("mission", Need::Required, "write a [mission] with a name and a ttl");
    out.mission_at = top.at();
    if (member == nullptr) return;
    out.mission_at = member->at;
    if (member->value.kind != TomlKind::Table) {
        return report_kind(top.diagnostics(), member->value, "mission", "a table", {});
    }
    TableReader reader(member->value, member->at, "[mission]", top.diagnostics());
    out.name = read_name(reader, "name", Need::Required, "a mission", "triage-issues");
    out.agent = read_name(reader, "agent", Need::Optional, "an agent", "triage-bot");
    out.purpose = read_sentence(reader, "purpose", "Label and answer new issues in acme/api");
    out.ttl_ms = read_duration(reader, "ttl", "30m");
    out.delegate = reader.boolean("delegate");
    reader.finish();
}

std::vector<std::uint16_t> read_ports(TableReader& reader) {
    std::vector<std::uint16_t> ports;
    const TomlMember* member = reader.take("ports");
    if (member == nullptr) return {443};
    Diagnostics& diagnostics = reader.diagnostics();
    if (member->value.kind != TomlKind::Array || member->value.elements.empty()) {
        report_kind(diagnostics, member->value, "ports", "a list of ports", "[443]");
        return {443};
    }
    for (const TomlValue& element : member->value.elements) {
        if (element.kind != TomlKind::Integer) {
            report_kind(diagnostics, element, "ports", "a list of whole numbers", "[443]");
        } else if (element.integer < 1 || element.integer > 65535) {
            diagnostics.error(element.at, std::to_string(element.integer) + " is not a port", "1 to 65535");
        } else if (element.integer == 53) {
            diagnostics.error(element.at, "port 53 is the sandbox's own name service",
                              "names are looked up without a rule");
        } else if (std::find(ports.begin(), ports.end(), element.integer) != ports.end()) {
            diagnostics.error(element.at, "port " + std::to_string(element.integer) + " is written twice",
                              "remove one");
        } else {
            ports.push_back(static_cast<std::uint16_t>(element.integer));
        }
    }
    std::sort(ports.begin(), ports.end());
    return ports;
}

std::vector<Placed<RequestPattern>> read_match(TableReader& reader, Need need) {
    std::vector<Placed<RequestPattern>> out;
    const auto texts = reader.texts("match", need, R"(["GET /simple/**"])");
    if (!texts) return out;
    if (texts->value.empty() && reader.diagnostics().empty()) {
        reader.diagnostics().error(texts->at, "an empty `match` covers nothing",
                                   "write match = [\"GET /**\"], or remove the entry");
    }
    for (const PlacedText& text : texts->value) {
        auto pattern = accept(reader.diagnostics(), text.at, parse_request_pattern(text.value));
        if (pattern) out.push_back({std::move(*pattern), text.at});
    }
    return out;
}

std::vector<NamedTexts> read_resources(TableReader& reader) {
    std::vector<NamedTexts> out;
    const TomlMember* member = reader.table("resources", R"({ repo = ["acme/api"] })");
    if (member == nullptr) return out;
    Diagnostics& diagnostics = reader.diagnostics();
    for (const TomlMember& resource : member->value.members) {
        if (resource.value.kind != TomlKind::Array) {
            report_kind(diagnostics, resource.value, resource.key, "a list of patterns", R"(["acme/api"])");
            continue;
        }
        NamedTexts named{{resource.key, resource.at}, {}};
        for (PlacedText& text : read_texts(resource.value, resource.key, R"(["acme/api"])", diagnostics)) {
            if (accept(diagnostics, text.at, parse_resource_pattern(text.value))) {
                named.texts.push_back(std::move(text));
            }
        }
        out.push_back(std::move(named));
    }
    return out;
}

std::vector<PresentText> read_present(TableReader& reader) {
    std::vector<PresentText> out;
    const TomlMember* member = reader.table("present", "{ GH_TOKEN = true }");
    if (member == nullptr) return out;
    Diagnostics& diagnostics = reader.diagnostics();
    for (const TomlMember& variable : member->value.members) {
        if (!is_variable_name(variable.key)) {
            diagnostics.error(variable.at, "`" + variable.key + "` is not a variable name", "as in GH_TOKEN");
            continue;
        }
        const TomlValue& value = variable.value;
        if (value.kind == TomlKind::Boolean && value.boolean) {
            out.push_back({{variable.key, variable.at}, std::nullopt});
        } else if (value.kind == TomlKind::Boolean) {
            diagnostics.error(value.at, "`present` shows a placeholder; false shows nothing", "remove " + variable.key);
        } else if (value.kind != TomlKind::String) {
            report_kind(diagnostics, value, variable.key, "true or the placeholder's text", "true");
        } else if (!is_printable(value.text) || value.text.size() > kSentenceCharsMax) {
            diagnostics.error(value.at, "the placeholder is too long or has characters that cannot be seen");
        } else {
            out.push_back({{variable.key, variable.at}, value.text});
        }
    }
    return out;
}

void read_service(const TomlValue& table, Diagnostics& diagnostics, ProfileText& out) {
    TableReader reader(table, table.at, "[[service]]", diagnostics);
    ServiceText service;
    service.at = table.at;
    const auto name = read_name(reader, "name", Need::Required, "a service", "github");
    const auto catalog = read_name(reader, "catalog", Need::Required, "a catalog entry", "github");
    const auto account = read_name(reader, "account", Need::Required, "an account", "alice");
    if (const auto grant = reader.texts("grant", Need::Required, R"(["issues:read"])")) service.grant = grant->value;
    service.resources = read_resources(reader);
    service.present = read_present(reader);
    if (const auto reuse = reader.boolean("reuse")) service.reuse = reuse->value;
    if (const auto warm = reader.boolean("warm")) service.warm = warm->value;
    if (const auto login = reader.text("login", Need::Optional, "capture")) {
        service.captures_login = login->at;
        if (login->value != "capture") {
            diagnostics.error(login->at, "`login` cannot be `" + login->value + "`",
                              "\"capture\", or leave it out: then only `sanctum connect` logs in");
        }
    }
    reader.refuse("hosts", "a profile never decides where a credential goes",
                  "hosts belong to the account in the operator's configuration, or to the catalog entry");
    reader.finish();
    if (!name || !catalog || !account) return;
    service.name = *name;
    service.catalog = *catalog;
    service.account = *account;
    out.services.push_back(std::move(service));
}

void read_host(const TomlValue& table, Diagnostics& diagnostics, ProfileText& out) {
    TableReader reader(table, table.at, "[[host]]", diagnostics);
    HostText host;
    host.at = table.at;
    const auto name = reader.text("name", Need::Required, "pypi.org");
    const auto checked =
        name ? accept(diagnostics, name->at, parse_host(name->value, Wildcard::Leading)) : std::nullopt;
    host.ports = read_ports(reader);
    host.match = read_match(reader, Need::Required);
    reader.refuse("account", "a plain host never gets a credential",
                  "use a [[service]] with catalog = \"http-bearer\"");
    reader.finish();
    if (!checked) return;
    host.name = {*checked, name->at};
    out.hosts.push_back(std::move(host));
}

void read_rule(const TomlValue& table, Diagnostics& diagnostics, ProfileText& out) {
    TableReader reader(table, table.at, "[[rule]]", diagnostics);
    RuleText rule;
    rule.at = table.at;
    const auto verdict =
        reader.word<Verdict>("verdict", {Verdict::Allow, Verdict::Ask, Verdict::StepUp, Verdict::Deny});
    if (verdict) rule.verdict = verdict->value;
    else if (table.find("verdict") == nullptr) {
        diagnostics.error(table.at, "[[rule]] needs `verdict`",
                          "write verdict = \"deny\", \"ask\", \"step-up\" or \"allow\"");
    }
    rule.service = reader.text("service", Need::Optional, "github");
    rule.host = reader.text("host", Need::Optional, "pypi.org");
    if (rule.service && rule.host) {
        diagnostics.error(rule.host->at, "a rule is about a service or a host, not both", "write two rules");
    } else if (table.find("service") == nullptr && table.find("host") == nullptr) {
        diagnostics.error(table.at, "[[rule]] needs `service` or `host`", "name what the rule is about");
    }
    rule.match = read_match(reader, Need::Optional);
    if (auto operations = reader.texts("operation", Need::Optional, R"(["issues/lock"])")) {
        rule.operations = std::move(operations->value);
    }
    if (table.find("match") == nullptr && table.find("operation") == nullptr) {
        diagnostics.error(table.at, "[[rule]] needs `match` or `operation`",
                          "write match = [\"DELETE /**\"] or operation = [\"issues/lock\"]");
    }
    rule.risk = reader.word<Risk>("risk", {Risk::Low, Risk::Medium, Risk::High, Risk::Critical});
    if (rule.risk && verdict && rule.verdict != Verdict::Allow) {
        diagnostics.error(rule.risk->at, "`risk` belongs to rules with verdict = \"allow\"", "remove it");
    }
    rule.reason = read_sentence(reader, "reason", "locking a discussion is visible to customers");
    reader.finish();
    out.rules.push_back(std::move(rule));
}

void read_approval(TableReader& top, ProfileText& out) {
    const TomlMember* member = top.table("approval", {});
    if (member == nullptr) return;
    TableReader reader(member->value, member->at, "[approval]", top.diagnostics());
    const auto all = {Verdict::Allow, Verdict::Ask, Verdict::StepUp, Verdict::Deny};
    out.approval.low = reader.word<Verdict>("low", all);
    out.approval.medium = reader.word<Verdict>("medium", all);
    out.approval.high = reader.word<Verdict>("high", all);
    out.approval.critical = reader.word<Verdict>("critical", all);
    out.approval.timeout_ms = read_duration(reader, "timeout", "5m");
    if (out.approval.timeout_ms && out.approval.timeout_ms->value <= 0) {
        top.diagnostics().error(out.approval.timeout_ms->at, "nobody can answer in no time", "write timeout = \"5m\"");
    }
    reader.finish();
}

void read_budget_table(const TomlMember& member, Diagnostics& diagnostics, BudgetText& budget) {
    TableReader reader(member.value, member.at, "`" + member.key + "`", diagnostics);
    const auto max = reader.integer("max", 0, kCountMax);
    if (max) budget.limit = static_cast<std::uint64_t>(max->value);
    if (member.value.find("max") == nullptr) {
        diagnostics.error(member.at, "`" + member.key + "` needs `max`", "write { max = 20, in = \"1m\" }");
    }
    if (const auto window = read_duration(reader, "in", "1m")) {
        budget.window_ms = window->value;
        if (window->value <= 0) {
            diagnostics.error(window->at, "a window of no time counts nothing", "write in = \"1m\"");
        }
    }
    reader.finish();
}

void read_budget(TableReader& top, ProfileText& out) {
    const TomlMember* member = top.table("budget", {});
    if (member == nullptr) return;
    Diagnostics& diagnostics = top.diagnostics();
    if (member->value.members.size() > kProfileListMax) {
        diagnostics.error(member->at, "more than " + std::to_string(kProfileListMax) + " budget lines");
        return;
    }
    for (const TomlMember& line : member->value.members) {
        BudgetText budget{.key = {line.key, line.at}};
        if (line.value.kind == TomlKind::Table) {
            read_budget_table(line, diagnostics, budget);
        } else if (line.value.kind != TomlKind::Integer) {
            report_kind(diagnostics, line.value, line.key, "a whole number or { max = 20, in = \"1m\" }", "20");
        } else if (line.value.integer < 0 || line.value.integer > kCountMax) {
            diagnostics.error(line.value.at, "`" + line.key + "` must be between 0 and " + std::to_string(kCountMax));
        } else {
            budget.limit = static_cast<std::uint64_t>(line.value.integer);
        }
        out.budgets.push_back(std::move(budget));
    }
}

void read_cpus(TableReader& reader, SandboxLimits& limits) {
    const TomlMember* member = reader.take("cpus");
    if (member == nullptr) return;
    const TomlValue& value = member->value;
    if (value.kind != TomlKind::Float && value.kind != TomlKind::Integer) {
        return report_kind(reader.diagnostics(), value, "cpus", "a number", "2.0");
    }
    const double cpus = value.kind == TomlKind::Float ? value.real : static_cast<double>(value.integer);
    if (!(cpus >= 0.001) || cpus > kCpusMax) {
        return reader.diagnostics().error(value.at, "`cpus` must be between 0.001 and 4096", "write cpus = 2.0");
    }
    limits.cpus_milli = static_cast<std::uint64_t>(std::llround(cpus * 1000));
}

void read_limits(TableReader& sandbox, SandboxLimits& limits) {
    const TomlMember* member = sandbox.table("limits", "{ memory = \"2GiB\" }");
    if (member == nullptr) return;
    TableReader reader(member->value, member->at, "limits", sandbox.diagnostics());
    const auto size = [&](std::string_view key, std::string_view example) -> std::optional<std::uint64_t> {
        const auto value = read_size(reader, key, example);
        if (!value) return std::nullopt;
        if (value->value == 0) {
            sandbox.diagnostics().error(value->at, "`" + std::string(key) + "` is nothing",
                                        "leave it out for no limit");
        }
        return value->value;
    };
    const auto count = [&](std::string_view key) -> std::optional<std::uint64_t> {
        const auto value = reader.integer(key, 1, kProcessesMax);
        return value ? std::optional(static_cast<std::uint64_t>(value->value)) : std::nullopt;
    };
    limits.memory_bytes = size("memory", "2GiB");
    limits.processes = count("processes");
    read_cpus(reader, limits);
    limits.file_bytes = size("file_size", "1GiB");
    limits.open_files = count("open_files");
    if (const auto missing = reader.word<MissingLimits>("missing", {MissingLimits::Refuse, MissingLimits::Accept})) {
        limits.missing = missing->value;
    }
    reader.finish();
}

void read_environment(TableReader& sandbox, SandboxText& out) {
    const TomlMember* member = sandbox.table("environment", R"({ pass = ["LANG"], set = { CI = "1" } })");
    if (member == nullptr) return;
    Diagnostics& diagnostics = sandbox.diagnostics();
    TableReader reader(member->value, member->at, "environment", diagnostics);
    if (const auto pass = reader.texts("pass", Need::Optional, R"(["LANG"])")) out.pass = pass->value;
    if (const TomlMember* set = reader.table("set", R"({ CI = "1" })")) {
        for (const TomlMember& variable : set->value.members) {
            if (variable.value.kind != TomlKind::String) {
                report_kind(diagnostics, variable.value, variable.key, "text", R"("1")");
            } else if (variable.value.text.size() > kTextCharsMax ||
                       variable.value.text.find('\0') != std::string::npos) {
                diagnostics.error(variable.value.at, "the value of " + variable.key + " is too long or has a zero byte",
                                  {}, Show::NotTheValue);
            } else {
                out.set.push_back({{variable.key, variable.at}, variable.value.text});
            }
        }
    }
    reader.finish();
    const auto check = [&](const PlacedText& name) {
        if (is_variable_name(name.value)) return;
        const bool is_pattern = name.value.find('*') != std::string::npos;
        diagnostics.error(
            name.at, "`" + name.value + "` is not a variable name",
            is_pattern ? "variables are named one by one, never by pattern" : "letters, digits and underscores");
    };
    for (const PlacedText& name : out.pass) check(name);
    for (const SetVariable& variable : out.set) check(variable.name);
}

void read_sandbox(TableReader& top, ProfileText& out) {
    const TomlMember* member = top.table("sandbox", {});
    if (member == nullptr) return;
    TableReader reader(member->value, member->at, "[sandbox]", top.diagnostics());
    SandboxText& sandbox = out.sandbox;
    sandbox.workspace = reader.text("workspace", Need::Optional, ".");
    if (const auto read = reader.texts("read", Need::Optional, R"(["~/.gitconfig"])")) sandbox.read = read->value;
    if (const auto write = reader.texts("write", Need::Optional, R"(["/var/cache/build"])")) {
        sandbox.write = write->value;
    }
    if (const auto home = reader.word<Home>("home", {Home::Fresh, Home::Kept})) {
        sandbox.home = home->value;
        sandbox.home_at = home->at;
    }
    if (const auto later = reader.word<RunsLater>("runs_later", {RunsLater::Hold, RunsLater::Report})) {
        sandbox.runs_later = later->value;
    }
    if (const auto attribute = reader.boolean("attribute")) {
        sandbox.attribute = attribute->value;
        sandbox.attribute_at = attribute->at;
    }
    if (const TomlMember* limits = reader.peek("limits")) sandbox.limits_at = limits->at;
    read_limits(reader, sandbox.limits);
    read_environment(reader, sandbox);
    if (const auto abi = reader.integer("landlock_min", 0, kLandlockAbiMax)) {
        sandbox.landlock_min = static_cast<std::uint32_t>(abi->value);
    }
    reader.finish();
}

}  // namespace

ProfileText read_profile_tree(const TomlValue& tree, std::uint32_t source, Diagnostics& diagnostics) {
    ProfileText out;
    TableReader top(tree, {.source = source, .line = 1, .column = 1}, "the profile", diagnostics);
    check_schema(top);
    read_mission(top, out);
    read_sandbox(top, out);
    for (const TomlValue* service : top.tables("service")) read_service(*service, diagnostics, out);
    for (const TomlValue* rule : top.tables("rule")) read_rule(*rule, diagnostics, out);
    for (const TomlValue* host : top.tables("host")) read_host(*host, diagnostics, out);
    read_approval(top, out);
    read_budget(top, out);
    top.refuse("delegate", "`delegate` is said of the mission", "write it under [mission]");
    top.refuse("login", "`login` belongs to a [[service]]", "write it there");
    top.refuse("account", "accounts belong to the operator's configuration",
               "a profile names them: account = \"alice\"");
    top.finish();
    return out;
}

Profile::Profile(std::unique_ptr<Written> written) : written_(std::move(written)) {}
Profile::Profile(Profile&&) noexcept = default;
Profile& Profile::operator=(Profile&&) noexcept = default;
Profile::~Profile() = default;

Result<Profile> load_profile(const std::string& file_name, std::string_view toml) {
    if (toml.size() > kSmallFileBytesMax) {
        return Error{Errc::Limit, file_name + ": larger than " + format_size(kSmallFileBytesMax)};
    }
    auto written = std::make_unique<Profile::Written>();
    written->file_name = file_name;
    written->sha256 = wire::to_hex(sha256(toml));
    Diagnostics& diagnostics = written->sources;
    written->source = diagnostics.add_file(file_name, toml);
    std::optional<TomlValue> tree = parse_toml(toml, written->source, diagnostics);
    if (!tree) return diagnostics.to_error();
    written->text = read_profile_tree(*tree, written->source, diagnostics);
    if (!diagnostics.empty()) return diagnostics.to_error();
    written->tree = std::move(*tree);
    return Profile(std::move(written));
}

}  // namespace sanctum::profiles
