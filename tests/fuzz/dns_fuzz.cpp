// SPDX-License-Identifier: Apache-2.0
// DNS messages of the agent: never a crash, never an answer to an answer, never more than 512 bytes, and never another
// id or question than was asked.
#include "interceptor/dns/answer.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static sanctum::interceptor::AddressPool pool(64);
    const std::string_view query(reinterpret_cast<const char*>(data), size);
    const auto answer = sanctum::interceptor::answer_dns(query, pool);
    if (!answer) return 0;
    const bool is_to_an_answer = (data[2] & 0x80U) != 0;
    const bool is_an_answer = (static_cast<std::uint8_t>((*answer)[2]) & 0x80U) != 0;
    if (is_to_an_answer || !is_an_answer || answer->size() > 512 || answer->substr(0, 2) != query.substr(0, 2)) {
        std::abort();
    }
    return 0;
}
