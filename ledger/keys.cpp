// SPDX-License-Identifier: Apache-2.0
#include "ledger/keys.hpp"

#include "base/digest.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/secret.hpp"
#include "base/unique_fd.hpp"
#include "base/wire/archive.hpp"
#include "ledger/record_lines.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace sanctum::ledger {
namespace {

constexpr std::size_t kRawKeyBytes = 32;
constexpr std::size_t kSignatureBytes = 64;
constexpr std::size_t kIdHexDigits = 16;
// What RFC 8410 puts before the 32 bytes of an Ed25519 key.
constexpr std::string_view kPrivateDerHead("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", 16);
constexpr std::string_view kPublicDerHead("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", 12);

struct FreeKey {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeBio {
    void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, FreeKey>;
using BioPointer = std::unique_ptr<BIO, FreeBio>;
using ContextPointer = std::unique_ptr<EVP_MD_CTX, FreeContext>;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

std::string raw_public(EVP_PKEY* key) {
    std::string raw(kRawKeyBytes, '\0');
    std::size_t size = raw.size();
    SANCTUM_ASSERT(EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(raw.data()), &size) == 1 &&
                   size == kRawKeyBytes);
    return raw;
}

std::string id_of(EVP_PKEY* key) {
    return "ed25519:" + wire::to_hex(sha256(raw_public(key))).substr(0, kIdHexDigits);
}

// A passphrase is never asked for: a protected PEM is simply not a ledger key.
int no_passphrase(char*, int, int, void*) { return -1; }

// The 32 bytes of a key in the one form that openssl and we write (RFC 8410, one line of base64). Any other form is
// OpenSSL's to read; its search for a decoder takes a millisecond, at every start of a mission.
std::optional<std::string> raw_key(std::string_view pem, std::string_view label, std::string_view der_head) {
    const std::string begin = "-----BEGIN " + std::string(label) + "-----\n";
    const std::string end = "\n-----END " + std::string(label) + "-----\n";
    if (pem.size() < begin.size() + end.size() || !pem.starts_with(begin) || !pem.ends_with(end)) return std::nullopt;
    pem.remove_prefix(begin.size());
    pem.remove_suffix(end.size());
    std::optional<std::string> der = from_base64(pem);
    if (!der || der->size() != der_head.size() + kRawKeyBytes || !der->starts_with(der_head)) return std::nullopt;
    std::string raw = der->substr(der_head.size());
    wipe(*der);
    return raw;
}

KeyPointer parse_private(std::string_view pem) {
    if (std::optional<std::string> raw = raw_key(pem, "PRIVATE KEY", kPrivateDerHead)) {
        KeyPointer key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(*raw), raw->size()));
        wipe(*raw);
        return key;
    }
    const BioPointer bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    KeyPointer key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr) : nullptr);
    return key && EVP_PKEY_get_id(key.get()) == EVP_PKEY_ED25519 ? std::move(key) : nullptr;
}

KeyPointer parse_public(std::string_view pem) {
    if (const std::optional<std::string> raw = raw_key(pem, "PUBLIC KEY", kPublicDerHead)) {
        return KeyPointer(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(*raw), raw->size()));
    }
    const BioPointer bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    KeyPointer key(bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr) : nullptr);
    return key && EVP_PKEY_get_id(key.get()) == EVP_PKEY_ED25519 ? std::move(key) : nullptr;
}

std::string content_of(BIO* bio) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    return std::string(bytes, static_cast<std::size_t>(size));
}

// FAIL-CLOSED: only ENOENT says that it is missing; what cannot be looked at may be there.
Result<bool> exists(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0) return true;
    if (errno == ENOENT) return false;
    return io_error("look for " + path);
}

Result<bool> holds_bytes(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) return status.st_size > 0;
    if (errno == ENOENT) return false;
    return io_error("look at " + path);
}

// The first file of the state folder that holds what the pair signed; empty: none.
Result<std::string> find_signed_file(const std::string& state) {
    std::vector<std::string> files = {state + "/receipts.jsonl", state + "/pruned.jsonl"};
    const std::string missions = state + "/missions";
    std::error_code error;
    for (std::filesystem::directory_iterator entry(missions, error), end; !error && entry != end;
         entry.increment(error)) {
        std::error_code ignored;
        if (entry->is_directory(ignored)) files.push_back(entry->path().string() + "/ledger.jsonl");
    }
    if (error && error != std::errc::no_such_file_or_directory) return io_error("look into " + missions, error.value());
    for (std::string& file : files) {
        SANCTUM_TRY(const bool holds, holds_bytes(file));
        if (holds) return std::move(file);
    }
    return std::string();
}

// SECURITY: a key that others can read or that somebody else owns signs nothing.
Status check_private_file(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return io_error("stat " + path);
    if (!S_ISREG(status.st_mode)) return Error{Errc::NotPermitted, path + ": not a regular file"};
    if ((status.st_mode & 077U) != 0) {
        return Error{Errc::NotPermitted, path + ": others may read it (chmod 600 " + path + ")"};
    }
    if (status.st_uid != ::geteuid() && status.st_uid != 0) {
        return Error{Errc::NotPermitted, path + ": belongs to another user"};
    }
    return {};
}

// Held while the pair is looked at and made, so that two first runs make one pair.
Result<UniqueFd> lock_pair(const std::string& private_path) {
    const std::size_t slash = private_path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : private_path.substr(0, slash);
    SANCTUM_CHECK(make_folders(folder, 0700));
    UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return io_error("open " + folder);
    while (::flock(fd.get(), LOCK_EX) != 0) {
        if (errno != EINTR) return io_error("lock " + folder);
    }
    return fd;
}

