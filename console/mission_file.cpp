// SPDX-License-Identifier: Apache-2.0
#include "console/mission_file.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/wire/archive.hpp"

#include <algorithm>

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

std::vector<runs_later::HeldPlace> still_held(const MissionFile& mission, const ledger::Receipt& receipt) {
    const std::vector<std::string> folders = mission.cared_for.value_or(std::vector<std::string>{mission.workspace});
    const std::vector<std::string> digests = receipt.held_sha256.value_or(std::vector<std::string>());
    std::vector<runs_later::HeldPlace> held;
    for (std::size_t i = 0; i < receipt.held_files.size(); ++i) {
        const std::string& file = receipt.held_files[i];
        const auto folder = std::find_if(folders.begin(), folders.end(), [&](const std::string& path) {
            return file.starts_with(path + "/");
        });
        const std::string& root = folder == folders.end() ? mission.workspace : *folder;
        const std::string digest = i < digests.size() ? digests[i] : std::string();
        for (runs_later::HeldPlace& place : runs_later::still_held(root, {file}, {digest})) {
            held.push_back(std::move(place));
        }
    }
    return held;
}

}  // namespace sanctum::console
