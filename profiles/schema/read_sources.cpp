// SPDX-License-Identifier: Apache-2.0
#include "profiles/schema/read_sources.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "profiles/schema/owned_file.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace sanctum::profiles {
namespace {

struct NamedAuthentication {
    ClientAuthentication value;
    std::string_view name;
};
constexpr std::array<NamedAuthentication, 5> kAuthentications = {{
    {ClientAuthentication::SecretPost, "client_secret_post"},
    {ClientAuthentication::SecretBasic, "client_secret_basic"},
    {ClientAuthentication::PrivateKeyJwt, "private_key_jwt"},
    {ClientAuthentication::Tls, "tls_client_auth"},
    {ClientAuthentication::None, "none"},
}};

// The sources, and the keys that belong to each beside those of every account.
struct SourceKeys {
    std::string_view name;
    std::vector<std::string_view> keys;
};
const std::vector<SourceKeys>& sources() {
    static const std::vector<SourceKeys> all = {
        {"local", {"item"}},
        {"command", {"command", "revoke", "ask_scopes", "scope_names", "wider"}},
        {"rotate", {"issue", "retire"}},
        {"file", {"file"}},
        {"environment", {"variable"}},
        {"systemd", {"credential"}},
        {"auth0",
         {"tenant", "connection", "exchange", "item", "user", "login_hint", "mission_token_type", "ask_scopes",
          "scope_names", "wider"}},
        {"oauth",
         {"provider", "grant_type", "item", "audience", "resource", "ask_scopes", "scope_names", "wider",
          "authorization_details"}},
        {"github-app", {"app_id", "installation", "provider", "target", "item", "api", "scope_names"}},
        {"aws-sts", {"role", "external_id", "item", "api", "scope_names", "wider"}},
        {"openbao",
         {"address", "namespace", "login", "auth_mount", "role_id", "item", "wrapped", "engine", "mount", "path",
          "field", "username_field", "policies", "scope_names", "retire_policy", "revoke_prefix", "num_uses",
          "parameters"}},
        {"kubernetes",
         {"server", "namespace", "service_account", "audiences", "retire_as", "item", "certificate"}},
        {"google",
         {"grant_type", "item", "client_id", "client_secret", "user", "boundary", "ask_scopes", "scope_names",
          "wider"}},
        {"login", {"item"}},
    };
    return all;
}

bool is_key_of(std::string_view source, std::string_view key) {
    return std::any_of(sources().begin(), sources().end(), [&](const SourceKeys& known) {
        return known.name == source && std::find(known.keys.begin(), known.keys.end(), key) != known.keys.end();
    });
}

constexpr std::string_view kGithubUser = "github-user";  // how such an account comes to its tokens

std::string owners_of(std::string_view key) {
    std::string owners;
    for (const SourceKeys& source : sources()) {
        if (!is_key_of(source.name, key)) continue;
        if (!owners.empty()) owners += ", ";
        owners += source.name;
    }
    return owners;
}

std::set<std::string_view> keys_of_all() {
    std::set<std::string_view> keys;
    for (const SourceKeys& source : sources()) keys.insert(source.keys.begin(), source.keys.end());
    return keys;
}

// Without a source nobody can say which keys belong to it.
void forgive_all(TableReader& reader) {
    for (const std::string_view key : keys_of_all()) reader.forgive(key);
    reader.forgive("on_exit");
}

// What may stand in a URL as it is and can lead nowhere else: names between single slashes.
bool is_bao_path(std::string_view text) {
    std::size_t begin = 0;
    while (begin <= text.size()) {
        const std::size_t end = std::min(text.find('/', begin), text.size());
        const std::string_view name = text.substr(begin, end - begin);
        const bool is_plain = std::all_of(name.begin(), name.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
                   c == '.' || c == '@' || c == ':';
        });
        if (name.empty() || name == "." || name == ".." || !is_plain) return false;
        begin = end + 1;
    }
    return true;
}

// RFC 1123: names of namespaces and service accounts.
bool is_object_name(std::string_view text) {
    const auto is_edge = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    return !text.empty() && text.size() <= kObjectNameCharsMax && is_edge(text.front()) && is_edge(text.back()) &&
           text.find("..") == std::string_view::npos && std::all_of(text.begin(), text.end(), [&](char c) {
               return is_edge(c) || c == '-' || c == '.';
           });
}

// Of Google's IAM, shipped or an organisation's own.
bool is_google_role(std::string_view text) {
    const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-' || c == '/';
    });
    return is_plain && text.find("roles/") != std::string_view::npos && !text.ends_with('/');
}

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool consists_of(std::string_view text, std::string_view others) {
    return std::all_of(text.begin(), text.end(), [&](char c) {
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        return is_letter || (c >= '0' && c <= '9') || others.find(c) != std::string_view::npos;
    });
}

// arn:PARTITION:iam::ACCOUNT:role/PATH/NAME
bool is_role_arn(std::string_view text) {
    constexpr std::size_t kAccountDigits = 12;
    constexpr std::size_t kRoleArnCharsMax = 2048;
    std::array<std::string_view, 6> parts{};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::size_t colon = i + 1 < parts.size() ? text.find(':') : std::string_view::npos;
        parts[i] = text.substr(0, colon);
        text.remove_prefix(std::min(parts[i].size() + 1, text.size()));
    }
    const bool is_arn = parts[0] == "arn" && parts[1].starts_with("aws") && consists_of(parts[1], "-") &&
                        parts[2] == "iam" && parts[3].empty() && parts[4].size() == kAccountDigits &&
                        is_number(parts[4]);
    return is_arn && parts[5].starts_with("role/") && parts[5].size() > 5 && !parts[5].ends_with('/') &&
           parts[5].size() < kRoleArnCharsMax && consists_of(parts[5], "/_+=,.@-");
}

// The subject_token_type of a Custom Token Exchange profile.
bool is_token_type(std::string_view text) {
    constexpr std::array<std::string_view, 7> kReserved = {"urn:ietf:",          "urn:auth0:",       "urn:okta:",
                                                           "https://auth0.com/", "http://auth0.com/", "https://okta.com/",
                                                           "http://okta.com/"};
    const bool is_reserved = std::any_of(kReserved.begin(), kReserved.end(),
                                         [&](std::string_view own) { return text.starts_with(own); });
    const bool is_uri = text.starts_with("urn:") || text.starts_with("https://") || text.starts_with("http://");
    return is_uri && !is_reserved && text.size() > 8 && consists_of(text, "-._~:/?#[]@!$&'()*+,;=%");
}

