// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/java_trust_store.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>

namespace sanctum::launcher {
namespace {

constexpr std::uint32_t kMagic = 0xfeedfeed;
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kTrustedCertificate = 2;
constexpr std::string_view kCertificateType = "X.509";
constexpr std::string_view kPassword = "changeit";
// What the format mixes into its digest after the password.
constexpr std::string_view kWhitener = "Mighty Aphrodite";
constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";

/// Big-endian, as Java's DataOutput writes.
void put_number(std::string& out, std::uint64_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>((value >> shift) & 0xff));
}

void put_text(std::string& out, std::string_view text) {
    put_number(out, text.size(), 2);
    out += text;
}

/// The bytes of one block's base64 text, line ends left out.
Result<std::string> decode(std::string_view block) {
    std::string text;
    text.reserve(block.size());
    for (const char c : block) {
        if (c != '\n' && c != '\r' && c != ' ' && c != '\t') text.push_back(c);
    }
    std::string bytes(text.size() / 4 * 3, '\0');
    const int size = text.empty() ? -1
                                  : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                                    reinterpret_cast<const unsigned char*>(text.data()),
                                                    static_cast<int>(text.size()));
    if (size <= 0) return Error{Errc::Protocol, "a certificate of the trust bundle is not base64"};
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    bytes.resize(static_cast<std::size_t>(size) - padding);
    return bytes;
}

std::string digest_of(const std::string& store) {
    std::string input;
    for (const char c : kPassword) put_number(input, static_cast<unsigned char>(c), 2);
    input += kWhitener;
    input += store;
    std::string digest(SHA_DIGEST_LENGTH, '\0');
    SHA1(reinterpret_cast<const unsigned char*>(input.data()), input.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
    return digest;
}

}  // namespace

Result<std::string> make_java_trust_store(std::string_view pem_bundle) {
    std::string entries;
    entries.reserve(pem_bundle.size());
    std::uint32_t count = 0;
    for (std::size_t at = pem_bundle.find(kBegin); at != std::string_view::npos; at = pem_bundle.find(kBegin, at)) {
        at += kBegin.size();
        const std::size_t end = pem_bundle.find(kEnd, at);
        if (end == std::string_view::npos) {
            return Error{Errc::Protocol, "the trust bundle ends within a certificate"};
        }
        SANCTUM_TRY(const std::string certificate, decode(pem_bundle.substr(at, end - at)));
        put_number(entries, kTrustedCertificate, 4);
        put_text(entries, "root-" + std::to_string(++count));
        put_number(entries, 0, 8);  // the entry's date
        put_text(entries, kCertificateType);
        put_number(entries, certificate.size(), 4);
        entries += certificate;
        at = end;
    }
    std::string store;
    store.reserve(entries.size() + 64);
    put_number(store, kMagic, 4);
    put_number(store, kVersion, 4);
    put_number(store, count, 4);
    store += entries;
    return store + digest_of(store);
}

}  // namespace sanctum::launcher
