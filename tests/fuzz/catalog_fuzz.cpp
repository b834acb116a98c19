// SPDX-License-Identifier: Apache-2.0
// Fuzzes catalog entries, as text (the operator's own) and compiled (mapped from disk): no crash, what the compiler
// wrote the reader accepts, and nothing that is read points outside the file. The first byte chooses.
#include "profiles/catalog/catalog.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace sanctum::profiles;

std::size_t sum_ = 0;  // every byte that is given out is read, so that the sanitizer sees it

void read(std::string_view text) {
    for (const char c : text) sum_ += static_cast<unsigned char>(c);
}

void read(const OperationMatch& match) {
    read(match.id);
    read(match.says);
    for (const auto& set : match.any_of) {
        for (const std::string_view scope : set) read(scope);
    }
    for (const auto& [name, value] : match.resources) {
        read(name);
        read(value);
    }
    for (const std::string_view name : match.resource_query) read(name);
    for (const std::string_view pointer : match.redact) read(pointer);
}

void ask(const CompiledEntry& entry, std::string_view text) {
    read(entry.name());
    for (const std::string_view scope : entry.scopes()) read(scope);
    for (const std::string_view name : entry.resource_names()) read(name);
    for (const Endpoint& endpoint : entry.endpoints()) {
        if (const auto match = entry.find(endpoint.name, "GET", "/a/b/c", "x=1")) read(*match);
        if (const auto match = entry.find(endpoint.name, "HEAD", text, text)) read(*match);
    }
    for (const std::string_view id : entry.operation_ids()) {
        if (const auto match = entry.operation(id)) read(*match);
    }
}

void fuzz_text(std::string_view text) {
    auto bytes = compile_entry("entry.toml", text);
    if (!bytes) return;
    const auto entry = CompiledEntry::open(std::move(*bytes));
    if (!entry) std::abort();
    ask(*entry, text);
}

void fuzz_compiled(std::string_view bytes) {
    const auto entry = CompiledEntry::open(std::string(bytes));
    if (entry) ask(*entry, "/a/b");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 2 == 0) fuzz_text(text);
    else fuzz_compiled(text);
    return 0;
}
