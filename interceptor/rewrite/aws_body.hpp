// SPDX-License-Identifier: Apache-2.0
// AwsBody: the body of a request to AWS on its way: checked against the digest that was signed, or its chunks signed
// anew. Streaming: of a body nothing is held but the chunk that is being read.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
#pragma once

#include "base/digest.hpp"
#include "base/result.hpp"
#include "interceptor/rewrite/aws_request.hpp"

#include <string>
#include <string_view>

namespace sanctum::interceptor {

/// Sans-I/O. After an error nothing more may leave, and the request stays unfinished.
class AwsBody {
public:
    /// `signature` must outlive this object. Precondition: the payload is known.
    AwsBody(const Payload& payload, const AwsSignature& signature);

    /// Appends to `out` what may leave of `bytes`; as many bytes as came in once the body is whole. Errors: Denied (no
    /// aws-chunked body of the announced kind), Limit (a chunk above kAwsChunkBytesMax, a trailer above
    /// kAwsLineBytesMax).
    [[nodiscard]] Status push(std::string_view bytes, std::string& out);
    /// The body is over. Errors: Denied (it is not the one that was signed, or ends within a chunk).
    [[nodiscard]] Status finish();

private:
    enum class At : std::uint8_t { Size, Data, DataEnd, Trailer, LastEnd, End };
    [[nodiscard]] Status push_chunked(std::string_view bytes, std::string& out);
    [[nodiscard]] Result<bool> take_line(std::string_view& bytes);
    [[nodiscard]] Status take_whole_line(std::string& out);
    [[nodiscard]] Status begin_chunk(std::string& out);
    void end_chunk(std::string& out);
    [[nodiscard]] Status take_trailer_line(std::string& out);

    Payload payload_;
    const AwsSignature& signature_;
    Sha256 digest_;
    At at_ = At::Size;
    std::string line_;      ///< that is being read, without its end
    std::string size_;      ///< of the chunk, as the agent wrote it
    std::size_t left_ = 0;  ///< of the chunk's data
    std::string data_;
    std::string previous_;  ///< signature that the next one hangs on
    std::string trailer_;   ///< `name:value\n` of each line so far
    bool is_trailer_signed_ = false;
};

}  // namespace sanctum::interceptor
