// SPDX-License-Identifier: Apache-2.0
// What an agent sends to have a child mission, and the signals it sends after it: no crash; what is taken has a
// command, a plain folder, and no zero byte; a signal is one that ends or nudges, never one that cannot be caught.
#include "launcher/run/delegation_words.hpp"

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto signal = sanctum::launcher::parse_child_signal(text)) {
        if (*signal <= 0 || *signal == SIGKILL || *signal == SIGSTOP) std::abort();
    }
    const auto request = sanctum::launcher::parse_child_request(text);
    if (!request) return 0;
    const std::string& folder = request->working_directory;
    if (request->v != 1 || request->command.empty() || request->command.front().empty()) std::abort();
    if (!folder.starts_with('/') || (folder + "/").find("/../") != std::string::npos) std::abort();
    for (const std::string& word : request->command) {
        if (word.find('\0') != std::string::npos) std::abort();
    }
    return 0;
}
