// SPDX-License-Identifier: Apache-2.0
// An agent's request to AWS, with a signature of its own in fields or query: what is taken is signed anew, what leaves
// is read back as the same request, and nothing that authenticates is in it but the lease's. The first byte chooses
// the service, the rest is the request.
#include "base/limits.hpp"
#include "interceptor/http/grammar.hpp"
#include "interceptor/http/http1_decoder.hpp"
#include "interceptor/http/http1_encoder.hpp"
#include "interceptor/rewrite/aws_request.hpp"
#include "interceptor/rewrite/forward_request.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace {

using namespace sanctum;
using namespace sanctum::interceptor;

constexpr std::string_view kAuthorization = "AWS4-HMAC-SHA256 Credential=AKIDLEASE/";
constexpr std::array<std::string_view, 7> kOfASignature = {
    "x-amz-algorithm", "x-amz-credential",      "x-amz-date", "x-amz-signature", "x-amz-signedheaders",
    "awsaccesskeyid",  "x-amz-s3session-token"};

/// What a head has more of when it leaves: host and length, which are no fields before, four of the signature, and
/// accept-encoding. A server may take more fields than our own decoder, which reads it back here.
constexpr std::size_t kFieldsAdded = 7;

void require(bool holds) {
    if (!holds) std::abort();
}

std::optional<RequestHead> read_head(std::string bytes) {
    RequestDecoder decoder;
    decoder.feed(bytes);
    auto event = decoder.next();
    if (!event.has_value() || !std::holds_alternative<RequestHead>(*event)) return std::nullopt;
    return std::get<RequestHead>(std::move(*event));
}

bool has_foreign_signature(std::string_view query) {
    while (!query.empty()) {
        const std::string_view parameter = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(parameter.size() + 1, query.size()));
        const std::string_view written = parameter.substr(0, parameter.find('='));
        std::string name = lower_case(percent_decode(written).value_or(std::string(written)));
        std::replace(name.begin(), name.end(), '_', '-');
        if (std::find(kOfASignature.begin(), kOfASignature.end(), name) != kOfASignature.end()) return true;
    }
    return false;
}

// What goes upstream; absent: refused.
std::optional<std::string> sign_anew(RequestHead head, const profiles::Endpoint& endpoint) {
    static const HeldLease& lease = *[] {
        auto* held = new HeldLease;
        held->form = profiles::AuthForm::Sigv4;
        held->secret = Secret("AKIDLEASE secret-key session-token");
        return held;
    }();
    strip_presigned(head);
    require(!strip_presigned(head));
    if (!check_amz_request(head, endpoint).has_value()) return std::nullopt;
    Result<Payload> payload = payload_of(head, endpoint);
    if (!payload.has_value() || !check_query_parameters(head, endpoint).has_value()) return std::nullopt;
    if (payload->kind == PayloadKind::Unknown) *payload = {PayloadKind::Hashed, std::string(64, '0')};
    prepare_amz_request(head, endpoint, *payload);
    prepare_request(head, &endpoint, AnswerIs::Streamed);
    const auto made = sign_request(head, lease, endpoint, *payload, WallTime{1'369'353'600'000});
    if (!made.has_value()) return std::nullopt;
    std::string sent = encode_request_head(head);
    require(sent.ends_with("\r\n\r\n"));
    sent.insert(sent.size() - 2, made->fields.reveal());
    return sent;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::optional<RequestHead> head = read_head({reinterpret_cast<const char*>(data) + 1, size - 1});
    if (!head) return 0;
    profiles::Endpoint endpoint;
    endpoint.form = profiles::AuthForm::Sigv4;
    endpoint.form_name = data[0] % 2 == 0 ? "s3" : "sts";
    endpoint.region = "us-east-1";
    endpoint.amz_headers = {"x-amz-meta-*", "x-amz-storage-class"};
    const std::optional<std::string> sent = sign_anew(*head, endpoint);
    if (!sent || head->fields.size() + kFieldsAdded > kHeadFieldsMax) return 0;
    const std::optional<RequestHead> read = read_head(*sent);
    require(read.has_value());
    require(read->method == head->method && read->path == head->path && read->host == head->host);
    require(!has_foreign_signature(read->query));
    for (const char* name : {"authorization", "x-amz-date", "x-amz-security-token"}) {
        const auto is_this = [&](const Field& field) { return field.name == name; };
        require(std::count_if(read->fields.begin(), read->fields.end(), is_this) == 1);
    }
    require(find_field(read->fields, "authorization")->starts_with(kAuthorization));
    require(*find_field(read->fields, "x-amz-security-token") == "session-token");
    return 0;
}
