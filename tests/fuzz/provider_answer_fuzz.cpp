// SPDX-License-Identifier: Apache-2.0
// A provider's answer: no crash, and the same answer or the same refusal however the bytes are cut.
#include "vault/http/answer_parser.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using sanctum::vault::AnswerParser;

// Status and body, or `refused`.
std::string read_answer(std::string_view bytes, std::size_t piece_size) {
    AnswerParser parser;
    for (std::size_t at = 0; at < bytes.size() && !parser.is_done(); at += piece_size) {
        if (!parser.feed(bytes.substr(at, piece_size))) return "refused";
    }
    if (!parser.end()) return "refused";
    const sanctum::vault::HttpResponse answer = parser.take();
    return std::to_string(answer.status).append(" ").append(answer.body.reveal());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::string whole = read_answer(bytes, std::max<std::size_t>(size, 1));
    if (whole != read_answer(bytes, 1) || whole != read_answer(bytes, 7)) std::abort();
    return 0;
}
