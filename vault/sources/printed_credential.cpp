// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/printed_credential.hpp"

#include "base/limits.hpp"
#include "vault/http/json_answer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sanctum::vault {
namespace {

constexpr std::array<std::string_view, 4> kKeys = {"secret", "expires_in", "scopes", "handle"};

// A key that is no word may be a secret itself.
std::string shown_key(const std::string& key) {
    const bool is_word = !key.empty() && key.size() <= 16 && std::all_of(key.begin(), key.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
    });
    return is_word ? "`" + key + "`" : "a key";
}

std::string unknown_key(const JsonAnswer& json) {
    for (const std::string& name : json.names()) {
        if (std::find(kKeys.begin(), kKeys.end(), name) != kKeys.end()) continue;
        return shown_key(name) + " is none of `secret`, `expires_in`, `scopes`, `handle`";
    }
    return {};
}

bool is_handle(std::string_view text) {
    return !text.empty() && text.size() <= kHandleBytesMax &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

// Everything but the secret; the first fault.
std::string read_rest(const JsonAnswer& json, PrintedCredential& printed) {
    if (json.has("expires_in")) {
        const std::optional<std::int64_t> seconds = json.number("expires_in");
        if (!seconds || *seconds <= 0) return "`expires_in` is no whole number of seconds above 0";
        printed.expires_in = Milliseconds(std::min(*seconds, kProviderLifeSecondsMax) * 1000);
    }
    if (json.has("scopes")) {
        printed.scopes = json.texts("scopes");
        if (!printed.scopes) return "`scopes` is no list of texts";
        std::sort(printed.scopes->begin(), printed.scopes->end());
    }
    if (json.has("handle")) {
        printed.handle = json.text("handle");
        if (!is_handle(printed.handle)) {
            printed.handle.clear();
            return "`handle` is no printable text of at most " + std::to_string(kHandleBytesMax) + " bytes";
        }
    }
    return unknown_key(json);
}

}  // namespace

PrintedCredential read_printed(std::string_view output) {
    PrintedCredential printed;
    if (!output.starts_with('{')) {
        if (output.ends_with('\n')) output.remove_suffix(1);
        printed.secret = Secret(output);
        if (output.empty()) printed.fault = "it printed nothing";
        return printed;
    }
    Result<JsonAnswer> json = JsonAnswer::parse_text(output, "what it printed");
    if (!json) {
        printed.fault = json.error().what + " (a credential that begins with { is printed as {\"secret\": …})";
        return printed;
    }
    const bool has_secret = json->has("secret");
    printed.secret = json->take_secret("secret");
    printed.fault = read_rest(*json, printed);
    if (!printed.secret.is_empty()) return printed;
    printed.fault = has_secret ? "`secret` is no text, or an empty one" : "`secret` is missing in what it printed";
    return printed;
}

Error command_error(const std::string& program, const CommandEnd& end) {
    switch (end.how) {
        case CommandEnd::How::NotStarted:
            return Error{end.number == ENOENT ? Errc::NotFound : Errc::NotPermitted,
                         program + ": cannot be started: " + std::strerror(end.number), end.number};
        case CommandEnd::How::ExitStatus:
            return Error{Errc::Io, program + " ended with exit status " + std::to_string(end.number)};
        case CommandEnd::How::Signal:
            return Error{Errc::Io, program + " was ended by signal " + std::to_string(end.number)};
        case CommandEnd::How::TooLong:
            return Error{Errc::Limit, program + " gave more than " + std::to_string(kCommandOutputBytesMax) + " bytes"};
        case CommandEnd::How::TimedOut:
            return Error{Errc::Timeout, program + " did not end within " + std::to_string(kCommandTimeout.count()) +
                                            " seconds and was killed"};
        case CommandEnd::How::Unreadable:
            return Error{end.number == ENOENT ? Errc::NotFound : Errc::NotPermitted, std::string(end.output.reveal())};
        case CommandEnd::How::Lost: return Error{Errc::Cancelled, "the process that runs " + program + " is gone"};
        case CommandEnd::How::Output: break;
    }
    return Error{Errc::Internal, program + ": no answer"};
}

}  // namespace sanctum::vault
