// SPDX-License-Identifier: Apache-2.0
#include "console/console.hpp"

#include "ledger/printable.hpp"

#include <algorithm>
#include <climits>
#include <unistd.h>

extern char** environ;

namespace sanctum::console {
namespace {

bool is_set(const std::map<std::string, std::string>& environment, const char* name) {
    const auto found = environment.find(name);
    return found != environment.end() && !found->second.empty();
}

std::string value_of(const std::map<std::string, std::string>& environment, const std::string& name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
}

bool is_utf8_locale(const std::map<std::string, std::string>& environment) {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        std::string value = value_of(environment, name);
        if (value.empty()) continue;
        std::transform(value.begin(), value.end(), value.begin(),
                       [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
        return value.find("UTF-8") != std::string::npos || value.find("UTF8") != std::string::npos;
    }
    return false;
}

}  // namespace

Look look_of(const std::map<std::string, std::string>& environment, bool is_terminal) {
    Look look;
    const bool is_dumb = value_of(environment, "TERM") == "dumb";
    const bool is_forced = is_set(environment, "CLICOLOR_FORCE") && value_of(environment, "CLICOLOR_FORCE") != "0";
    look.has_colour = !is_set(environment, "NO_COLOR") && ((is_terminal && !is_dumb) || is_forced);
    look.has_utf8 = is_terminal && !is_dumb && is_utf8_locale(environment);
    return look;
}

std::string Console::variable(const std::string& name) const { return value_of(environment, name); }

std::string Console::absolute(const std::string& path) const {
    if (path.starts_with("~/")) return variable("HOME") + path.substr(1);
    return path.starts_with('/') ? path : working_directory + "/" + path;
}

Console console_of_this_process(std::ostream& out, std::ostream& err, const Clock& clock) {
    std::map<std::string, std::string> environment;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::size_t equals = text.find('=');
        if (equals != std::string_view::npos) environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    std::string folder(PATH_MAX, '\0');
    folder = ::getcwd(folder.data(), folder.size()) != nullptr ? std::string(folder.c_str()) : "/";
    const Look look = look_of(environment, ::isatty(STDOUT_FILENO) == 1);
    return Console{places_of_this_process(), std::move(environment), std::move(folder), look, out, err, clock};
}

Exit fail(const Console& console, const Error& error) {
    // A profile's diagnostics are lines of their own: place first, as editors read them.
    const bool is_diagnostics = error.code == Errc::InvalidProfile && error.what.find(": error: ") != std::string::npos;
    if (is_diagnostics) {
        console.err << error.what << (error.what.ends_with('\n') ? "" : "\n");
        return Exit::Finding;
    }
    const bool is_finding = error.code == Errc::InvalidProfile || error.code == Errc::Denied;
    return fail(console, error.what, is_finding ? Exit::Finding : Exit::Failed);
}

Exit fail(const Console& console, std::string_view what, Exit code) {
    console.err << "sanctum: " << what << (what.ends_with('\n') ? "" : "\n");
    return code;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    std::vector<std::vector<std::string>> cells;
    for (const std::vector<std::string>& row : rows) {
        std::vector<std::string>& shown = cells.emplace_back();
        for (std::size_t i = 0; i < row.size(); ++i) {
            shown.push_back(ledger::printable(row[i]));
            if (widths.size() <= i) widths.push_back(0);
            widths[i] = std::max(widths[i], shown.back().size());
        }
    }
    std::string out;
    for (const std::vector<std::string>& row : cells) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            out += row[i];
            if (i + 1 < row.size()) out += std::string(widths[i] - row[i].size() + 2, ' ');
        }
        out += '\n';
    }
    return out;
}

std::string duration_in_words(std::int64_t ms) {
    const std::int64_t seconds = std::max<std::int64_t>(ms, 0) / 1000;
    const std::int64_t hours = seconds / 3600;
    const std::int64_t minutes = seconds / 60 % 60;
    if (hours > 0) return std::to_string(hours) + "h " + std::to_string(minutes) + "m";
    if (minutes > 0) return std::to_string(minutes) + "m " + std::to_string(seconds % 60) + "s";
    return std::to_string(seconds) + "s";
}

}  // namespace sanctum::console
