// SPDX-License-Identifier: Apache-2.0
// What a process of the mission is, sees of others, and can do to them.
#include "tests/probes/probe.hpp"

#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <sys/wait.h>

namespace {

constexpr const char* kUsage =
    "probe_process status | descriptors | init | kill PID SIGNAL | become UID | daemons COUNT | sleep | links";

std::string json_text(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) >= 0x20) out += c;
    }
    return out + "\"";
}

std::string content(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "r"), &std::fclose);
    std::string text(65536, '\0');
    text.resize(file ? std::fread(text.data(), 1, text.size(), file.get()) : 0);
    return text;
}

/// Its own privileges, from its first action on.
int show_status() {
    const std::string text = content("/proc/self/status");
    std::string more;
    for (const char* name : {"Uid", "Gid", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"}) {
        const std::size_t at = text.find(std::string("\n") + name + ":");
        const std::size_t start = at + std::strlen(name) + 2;
        std::string value = at == std::string::npos ? "" : text.substr(start, text.find('\n', start) - start);
        for (char& c : value) c = c == '\t' ? ' ' : c;
        more += std::string(",\"") + name + "\":" + json_text(value.substr(std::min<std::size_t>(1, value.size())));
    }
    probe::report("status", 0, more);
    return 0;
}

int list_descriptors() {
    const int folder = ::open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    DIR* entries = ::fdopendir(folder);
    std::string open;
    while (const dirent* entry = entries != nullptr ? ::readdir(entries) : nullptr) {
        if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == folder) continue;
        open += (open.empty() ? "" : ",") + std::string(entry->d_name);
    }
    probe::report("descriptors", 0, ",\"open\":[" + open + "]");
    return 0;
}

/// Everything of process 1 that could show the launcher's memory, environment or files.
int look_into_init() {
    std::string readable;
    const auto add = [&](const char* name) { readable += (readable.empty() ? "\"" : ",\"") + std::string(name)
        + "\""; };
    for (const char* name : {"environ", "mem", "maps", "smaps", "auxv", "stack", "io", "syscall", "pagemap"}) {
        const int file = ::open((std::string("/proc/1/") + name).c_str(), O_RDONLY);
        char byte = 0;
        if (file >= 0 && ::read(file, &byte, 1) > 0) add(name);
        if (file >= 0) ::close(file);
    }
    for (const char* name : {"exe", "cwd", "root", "ns/net", "fd/0", "fd/3"}) {
        char target[256];
        if (::readlink((std::string("/proc/1/") + name).c_str(), target, sizeof target) > 0) add(name);
    }
    std::string command = content("/proc/1/cmdline");
    std::erase(command, '\0');
    probe::report("init", 0, ",\"readable\":[" + readable + "],\"cmdline\":" + json_text(command));
    return 0;
}

/// Leaves daemons behind that have their own sessions and ignore every signal that can be ignored.
int leave_daemons(int count) {
    for (int number = 0; number < count; ++number) {
        if (::fork() != 0) continue;
        ::setsid();
        if (::fork() != 0) ::_exit(0);
        for (int signal = 1; signal < 32; ++signal) ::signal(signal, SIG_IGN);
        for (int fd = 0; fd <= 2; ++fd) ::close(fd);
        for (;;) ::pause();
    }
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {}
    probe::report("daemons", 0);
    return 0;
}

/// Links of /proc that would lead out: where they go, as seen from inside.
int follow_links() {
    std::string found;
    for (const char* name : {"/proc/self/root", "/proc/self/cwd", "/proc/1/root", "/proc/1/cwd", "/proc/self/fd/0"}) {
        struct stat outside {};
        struct stat root {};
        if (::stat((std::string(name) + "/work").c_str(), &outside) == 0 && ::stat("/", &root) == 0) {
            found += (found.empty() ? "\"" : ",\"") + std::string(name) + "\"";
        }
    }
    probe::report("links", 0, ",\"outside\":[" + found + "]");
    return 0;
}

}  // namespace

int main(int count, char** words) {
    probe::require_mission();
    const std::string op = count > 1 ? words[1] : "";
    if (op == "status") return show_status();
    if (op == "descriptors") return list_descriptors();
    if (op == "init") return look_into_init();
    if (op == "links") return follow_links();
    if (op == "kill" && count == 4) {
        ::signal(std::atoi(words[3]), SIG_IGN);
        return probe::report_call("kill", ::kill(std::atoi(words[2]), std::atoi(words[3])));
    }
    if (op == "become" && count == 3) {
        return probe::report_call("become", ::setuid(static_cast<uid_t>(std::atol(words[2]))));
    }
    if (op == "daemons" && count == 3) return leave_daemons(std::atoi(words[2]));
    if (op == "sleep") {
        probe::report("sleep", 0);
        for (;;) ::pause();
    }
    probe::usage(kUsage);
}
