// SPDX-License-Identifier: Apache-2.0
#include "base/sigv4.hpp"

#include "base/digest.hpp"
#include "base/hex_digit.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <map>
#include <optional>

namespace sanctum::sigv4 {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kRequestEnd = "aws4_request";
constexpr std::size_t kHashBlockBytes = 64;
constexpr std::size_t kAccessKeyBytesMin = 3;
constexpr std::size_t kAccessKeyBytesMax = 128;
constexpr std::size_t kSecretKeyBytesMin = 8;

std::string_view bytes_of(const Digest& digest) {
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// RFC 2104 over SHA-256. Keys of this file are never longer than a block but for AWS4 + secret, which is hashed then.
Secret hmac(std::string_view key, std::string_view text) {
    std::array<char, kHashBlockBytes> block{};
    Digest hashed{};
    if (key.size() > block.size()) {
        hashed = sha256(key);
        key = bytes_of(hashed);
    }
    std::copy(key.begin(), key.end(), block.begin());
    const auto pad_with = [&](unsigned char pad) {
        for (char& byte : block) byte = static_cast<char>(static_cast<unsigned char>(byte) ^ pad);
    };
    pad_with(0x36);
    Sha256 inner;
    inner.update({block.data(), block.size()});
    inner.update(text);
    const Digest middle = inner.finish();
    pad_with(0x36 ^ 0x5c);
    Sha256 outer;
    outer.update({block.data(), block.size()});
    outer.update(bytes_of(middle));
    Digest result = outer.finish();
    Secret code(bytes_of(result));
    wipe(block);
    for (Digest* digest : {&hashed, &result}) wipe({reinterpret_cast<char*>(digest->data()), digest->size()});
    return code;
}

bool is_unreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

/// RFC 3986 section 2.3 as AWS wants it: hexadecimal digits in capitals.
void append_encoded(std::string& out, std::string_view text, std::string_view kept = {}) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (const char c : text) {
        if (is_unreserved(c) || kept.find(c) != std::string_view::npos) {
            out.push_back(c);
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out.append({'%', digits[byte >> 4U], digits[byte & 15U]});
    }
}

enum class Plus : std::uint8_t { Plus, Blank };

std::optional<std::string> decode(std::string_view text, Plus plus) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus == Plus::Blank) {
            out.push_back(' ');
        } else if (text[i] != '%') {
            out.push_back(text[i]);
        } else {
            const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) return std::nullopt;
            out.push_back(static_cast<char>(high * 16 + low));
            i += 2;
        }
    }
    return out;
}

Error bad_escape(std::string_view where) {
    return Error{Errc::Denied, "the " + std::string(where) + " holds a '%' without two hexadecimal digits"};
}

Result<std::string> canonical_path(std::string_view path, std::string_view service) {
    std::string out;
    if (service != "s3") {
        append_encoded(out, path, "/");
        return out;
    }
    const std::optional<std::string> meant = decode(path, Plus::Plus);
    if (!meant) return bad_escape("path");
    append_encoded(out, *meant, "/");
    return out;
}

Result<std::string> canonical_query(std::string_view query) {
    std::vector<std::pair<std::string, std::string>> pairs;
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(pair.size() + 1, query.size()));
        if (pair.empty()) continue;
        const std::string_view before = pair.substr(0, pair.find('='));
        const auto name = decode(before, Plus::Blank);
        const auto value = decode(pair.substr(std::min(before.size() + 1, pair.size())), Plus::Blank);
        if (!name || !value) return bad_escape("query");
        auto& [written_name, written_value] = pairs.emplace_back();
        append_encoded(written_name, *name);
        append_encoded(written_value, *value);
    }
    std::sort(pairs.begin(), pairs.end());
    std::string out;
    for (const auto& [name, value] : pairs) {
        if (!out.empty()) out.push_back('&');
        out.append(name).append("=").append(value);
    }
    return out;
}

/// Trimmed, and runs of blanks made one.
std::string canonical_value(std::string_view value) {
    std::string out;
    out.reserve(value.size());
    for (const char c : value) {
        const bool is_blank = c == ' ' || c == '\t';
        if (!is_blank) out.push_back(c);
        else if (!out.empty() && out.back() != ' ') out.push_back(' ');
    }
    if (out.ends_with(' ')) out.pop_back();
    return out;
}

bool is_access_key(std::string_view text) {
    return text.size() >= kAccessKeyBytesMin && text.size() <= kAccessKeyBytesMax &&
           std::all_of(text.begin(), text.end(), [](char c) { return is_unreserved(c); });
}

bool is_printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

