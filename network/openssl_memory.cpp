// SPDX-License-Identifier: Apache-2.0
#include "network/openssl_memory.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <malloc.h>

namespace sanctum::network {
namespace {

// Buffers of TLS records are larger than the 16 KiB that a record may carry (RFC 8446 5.1) and come and go with each:
// to wipe them is one more pass over every byte of the agent's traffic. Keys, their texts and DER, and what a
// connection knows are smaller.
constexpr std::size_t kWipedBytesMax = 16 * 1024;

// The file and line of the call are for debugging.
void wipe_and_free(void* block, const char* /*file*/, int /*line*/) {
    if (block == nullptr) return;
    const std::size_t size = ::malloc_usable_size(block);
    if (size <= kWipedBytesMax) ::explicit_bzero(block, size);
    std::free(block);
}

// Never in place: realloc(3) leaves what it moves. Sizes of 0 as in CRYPTO_realloc(3).
void* move_and_wipe(void* block, std::size_t size, const char* file, int line) {
    if (size == 0) {
        wipe_and_free(block, file, line);
        return nullptr;
    }
    void* const moved = std::malloc(size);
    if (block == nullptr || moved == nullptr) return moved;
    std::memcpy(moved, block, std::min(size, ::malloc_usable_size(block)));
    wipe_and_free(block, file, line);
    return moved;
}

}  // namespace

Status wipe_what_openssl_frees() {
    // Without a function of ours it allocates as before.
    if (CRYPTO_set_mem_functions(nullptr, &move_and_wipe, &wipe_and_free) == 1) return {};
    return Error{Errc::Internal, "OpenSSL has memory already and would free it unwiped"};
}

}  // namespace sanctum::network
