// SPDX-License-Identifier: Apache-2.0
#include "interceptor/http/git_push_commands.hpp"

#include "base/hex_digit.hpp"
#include "base/limits.hpp"
#include "interceptor/http/grammar.hpp"

#include <algorithm>

namespace sanctum::interceptor {
namespace {

using profiles::RefUpdate;
using Answer = std::optional<PushCommands>;

constexpr std::size_t kPacketBytesMax = 65520;
constexpr std::size_t kSmallBandBytesMax = 1000;  // gitprotocol-capabilities(5), side-band

Error bad_push(std::string what) { return Error{Errc::Protocol, "git push: " + std::move(what)}; }

/// Length of the packet, its four digits included; 0 for a flush packet.
Result<std::size_t> packet_length(std::string_view digits) {
    std::size_t length = 0;
    for (const char c : digits) {
        const int value = hex_digit(c);
        if (value < 0) return bad_push("a packet length is not hexadecimal");
        length = length * 16 + static_cast<std::size_t>(value);
    }
    // 0001 to 0003 are delimiters of other protocol versions; 0004 is an empty packet, which no command is.
    const bool is_flush = length == 0;
    const bool is_too_short = !is_flush && length <= kPacketLengthDigits;
    if (is_too_short || length > kPacketBytesMax) return bad_push("a bad packet length");
    return length;
}

bool is_object_id(std::string_view id) {
    const auto is_lower_hex = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); };
    return (id.size() == 40 || id.size() == 64) && std::all_of(id.begin(), id.end(), is_lower_hex);
}

/// git-check-ref-format(1), for full names.
bool is_ref_name(std::string_view name) {
    if (!name.starts_with("refs/") || name.ends_with("/") || name.ends_with(".") || name.size() > 1024) return false;
    for (const std::string_view part : {"..", "//", "@{", "/.", ".lock/"}) {
        if (name.find(part) != std::string_view::npos) return false;
    }
    if (name.ends_with(".lock")) return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte > 0x20 && byte != 0x7f && std::string_view("~^:?*[\\").find(c) == std::string_view::npos;
    });
}

Result<RefUpdate> parse_command(std::string_view line) {
    const std::size_t first = line.find(' ');
    const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
    if (second == std::string_view::npos) return bad_push("a line is not a command");
    RefUpdate update{std::string(line.substr(0, first)), std::string(line.substr(first + 1, second - first - 1)),
                     std::string(line.substr(second + 1))};
    const bool are_ids = is_object_id(update.old_id) && is_object_id(update.new_id);
    if (!are_ids || update.old_id.size() != update.new_id.size()) return bad_push("an object id is malformed");
    if (!is_ref_name(update.name)) return bad_push("a ref name is malformed");
    return update;
}

std::string_view without_line_end(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    return line;
}

/// One packet's payload: a shallow line, or a command that is added to `push`.
Status take_line(std::string_view line, PushCommands& push) {
    std::vector<RefUpdate>& updates = push.updates;
    // Capabilities stand behind a NUL on the first command only.
    const std::size_t nul = line.find('\0');
    if (nul != std::string_view::npos && !updates.empty()) return bad_push("capabilities behind a later command");
    const std::string_view capabilities = nul == std::string_view::npos ? "" : without_line_end(line.substr(nul + 1));
    line = without_line_end(line.substr(0, nul));
    if (line.starts_with("push-cert")) return bad_push("signed pushes are not accepted");
    if (line.starts_with("shallow ")) {
        const bool is_in_order = updates.empty() && is_object_id(line.substr(8));
        return is_in_order ? Status{} : Status{bad_push("a shallow line is malformed")};
    }
    if (updates.size() >= kPushRefsMax) return Error{Errc::Limit, "git push: more than 1000 refs in one push"};
    SANCTUM_TRY(RefUpdate update, parse_command(line));
    const auto is_same = [&](const RefUpdate& other) { return other.name == update.name; };
    if (std::any_of(updates.begin(), updates.end(), is_same)) return bad_push("a ref is named twice");
    if (updates.empty()) push.capabilities = capabilities;
    updates.push_back(std::move(update));
    return {};
}

}  // namespace

bool PushCommands::has_capability(std::string_view name) const {
    std::string_view rest = capabilities;
    while (!rest.empty()) {
        const std::size_t end = rest.find(' ');
        if (rest.substr(0, end) == name) return true;
        if (end == std::string_view::npos) return false;
        rest.remove_prefix(end + 1);
    }
    return false;
}

// SECURITY: servers differ in what ends a capability (git takes any white space and a `=`), so it counts anywhere.
bool PushCommands::has_options() const { return capabilities.find("push-options") != std::string::npos; }

bool PushCommands::wants_report() const {
    return has_capability("report-status") || has_capability("report-status-v2");
}

std::size_t PushCommands::side_band_bytes() const {
    if (has_capability("side-band-64k")) return kPacketBytesMax;
    return has_capability("side-band") ? kSmallBandBytesMax : 0;
}

Result<Answer> read_push_commands(std::string_view body_so_far) {
    PushCommands push;
    std::string_view rest = body_so_far.substr(0, kPushCommandsBytesMax);
    while (rest.size() >= kPacketLengthDigits) {
        SANCTUM_TRY(const std::size_t length, packet_length(rest.substr(0, kPacketLengthDigits)));
        if (length == 0) return Answer(std::move(push));
        if (length > rest.size()) break;
        SANCTUM_CHECK(take_line(rest.substr(kPacketLengthDigits, length - kPacketLengthDigits), push));
        rest.remove_prefix(length);
    }
    if (body_so_far.size() >= kPushCommandsBytesMax) {
        return Error{Errc::Limit, "git push: the command list is larger than 64 KiB"};
    }
    return Answer{};
}

}  // namespace sanctum::interceptor
