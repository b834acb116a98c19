// SPDX-License-Identifier: Apache-2.0
#include "interceptor/rewrite/aws_body.hpp"

#include "base/hex_digit.hpp"
#include "base/limits.hpp"
#include "interceptor/http/grammar.hpp"

#include <algorithm>
#include <utility>

namespace sanctum::interceptor {
namespace {

constexpr std::string_view kChunkSignature = ";chunk-signature=";
constexpr std::string_view kTrailerSignature = "x-amz-trailer-signature:";
constexpr std::size_t kSignatureChars = 64;
constexpr std::size_t kSizeDigitsMax = 8;

Error malformed(const std::string& what) { return Error{Errc::Denied, "the body is not aws-chunked: " + what}; }

bool is_signature(std::string_view text) {
    return text.size() == kSignatureChars &&
           std::all_of(text.begin(), text.end(), [](char c) { return hex_digit(c) >= 0; });
}

bool is_signed_by_chunk(PayloadKind kind) {
    return kind == PayloadKind::Chunks || kind == PayloadKind::ChunksAndTrailer;
}

}  // namespace

AwsBody::AwsBody(const Payload& payload, const AwsSignature& signature)
    : payload_(payload), signature_(signature), previous_(signature.seed) {}

Status AwsBody::push(std::string_view bytes, std::string& out) {
    if (is_signed_by_chunk(payload_.kind)) return push_chunked(bytes, out);
    if (payload_.kind == PayloadKind::Hashed) digest_.update(bytes);
    out.append(bytes);
    return {};
}

Status AwsBody::finish() {
    if (is_signed_by_chunk(payload_.kind)) {
        if (at_ != At::End) return malformed("it ends before its last chunk does");
        return {};
    }
    if (payload_.kind != PayloadKind::Hashed || wire::to_hex(digest_.finish()) == payload_.word) return {};
    return Error{Errc::Denied, "the body is not the one whose SHA-256 x-amz-content-sha256 names"};
}

Status AwsBody::push_chunked(std::string_view bytes, std::string& out) {
    while (!bytes.empty()) {
        if (at_ == At::End) return malformed("something follows its end");
        if (at_ == At::Data) {
            const std::string_view piece = bytes.substr(0, left_);
            data_.append(piece);
            left_ -= piece.size();
            bytes.remove_prefix(piece.size());
            if (left_ == 0) at_ = At::DataEnd;
            continue;
        }
        SANCTUM_TRY(const bool is_whole, take_line(bytes));
        if (!is_whole) return {};
        SANCTUM_CHECK(take_whole_line(out));
        line_.clear();
    }
    return {};
}

Status AwsBody::take_whole_line(std::string& out) {
    if (at_ == At::Size) return begin_chunk(out);
    if (at_ == At::Trailer) return take_trailer_line(out);
    if (at_ == At::DataEnd) {
        if (!line_.empty()) return malformed("a chunk does not end where its size says");
        end_chunk(out);
        return {};
    }
    if (!line_.empty()) return malformed("a trailer that was not announced");
    out.append("\r\n");
    at_ = At::End;
    return {};
}

/// Moves bytes to line_ up to a CRLF; true when one came, which is taken too.
Result<bool> AwsBody::take_line(std::string_view& bytes) {
    while (!bytes.empty()) {
        const char c = bytes.front();
        bytes.remove_prefix(1);
        if (c == '\n') {
            if (!line_.ends_with('\r')) return malformed("a line ends without a carriage return");
            line_.pop_back();
            return true;
        }
        if (line_.ends_with('\r')) return malformed("a carriage return within a line");
        if (line_.size() >= kAwsLineBytesMax) return Error{Errc::Limit, "a line of the aws-chunked body is too long"};
        line_.push_back(c);
    }
    return false;
}

Status AwsBody::begin_chunk(std::string& out) {
    const std::size_t semicolon = std::min(line_.find(';'), line_.size());
    size_ = line_.substr(0, semicolon);
    const std::string_view extension = std::string_view(line_).substr(semicolon);
    const bool is_number = !size_.empty() && size_.size() <= kSizeDigitsMax &&
                           std::all_of(size_.begin(), size_.end(), [](char c) { return hex_digit(c) >= 0; });
    if (!is_number) return malformed("a chunk without a size");
    // The agent's own signature; nobody can check it, but as many bytes have to leave as came.
    if (!extension.starts_with(kChunkSignature) || !is_signature(extension.substr(kChunkSignature.size()))) {
        return malformed("a chunk without a signature");
    }
    left_ = 0;
    for (const char c : size_) left_ = left_ * 16 + static_cast<std::size_t>(hex_digit(c));
    if (left_ > kAwsChunkBytesMax) {
        return Error{Errc::Limit, "a chunk of the aws-chunked body is larger than " +
                                      std::to_string(kAwsChunkBytesMax) +
                                      " bytes, which are held to be signed; set the client to smaller chunks"};
    }
    if (left_ > 0) {
        at_ = At::Data;
        return {};
    }
    end_chunk(out);
    return {};
}

/// The chunk is here: signed, and out. A chunk of no bytes is the last.
void AwsBody::end_chunk(std::string& out) {
    previous_ = signature_.signer.sign_chunk(previous_, data_);
    out.append(size_).append(kChunkSignature).append(previous_).append("\r\n");
    if (!data_.empty()) {
        out.append(data_).append("\r\n");
        data_.clear();
        at_ = At::Size;
        return;
    }
    at_ = payload_.kind == PayloadKind::ChunksAndTrailer ? At::Trailer : At::LastEnd;
}

Status AwsBody::take_trailer_line(std::string& out) {
    if (line_.empty()) {
        if (!is_trailer_signed_) return malformed("its trailer has no signature");
        out.append("\r\n");
        at_ = At::End;
        return {};
    }
    if (is_trailer_signed_) return malformed("a line behind the trailer's signature");
    const std::string_view line = line_;
    if (line.starts_with(kTrailerSignature)) {
        if (!is_signature(line.substr(kTrailerSignature.size()))) return malformed("its trailer has no signature");
        previous_ = signature_.signer.sign_trailer(previous_, trailer_);
        out.append(kTrailerSignature).append(previous_).append("\r\n");
        is_trailer_signed_ = true;
        return {};
    }
    const std::size_t colon = line.find(':');
    const std::string name = lower_case(line.substr(0, colon));
    if (colon == std::string_view::npos || !is_token(name) || !name.starts_with("x-amz-checksum-")) {
        return malformed("its trailer holds something else than a checksum");
    }
    if (!is_ascii_field_value(trim(line.substr(colon + 1)))) return malformed("its trailer holds control bytes");
    trailer_.append(name).append(":").append(trim(line.substr(colon + 1))).append("\n");
    if (trailer_.size() > kAwsLineBytesMax) {
        return Error{Errc::Limit, "the trailer of the aws-chunked body is too long"};
    }
    out.append(line).append("\r\n");
    return {};
}

}  // namespace sanctum::interceptor
