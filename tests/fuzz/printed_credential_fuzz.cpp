// SPDX-License-Identifier: Apache-2.0
// What an operator's program prints: no crash; without a fault there is a credential, a life within bounds and a
// printable handle; and no fault repeats what may be the credential.
#include "base/limits.hpp"
#include "vault/sources/printed_credential.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

// Shorter ones may be in a sentence by chance.
constexpr std::size_t kTellingBytes = 24;

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sanctum;
    const std::string_view output(reinterpret_cast<const char*>(data), size);
    const vault::PrintedCredential printed = vault::read_printed(output);
    const std::string_view secret = printed.secret.reveal();
    if (!output.starts_with('{')) {
        require(output == secret || output == std::string(secret) + "\n");
        require(printed.fault.empty() != secret.empty());
        return 0;
    }
    require(!printed.fault.empty() || !secret.empty());
    require(secret.size() < kTellingBytes || printed.fault.find(secret) == std::string::npos);
    if (printed.expires_in) {
        require(*printed.expires_in > Milliseconds(0));
        require(*printed.expires_in <= Milliseconds(kProviderLifeSecondsMax * 1000));
    }
    if (printed.scopes) require(std::is_sorted(printed.scopes->begin(), printed.scopes->end()));
    require(printed.handle.size() <= kHandleBytesMax);
    require(std::all_of(printed.handle.begin(), printed.handle.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
    return 0;
}