bool is_external_id(std::string_view text) {
    return text.size() >= 2 && text.size() <= 1224 && consists_of(text, "_+=,.@:/-");
}

}  // namespace

std::string_view name_of(ClientAuthentication value) {
    for (const NamedAuthentication& known : kAuthentications) {
        if (known.value == value) return known.name;
    }
    return "none";
}

bool parse_name(std::string_view name, ClientAuthentication& value) {
    for (const NamedAuthentication& known : kAuthentications) {
        if (known.name != name) continue;
        value = known.value;
        return true;
    }
    return false;
}

void SourceReader::read_account(TableReader& reader, Account& account) {
    read_text(reader, "username", Need::Optional, "agent", account.username);
    if (account.username.find(':') != std::string::npos) {
        diagnostics_.error(reader.peek("username")->value.at, "a user name cannot hold a colon", "RFC 7617, section 2");
    }
    const auto source = reader.text("source", Need::Required, "local");
    if (!source) return forgive_all(reader);
    account.source = source->value;
    if (source->value == "local") read_local(reader, account);
    else if (source->value == "command") read_command(reader, account);
    else if (source->value == "rotate") read_rotate(reader, account);
    else if (source->value == "file") read_secret_file(reader, account);
    else if (source->value == "environment") read_variable(reader, account);
    else if (source->value == "systemd") read_credential(reader, account);
    else if (source->value == "auth0") read_auth0(reader, account);
    else if (source->value == "oauth") read_oauth(reader, account);
    else if (source->value == "github-app") read_github_app(reader, account);
    else if (source->value == "aws-sts") read_aws_sts(reader, account);
    else if (source->value == "openbao") read_openbao(reader, account);
    else if (source->value == "kubernetes") read_kubernetes(reader, account);
    else if (source->value == "google") read_google(reader, account);
    else if (source->value == "login") read_login(reader, account);
    else {
        std::vector<std::string> names;
        for (const SourceKeys& known : sources()) names.emplace_back(known.name);
        diagnostics_.error(source->at, "there is no source `" + source->value + "`", suggest(source->value, names));
        return forgive_all(reader);
    }
    refuse_foreign_keys(reader, account);
}

// A key of another source is no typing mistake: it says what somebody thought would happen.
void SourceReader::refuse_foreign_keys(TableReader& reader, const Account& account) {
    for (const std::string_view key : keys_of_all()) {
        const TomlMember* member = reader.peek(key);
        if (member == nullptr || is_key_of(account.source, key)) continue;
        if (key == "client_secret") continue;  // its value may be one: refused with all secrets that are written inline
        reader.forgive(key);
        diagnostics_.error(member->at, "`" + std::string(key) + "` belongs to source " + owners_of(key), "remove it");
    }
}

void SourceReader::read_local(TableReader& reader, Account& account) {
    read_item(reader, account, Need::Required, "the name in the store");
    read_on_exit(reader, account, false);
}

// Without an item there is only what an agent captures within its mission.
void SourceReader::read_login(TableReader& reader, Account& account) {
    read_item(reader, account, Need::Optional, "where `sanctum connect` keeps the login");
    read_on_exit(reader, account, false);
}

void SourceReader::read_command(TableReader& reader, Account& account) {
    account.command = read_program(reader, "command", Need::Required, R"(["/usr/bin/print-token", "work"])", account);
    account.give_back = read_program(reader, "revoke", Need::Optional, R"(["/usr/local/bin/mint", "revoke"])", account);
    read_scopes(reader, account);
    read_on_exit(reader, account, reader.peek("revoke") != nullptr,
                 R"(name the program that does it: revoke = ["/usr/local/bin/mint", "revoke"])");
}

void SourceReader::read_rotate(TableReader& reader, Account& account) {
    account.command = read_program(reader, "issue", Need::Required, R"(["/usr/local/bin/key", "issue"])", account);
    account.give_back = read_program(reader, "retire", Need::Required, R"(["/usr/local/bin/key", "retire"])", account);
    const auto on_exit = reader.peek("on_exit");
    read_on_exit(reader, account, true);
    if (on_exit == nullptr || account.on_exit != "expire") return;
    diagnostics_.error(on_exit->value.at, "source `rotate` always retires what it issued",
                       "remove `on_exit`, or use source = \"command\" without `revoke`");
}

std::vector<std::string> SourceReader::read_program(TableReader& reader, std::string_view key, Need need,
                                                    std::string_view example, const Account& account) {
    const auto words = reader.texts(key, Need::Optional, example);
    std::vector<std::string> program;
    if (!words && need == Need::Optional) return program;
    if (!words || words->value.empty()) {
        if (words || reader.peek(key) == nullptr) {
            diagnostics_.error(words ? words->at : reader.at(),
                               "source `" + account.source + "` needs `" + std::string(key) +
                                   "`, a program and its arguments",
                               "write " + std::string(key) + " = " + std::string(example));
        }
        return program;
    }
    if (!words->value.front().value.starts_with('/')) {
        diagnostics_.error(words->value.front().at, "the program's path is not absolute", "the vault searches no PATH");
    }
    for (const auto& word : words->value) program.push_back(word.value);
    return program;
}

void SourceReader::read_secret_file(TableReader& reader, Account& account) {
    read_on_exit(reader, account, false);
    const auto file = reader.text("file", Need::Required, "/etc/sanctum/token");
    if (!file) return;
    account.file = file->value;
    if (!account.file.starts_with('/')) {
        return diagnostics_.error(file->at, "the file's path is not absolute", "write file = \"/etc/sanctum/token\"");
    }
    if (const auto fault = private_file_fault(account.file)) diagnostics_.error(file->at, fault->text, fault->hint);
}

void SourceReader::read_variable(TableReader& reader, Account& account) {
    read_on_exit(reader, account, false);
    const auto variable = reader.text("variable", Need::Required, "GH_TOKEN");
    if (!variable) return;
    account.variable = variable->value;
    if (is_variable_name(account.variable)) return;
    diagnostics_.error(variable->at, "`variable` is the name of a variable, not its value",
                       "letters, digits and underscores, as in variable = \"GH_TOKEN\"", Show::NotTheValue);
}

