// SPDX-License-Identifier: Apache-2.0
#include "console/mission_file.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/wire/archive.hpp"

namespace sanctum::console {

namespace {

constexpr std::int64_t kVersion = 1;

// Read first and alone: what else a newer file holds, and how, is not ours to judge.
struct Version {
    std::int64_t v = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("v", self.v);
    }
};

}  // namespace

Result<MissionFile> read_mission_file(const std::string& mission_folder) {
    const std::string path = mission_folder + "/mission.json";
    SANCTUM_TRY(const std::string text, read_file(path, kMemfdBytesMax));
    const Result<Version> version = wire::from_json<Version>(text);
    if (version && version->v > kVersion) {
        return Error{Errc::Unsupported, path + " has version " + std::to_string(version->v) +
                                            "; read it with the newer Sanctum that wrote it"};
    }
    Result<MissionFile> file = wire::from_json<MissionFile>(text);
    if (!file) return std::move(file).error().in(path);
    return file;
}

}  // namespace sanctum::console
