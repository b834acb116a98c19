// SPDX-License-Identifier: Apache-2.0
#include "console/agent_preset.hpp"

#include "base/standard_path.hpp"
#include "base/wire/archive.hpp"
#include "ledger/printable.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace sanctum::console {
namespace {

// Claude Code knows a key that was accepted by its last twenty characters; these are the placeholder's.
constexpr std::array kClaudeHome = {
    HomeFile{".claude/settings.json", "{\"sandbox\": {\"enabled\": false}}\n"},
    HomeFile{".claude.json", "{\"hasCompletedOnboarding\": true, \"customApiKeyResponses\": "
                             "{\"approved\": [\"-ant-held-by-sanctum\"], \"rejected\": []}, "
                             "\"projects\": {@workspace@: {\"hasTrustDialogAccepted\": true}}}\n"}};

// Codex's own provider insists on a WebSocket, which is refused; one of another name speaks plain HTTP to the same API.
constexpr std::array kCodexHome = {HomeFile{".codex/config.toml",
                                            "sandbox_mode = \"danger-full-access\"\n"
                                            "check_for_update_on_startup = false\n"
                                            "model_provider = \"openai-http\"\n\n"
                                            "[model_providers.openai-http]\n"
                                            "name = \"OpenAI over HTTP\"\n"
                                            "base_url = \"https://api.openai.com/v1\"\n"
                                            "env_key = \"OPENAI_API_KEY\"\n"
                                            "wire_api = \"responses\"\n"
                                            "supports_websockets = false\n\n"
                                            "[analytics]\n"
                                            "enabled = false\n"}};

constexpr std::array kClaudeLoginHome = {
    HomeFile{".claude/settings.json", "{\"sandbox\": {\"enabled\": false}}\n"},
    HomeFile{".claude.json", "{\"hasCompletedOnboarding\": true, "
                             "\"projects\": {@workspace@: {\"hasTrustDialogAccepted\": true}}}\n"}};
constexpr std::array kCodexLoginHome = {HomeFile{".codex/config.toml",
                                                 "sandbox_mode = \"danger-full-access\"\n"
                                                 "check_for_update_on_startup = false\n"
                                                 "cli_auth_credentials_store = \"file\"\n"
                                                 "model_provider = \"chatgpt-http\"\n\n"
                                                 "[model_providers.chatgpt-http]\n"
                                                 "name = \"ChatGPT over HTTP\"\n"
                                                 "base_url = \"https://chatgpt.com/backend-api/codex\"\n"
                                                 "requires_openai_auth = true\n"
                                                 "wire_api = \"responses\"\n"
                                                 "supports_websockets = false\n\n"
                                                 "[analytics]\n"
                                                 "enabled = false\n"}};
constexpr AgentLogin kClaudeLogin = {"claude", R"(["messages", "housekeeping", "login"])", kClaudeLoginHome};
constexpr AgentLogin kCodexLogin = {"codex", R"(["responses", "login"])", kCodexLoginHome};

constexpr std::array<AgentPreset, 4> kPresets = {{
    {"claude", "claude", "claude-code", "Work in this folder with Claude Code", "2h", "anthropic", "model",
     R"(["messages", "housekeeping"])", "present = { ANTHROPIC_API_KEY = true }\n",
     R"(CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC = "1", DISABLE_AUTOUPDATER = "1")", true,
     "# Besides messages it asks its API whether it is there, for settings and policy limits: `housekeeping`.\n"
     "# Its own sandbox cannot start inside this one and is switched off in the kept home.\n",
     "[budget]\ncalls = 5000\n", kClaudeHome, "sanctum-run -- claude",
     &kClaudeLogin},
    {"codex", "codex", "codex", "Work in this folder with Codex", "2h", "openai", "model", R"(["responses"])",
     "present = { OPENAI_API_KEY = true, CODEX_API_KEY = true }\n", "", true,
     "# At start it asks github.com, api.github.com, raw.githubusercontent.com and chatgpt.com for plugins and news:\n"
     "# these calls are refused, and it works without them. To let it read the public list, add:\n"
     "#   [[host]]\n"
     "#   name  = \"api.github.com\"\n"
     "#   match = [\"GET /repos/openai/plugins\"]\n"
     "# Its own sandbox cannot start inside this one; the kept home switches it off, and its WebSocket.\n",
     "[budget]\ncalls = 5000\n", kCodexHome, "sanctum-run -- codex", &kCodexLogin},
    {"git", "git", "git", "Clone, commit and push to branches below agent/", "30m", "git-http", "git",
     R"(["fetch", "push"])", "resources = { ref = [\"agent/**\"] }\n", "", false, "", "", {},
     "sanctum-run -- git clone https://HOST/REPO"},
    {"generic", nullptr, "agent", "Say here what this mission is for", "30m", nullptr, nullptr, nullptr, nullptr, "",
     false, "",
     "# A plain host: reachable, never with a credential. Name only what the mission needs.\n"
     "[[host]]\nname  = \"pypi.org\"\nmatch = [\"GET /simple/**\"]\n\n[budget]\ncalls = 1000\n",
     {}, "sanctum-run -- COMMAND"},
}};

// A JSON string is a TOML basic string.
std::string quote(const std::string& text) {
    std::string out;
    wire::append_json_string(out, text);
    return out;
}

std::string commented(const std::string& lines) {
    std::string out;
    for (std::size_t begin = 0; begin < lines.size();) {
        const std::size_t end = lines.find('\n', begin);
        out += "# " + lines.substr(begin, end - begin) + "\n";
        begin = end == std::string::npos ? lines.size() : end + 1;
    }
    return out;
}

// How an account for it is made; a comment carries no secret and asks for none: an account names where it lies.
std::string account_text(const AgentPreset& preset) {
    const std::string catalog = preset.catalog;
    const bool is_git = catalog == "git-http";
    const std::string hosts = is_git ? "  hosts = [\"git.example.com\"]\n  username = \"agent\"\n" : "";
    std::string text = "# No account for this yet. Put the credential into the store and name it in your "
                       "configuration:\n#   sanctum vault add " + catalog + "\n" +
                       commented("  [[account]]\n  name = " + quote(catalog) + "\n  catalog = " + quote(catalog) +
                                 "\n  source = \"local\"\n  item = " + quote(catalog) + "\n" + hosts);
    if (preset.login == nullptr) return text;
    const std::string login = preset.login->catalog;
    return text + "# With a subscription instead of a key, before `sanctum init`: sanctum connect " + login +
           ", for\n" +
           commented("  [[account]]\n  name = " + quote(login) + "\n  catalog = " + quote(login) +
                     "\n  source = \"login\"\n  item = " + quote(login) + "\n");
}

std::string service_text(const AgentPreset& preset, const profiles::OperatorConfig& config) {
    if (preset.catalog == nullptr) return {};
    const AgentChoice choice = choose_account(preset, config);
    const std::string catalog = choice.login != nullptr ? choice.login->catalog : preset.catalog;
    const std::string grant = choice.login != nullptr ? choice.login->grant : preset.grant;
    const std::string more = choice.login == nullptr ? preset.more_service
                             : choice.is_captured    ? "login   = \"capture\"\n"
                                                     : "";
    const std::string lines = "[[service]]\nname    = " + quote(preset.service) + "\ncatalog = " + quote(catalog) +
                              "\naccount = " + quote(choice.account.empty() ? catalog : choice.account) +
                              "\ngrant   = " + grant + "\n" + more;
    if (!choice.account.empty()) return lines + "\n";
    return account_text(preset) + "# then take the comment signs away here:\n" + commented(lines) + "\n";
}

std::string environment_text(const AgentPreset& preset, const std::vector<std::string>& path_folders) {
    std::string set = preset.set;
    if (!path_folders.empty()) {
        std::string path;
        for (const std::string& folder : path_folders) path += folder + ":";
        set = "PATH = " + quote(path + kStandardPath) + (set.empty() ? "" : ", ") + set;
    }
    const std::string pass = "{ pass = [\"LANG\", \"TERM\", \"COLORTERM\"]";
    return set.empty() ? pass + " }" : pass + ", set = { " + set + " } }";
}

std::string read_line(const std::vector<std::string>& places) {
    std::string list;
    for (const std::string& place : places) list += (list.empty() ? "" : ", ") + quote(place);
    return list.empty() ? "" : "read        = [" + list + "]\n";
}

// With the caller's settings of git. Whether an agent may see a password that is in them only their owner can say.
std::string read_text(const FoundProgram& found, const GitSettings& git) {
    std::vector<std::string> places = found.read;
    places.insert(places.end(), git.read.begin(), git.read.end());
    if (git.doubts.empty()) return read_line(places);
    std::string doubts;
    for (const std::string& doubt : git.doubts) doubts += (doubts.empty() ? "" : ", ") + doubt;
    return read_line(found.read) + "# Your settings of git (name, hooks) stay outside, because a secret may be in: " +
           ledger::printable(doubts) + ".\n# If none is, let this be `read`:\n" + commented(read_line(places));
}

}  // namespace

