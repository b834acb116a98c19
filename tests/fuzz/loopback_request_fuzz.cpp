// SPDX-License-Identifier: Apache-2.0
// What anybody on this machine sends to the listener of `sanctum connect`: no crash; what is heard is a GET under our
// own name, and nothing of it has a control character.
#include "vault/http/loopback_listener.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

constexpr std::uint16_t kPort = 4711;

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view head(reinterpret_cast<const char*>(data), size);
    const auto read = sanctum::vault::read_loopback_request(head, {.port = kPort});
    const auto* query = std::get_if<sanctum::vault::LoopbackQuery>(&read);
    if (query == nullptr) {
        if (std::get<sanctum::vault::LoopbackPage>(read).status < 400) std::abort();
        return 0;
    }
    if (!head.starts_with("GET /callback") || head.find("127.0.0.1:4711") == std::string_view::npos) std::abort();
    for (const char* name : {"code", "state", "iss", "error", "error_description", "connect_code"}) {
        if (has_control(query->text(name))) std::abort();
    }
    return 0;
}
