// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4: what is signed, and the chain of keys that signs it. Pure; the time is an argument.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and …/sigv4-streaming-trailers.html
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sanctum::sigv4 {

/// A key pair, and the token that belongs to it when it is a session's.
struct Keys {
    std::string access_key;  ///< an identifier, no secret
    Secret secret_key;
    Secret session_token;    ///< empty: a long-lived pair
};

/// `ACCESS_KEY SECRET_KEY [SESSION_TOKEN]`, one blank between: how a key pair lies in the store and in a lease.
/// Errors: Protocol (another form; nothing of the text is in the sentence).
[[nodiscard]] Result<Keys> parse_keys(std::string_view text);
/// The inverse.
[[nodiscard]] Secret join_keys(const Keys& keys);

/// What a signature is good for, besides one day.
struct Place {
    std::string region;
    std::string service;
};

/// What is signed of a request.
struct Request {
    std::string_view method;
    std::string_view path;   ///< as it is sent
    std::string_view query;  ///< as it is sent, without `?`
    std::vector<std::pair<std::string, std::string>> fields;  ///< names in lower case, in the order of the head
    std::string_view payload;  ///< SHA-256 of the body in hex, or one of S3's words for a body that is not hashed
};

/// A request in the form that is hashed, and the names of what it covers.
struct Canonical {
    std::string text;
    std::string signed_names;  ///< `host;x-amz-date`
};

/// S3 takes the path as it is meant (escapes resolved, written once more in one form); everybody else takes what was
/// sent and escapes it again. Errors: Denied (an escape in path or query that is none).
[[nodiscard]] Result<Canonical> canonical_request(const Request& request, std::string_view service);

/// `20150830T123600Z`.
[[nodiscard]] std::string moment_of(WallTime now);

/// SHA-256 in lower-case hex.
[[nodiscard]] std::string hex_digest(std::string_view bytes);

/// One key derived for one day, region and service; wiped at its end.
class Signer {
public:
    Signer(const Keys& keys, const Place& place, WallTime now);

    [[nodiscard]] const std::string& moment() const { return moment_; }
    /// `20150830/us-east-1/iam/aws4_request`.
    [[nodiscard]] const std::string& scope() const { return scope_; }
    /// The signature of a whole request, in hex.
    [[nodiscard]] std::string sign(const Canonical& request) const;
    /// Of a chunk of an aws-chunked body, which hangs on the signature before it.
    [[nodiscard]] std::string sign_chunk(std::string_view previous, std::string_view data) const;
    /// Of the trailer behind the chunks: `name:value\n` for each line.
    [[nodiscard]] std::string sign_trailer(std::string_view previous, std::string_view trailer) const;
    /// The value of the field `authorization`.
    [[nodiscard]] std::string authorization(const Canonical& request, std::string_view signature) const;

    /// The derived key in hex, for comparison with published vectors.
    [[nodiscard]] Secret key_in_hex() const;

private:
    [[nodiscard]] std::string sign_lines(std::string_view kind, std::initializer_list<std::string_view> lines) const;

    std::string access_key_;
    std::string moment_;
    std::string scope_;
    Secret key_;
};

}  // namespace sanctum::sigv4