const AgentPreset* find_preset(const std::string& name) {
    for (const AgentPreset& preset : kPresets) {
        if (preset.name == name) return &preset;
    }
    return nullptr;
}

std::string home_file_text(const HomeFile& file, const std::string& workspace) {
    static constexpr std::string_view kStandIn = "@workspace@";
    std::string text = file.content;
    const std::size_t at = text.find(kStandIn);
    if (at != std::string::npos) text.replace(at, kStandIn.size(), quote(workspace));
    return text;
}

AgentChoice choose_account(const AgentPreset& preset, const profiles::OperatorConfig& config) {
    const auto find = [&](const char* catalog) {
        return std::find_if(config.accounts.begin(), config.accounts.end(), [&](const profiles::Account& account) {
            return catalog != nullptr && account.catalog == catalog;
        });
    };
    if (const auto found = find(preset.catalog); found != config.accounts.end()) return {found->name};
    const auto found = find(preset.login == nullptr ? nullptr : preset.login->catalog);
    if (found == config.accounts.end()) return {};
    return {found->name, preset.login, found->source == "login" && found->item.empty()};
}

std::string profile_text(const AgentPreset& preset, const FoundProgram& found, const GitSettings& git,
                         const profiles::OperatorConfig& config) {
    std::string out = "# Written by `sanctum init --agent " + std::string(preset.name) +
                      "`. Say what the mission is for, then: sanctum check mission.toml\n";
    out += "schema = 1\n\n[mission]\nname    = " + quote(preset.name) + "\nagent   = " + quote(preset.agent) +
           "\npurpose = " + quote(preset.purpose) + "\nttl     = " + quote(preset.ttl) + "\n\n";
    out += "[sandbox]\nworkspace   = \".\"\n";
    out += read_text(found, git);
    if (preset.keeps_home) out += "home        = \"kept\"\n";
    out += "environment = " + environment_text(preset, found.path_folders) + "\n\n";
    out += preset.housekeeping;
    out += service_text(preset, config);
    out += preset.tail;
    return out;
}

}  // namespace sanctum::console
