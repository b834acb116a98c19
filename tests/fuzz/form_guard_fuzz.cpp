// SPDX-License-Identifier: Apache-2.0
// Forms that are watched for a field that names another method: the same verdict however the bytes are cut. The first
// byte chooses the type and the length of a piece.
#include "interceptor/rewrite/form_guard.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace sanctum;
using namespace sanctum::interceptor;

bool passes(const RequestHead& head, const profiles::Endpoint& endpoint, std::string_view body, std::size_t piece) {
    auto guard = FormGuard::create(head, &endpoint);
    if (!guard.has_value()) std::abort();
    for (std::size_t at = 0; at < body.size(); at += piece) {
        if (!guard->passes(body.substr(at, piece))) return false;
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
    RequestHead head;
    head.method = "POST";
    const bool is_parts = data[0] % 2 == 0;
    const char* type = is_parts ? "multipart/form-data; boundary=b" : "application/x-www-form-urlencoded";
    head.fields = {{"content-type", type}};
    const profiles::Endpoint endpoint{};
    const bool whole = passes(head, endpoint, body, body.size() + 1);
    if (passes(head, endpoint, body, 1) != whole) std::abort();
    if (passes(head, endpoint, body, 1 + data[0] / 2) != whole) std::abort();
    return 0;
}