void SourceReader::read_credential(TableReader& reader, Account& account) {
    read_on_exit(reader, account, false);
    const auto credential = reader.text("credential", Need::Required, "github-token");
    if (!credential) return;
    account.credential = credential->value;
    const bool is_name = !account.credential.empty() && !account.credential.starts_with('.') &&
                         account.credential.find('/') == std::string::npos;
    if (is_name) return;
    diagnostics_.error(credential->at, "`credential` is a name, not a path",
                       "the NAME of the unit's LoadCredential=NAME:PATH");
}

void SourceReader::read_auth0(TableReader& reader, Account& account) {
    ProviderAccount& provider = account.provider;
    read_how(reader, "exchange", {"refresh-token", "access-token", "worker"}, account);
    read_client(reader, "tenant", account);
    read_text(reader, "connection", Need::Required, "github", provider.connection);
    read_text(reader, "login_hint", Need::Optional, "alice@example.org", provider.login_hint);
    const bool is_worker = provider.how == "worker";
    const auto user = reader.text("user", is_worker ? Need::Required : Need::Optional, "auth0|507f1f77bcf86cd7");
    if (user) provider.user = user->value;
    if (user && !is_worker) {
        diagnostics_.error(user->at, "`user` belongs to exchange = \"worker\"",
                           "the subject token of `item` says who the user is");
    }
    const auto need = is_worker ? Need::Optional : Need::Required;
    read_item(reader, account, need, is_worker ? "" : "the user's Auth0 token in the store");
    if (is_worker && !account.item.empty()) {
        diagnostics_.error(reader.peek("item")->value.at, "exchange `worker` has no subject token",
                           "remove `item`; the tenant's private_key signs for the user");
    }
    read_scopes(reader, account);
    read_mission_token(reader, account);
    if (provider.mission_token_type.empty()) read_on_exit(reader, account, provider.how == "refresh-token");
    else read_on_exit_of_a_maker(reader, account);
}

// A name of the operator's own for the exchange that makes it; Auth0 keeps some for itself.
void SourceReader::read_mission_token(TableReader& reader, Account& account) {
    const auto type = reader.text("mission_token_type", Need::Optional, "urn:acme:sanctum-mission");
    if (!type) return;
    account.provider.mission_token_type = type->value;
    if (account.provider.how != "refresh-token") {
        return diagnostics_.error(type->at, "`mission_token_type` belongs to exchange = \"refresh-token\"",
                                  "remove it; the other exchanges have no token that could end with the mission");
    }
    if (!is_token_type(type->value)) {
        diagnostics_.error(type->at, "`mission_token_type` is the name of an exchange of yours in the tenant, as a URI",
                           "as in \"urn:acme:sanctum-mission\" or \"https://acme.example/mission\"; Auth0 keeps urn:ietf, "
                           "urn:auth0, urn:okta and its own domains for itself");
    }
}

void SourceReader::read_oauth(TableReader& reader, Account& account) {
    ProviderAccount& provider = account.provider;
    read_how(reader, "grant_type", {"refresh-token", "client-credentials", "token-exchange"}, account);
    read_client(reader, "provider", account);
    const bool is_client = provider.how == "client-credentials";
    read_item(reader, account, is_client ? Need::Optional : Need::Required, "the token in the store");
    if (is_client && !account.item.empty()) {
        diagnostics_.error(reader.peek("item")->value.at, "`client-credentials` needs no token of a user",
                           "remove `item`");
    }
    read_text(reader, "audience", Need::Optional, "https://api.example.org", provider.audience);
    read_text(reader, "resource", Need::Optional, "https://api.example.org", provider.resource);
    read_scopes(reader, account);
    read_details(reader, account);
    read_on_exit(reader, account, true);
}

void SourceReader::read_details(TableReader& reader, Account& account) {
    for (const TomlValue* table : reader.tables("authorization_details")) read_detail(*table, account);
    if (account.provider.details.empty() || account.provider.asks_scopes) return;
    // ask_scopes = false: the provider is asked for nothing, and what it gives is not compared.
    diagnostics_.error(reader.peek("authorization_details")->at,
                       "`authorization_details` are asked for, and ask_scopes = false says that nothing is",
                       "remove one of the two");
}

// Only texts and lists of texts, as all members that RFC 9396 2.2 names are; a provider's own may be of other kinds.
void SourceReader::read_detail(const TomlValue& table, Account& account) {
    AuthorizationDetail detail;
    for (const TomlMember& member : table.members) {
        const TomlValue& value = member.value;
        if (value.kind == TomlKind::String) {
            detail.texts[member.key] = value.text;
            continue;
        }
        if (value.kind != TomlKind::Array) {
            report_kind(diagnostics_, value, member.key, "a text or a list of texts", R"(["read"])");
            continue;
        }
        std::vector<std::string>& list = member.key == "for" ? detail.scopes : detail.lists[member.key];
        for (auto& text : read_texts(value, member.key, R"(["read"])", diagnostics_)) list.push_back(text.value);
    }
    if (!detail.texts.contains("type")) {
        diagnostics_.error(table.at, "authorization_details need a `type`", "write type = \"repository\"");
    }
    account.provider.details.push_back(std::move(detail));
}

void SourceReader::read_github_app(TableReader& reader, Account& account) {
    ProviderAccount& provider = account.provider;
    const bool is_users = reader.peek("provider") != nullptr;
    const auto read_id = [&](std::string_view key, std::string_view example, std::string& to) {
        const auto id = reader.text(key, is_users ? Need::Optional : Need::Required, example);
        if (!id) return;
        to = id->value;
        if (is_users) {
            diagnostics_.error(id->at, "`" + std::string(key) + "` belongs to tokens of an installation",
                               "remove it, or `provider`: with that one the tokens are a user's");
        } else if (!is_number(to)) {
            diagnostics_.error(id->at, "`" + std::string(key) + "` is not a number",
                               "it stands in the app's settings; write " + std::string(key) + " = \"" +
                                   std::string(example) + "\"");
        }
    };
    read_id("app_id", "123456", provider.app_id);
    read_id("installation", "7891011", provider.installation);
    if (is_users) read_github_user(reader, account);
    if (const auto target = reader.peek("target"); target != nullptr && !is_users) {
        reader.forgive("target");
        diagnostics_.error(target->at, "`target` belongs to a user's tokens", "remove it, or name a `provider`");
    }
    read_item(reader, account, Need::Required,
              is_users ? "the user's token or refresh token in the store" : "the app's private key (PEM) in the store");
    provider.api = read_url(reader, "api", Need::Optional, "https://github.example.org/api/v3");
    if (provider.api.empty()) provider.api = "https://api.github.com";
    if (provider.api.ends_with('/')) provider.api.pop_back();
    read_scopes(reader, account);
    read_on_exit(reader, account, true);
}

