// SPDX-License-Identifier: Apache-2.0
#include "launcher/plan/cgroup_facts.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"

#include <algorithm>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

constexpr const char* kGroups = "/sys/fs/cgroup";

std::vector<std::string> words(const std::string& text, char separator) {
    std::vector<std::string> found;
    std::istringstream stream(text);
    std::string word;
    while (std::getline(stream, word, separator)) {
        if (!word.empty()) found.push_back(word);
    }
    return found;
}

std::vector<std::string> wanted_controllers(const profiles::SandboxLimits& asked) {
    std::vector<std::string> wanted;
    if (asked.memory_bytes) wanted.emplace_back("memory");
    if (asked.processes) wanted.emplace_back("pids");
    if (asked.cpus_milli) wanted.emplace_back("cpu");
    return wanted;
}

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// A group in which we may make another one, with all wanted controllers handed down. Moving a process also needs the
/// common ancestor's process list, so both must be writable.
bool hands_down(const std::string& folder, const std::vector<std::string>& wanted) {
    if (::access(folder.c_str(), W_OK) != 0 || ::access((folder + "/cgroup.procs").c_str(), W_OK) != 0) return false;
    const Result<std::string> text = read_file(folder + "/cgroup.subtree_control", kSmallFileBytesMax);
    if (!text) return false;
    const std::vector<std::string> handed = words(text->substr(0, text->find('\n')), ' ');
    return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& controller) {
        return std::find(handed.begin(), handed.end(), controller) != handed.end();
    });
}

/// The unified hierarchy is all of /sys/fs/cgroup, or `unified` where v1 is beside it.
std::string unified_mount() {
    return ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? kGroups : "/sys/fs/cgroup/unified";
}

void gather_unified(HostFacts& facts, const OwnGroup& own, const std::vector<std::string>& wanted) {
    // Beside our own group: a group with processes in it cannot hand controllers down.
    const std::string beside = unified_mount() + parent_of(own.path);
    if (!hands_down(beside, wanted)) return;
    facts.has_cgroup2_delegation = true;
    facts.cgroup2_path = beside;
}

void gather_split(HostFacts& facts, const OwnGroup& own, const std::vector<std::string>& wanted) {
    for (const std::string& controller : own.controllers) {
        if (std::find(wanted.begin(), wanted.end(), controller) == wanted.end()) continue;
        const std::string folder = std::string(kGroups) + "/" + controller + (own.path == "/" ? "" : own.path);
        if (::access((folder + "/cgroup.procs").c_str(), W_OK) == 0) facts.cgroup1_folders[controller] = folder;
    }
}

}  // namespace

std::vector<OwnGroup> parse_own_groups(const std::string& text) {
    std::vector<OwnGroup> groups;
    for (const std::string& line : words(text, '\n')) {
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        groups.push_back({words(line.substr(first + 1, second - first - 1), ','), line.substr(second + 1)});
    }
    return groups;
}

void gather_control_groups(HostFacts& facts, const profiles::SandboxLimits& asked) {
    const std::vector<std::string> wanted = wanted_controllers(asked);
    const Result<std::string> text = read_file("/proc/self/cgroup", kSmallFileBytesMax);
    if (!text) return;
    for (const OwnGroup& own : parse_own_groups(*text)) {
        if (own.controllers.empty()) gather_unified(facts, own, wanted);
        else if (facts.uid == 0) gather_split(facts, own, wanted);
    }
    facts.has_cgroup1 = !facts.cgroup1_folders.empty();
}

}  // namespace sanctum::launcher
