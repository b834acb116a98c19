// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/trust_question.hpp"

#include "base/files.hpp"
#include "base/unique_fd.hpp"
#include "ledger/printable.hpp"

#include <array>
#include <cctype>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

// Somebody sits there: one of our streams is a terminal and our job is in its foreground (elsewhere a read would stop
// us for good).
UniqueFd terminal_with_a_person() {
    if (::isatty(STDERR_FILENO) != 1 && ::isatty(STDIN_FILENO) != 1) return {};
    UniqueFd tty(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!tty || ::tcgetpgrp(tty.get()) != ::getpgrp()) return {};
    return tty;
}

std::string printable(std::string text) {
    for (char& character : text) {
        if (static_cast<unsigned char>(character) < 0x20 || character == 0x7f) character = '?';
    }
    return text;
}

Result<bool> ask(int tty, const std::string& question) {
    SANCTUM_CHECK(write_all(tty, question));
    std::array<char, 64> answer{};
    ssize_t size = 0;
    do size = ::read(tty, answer.data(), answer.size());
    while (size < 0 && errno == EINTR);
    if (size < 0) return io_error("read the terminal");
    return is_yes({answer.data(), static_cast<std::size_t>(size)});
}

std::string why_untrusted(const profiles::ProfileFile& file, profiles::Trust trust) {
    const std::string what = trust == profiles::Trust::Changed ? " has changed since it was trusted"
                                                               : " is not trusted yet";
    return "profile " + printable(file.path) + what;
}

}  // namespace

Status require_trust(const profiles::ProfileFile& file, const std::string& exposure, const Places& places) {
    SANCTUM_TRY(const profiles::Trust trust, profiles::trust_of(file, places));
    if (trust != profiles::Trust::Unknown && trust != profiles::Trust::Changed) return {};
    const std::string why = why_untrusted(file, trust);
    const UniqueFd tty = terminal_with_a_person();
    if (!tty) return Error{Errc::Denied, why + "; look at it, then run: " + trust_command(file.path)};
    SANCTUM_TRY(const bool is_trusted, ask(tty.get(), "sanctum-run: " + why + " (sha256 " + file.sha256.substr(0, 16) +
                                                          "…)\n" + exposure +
                                                          (exposure.ends_with('\n') ? "" : "\n") +
                                                          "Trust it as it is now? [y/N] "));
    if (!is_trusted) return Error{Errc::Denied, why + "; look at it, then run: " + trust_command(file.path)};
    return profiles::pin_trust(file, places);
}

std::string trust_command(const std::string& path) {
    return "sanctum trust " + ledger::shell_word(path);
}

bool is_yes(std::string_view answer) {
    std::string word;
    for (const char character : answer) {
        if (std::isspace(static_cast<unsigned char>(character)) == 0) {
            word += static_cast<char>(std::tolower(static_cast<unsigned char>(character)));
        }
    }
    return word == "y" || word == "yes";
}

}  // namespace sanctum::launcher
