// SPDX-License-Identifier: Apache-2.0
// Chunked bodies, both directions: no crash, and the same body, trailers and verdict however the bytes are cut.
#include "interceptor/http/http1_decoder.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace {

using namespace sanctum::interceptor;

struct Read {
    std::string body;
    Fields trailers;
    bool is_error = false;
    bool is_whole = false;
};

template <class Decoder, class Head>
Read read_message(Decoder& decoder, std::string_view head, std::string_view body, std::size_t piece_size) {
    Read read;
    std::string bytes = std::string(head) + std::string(body);
    for (std::size_t at = 0; at < bytes.size(); at += piece_size) {
        std::string piece = bytes.substr(at, piece_size);
        decoder.feed(piece);
        while (true) {
            auto event = decoder.next();
            if (!event.has_value()) {
                read.is_error = true;
                return read;
            }
            if (std::holds_alternative<NeedMore>(*event)) break;
            if (auto* chunk = std::get_if<BodyChunk>(&*event)) {
                read.body.append(chunk->bytes.data(), chunk->bytes.size());
            }
            if (auto* trailers = std::get_if<Trailers>(&*event)) read.trailers = trailers->fields;
            if (std::holds_alternative<EndOfMessage>(*event)) {
                read.is_whole = true;
                return read;
            }
        }
        std::fill(piece.begin(), piece.end(), '#');
    }
    return read;
}

void require_alike(const Read& a, const Read& b) {
    // Of a broken body the part before the fault may come in whole or not at all; a whole one has to be the same.
    if (a.is_whole != b.is_whole || a.is_error != b.is_error) std::abort();
    if (a.is_whole && (a.body != b.body || a.trailers != b.trailers)) std::abort();
}

Read request(std::string_view body, std::size_t piece_size) {
    RequestDecoder decoder;
    return read_message<RequestDecoder, RequestHead>(
        decoder, "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n", body, piece_size);
}

Read response(std::string_view body, std::size_t piece_size) {
    ResponseDecoder decoder;
    decoder.expect(ResponseTo::Other);
    return read_message<ResponseDecoder, ResponseHead>(
        decoder, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", body, piece_size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 8192) return 0;  // above the trailer bound the answer may depend on the cut
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    require_alike(request(body, 1), request(body, 1 << 16));
    require_alike(response(body, 1), response(body, 1 << 16));
    require_alike(response(body, 3), response(body, 7));
    return 0;
}