void SourceReader::read_github_user(TableReader& reader, Account& account) {
    account.provider.how = kGithubUser;
    read_client(reader, "provider", account);
    const auto target = reader.text("target", Need::Optional, "acme");
    if (!target) return;
    account.provider.target = target->value;
    if (target->value.empty() || !consists_of(target->value, "-_")) {
        diagnostics_.error(target->at, "`target` is the name of a user or an organisation", "as in target = \"acme\"");
    }
}

// The forms are those of the API: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
void SourceReader::read_aws_sts(TableReader& reader, Account& account) {
    ProviderAccount& provider = account.provider;
    if (const auto role = reader.text("role", Need::Required, "arn:aws:iam::123456789012:role/agent")) {
        provider.role = role->value;
        if (!is_role_arn(role->value)) {
            diagnostics_.error(role->at, "`" + role->value + "` is not the ARN of a role",
                               "it stands on the role's page: arn:aws:iam::123456789012:role/NAME");
        }
    }
    if (const auto id = reader.text("external_id", Need::Optional, "the-trust-policys-word")) {
        provider.external_id = id->value;
        if (!is_external_id(id->value)) {
            diagnostics_.error(id->at, "`external_id` has a character that AWS does not take, or not 2 to 1224 of them",
                               "letters, digits and _+=,.@:/-");
        }
    }
    if (account.region.empty() && reader.peek("region") == nullptr) {
        diagnostics_.error(reader.at(), "source `aws-sts` needs `region`, where the role is assumed",
                           "write region = \"eu-central-1\"");
    }
    read_item(reader, account, Need::Required, "the access key and secret key in the store");
    provider.api = read_url(reader, "api", Need::Optional, "https://sts.cn-north-1.amazonaws.com.cn");
    if (provider.api.empty()) provider.api = "https://sts." + account.region + ".amazonaws.com";
    while (provider.api.ends_with('/')) provider.api.pop_back();
    read_scopes(reader, account);
    read_on_exit(reader, account, false);
}

void SourceReader::read_server(TableReader& reader, std::string_view key, std::string_view example, std::string& to) {
    to = read_url(reader, key, Need::Required, example);
    while (to.ends_with('/')) to.pop_back();
}

std::string SourceReader::read_word(TableReader& reader, std::string_view key, const std::vector<std::string>& known) {
    const auto word = reader.text(key, Need::Required, known.front());
    if (!word || std::find(known.begin(), known.end(), word->value) != known.end()) return word ? word->value : "";
    diagnostics_.error(word->at, "`" + std::string(key) + "` cannot be `" + word->value + "`",
                       suggest(word->value, known));
    return "";
}

void SourceReader::read_openbao(TableReader& reader, Account& account) {
    BaoAccount& bao = account.bao;
    read_server(reader, "address", "https://bao.example.org:8200", bao.address);
    if (const auto name = reader.text("namespace", Need::Optional, "team-a")) {
        bao.bao_namespace = name->value;
        if (!is_bao_path(name->value)) {
            diagnostics_.error(name->at, "`namespace` is a path of names", "as in \"team-a\" or \"org/team-a\"");
        }
    }
    bao.login = read_word(reader, "login", {"approle", "token"});
    read_bao_login(reader, bao);
    read_item(reader, account, Need::Required, "what logs in at the server: a secret id or a token in the store");
    bao.engine = read_word(reader, "engine", {"kv", "dynamic", "token"});
    read_bao_secret(reader, bao);
    read_scope_names(reader, account);
    read_bao_policies(reader, account, bao);
    if (bao.engine == "kv") read_on_exit(reader, account, false);
    else read_on_exit_of_a_maker(reader, account);
}

void SourceReader::read_bao_login(TableReader& reader, BaoAccount& bao) {
    const bool is_approle = bao.login == "approle";
    if (const auto wrapped = reader.boolean("wrapped")) bao.is_wrapped = wrapped->value;
    const auto role = reader.text("role_id", is_approle ? Need::Required : Need::Optional, "the role's id");
    const auto mount = reader.text("auth_mount", Need::Optional, "approle");
    if (role) bao.role_id = role->value;
    bao.auth_mount = mount ? mount->value : "approle";
    for (const auto& key : {role, mount}) {
        if (!key || is_approle || bao.login.empty()) continue;
        diagnostics_.error(key->at, "this belongs to login = \"approle\"", "remove it");
    }
    if (mount && !is_bao_path(mount->value)) {
        diagnostics_.error(mount->at, "`auth_mount` is a path of names", "without `auth/` before it, as \"approle\"");
    }
}

