// SPDX-License-Identifier: Apache-2.0
// sanctum-compile-catalog SOURCE.toml OUTPUT.entry: used by the build, not installed.
#include "base/files.hpp"
#include "base/limits.hpp"
#include "profiles/catalog/catalog.hpp"

#include <cstdio>

namespace {

sanctum::Status compile(const std::string& source, const std::string& output) {
    SANCTUM_TRY(const std::string text, sanctum::read_file(source, sanctum::kCatalogTextBytesMax));
    SANCTUM_TRY(std::string bytes, sanctum::profiles::compile_entry(source, text));
    SANCTUM_CHECK(sanctum::write_file_atomically(output, bytes, 0644));
    // What was written is read back the way a mission will, so that a broken compiler cannot ship a broken entry.
    SANCTUM_TRY(const auto entry, sanctum::profiles::CompiledEntry::open(std::move(bytes)));
    const std::size_t slash = source.rfind('/');
    const std::string file = source.substr(slash == std::string::npos ? 0 : slash + 1);
    if (file == std::string(entry.name()) + ".toml") return {};
    return sanctum::Error{sanctum::Errc::InvalidProfile,
                          source + ": the entry calls itself `" + std::string(entry.name()) + "`"};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: sanctum-compile-catalog SOURCE.toml OUTPUT.entry\n");
        return 2;
    }
    const sanctum::Status status = compile(argv[1], argv[2]);
    if (status) return 0;
    std::fprintf(stderr, "%s\n", status.error().what.c_str());
    return 1;
}
