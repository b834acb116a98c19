// SPDX-License-Identifier: Apache-2.0
// Heads of requests and responses: no crash, the same answer however the bytes are cut, and a request that was
// accepted is read back alike from our own serialisation of it.
#include "interceptor/http/http1_decoder.hpp"
#include "interceptor/http/http1_encoder.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>

namespace {

using namespace sanctum::interceptor;

void require(bool holds) {
    if (!holds) std::abort();
}

std::optional<RequestHead> first_request(std::string_view bytes, std::size_t piece_size) {
    RequestDecoder decoder;
    while (!bytes.empty()) {
        std::string piece(bytes.substr(0, piece_size));
        bytes.remove_prefix(piece.size());
        decoder.feed(piece);
        auto event = decoder.next();
        if (!event.has_value()) return std::nullopt;
        if (auto* head = std::get_if<RequestHead>(&*event)) return std::move(*head);
        std::fill(piece.begin(), piece.end(), '#');
    }
    return std::nullopt;
}

void read_response(std::string_view bytes) {
    ResponseDecoder decoder;
    decoder.expect(ResponseTo::Other);
    std::string piece(bytes);
    decoder.feed(piece);
    for (int events = 0; events < 10'000; ++events) {
        const auto event = decoder.next();
        if (!event.has_value() || std::holds_alternative<EndOfMessage>(*event)) return;
        if (std::holds_alternative<NeedMore>(*event)) break;
    }
    if (decoder.feed_end().has_value()) (void)decoder.next().has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::optional<RequestHead> whole = first_request(bytes, std::max<std::size_t>(size, 1));
    const std::optional<RequestHead> dribbled = first_request(bytes, 1);
    if (whole) {
        require(dribbled.has_value());
        const std::string sent = encode_request_head(*whole);
        const std::optional<RequestHead> again = first_request(sent, sent.size());
        require(again.has_value());
        require(again->method == whole->method && again->target() == whole->target() && again->host == whole->host);
        require(again->port == whole->port && again->fields == whole->fields && again->framing == whole->framing);
        require(again->content_length == whole->content_length);
        require(encode_request_head(*again) == sent);
    }
    read_response(bytes);
    return 0;
}
