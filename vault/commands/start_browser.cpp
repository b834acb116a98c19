// SPDX-License-Identifier: Apache-2.0
#include "vault/commands/start_browser.hpp"

#include "base/files.hpp"
#include "base/wire/archive.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <spawn.h>
#include <string_view>
#include <unistd.h>

extern char** environ;

namespace sanctum::vault {
namespace {

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : value;
}

// The program, empty when there is none.
std::string browser_program() {
    if (::geteuid() == 0) return {};
    const std::string chosen = variable("BROWSER");
    if (chosen.starts_with('/')) return ::access(chosen.c_str(), X_OK) == 0 ? chosen : std::string();
    constexpr const char* kOpen = "/usr/bin/xdg-open";
    const bool has_session = !variable("DISPLAY").empty() || !variable("WAYLAND_DISPLAY").empty();
    return has_session && ::access(kOpen, X_OK) == 0 ? kOpen : "";
}

std::string leading_page(std::string_view url) {
    std::string escaped;
    for (const char c : url) {
        if (c == '&') escaped += "&amp;";
        else if (c == '"') escaped += "&quot;";
        else if (c == '<') escaped += "&lt;";
        else escaped += c;
    }
    return "<!doctype html><meta charset=utf-8><title>Sanctum</title><meta name=referrer content=no-referrer>"
           "<meta http-equiv=refresh content=\"0;url=" + escaped + "\"><a href=\"" + escaped + "\">Go on</a>\n";
}

bool spawn_silently(const std::string& program, std::string argument) {
    posix_spawn_file_actions_t actions{};
    ::posix_spawn_file_actions_init(&actions);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        ::posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    }
    // Signals that we hold back are the browser's again; Ctrl-C here is not meant for it.
    posix_spawnattr_t attributes{};
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    std::string word = program;
    char* argv[] = {word.data(), argument.data(), nullptr};
    pid_t pid = 0;
    const int failed = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv, environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    return failed == 0;
}

}  // namespace

bool has_browser() { return !browser_program().empty(); }

StartedBrowser::StartedBrowser(const std::string& url) {
    const std::string program = browser_program();
    const std::string folder = variable("XDG_RUNTIME_DIR");
    if (program.empty() || !folder.starts_with('/')) return;
    file_ = folder + "/sanctum-connect-" + wire::to_hex(random_bytes(16)) + ".html";
    if (!write_file_atomically(file_, leading_page(url), 0600)) return;
    is_started_ = spawn_silently(program, "file://" + file_);
}

StartedBrowser::~StartedBrowser() {
    if (!file_.empty()) ::unlink(file_.c_str());
}

}  // namespace sanctum::vault
