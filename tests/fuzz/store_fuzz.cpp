// SPDX-License-Identifier: Apache-2.0
// The sealed store as somebody else's file (`sanctum vault restore FILE`). Also with the hash put right, so that what
// stands behind it is reached.
#include "base/digest.hpp"
#include "vault/store_format.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sanctum;
    const std::string_view header(reinterpret_cast<const char*>(data), size);
    static_cast<void>(vault::parse_store(header));

    std::string bytes = "SANCTUM\n";
    const auto add_u32 = [&](std::size_t value) {
        for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
    };
    add_u32(1);
    add_u32(size);
    bytes += header;
    const Digest digest = sha256(bytes);
    bytes.append(reinterpret_cast<const char*>(digest.data()), digest.size());
    bytes.append(64, '\x5a');
    const auto parsed = vault::parse_store(bytes);
    if (parsed.has_value() && !bytes.starts_with(parsed->prefix)) std::abort();
    return 0;
}
