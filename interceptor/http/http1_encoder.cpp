// SPDX-License-Identifier: Apache-2.0
#include "interceptor/http/http1_encoder.hpp"

#include <array>
#include <charconv>

namespace sanctum::interceptor {
namespace {

void append_field(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
}

void append_fields(std::string& out, const Fields& fields) {
    for (const Field& field : fields) append_field(out, field.name, field.value);
}

}  // namespace

std::string encode_request_head(const RequestHead& head) {
    std::string out;
    out.reserve(1024);
    out.append(head.method).append(" ").append(head.path);
    if (head.has_query) out.append("?").append(head.query);
    out.append(" HTTP/1.1\r\nhost: ").append(head.host);
    if (head.port != 0) out.append(":").append(std::to_string(head.port));
    out.append("\r\n");
    append_fields(out, head.fields);
    if (head.framing == Framing::Chunked) append_field(out, "transfer-encoding", "chunked");
    if (head.framing == Framing::Length) append_field(out, "content-length", std::to_string(head.content_length));
    out.append("\r\n");
    return out;
}

std::string encode_response_head(const ResponseHead& head, const ResponseFraming& framing) {
    std::string out;
    out.reserve(1024);
    out.append("HTTP/1.1 ").append(std::to_string(head.status)).append(" ").append(head.reason).append("\r\n");
    append_fields(out, head.fields);
    if (framing.framing == Framing::Chunked) append_field(out, "transfer-encoding", "chunked");
    if (framing.framing == Framing::Length || framing.says_length) {
        append_field(out, "content-length", std::to_string(framing.content_length));
    }
    if (framing.closes) append_field(out, "connection", "close");
    out.append("\r\n");
    return out;
}

void append_chunk(std::string& out, std::string_view bytes) {
    if (bytes.empty()) return;
    std::array<char, 16> size{};
    const auto end = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16).ptr;
    out.append(size.data(), end).append("\r\n").append(bytes).append("\r\n");
}

void append_last_chunk(std::string& out, const Fields& trailers) {
    out.append("0\r\n");
    append_fields(out, trailers);
    out.append("\r\n");
}

}  // namespace sanctum::interceptor
