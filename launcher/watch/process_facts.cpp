// SPDX-License-Identifier: Apache-2.0
#include "launcher/watch/process_facts.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"

#include <array>
#include <charconv>
#include <climits>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

// The value of one `Name:\tvalue` line; `from` may have several values, the last one counts.
std::optional<std::string_view> member_of(std::string_view status, std::string_view name) {
    std::size_t at = 0;
    while (at < status.size()) {
        const std::size_t end = std::min(status.find('\n', at), status.size());
        const std::string_view line = status.substr(at, end - at);
        if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':') {
            const std::size_t start = line.find_first_not_of(" \t", name.size() + 1);
            return start == std::string_view::npos ? std::string_view() : line.substr(start);
        }
        at = end + 1;
    }
    return std::nullopt;
}

std::optional<pid_t> number_in(std::optional<std::string_view> text) {
    if (!text) return std::nullopt;
    pid_t number = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc{} || number < 0) return std::nullopt;
    return number;
}

std::string executable_of(pid_t pid) {
    std::array<char, PATH_MAX> path{};
    const std::string link = "/proc/" + std::to_string(pid) + "/exe";
    const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
    if (size <= 0) return "";
    return std::string(path.data(), std::min(static_cast<std::size_t>(size), kClaimTextBytesMax));
}

}  // namespace

std::optional<StatusFacts> parse_status(std::string_view status) {
    const std::optional<std::string_view> name = member_of(status, "Name");
    const std::optional<pid_t> group = number_in(member_of(status, "Tgid"));
    const std::optional<pid_t> parent = number_in(member_of(status, "PPid"));
    std::optional<std::string_view> inside = member_of(status, "NSpid");
    if (!name || !group || !parent || !inside) return std::nullopt;
    if (const std::size_t last = inside->find_last_of(" \t"); last != std::string_view::npos) {
        inside = inside->substr(last + 1);
    }
    const std::optional<pid_t> pid_inside = number_in(inside);
    if (!pid_inside) return std::nullopt;
    return StatusFacts{*group, *parent, static_cast<std::uint32_t>(*pid_inside),
                       std::string(name->substr(0, kClaimTextBytesMax))};
}

std::optional<StatusFacts> read_status(pid_t pid) {
    const Result<std::string> text = read_file("/proc/" + std::to_string(pid) + "/status", kProcFileBytesMax);
    return text ? parse_status(*text) : std::nullopt;
}

ledger::ClaimedProcess describe_process(const StatusFacts& status, pid_t init_pid) {
    ledger::ClaimedProcess process;
    process.pid = status.pid_inside;
    process.exe = executable_of(status.thread_group);
    pid_t parent = status.parent;
    while (parent > 1 && parent != init_pid && process.chain.size() < kAncestorsMax) {
        const std::optional<StatusFacts> ancestor = read_status(parent);
        if (!ancestor) break;
        process.chain.push_back(ancestor->name);
        parent = ancestor->parent;
    }
    return process;
}

}  // namespace sanctum::launcher
