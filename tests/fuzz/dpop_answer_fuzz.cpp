// SPDX-License-Identifier: Apache-2.0
// A server's answer to a request with a bound token: no crash; a nonce that is learned goes into the next proof whole,
// and the proof stays one field of one line.
#include "base/jose/dpop.hpp"
#include "base/limits.hpp"
#include "interceptor/http/http1_decoder.hpp"
#include "interceptor/rewrite/dpop_request.hpp"
#include "interceptor/services.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace sanctum;
using namespace sanctum::interceptor;

constexpr const char* kOrigin = "https://api.example.test";

const HeldLease& bound_lease() {
    static const HeldLease& lease = *[] {
        auto* held = new HeldLease;
        held->form = profiles::AuthForm::Dpop;
        held->secret = dpop::join_bound_token(Secret("token"), *dpop::Key::generate()->jwk());
        return held;
    }();
    return lease;
}

void require(bool holds) {
    if (!holds) std::abort();
}

void learn_from(const ResponseHead& answer) {
    static_cast<void>(wants_nonce(answer));
    DpopNonces nonces;
    const bool is_new = nonces.learn(kOrigin, answer);
    const std::string nonce = nonces.of(kOrigin);
    require(is_new != nonce.empty() && nonce.size() <= kDpopNonceBytesMax);
    require(!nonces.learn(kOrigin, answer));
    if (!is_new) return;
    RequestHead head;
    head.method = "GET";
    head.path = "/";
    const auto made = prove_request(head, bound_lease(), kOrigin, nonce, WallTime{1'700'000'000'000});
    require(made.has_value() && made->proof.find_first_of("\r\n ") == std::string::npos);
    const std::string_view fields = made->fields.reveal();
    require(fields == "authorization: DPoP token\r\ndpop: " + made->proof + "\r\n");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string bytes(reinterpret_cast<const char*>(data), size);
    static_cast<void>(dpop::parse_bound_token(bytes));
    ResponseDecoder decoder;
    decoder.expect(ResponseTo::Other);
    decoder.feed(bytes);
    const auto event = decoder.next();
    if (event.has_value() && std::holds_alternative<ResponseHead>(*event)) learn_from(std::get<ResponseHead>(*event));
    return 0;
}
