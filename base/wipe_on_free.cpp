// SPDX-License-Identifier: Apache-2.0
// Memory that is given back is overwritten first, in the programs that hold credentials (interceptor, vault). Secret
// wipes what it owns; this wipes the copies that pass through strings of others: heads of requests on their way,
// patterns that responses are scrubbed of, bodies of token endpoints. Replaces operator delete of the whole program
// ([replacement.functions]); the forms for arrays and sizes that are not here lead to these.
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <new>

namespace {

void wipe_and_free(void* memory) noexcept {
    if (memory == nullptr) return;
    ::explicit_bzero(memory, ::malloc_usable_size(memory));
    std::free(memory);
}

}  // namespace

void operator delete(void* memory) noexcept { wipe_and_free(memory); }
void operator delete(void* memory, std::size_t) noexcept { wipe_and_free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { wipe_and_free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { wipe_and_free(memory); }
