// SPDX-License-Identifier: Apache-2.0
#include "launcher/plan/login_files.hpp"

#include "base/limits.hpp"
#include "base/wire/archive.hpp"

#include <algorithm>
#include <array>
#include <ctime>

namespace sanctum::launcher {
namespace {

bool is_name(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(),
                                        [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

std::string json_string(std::string_view text) {
    std::string out;
    wire::append_json_string(out, text);
    return out;
}

std::string list_of(const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const std::string& text : texts) out += (out.size() == 1 ? "" : ",") + json_string(text);
    return out + "]";
}

// RFC 3339 in UTC.
std::string date_of(WallTime time) {
    const std::time_t seconds = time.unix_ms / 1000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return {text.data(), size};
}

// `text` with each `{NAME}` replaced; other braces are the text's own.
std::string filled(std::string_view text, const std::map<std::string, std::string>& values) {
    std::string out;
    while (!text.empty()) {
        const std::size_t open = std::min(text.find('{'), text.size());
        out += text.substr(0, open);
        text.remove_prefix(open);
        const std::size_t close = text.find('}');
        const bool is_value = close != std::string_view::npos && is_name(text.substr(1, close - 1));
        if (!is_value) {
            out += text.substr(0, 1);
            text.remove_prefix(std::min<std::size_t>(1, text.size()));
            continue;
        }
        if (const auto found = values.find(std::string(text.substr(1, close - 1))); found != values.end()) {
            out += found->second;
        }
        text.remove_prefix(close + 1);
    }
    return out;
}

}  // namespace

std::vector<HomeFile> login_files(const profiles::Login& login, const std::map<std::string, std::string>& shown,
                                  const std::vector<std::string>& scopes, WallTime now, WallTime mission_end) {
    std::map<std::string, std::string> values;
    for (const auto& [name, text] : shown) {
        const std::string in_quotes = json_string(text);
        values[name] = in_quotes.substr(1, in_quotes.size() - 2);
    }
    values["scopes"] = list_of(scopes);
    values["now"] = date_of(now);
    values["expires_unix_ms"] = std::to_string(mission_end.unix_ms + Milliseconds(kLoginShownLonger).count());
    std::vector<HomeFile> files;
    for (const profiles::LoginFile& file : login.files) files.push_back({file.path, filled(file.text, values)});
    return files;
}

}  // namespace sanctum::launcher