Result<KeyPointer> make_pair(const std::string& private_path, const std::string& public_path) {
    KeyPointer key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    const BioPointer private_pem(BIO_new(BIO_s_mem()));
    const BioPointer public_pem(BIO_new(BIO_s_mem()));
    if (!key || !private_pem || !public_pem ||
        PEM_write_bio_PrivateKey(private_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
        PEM_write_bio_PUBKEY(public_pem.get(), key.get()) != 1) {
        return Error{Errc::Internal, "OpenSSL cannot make an Ed25519 key"};
    }
    std::string secret = content_of(private_pem.get());
    const Status written = write_file_atomically(private_path, secret, 0600);
    wipe(secret);
    if (!written) return written.error();
    SANCTUM_CHECK(write_file_atomically(public_path, content_of(public_pem.get()), 0644));
    return key;
}

}  // namespace

Status check_pair_is_not_lost(const std::string& private_path, const std::string& public_path,
                              const std::string& receipts_path) {
    SANCTUM_TRY(const bool has_private, exists(private_path));
    SANCTUM_TRY(const bool has_public, exists(public_path));
    if (has_private || has_public) return {};
    const std::string folder = receipts_path.substr(0, receipts_path.rfind('/'));
    SANCTUM_TRY(const std::string signed_file, find_signed_file(folder));
    if (signed_file.empty()) return {};
    return Error{Errc::Protocol,
                 private_path + " and " + public_path + " are missing, but " + signed_file +
                     " holds what they signed (restore both; or, to begin with a new key, move receipts.jsonl, "
                     "pruned.jsonl and missions away from " + folder + ")"};
}

struct SigningKey::Pair {
    KeyPointer key;
};
struct VerifyingKey::Key {
    KeyPointer key;
};

SigningKey::SigningKey(std::unique_ptr<Pair> pair) : pair_(std::move(pair)) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;
VerifyingKey::VerifyingKey(std::unique_ptr<Key> key) : key_(std::move(key)) {}
VerifyingKey::VerifyingKey(VerifyingKey&&) noexcept = default;
VerifyingKey& VerifyingKey::operator=(VerifyingKey&&) noexcept = default;
VerifyingKey::~VerifyingKey() = default;

Result<SigningKey> SigningKey::load_or_create(const std::string& private_path, const std::string& public_path,
                                              const std::string& receipts_path) {
    SANCTUM_TRY(const UniqueFd lock, lock_pair(private_path));
    auto pair = std::make_unique<Pair>();
    SANCTUM_TRY(const bool has_private, exists(private_path));
    SANCTUM_TRY(const bool has_public, exists(public_path));
    if (!has_private && !has_public) {
        SANCTUM_CHECK(check_pair_is_not_lost(private_path, public_path, receipts_path));
        SANCTUM_TRY(pair->key, make_pair(private_path, public_path));
        return SigningKey(std::move(pair));
    }
    if (!has_private || !has_public) {
        return Error{Errc::Protocol, (has_private ? public_path : private_path) + " is missing but " +
                                         (has_private ? private_path : public_path) +
                                         " exists (restore it, or move the other away to begin with a new key)"};
    }
    SANCTUM_CHECK(check_private_file(private_path));
    SANCTUM_TRY(std::string pem, read_file(private_path, kSmallFileBytesMax));
    pair->key = parse_private(pem);
    wipe(pem);
    if (!pair->key) return Error{Errc::Protocol, private_path + ": not an Ed25519 private key in PEM"};
    SANCTUM_TRY(const VerifyingKey published, VerifyingKey::load(public_path));
    if (published.id() != id_of(pair->key.get())) {
        return Error{Errc::Protocol, public_path + " does not belong to " + private_path};
    }
    return SigningKey(std::move(pair));
}

std::string SigningKey::id() const { return id_of(pair_->key.get()); }

VerifyingKey SigningKey::verifying_key() const {
    auto key = std::make_unique<VerifyingKey::Key>();
    const std::string raw = raw_public(pair_->key.get());
    key->key.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(raw), raw.size()));
    SANCTUM_ASSERT(key->key != nullptr);
    return VerifyingKey(std::move(key));
}

std::string SigningKey::sign(std::string_view message) const {
    const ContextPointer context(EVP_MD_CTX_new());
    std::string signature(kSignatureBytes, '\0');
    std::size_t size = signature.size();
    SANCTUM_ASSERT(context != nullptr &&
                   EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, pair_->key.get()) == 1 &&
                   EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                                  bytes_of(message), message.size()) == 1 &&
                   size == kSignatureBytes);
    return signature;
}

Result<VerifyingKey> VerifyingKey::load(const std::string& public_path) {
    SANCTUM_TRY(const std::string pem, read_file(public_path, kSmallFileBytesMax));
    auto key = std::make_unique<Key>();
    key->key = parse_public(pem);
    if (!key->key) return Error{Errc::Protocol, public_path + ": not an Ed25519 public key in PEM"};
    return VerifyingKey(std::move(key));
}

std::string VerifyingKey::id() const { return id_of(key_->key.get()); }

bool VerifyingKey::verify(std::string_view message, std::string_view signature) const {
    if (signature.size() != kSignatureBytes) return false;
    const ContextPointer context(EVP_MD_CTX_new());
    return context != nullptr &&
           EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_->key.get()) == 1 &&
           EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(message),
                            message.size()) == 1;
}

}  // namespace sanctum::ledger