// The path that is asked for, and what of the answer is the credential.
void SourceReader::read_bao_secret(TableReader& reader, BaoAccount& bao) {
    const bool is_kv = bao.engine == "kv";
    const bool is_read = is_kv || bao.engine == "dynamic";
    const auto need = is_read ? Need::Required : Need::Optional;
    const auto mount = reader.text("mount", Need::Optional, "secret");
    const auto path = reader.text("path", need, is_kv ? "app/deploy" : "database/creds/reader");
    const auto field = reader.text("field", need, is_kv ? "token" : "password");
    const auto username = reader.text("username_field", Need::Optional, "username");
    const auto refuse_unless = [&](bool fits, const std::optional<Placed<std::string>>& key, std::string_view engines) {
        if (!key || fits || bao.engine.empty()) return;
        diagnostics_.error(key->at, "this belongs to engine " + std::string(engines), "remove it");
    };
    refuse_unless(is_kv, mount, "\"kv\"");
    for (const auto& key : {path, field, username}) refuse_unless(is_read, key, "\"kv\" and \"dynamic\"");
    read_bao_parameters(reader, bao);
    if (field) bao.field = field->value;
    if (username) bao.username_field = username->value;
    if (username && reader.peek("username") != nullptr) {
        diagnostics_.error(username->at, "`username` and `username_field` both name the user", "remove one of them");
    }
    if (mount && !is_bao_path(mount->value)) {
        diagnostics_.error(mount->at, "`mount` is a path of names", "where the engine is mounted, as \"secret\"");
    }
    if (!path) return;
    if (!is_bao_path(path->value)) {
        return diagnostics_.error(path->at, "`path` is a path of names",
                                  "without `/v1/` before it, as in \"app/deploy\" or \"database/creds/reader\"");
    }
    bao.path = is_kv ? (mount ? mount->value : "secret") + "/data/" + path->value : path->value;
    for (const std::string_view own : {"sys/", "auth/", "cubbyhole/", "identity/"}) {
        if (!bao.path.starts_with(own)) continue;
        diagnostics_.error(is_kv && mount ? mount->at : path->at, std::string(own) + " is the server's own",
                           "name a secret of an engine");
    }
}

// What a database needs no word for, other engines have to be told: `kubernetes/creds/NAME`, `github/token`.
void SourceReader::read_bao_parameters(TableReader& reader, BaoAccount& bao) {
    const TomlMember* parameters = reader.table("parameters", R"({ kubernetes_namespace = "agents" })");
    if (parameters == nullptr) return;
    if (bao.engine != "dynamic" && !bao.engine.empty()) {
        diagnostics_.error(parameters->at, "this belongs to engine \"dynamic\"", "remove it");
    }
    for (const TomlMember& parameter : parameters->value.members) {
        if (parameter.value.kind == TomlKind::String) bao.parameters[parameter.key] = parameter.value.text;
        else report_kind(diagnostics_, parameter.value, parameter.key, "a text", R"("agents")");
    }
}

void SourceReader::read_bao_policies(TableReader& reader, const Account& account, BaoAccount& bao) {
    const bool makes = bao.engine == "dynamic" || bao.engine == "token";
    if (const auto policies = reader.texts("policies", Need::Optional, R"(["db-reader"])")) {
        for (const auto& policy : policies->value) {
            bao.policies.push_back(policy.value);
            if (policy.value != "root") continue;
            diagnostics_.error(policy.at, "no mission gets the policy `root`", "name the policies that it needs");
        }
    }
    if (bao.policies.empty() && account.provider.scope_names.empty() && !bao.engine.empty()) {
        diagnostics_.error(reader.at(), "source `openbao` needs `policies`, `scope_names`, or both",
                           "write policies = [\"db-reader\"], or scope_names = { read = \"db-reader\" }");
    }
    const auto retire = reader.text("retire_policy", makes ? Need::Required : Need::Optional, "sanctum-retire");
    if (retire) bao.retire_policy = retire->value;
    if (retire && retire->value == "root") {
        diagnostics_.error(retire->at, "no token of Sanctum's gets the policy `root`",
                           "name one that allows `update` on auth/token/revoke-accessor and sys/leases/revoke");
    }
    if (retire && bao.engine == "kv") {
        diagnostics_.error(retire->at, "this belongs to engine \"dynamic\" and \"token\"",
                           "remove it; a stored secret cannot be revoked");
    }
    if (const auto prefix = reader.boolean("revoke_prefix")) {
        bao.revokes_prefix = prefix->value;
        if (prefix->value && bao.engine != "dynamic" && !bao.engine.empty()) {
            diagnostics_.error(prefix->at, "this belongs to engine \"dynamic\"", "remove it");
        }
    }
    if (reader.peek("num_uses") == nullptr) return;
    const auto uses = reader.integer("num_uses", 1, kTokenUsesMax);
    if (uses) bao.uses = uses->value;
    if (uses && bao.engine != "token" && !bao.engine.empty()) {
        diagnostics_.error(uses->at, "this belongs to engine \"token\"",
                           "remove it; the token that reads a secret is good for that alone");
    }
}

void SourceReader::read_kubernetes(TableReader& reader, Account& account) {
    KubernetesAccount& cluster = account.kubernetes;
    read_server(reader, "server", "https://kube.example.org:6443", cluster.server);
    const auto read_label = [&](std::string_view key, Need need, std::string_view example, std::string& to) {
        const auto name = reader.text(key, need, example);
        if (!name) return;
        to = name->value;
        if (!is_object_name(to)) {
            diagnostics_.error(name->at, "`" + std::string(key) + "` is no name of Kubernetes",
                               "lower-case letters, digits, `-` and `.`, as \"" + std::string(example) + "\"");
        }
    };
    read_label("namespace", Need::Required, "agents", cluster.name_space);
    read_label("service_account", Need::Required, "mission", cluster.service_account);
    read_label("retire_as", Need::Optional, "sanctum-retire", cluster.retire_as);
    if (!cluster.retire_as.empty() && cluster.retire_as == cluster.service_account) {
        diagnostics_.error(reader.peek("retire_as")->value.at, "`retire_as` is the mission's own service account",
                           "name one that may do nothing but delete Secrets of this namespace");
    }
    if (const auto audiences = reader.texts("audiences", Need::Optional, R"(["api.example.org"])")) {
        for (const auto& audience : audiences->value) cluster.audiences.push_back(audience.value);
    }
    read_certificate(reader, cluster.certificate_pem, "put the key into the store and name it as item = \"NAME\"");
    read_item(reader, account, Need::Required, "who asks for tokens: a bearer token, or the certificate's private key");
    read_on_exit_of_a_maker(reader, account);
}

