// SPDX-License-Identifier: Apache-2.0
// A request to AWS, signed anew: what the agent signed with its placeholders is taken off, and what leaves is signed
// with the lease's keys. How its body is signed, the agent has said in `x-amz-content-sha256`, and it stays so.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/sigv4.hpp"
#include "interceptor/http/message.hpp"
#include "interceptor/services.hpp"
#include "profiles/schema/mission.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sanctum::interceptor {

/// What the signature says about the body.
enum class PayloadKind : std::uint8_t {
    Hashed,              ///< its SHA-256, which is checked on the way
    Unsigned,            ///< nothing
    Chunks,              ///< aws-chunked, each chunk signed
    ChunksAndTrailer,    ///< the same, and the trailer too
    UnsignedWithTrailer,  ///< aws-chunked, nothing signed
    Unknown,             ///< not said: it has to be read before it can be signed
};

struct Payload {
    PayloadKind kind = PayloadKind::Hashed;
    std::string word;  ///< the digest in hex, or S3's word: the last line of what is signed
};

/// Takes the authentication of a presigned URL out of the query: it is the agent's own, made with placeholders.
/// True when something was taken.
bool strip_presigned(RequestHead& head);

/// Refuses `x-amz-` headers that make AWS do something else than the operation (`x-amz-copy-source`, `x-amz-acl`)
/// unless the endpoint names them, and parameters of other ways to authenticate. Errors: Denied, naming header or
/// parameter, never a value.
[[nodiscard]] Status check_amz_request(const RequestHead& head, const profiles::Endpoint& endpoint);

/// How the body of a request, as the agent sent it, is signed. Errors: Denied (more than one word for it, one that this
/// program cannot sign anew, or one that is not for this service), with the remedy.
[[nodiscard]] Result<Payload> payload_of(const RequestHead& head, const profiles::Endpoint& endpoint);

/// Takes off what only the agent's own signature needed, and writes the payload's word where S3 wants to see it. A part
/// of preparing a request: what is recorded has it.
void prepare_amz_request(RequestHead& head, const profiles::Endpoint& endpoint, const Payload& payload);

/// A signature on its way out.
struct AwsSignature {
    Secret fields;         ///< `name: value\r\n` of what is put on the head: date, token, authorization
    sigv4::Signer signer;  ///< for the chunks of the body
    std::string seed;      ///< the signature itself in hex; the first chunk hangs on it
};

/// Signs a prepared head. Precondition: check_lease() was fine. Errors: Denied (an escape in path or query that is
/// none).
[[nodiscard]] Result<AwsSignature> sign_request(const RequestHead& head, const HeldLease& lease,
                                                const profiles::Endpoint& endpoint, const Payload& payload,
                                                WallTime now);

}  // namespace sanctum::interceptor
