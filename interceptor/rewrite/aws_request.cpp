// SPDX-License-Identifier: Apache-2.0
#include "interceptor/rewrite/aws_request.hpp"

#include "interceptor/http/grammar.hpp"

#include <algorithm>
#include <array>

namespace sanctum::interceptor {
namespace {

using profiles::Endpoint;

constexpr std::string_view kHashField = "x-amz-content-sha256";
constexpr std::string_view kUnsigned = "UNSIGNED-PAYLOAD";
constexpr std::string_view kEmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Of a presigned URL; compared in lower case. The first five make one, the others come with it.
constexpr std::array<std::string_view, 8> kPresigned{
    "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders", "x-amz-signature",
    "x-amz-security-token", "x-amz-content-sha256"};
/// Signature Version 2, which S3 still reads in old regions, and the token of S3 Express.
constexpr std::array<std::string_view, 3> kOtherSignatures{"awsaccesskeyid", "signature", "x-amz-s3session-token"};

/// Headers of every signed request that say nothing of what is to be done.
constexpr std::array<std::string_view, 4> kAlways{kHashField, "x-amz-decoded-content-length", "x-amz-trailer",
                                                  "x-amz-user-agent"};
/// Of the agent's own signature.
constexpr std::array<std::string_view, 4> kOwnSignature{"x-amz-date", "date", "x-amz-security-token",
                                                        "x-amz-region-set"};
/// Signed besides the host and everything of AWS: what S3 keeps with an object.
constexpr std::array<std::string_view, 5> kSigned{"content-type", "content-md5", "content-encoding",
                                                  "content-disposition", "cache-control"};

struct StreamingWord {
    std::string_view word;
    PayloadKind kind;
};
constexpr std::array<StreamingWord, 3> kStreaming{{
    {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", PayloadKind::Chunks},
    {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", PayloadKind::ChunksAndTrailer},
    {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", PayloadKind::UnsignedWithTrailer},
}};

template <std::size_t n>
bool is_among(std::string_view name, const std::array<std::string_view, n>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::string normal_name(std::string_view written) {
    std::string name = lower_case(written);
    std::replace(name.begin(), name.end(), '_', '-');
    return name;
}

std::string parameter_name(std::string_view parameter) {
    const std::string_view written = parameter.substr(0, parameter.find('='));
    return normal_name(percent_decode(written).value_or(std::string(written)));
}

template <class Use>
void for_each_parameter(std::string_view query, Use&& use) {
    while (!query.empty()) {
        const std::string_view parameter = query.substr(0, query.find('&'));
        use(parameter);
        query.remove_prefix(std::min(parameter.size() + 1, query.size()));
    }
}

bool covers_header(std::string_view pattern, std::string_view name) {
    if (!pattern.ends_with('*')) return pattern == name;
    pattern.remove_suffix(1);
    return name.size() > pattern.size() && name.starts_with(pattern);
}

bool is_taken(const std::string& name, const Endpoint& endpoint) {
    return is_among(name, kAlways) || is_among(name, kOwnSignature) ||
           std::any_of(endpoint.amz_headers.begin(), endpoint.amz_headers.end(),
                       [&](const std::string& pattern) { return covers_header(pattern, name); });
}

bool is_hash(std::string_view text) {
    constexpr std::size_t kHexBytes = 64;
    return text.size() == kHexBytes && std::all_of(text.begin(), text.end(), [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'f');
    });
}

bool is_checksum_trailer(std::string_view value) {
    bool is_one = true;
    for_each_list_item(value, [&](std::string_view name) {
        if (!lower_case(name).starts_with("x-amz-checksum-")) is_one = false;
    });
    return is_one;
}

Error unsignable(std::string what) { return Error{Errc::Denied, std::move(what)}; }

Result<Payload> payload_of_word(const std::string& word, const RequestHead& head) {
    if (is_hash(word)) return Payload{PayloadKind::Hashed, word};
    if (word == kUnsigned) return Payload{PayloadKind::Unsigned, word};
    for (const StreamingWord& known : kStreaming) {
        if (known.word != word) continue;
        if (head.has_body()) return Payload{known.kind, word};
        return unsignable("x-amz-content-sha256 announces a body in chunks, and there is none");
    }
    if (word.find("ECDSA") != std::string::npos) {
        return unsignable("x-amz-content-sha256: SigV4A (ECDSA) cannot be signed anew; use SigV4");
    }
    return unsignable("x-amz-content-sha256 is neither a SHA-256 in lower-case hex nor a word that can be signed anew "
                      "(UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD[-TRAILER], "
                      "STREAMING-UNSIGNED-PAYLOAD-TRAILER)");
}

std::string host_of(const RequestHead& head) {
    return head.port == 0 ? head.host : head.host + ":" + std::to_string(head.port);
}

}  // namespace

bool strip_presigned(RequestHead& head) {
    std::string kept;
    bool has_stripped = false;
    for_each_parameter(head.query, [&](std::string_view parameter) {
        if (is_among(parameter_name(parameter), kPresigned)) {
            has_stripped = true;
            return;
        }
        if (!kept.empty()) kept.push_back('&');
        kept += parameter;
    });
    if (!has_stripped) return false;
    head.query = std::move(kept);
    head.has_query = !head.query.empty();
    return true;
}

Status check_amz_request(const RequestHead& head, const Endpoint& endpoint) {
    for (const Field& field : head.fields) {
        const std::string name = normal_name(field.name);
        if (!name.starts_with("x-amz-") || is_taken(name, endpoint)) continue;
        return unsignable("the header '" + field.name + "' makes this an operation that the catalog does not know");
    }
    Status checked;
    for_each_parameter(head.query, [&](std::string_view parameter) {
        const std::string name = parameter_name(parameter);
        if (is_among(name, kOtherSignatures)) {
            checked = unsignable("the query parameter '" + name + "' authenticates in another way than SigV4");
        } else if (name.starts_with("x-amz-") && !is_taken(name, endpoint)) {
            checked = unsignable("the query parameter '" + name + "' makes this an operation that is not known");
        }
    });
    return checked;
}

Result<Payload> payload_of(const RequestHead& head, const Endpoint& endpoint) {
    const auto is_this = [](const Field& field) { return normal_name(field.name) == kHashField; };
    const auto count = std::count_if(head.fields.begin(), head.fields.end(), is_this);
    if (count > 1) return unsignable("x-amz-content-sha256 is there more than once");
    const std::string* trailer = find_field(head.fields, "x-amz-trailer");
    if (trailer != nullptr && !is_checksum_trailer(*trailer)) {
        return unsignable("x-amz-trailer announces something else than a checksum");
    }
    const bool is_s3 = endpoint.form_name == "s3";
    if (count == 0) {
        if (!head.has_body()) return Payload{PayloadKind::Hashed, std::string(kEmptyHash)};
        if (is_s3) return Payload{PayloadKind::Unsigned, std::string(kUnsigned)};
        return Payload{PayloadKind::Unknown, {}};
    }
    const std::string& word = std::find_if(head.fields.begin(), head.fields.end(), is_this)->value;
    Result<Payload> payload = payload_of_word(word, head);
    if (!payload.has_value() || is_s3 || payload->kind == PayloadKind::Hashed) return payload;
    return unsignable("x-amz-content-sha256: only S3 takes a body that is not hashed as a whole");
}

void prepare_amz_request(RequestHead& head, const Endpoint& endpoint, const Payload& payload) {
    std::erase_if(head.fields, [&](const Field& field) {
        const std::string name = normal_name(field.name);
        return is_among(name, kOwnSignature) || name == kHashField;
    });
    const bool is_s3 = endpoint.form_name == "s3";
    if (is_s3 || payload.kind == PayloadKind::Hashed) head.fields.push_back({std::string(kHashField), payload.word});
}

Result<AwsSignature> sign_request(const RequestHead& head, const HeldLease& lease, const Endpoint& endpoint,
                                  const Payload& payload, WallTime now) {
    SANCTUM_TRY(const sigv4::Keys keys, sigv4::parse_keys(lease.secret.reveal()));
    sigv4::Signer signer(keys, {endpoint.region, endpoint.form_name}, now);
    std::string added = "x-amz-date: " + signer.moment() + "\r\n";
    sigv4::Request request{head.method, head.path, head.query, {}, payload.word};
    request.fields.emplace_back("host", host_of(head));
    for (const Field& field : head.fields) {
        if (!field.name.starts_with("x-amz-") && !is_among(field.name, kSigned)) continue;
        request.fields.emplace_back(field.name, field.value);
    }
    request.fields.emplace_back("x-amz-date", signer.moment());
    if (!keys.session_token.is_empty()) {
        request.fields.emplace_back("x-amz-security-token", std::string(keys.session_token.reveal()));
    }
    auto canonical = sigv4::canonical_request(request, endpoint.form_name);
    if (!keys.session_token.is_empty()) wipe(request.fields.back().second);
    if (!canonical.has_value()) return std::move(canonical).error();
    std::string seed = signer.sign(*canonical);
    const std::string authorization = signer.authorization(*canonical, seed);
    wipe(canonical->text);
    // SECURITY: as large as it gets before the token is written into it, so that no copy stays behind.
    added.reserve(added.size() + keys.session_token.size() + authorization.size() + 64);
    if (!keys.session_token.is_empty()) {
        added.append("x-amz-security-token: ").append(keys.session_token.reveal()).append("\r\n");
    }
    added.append("authorization: ").append(authorization).append("\r\n");
    Secret fields(added);
    wipe(added);
    return AwsSignature{std::move(fields), std::move(signer), std::move(seed)};
}

}  // namespace sanctum::interceptor