void SourceReader::read_google(TableReader& reader, Account& account) {
    ProviderAccount& provider = account.provider;
    read_how(reader, "grant_type", {"refresh-token", "service-account"}, account);
    const bool is_robot = provider.how == "service-account";
    read_item(reader, account, Need::Required,
              is_robot ? "the key file of the service account (JSON) in the store"
                       : "the user's refresh token in the store");
    read_google_client(reader, account);
    if (const auto user = reader.text("user", Need::Optional, "alice@example.org")) {
        provider.user = user->value;
        if (!is_robot) {
            diagnostics_.error(user->at, "`user` belongs to grant_type = \"service-account\"",
                               "the refresh token of `item` says who the user is");
        }
    }
    read_boundary(reader, account);
    read_scopes(reader, account);
    if (!provider.asks_scopes) {
        diagnostics_.error(reader.peek("ask_scopes")->value.at, "Google's tokens are always asked for by their scopes",
                           "remove `ask_scopes`; scope_names says what Google calls them");
    }
    read_on_exit(reader, account, !is_robot,
                 "Google cannot take back a service account's tokens; they end at their own time");
}

// A client that Google knows as "desktop" or "web" has a secret, which every refresh needs.
void SourceReader::read_google_client(TableReader& reader, Account& account) {
    ProviderAccount& provider = account.provider;
    const bool is_robot = provider.how == "service-account";
    read_text(reader, "client_id", is_robot ? Need::Optional : Need::Required, "123-abc.apps.googleusercontent.com",
              provider.client_id);
    provider.client_secret_item = read_named_secret(reader, "client_secret");
    for (const std::string_view key : {"client_id", "client_secret"}) {
        if (!is_robot || reader.peek(key) == nullptr) continue;
        diagnostics_.error(reader.peek(key)->at, "a service account signs with its own key and is no client",
                           "remove `" + std::string(key) + "`");
    }
    if (is_robot || !provider.client_secret_item.empty()) return;
    diagnostics_.error(reader.at(), "a refresh at Google needs `client_secret`",
                       "run `sanctum vault add google-client` and write client_secret = { item = \"google-client\" }");
}

void SourceReader::read_boundary(TableReader& reader, Account& account) {
    const TomlMember* boundary = reader.table("boundary", R"({ "objects:read" = "roles/storage.objectViewer" })");
    if (boundary == nullptr) return;
    for (const TomlMember& scope : boundary->value.members) {
        const bool is_text = scope.value.kind == TomlKind::String;
        if (!is_text) {
            report_kind(diagnostics_, scope.value, scope.key, "a role", R"("roles/storage.objectViewer")");
        } else if (!is_google_role(scope.value.text)) {
            diagnostics_.error(scope.value.at, "`" + scope.value.text + "` is not a role",
                               "as in roles/storage.objectViewer or projects/ID/roles/NAME");
        } else {
            account.provider.boundary[scope.key] = scope.value.text;
        }
    }
    if (!boundary->value.members.empty()) return;
    diagnostics_.error(boundary->at, "a boundary without a role would admit nothing",
                       R"(write boundary = { "objects:read" = "roles/storage.objectViewer" })");
}

void SourceReader::read_item(TableReader& reader, Account& account, Need need, std::string_view what) {
    const auto item = reader.text("item", Need::Optional, "alice");
    if (item && accept(diagnostics_, item->at, parse_name_text(item->value, "an item"))) account.item = item->value;
    if (item || need == Need::Optional || reader.peek("item") != nullptr) return;
    diagnostics_.error(reader.at(), "source `" + account.source + "` needs `item`, " + std::string(what),
                       "write item = \"" + account.name + "\"");
}

void SourceReader::read_scopes(TableReader& reader, Account& account) {
    ProviderAccount& provider = account.provider;
    if (const auto ask = reader.boolean("ask_scopes")) provider.asks_scopes = ask->value;
    if (const auto wider = reader.text("wider", Need::Optional, "refuse")) {
        provider.accepts_wider = wider->value == "accept";
        if (wider->value != "refuse" && wider->value != "accept") {
            diagnostics_.error(wider->at, "`wider` cannot be `" + wider->value + "`",
                               suggest(wider->value, {"refuse", "accept"}));
        }
    }
    read_scope_names(reader, account);
}

void SourceReader::read_scope_names(TableReader& reader, Account& account) {
    ProviderAccount& provider = account.provider;
    const TomlMember* names = reader.table("scope_names", R"({ "issues:read" = "repo" })");
    if (names == nullptr) return;
    for (const TomlMember& scope : names->value.members) {
        const bool is_text = scope.value.kind == TomlKind::String && !scope.value.text.empty() &&
                             scope.value.text.find(' ') == std::string::npos;
        if (is_text) provider.scope_names[scope.key] = scope.value.text;
        else report_kind(diagnostics_, scope.value, scope.key, "one scope of the provider", R"("repo")");
    }
}

void SourceReader::read_on_exit(TableReader& reader, Account& account, bool can_revoke, std::string remedy) {
    const auto on_exit = reader.text("on_exit", Need::Optional, "expire");
    if (!on_exit) return;
    account.on_exit = on_exit->value;
    if (on_exit->value != "expire" && on_exit->value != "revoke") {
        diagnostics_.error(on_exit->at, "`on_exit` cannot be `" + on_exit->value + "`",
                           suggest(on_exit->value, {"expire", "revoke"}));
    } else if (on_exit->value == "revoke" && !can_revoke) {
        diagnostics_.error(on_exit->at, "source `" + account.source + "` cannot revoke at the provider",
                           std::move(remedy));
    }
}

// What was made for one lease is never left behind.
void SourceReader::read_on_exit_of_a_maker(TableReader& reader, Account& account) {
    read_on_exit(reader, account, true);
    if (account.on_exit != "expire") return;
    diagnostics_.error(reader.peek("on_exit")->value.at,
                       "source `" + account.source + "` always revokes what it makes", "remove `on_exit`");
}

void SourceReader::read_how(TableReader& reader, std::string_view key, const std::vector<std::string>& known,
                            Account& account) {
    const auto how = reader.text(key, Need::Optional, known.front());
    account.provider.how = how ? how->value : known.front();
    if (!how || std::find(known.begin(), known.end(), how->value) != known.end()) return;
    diagnostics_.error(how->at, "`" + std::string(key) + "` cannot be `" + how->value + "`",
                       suggest(how->value, known));
}

void SourceReader::read_client(TableReader& reader, std::string_view key, Account& account) {
    const auto client = reader.text(key, Need::Required, "acme");
    if (!client) return;
    account.provider.client = client->value;
    references_.push_back({account.name, key == "tenant", *client, account.provider.how, reader.at()});
}

