// SPDX-License-Identifier: Apache-2.0
// Fuzzes the reader of pruned.jsonl. The bytes are read as they are: without our signature no line counts. Then the
// lines among them are signed, so that what stands behind the signature is reached too.
#include "base/digest.hpp"
#include "ledger/pruned.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace {

using namespace sanctum;
using namespace sanctum::ledger;

constexpr std::string_view kType = "application/vnd.sanctum.pruned+json";

void require(bool holds) {
    if (!holds) std::abort();
}

/// A folder with a key; it lives as long as the program.
struct Place {
    std::string folder;
    SigningKey key;

    static Place& instance() {
        static Place place = [] {
            std::string made = std::filesystem::temp_directory_path() / "pruned-fuzz-XXXXXX";
            require(::mkdtemp(made.data()) != nullptr);
            auto key = SigningKey::load_or_create(made + "/key", made + "/pub", made + "/receipts");
            require(key.has_value());
            return Place{made, *std::move(key)};
        }();
        return place;
    }
    ~Place() {
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }

    PrunedMissions read(std::string_view bytes) const {
        const std::string path = folder + "/pruned.jsonl";
        std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
        auto read = read_pruned(path, key.verifying_key());
        require(read.has_value() || read.error().code == Errc::Limit);
        return read.has_value() ? *std::move(read) : PrunedMissions{};
    }
};

void fuzz_signed(const Place& place, std::string_view bytes) {
    std::string file;
    std::uint64_t lines = 0;
    std::size_t last_line = 0;
    while (!bytes.empty()) {
        const std::string_view payload = bytes.substr(0, bytes.find('\n'));
        bytes.remove_prefix(std::min(bytes.size(), payload.size() + 1));
        last_line = file.size();
        file += seal_payload(kType, payload, place.key) + "\n";
        ++lines;
    }
    const PrunedMissions read = place.read(file);
    require(!read.bad_line || (*read.bad_line >= 1 && *read.bad_line <= lines && !read.why.empty()));
    require(read.missions.size() <= lines);
    for (const auto& [mission, pruned] : read.missions) {
        require(pruned.mission == mission && pruned.schema == Pruned().schema);
        const Pruned* found = read.find(mission, "some other receipt");
        require(found == nullptr || pruned.receipt == sha256("some other receipt"));
    }
    if (lines == 0 || read.bad_line) return;
    // What a crash left of the last line does not count, and a changed byte is seen.
    require(!place.read(std::string_view(file).substr(0, file.size() - 1)).bad_line);
    std::string changed = file;
    changed[last_line + (file.size() - last_line) / 2] ^= 1;
    require(place.read(changed).bad_line == lines || changed.find('\n', last_line) + 1 != changed.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const Place& place = Place::instance();
    require(place.read(bytes).missions.empty());
    fuzz_signed(place, bytes);
    return 0;
}
