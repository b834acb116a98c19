// SPDX-License-Identifier: Apache-2.0
// Answers that hold a secret: the secret in the first line, the answer behind it. The same bytes leave however they are
// cut, as many as came, and none of them is the secret.
#include "interceptor/rewrite/scrub.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace sanctum::interceptor;

std::string scrubbed(const std::shared_ptr<const NeedleSet>& needles, std::string_view text, std::size_t piece) {
    Scrubber scrubber(needles);
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += piece) {
        std::string part(text.substr(at, piece));
        out += scrubber.push(part);
    }
    out += scrubber.finish();
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::size_t end = bytes.find('\n');
    constexpr std::size_t kSecretBytesMax = 256;
    if (end == std::string_view::npos || end == 0 || end > kSecretBytesMax) return 0;
    const std::string_view secret = bytes.substr(0, end);
    const std::string_view text = bytes.substr(end + 1);
    const auto needles = std::make_shared<const NeedleSet>(secret);
    if (needles->is_empty()) return 0;
    const std::string whole = scrubbed(needles, text, text.size() + 1);
    if (whole.size() != text.size()) std::abort();
    if (scrubbed(needles, text, 1) != whole || scrubbed(needles, text, 1 + size % 7) != whole) std::abort();
    const bool is_of_stars = secret.find_first_not_of('*') == std::string_view::npos;
    if (!is_of_stars && whole.find(secret) != std::string::npos) std::abort();
    return 0;
}