void SourceReader::read_text(TableReader& reader, std::string_view key, Need need, std::string_view example,
                             std::string& to) {
    if (const auto text = reader.text(key, need, example)) to = text->value;
}

void SourceReader::read_clients(TableReader& top) {
    for (const bool is_tenant : {true, false}) {
        const TomlMember* member = top.table(is_tenant ? "tenant" : "provider", {});
        if (member == nullptr) continue;
        for (const TomlMember& client : member->value.members) read_client_table(client, is_tenant);
    }
}

void SourceReader::read_client_table(const TomlMember& member, bool is_tenant) {
    if (member.value.kind != TomlKind::Table) return report_kind(diagnostics_, member.value, member.key, "a table", {});
    const std::string title = (is_tenant ? "[tenant." : "[provider.") + member.key + "]";
    TableReader reader(member.value, member.at, title, diagnostics_);
    IdentityClient client;
    client.name = member.key;
    client.is_tenant = is_tenant;
    read_endpoints(reader, client);
    read_text(reader, "client_id", Need::Required, "CID", client.client_id);
    read_authentication(reader, client);
    // Where a tenant asks for certificates is for its metadata to say (RFC 8705 5); all else is where it always is.
    if (is_tenant && !client.issuer.empty() && client.authentication != ClientAuthentication::Tls) {
        client.token_endpoint = client.issuer + "oauth/token";
        client.revocation_endpoint = client.issuer + "oauth/revoke";
    }
    read_reaping(reader, client);
    for (const char* key : {"secret", "token", "password", "api_key", "key"}) {
        const TomlMember* inlined = reader.peek(key);
        if (inlined == nullptr) continue;
        reader.forgive(key);
        diagnostics_.error(inlined->at, "a secret is never written into the configuration",
                           "run `sanctum vault add NAME` and write client_secret = { item = \"NAME\" }",
                           Show::NotTheValue);
    }
    reader.finish();
    clients_.push_back(std::move(client));
}

// Issuer strings are compared byte for byte (RFC 9207); an Auth0 tenant's has a slash at its end.
void SourceReader::read_endpoints(TableReader& reader, IdentityClient& client) {
    if (const auto pushed = reader.boolean("require_pushed_authorization_requests")) {
        client.requires_pushed = pushed->value;
    }
    if (!client.is_tenant) {
        client.issuer = read_url(reader, "issuer", Need::Optional, "https://login.example.org");
        client.resource = read_url(reader, "resource", Need::Optional, "https://api.example.org");
        client.token_endpoint = read_url(reader, "token_endpoint", Need::Optional, "https://login.example.org/token");
        const bool is_findable = reader.peek("issuer") != nullptr || reader.peek("resource") != nullptr;
        if (!is_findable && reader.peek("token_endpoint") == nullptr) {
            diagnostics_.error(reader.at(), "[provider." + client.name + "] does not say where tokens come from",
                               "write token_endpoint = \"https://login.example.org/token\", or the `issuer` or "
                               "`resource` whose metadata says it");
        }
        client.revocation_endpoint =
            read_url(reader, "revocation_endpoint", Need::Optional, "https://login.example.org/revoke");
        read_binding(reader, client);
        client.introspection_endpoint =
            read_url(reader, "introspection_endpoint", Need::Optional, "https://login.example.org/introspect");
        client.authorization_endpoint =
            read_url(reader, "authorization_endpoint", Need::Optional, "https://login.example.org/authorize");
        client.device_authorization_endpoint =
            read_url(reader, "device_authorization_endpoint", Need::Optional, "https://login.example.org/device");
        client.pushed_authorization_endpoint = read_url(reader, "pushed_authorization_request_endpoint",
                                                        Need::Optional, "https://login.example.org/par");
        return;
    }
    const auto domain = reader.text("domain", Need::Required, "acme.us.auth0.com");
    if (!domain) return;
    if (domain->value.starts_with("https://") || domain->value.find('/') != std::string::npos) {
        diagnostics_.error(domain->at, "`domain` is a host name, not an address",
                           "write domain = \"acme.us.auth0.com\" (the tenant's own, or its custom domain)");
        return;
    }
    const auto host = accept(diagnostics_, domain->at, parse_host(domain->value, Wildcard::Refused));
    if (!host) return;
    client.issuer = "https://" + *host + "/";
}

void SourceReader::read_binding(TableReader& reader, IdentityClient& client) {
    if (const auto dpop = reader.boolean("dpop")) client.dpop = dpop->value;
    const auto certificate = reader.boolean("certificate_bound");
    if (!certificate) return;
    client.certificate_bound = certificate->value;
    if (!client.dpop || !client.certificate_bound) return;
    diagnostics_.error(certificate->at, "a token is bound to a key or to a certificate",
                       "remove `dpop` or `certificate_bound`, whichever the provider does not do");
}

void SourceReader::read_authentication(TableReader& reader, IdentityClient& client) {
    client.secret_item = read_named_secret(reader, "client_secret");
    client.key_item = read_named_secret(reader, "private_key");
    read_text(reader, "key_id", Need::Optional, "2026-11", client.key_id);
    read_certificate(reader, client.certificate_pem,
                     "put the key into the store and name it as private_key = { item = \"NAME\" }");
    client.authentication = !client.secret_item.empty()       ? ClientAuthentication::SecretPost
                            : !client.certificate_pem.empty() ? ClientAuthentication::Tls
                            : !client.key_item.empty()        ? ClientAuthentication::PrivateKeyJwt
                                                              : ClientAuthentication::None;
    const auto word = reader.text("client_authentication", Need::Optional, "client_secret_post");
    const Place at = word ? word->at : reader.at();
    if (word && !parse_name(word->value, client.authentication)) {
        std::vector<std::string> names;
        for (const NamedAuthentication& known : kAuthentications) names.emplace_back(known.name);
        return diagnostics_.error(at, "`client_authentication` cannot be `" + word->value + "`",
                                  suggest(word->value, names));
    }
    const auto require = [&](bool is_there, std::string_view key, std::string_view example) {
        if (is_there) return;
        diagnostics_.error(at, std::string(name_of(client.authentication)) + " needs `" + std::string(key) + "`",
                           "write " + std::string(example));
    };
    switch (client.authentication) {
        case ClientAuthentication::SecretPost:
        case ClientAuthentication::SecretBasic:
            return require(!client.secret_item.empty(), "client_secret", "client_secret = { item = \"acme-client\" }");
        case ClientAuthentication::PrivateKeyJwt:
            return require(!client.key_item.empty(), "private_key", "private_key = { item = \"acme-key\" }");
        case ClientAuthentication::Tls:
            require(!client.certificate_pem.empty(), "certificate", "certificate = \"client.pem\"");
            return require(!client.key_item.empty(), "private_key", "private_key = { item = \"acme-key\" }");
        case ClientAuthentication::None:
            // Auth0 gives no tokens of its vault to clients that anybody can pretend to be.
            if (!client.is_tenant) return;
            return diagnostics_.error(at, "a tenant's client must prove who it is",
                                      "run `sanctum vault add acme-client` and write client_secret = "
                                      "{ item = \"acme-client\" }");
    }
}