Result<Keys> parse_keys(std::string_view text) {
    std::array<std::string_view, 3> parts{};
    std::size_t count = 0;
    for (std::string_view rest = text; count < parts.size();) {
        const std::size_t blank = rest.find(' ');
        parts[count++] = rest.substr(0, blank);
        rest.remove_prefix(blank == std::string_view::npos ? rest.size() : blank + 1);
        if (blank == std::string_view::npos) break;
        if (count == parts.size()) return Error{Errc::Protocol, "more than three words are no AWS key pair"};
    }
    const bool is_pair = count >= 2 && is_access_key(parts[0]) && parts[1].size() >= kSecretKeyBytesMin &&
                         is_printable(parts[1]) && is_printable(parts[2]) && (count == 2 || !parts[2].empty());
    if (!is_pair) {
        return Error{Errc::Protocol, "not an AWS key pair; it is written `ACCESS_KEY SECRET_KEY`, with a session token "
                                     "behind it where there is one"};
    }
    return Keys{std::string(parts[0]), Secret(parts[1]), Secret(parts[2])};
}

Secret join_keys(const Keys& keys) {
    std::string text;
    text.reserve(keys.access_key.size() + keys.secret_key.size() + keys.session_token.size() + 2);
    text.append(keys.access_key).append(" ").append(keys.secret_key.reveal());
    if (!keys.session_token.is_empty()) text.append(" ").append(keys.session_token.reveal());
    Secret joined(text);
    wipe(text);
    return joined;
}

std::string moment_of(WallTime now) {
    const auto seconds = static_cast<std::time_t>(now.unix_ms / 1000);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 17> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &parts);
    return {text.data(), size};
}

std::string hex_digest(std::string_view bytes) { return wire::to_hex(sha256(bytes)); }

Result<Canonical> canonical_request(const Request& request, std::string_view service) {
    SANCTUM_TRY(const std::string path, canonical_path(request.path, service));
    SANCTUM_TRY(const std::string query, canonical_query(request.query));
    // One of the fields is the session's token: everything is as large as it gets before it is written.
    std::multimap<std::string_view, std::string> values;
    std::size_t size = request.method.size() + path.size() + query.size() + request.payload.size() + 8;
    for (const auto& [name, value] : request.fields) {
        values.emplace(name, canonical_value(value));
        size += 2 * name.size() + value.size() + 4;
    }
    Canonical canonical;
    std::string& text = canonical.text;
    text.reserve(size);
    text.append(request.method).append("\n").append(path).append("\n").append(query).append("\n");
    for (auto next = values.begin(); next != values.end();) {
        const std::string_view name = next->first;
        text.append(name).append(":");
        for (auto first = next; next != values.end() && next->first == name; ++next) {
            text.append(next == first ? "" : ",").append(next->second);
            wipe(next->second);
        }
        text.append("\n");
        canonical.signed_names.append(canonical.signed_names.empty() ? "" : ";").append(name);
    }
    text.append("\n").append(canonical.signed_names).append("\n").append(request.payload);
    return canonical;
}

Signer::Signer(const Keys& keys, const Place& place, WallTime now)
    : access_key_(keys.access_key), moment_(moment_of(now)) {
    const std::string date = moment_.substr(0, 8);
    scope_.append(date).append("/").append(place.region).append("/").append(place.service).append("/");
    scope_.append(kRequestEnd);
    std::string first = "AWS4";
    first.reserve(first.size() + keys.secret_key.size());
    first += keys.secret_key.reveal();
    key_ = hmac(first, date);
    wipe(first);
    for (const std::string_view part : {std::string_view(place.region), std::string_view(place.service), kRequestEnd}) {
        key_ = hmac(key_.reveal(), part);
    }
}

std::string Signer::sign_lines(std::string_view kind, std::initializer_list<std::string_view> lines) const {
    std::string text(kAlgorithm);
    text.append(kind).append("\n").append(moment_).append("\n").append(scope_);
    for (const std::string_view line : lines) text.append("\n").append(line);
    return wire::to_hex(hmac(key_.reveal(), text).reveal());
}

std::string Signer::sign(const Canonical& request) const { return sign_lines("", {hex_digest(request.text)}); }

std::string Signer::sign_chunk(std::string_view previous, std::string_view data) const {
    return sign_lines("-PAYLOAD", {previous, hex_digest({}), hex_digest(data)});
}

std::string Signer::sign_trailer(std::string_view previous, std::string_view trailer) const {
    return sign_lines("-TRAILER", {previous, hex_digest(trailer)});
}

std::string Signer::authorization(const Canonical& request, std::string_view signature) const {
    std::string value(kAlgorithm);
    value.append(" Credential=").append(access_key_).append("/").append(scope_);
    value.append(", SignedHeaders=").append(request.signed_names).append(", Signature=").append(signature);
    return value;
}

Secret Signer::key_in_hex() const { return Secret(wire::to_hex(key_.reveal())); }

}  // namespace sanctum::sigv4
