// SPDX-License-Identifier: Apache-2.0
// What is left of a client's key in this process's memory. Each look is a process of its own: OpenSSL takes functions
// for its memory only while it has none.
#include "network/openssl_memory.hpp"

#include "network/client_certificate.hpp"
#include "network/openssl_types.hpp"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

namespace sanctum::network {
namespace {

constexpr std::size_t kScalarBytes = 32;
constexpr unsigned char kMask = 0x5a;

// A key's number, masked so that the searcher does not find itself.
using Masked = std::array<unsigned char, kScalarBytes>;

Masked masked_scalar(const Secret& pem) {
    BIO* const memory = BIO_new_mem_buf(pem.reveal().data(), static_cast<int>(pem.size()));
    const PrivateKeyPtr key(PEM_read_bio_PrivateKey(memory, nullptr, nullptr, nullptr));
    BIO_free(memory);
    BIGNUM* number = nullptr;
    EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_PRIV_KEY, &number);
    Masked masked{};
    BN_bn2binpad(number, masked.data(), kScalarBytes);
    BN_clear_free(number);
    for (unsigned char& byte : masked) byte ^= kMask;
    return masked;
}

bool is_at(const unsigned char* place, const Masked& masked) {
    bool is_forward = true;
    bool is_backward = true;  // as OpenSSL's numbers are
    for (std::size_t i = 0; i < kScalarBytes && (is_forward || is_backward); ++i) {
        const auto byte = static_cast<unsigned char>(place[i] ^ kMask);
        is_forward = is_forward && byte == masked[i];
        is_backward = is_backward && byte == masked[kScalarBytes - 1 - i];
    }
    return is_forward || is_backward;
}

// All that is writable here, but for what only a sanitizer needs as large. The copy that is searched is none of these.
int count_copies(const Masked& masked) {
    constexpr std::size_t kMappingBytesMax = 64 << 20;
    struct Mapping {
        std::size_t begin;
        std::size_t end;
    };
    std::vector<Mapping> mappings;
    std::FILE* const maps = std::fopen("/proc/self/maps", "re");
    std::array<char, 512> line{};
    while (std::fgets(line.data(), line.size(), maps) != nullptr) {
        char* rest = nullptr;
        const std::size_t begin = std::strtoull(line.data(), &rest, 16);
        const std::size_t end = std::strtoull(rest + 1, &rest, 16);
        if (rest[1] == 'r' && rest[2] == 'w' && end - begin <= kMappingBytesMax) mappings.push_back({begin, end});
    }
    std::fclose(maps);
    const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    int copies = 0;
    for (const Mapping& mapping : mappings) {
        std::vector<unsigned char> bytes(mapping.end - mapping.begin);
        const ssize_t size = ::pread(memory, bytes.data(), bytes.size(), static_cast<off_t>(mapping.begin));
        for (ssize_t i = 0; i + static_cast<ssize_t>(kScalarBytes) <= size; ++i) {
            if (is_at(bytes.data() + i, masked)) ++copies;
        }
        OPENSSL_cleanse(bytes.data(), bytes.size());
    }
    ::close(memory);
    return copies;
}

struct Copies {
    int held = 0;  ///< while a connection has the key
    int left = 0;  ///< after it forgot it
};

Copies count_around_a_connection() {
    const WallTime now{1'800'000'000'000};
    ClientCertificate own = std::move(*make_client_certificate("client", now, now));
    const Masked masked = masked_scalar(own.key);
    const SslContextPtr context(SSL_CTX_new(TLS_client_method()));
    const SslPtr connection(SSL_new(context.get()));
    Copies copies;
    if (!show_certificate(connection.get(), own)) return copies;
    own = {};
    copies.held = count_copies(masked);
    forget_certificate(connection.get());
    copies.left = count_copies(masked);
    return copies;
}

[[noreturn]] void leave(bool is_right, const Copies& copies) {
    std::fprintf(stderr, "held %d, left %d\n", copies.held, copies.left);
    ::_exit(is_right ? 0 : 1);
}

class OpensslMemory : public testing::Test {
protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(OpensslMemory, AKeyThatAConnectionForgotIsNowhereInTheProcess) {
    const auto look = [] {
        if (!wipe_what_openssl_frees()) ::_exit(2);
        const Copies copies = count_around_a_connection();
        leave(copies.held > 0 && copies.left == 0, copies);
    };
    EXPECT_EXIT(look(), testing::ExitedWithCode(0), "");
}

TEST_F(OpensslMemory, WithoutItTheKeyWouldBeLeftInWhatWasFreed) {
    const auto look = [] {
        const Copies copies = count_around_a_connection();
        leave(copies.held > 0 && copies.left > 0, copies);
    };
    EXPECT_EXIT(look(), testing::ExitedWithCode(0), "");
}

TEST_F(OpensslMemory, ABlockThatMovesKeepsItsBytes) {
    const auto look = [] {
        if (!wipe_what_openssl_frees()) ::_exit(2);
        char* block = static_cast<char*>(OPENSSL_malloc(8));
        std::snprintf(block, 8, "1234567");
        block = static_cast<char*>(OPENSSL_realloc(block, 100'000));
        block = static_cast<char*>(OPENSSL_realloc(block, 4));
        const bool is_kept = std::string_view(block, 4) == "1234";
        ::_exit(is_kept && OPENSSL_realloc(block, 0) == nullptr ? 0 : 1);
    };
    EXPECT_EXIT(look(), testing::ExitedWithCode(0), "");
}

TEST_F(OpensslMemory, OnceOpensslHasMemoryItIsRefused) {
    const auto look = [] {
        OPENSSL_free(OPENSSL_malloc(8));
        const Status status = wipe_what_openssl_frees();
        ::_exit(!status && status.error().code == Errc::Internal ? 0 : 1);
    };
    EXPECT_EXIT(look(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace sanctum::network