// Weakens what protects the secret to what protects reaper.key, so nobody gets it unasked.
void SourceReader::read_reaping(TableReader& reader, IdentityClient& client) {
    const auto reaps = reader.boolean("reap_with_secret");
    if (!reaps) return;
    client.reaps_with_secret = reaps->value;
    const bool has_secret = client.authentication == ClientAuthentication::SecretPost ||
                            client.authentication == ClientAuthentication::SecretBasic;
    if (has_secret || !reaps->value) return;
    const bool is_public = client.authentication == ClientAuthentication::None;
    diagnostics_.error(reaps->at, "`reap_with_secret` is for a client with a `client_secret`",
                       is_public ? "remove it; the reaper revokes for a client that proves nothing without it"
                                 : "remove it; a key never leaves the vault, so what a killed one had expires");
}

void SourceReader::read_certificate(TableReader& reader, std::string& pem, std::string_view key_goes) {
    const auto file = reader.text("certificate", Need::Optional, "client.pem");
    if (!file) return;
    const auto path = accept(diagnostics_, file->at, parse_path(file->value, folder_, {}));
    if (!path) return;
    const Result<std::string> content = read_file(*path, kSmallFileBytesMax);
    if (!content) {
        return diagnostics_.error(file->at, "certificate: " + content.error().what,
                                  "a PEM file; a relative path starts at the configuration's folder");
    }
    if (content->find("PRIVATE KEY-----") != std::string::npos) {
        return diagnostics_.error(file->at, "certificate: " + *path + " holds a private key", std::string(key_goes));
    }
    if (content->find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
        return diagnostics_.error(file->at, "certificate: " + *path + " holds no certificate",
                                  "it begins with -----BEGIN CERTIFICATE-----");
    }
    pem = *content;
}

std::string SourceReader::read_named_secret(TableReader& reader, std::string_view key) {
    const TomlMember* member = reader.take(key);
    if (member == nullptr) return {};
    if (member->value.kind != TomlKind::Table) {
        diagnostics_.error(member->value.at, "a secret is never written into the configuration",
                           "run `sanctum vault add NAME` and write " + std::string(key) + " = { item = \"NAME\" }",
                           Show::NotTheValue);
        return "?";  // reported; not as missing as well
    }
    TableReader named(member->value, member->at, "`" + std::string(key) + "`", diagnostics_);
    const auto item = named.text("item", Need::Required, "acme-client");
    if (item) accept(diagnostics_, item->at, parse_name_text(item->value, "an item"));
    named.finish();
    return item ? item->value : "?";
}

std::string SourceReader::read_url(TableReader& reader, std::string_view key, Need need, std::string_view example) {
    const auto url = reader.text(key, need, example);
    if (!url) return {};
    const auto checked = accept(diagnostics_, url->at, parse_https_url(url->value));
    return checked ? *checked : std::string();
}

void SourceReader::check_reference(const Reference& reference, const IdentityClient& client, const std::string& title) {
    if (reference.how == "worker" && client.key_item.empty()) {
        diagnostics_.error(reference.at, "exchange `worker` needs a private key of " + title,
                           "write private_key = { item = \"NAME\" } there");
    }
    const bool is_public = client.authentication == ClientAuthentication::None;
    const bool is_bound = client.dpop || client.certificate_bound;
    const std::string what = client.dpop ? "key" : "certificate";
    const std::string word = client.dpop ? "dpop" : "certificate_bound";
    if (reference.how == "refresh-token" && is_bound && is_public) {
        diagnostics_.error(reference.at,
                           "the refresh token of a client that proves nothing is bound to the " + what +
                               " that got it, and with " + word + " = true each mission has a " + what + " of its own",
                           "write client_secret = { item = \"NAME\" } below " + title + ", or remove `" + word + "`");
    }
    if (reference.how == kGithubUser && is_bound) {
        diagnostics_.error(reference.at, "GitHub binds no token to a " + what, "remove `" + word + "` from " + title);
    }
    const bool has_secret = client.authentication == ClientAuthentication::SecretPost ||
                            client.authentication == ClientAuthentication::SecretBasic;
    if (reference.how == kGithubUser && !has_secret) {
        diagnostics_.error(reference.at, "a user's token is narrowed and taken back with the app's client secret",
                           "write client_secret = { item = \"NAME\" } below " + title);
    }
    if (reference.how == "client-credentials" && is_public) {
        diagnostics_.error(reference.at, "`client-credentials` needs a client that proves who it is",
                           "write client_secret = { item = \"NAME\" } below " + title);
    }
}

std::vector<IdentityClient> SourceReader::finish() {
    for (const Reference& reference : references_) {
        const auto found = std::find_if(clients_.begin(), clients_.end(), [&](const IdentityClient& client) {
            return client.name == reference.client.value && client.is_tenant == reference.is_tenant;
        });
        const std::string title = std::string(reference.is_tenant ? "[tenant." : "[provider.") +
                                  reference.client.value + "]";
        if (found == clients_.end()) {
            diagnostics_.error(reference.client.at, "there is no " + title,
                               "add it with " + std::string(reference.is_tenant ? "domain" : "token_endpoint") +
                                   " and client_id");
            continue;
        }
        check_reference(reference, *found, title);
    }
    return std::move(clients_);
}

}  // namespace sanctum::profiles
