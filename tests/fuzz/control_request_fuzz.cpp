// SPDX-License-Identifier: Apache-2.0
// What a console, or whoever else gets at the control socket, asks of a mission.
#include "launcher/run/control.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    const auto request = sanctum::launcher::parse_control_request(line);
    if (!request.has_value()) static_cast<void>(sanctum::launcher::control_error(request.error().what));
    return 0;
}
