// SPDX-License-Identifier: Apache-2.0
// A body in aws-chunked form: no crash, the same bytes or the same refusal however it is cut, as many bytes out as in,
// and none of the agent's signatures.
#include "interceptor/rewrite/aws_body.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace sanctum;
using interceptor::AwsBody;
using interceptor::AwsSignature;
using interceptor::Payload;
using interceptor::PayloadKind;

std::string sign_anew(PayloadKind kind, std::string_view body, std::size_t piece) {
    static const AwsSignature signature{
        Secret(), sigv4::Signer({"AKIDEXAMPLE", Secret("secret-key"), Secret()}, {"us-east-1", "s3"}, WallTime{0}),
        std::string(64, '0')};
    AwsBody watched(Payload{kind, ""}, signature);
    std::string out;
    for (std::size_t at = 0; at < body.size(); at += piece) {
        if (!watched.push(body.substr(at, piece), out).has_value()) return "refused";
    }
    if (!watched.finish().has_value()) return "refused";
    if (out.size() != body.size()) std::abort();
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    for (const PayloadKind kind : {PayloadKind::Chunks, PayloadKind::ChunksAndTrailer}) {
        const std::string whole = sign_anew(kind, body, std::max<std::size_t>(size, 1));
        if (whole != sign_anew(kind, body, 1) || whole != sign_anew(kind, body, 7)) std::abort();
    }
    return 0;
}
