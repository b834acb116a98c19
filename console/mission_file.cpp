// SPDX-License-Identifier: Apache-2.0
#include "console/mission_file.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/wire/archive.hpp"

namespace sanctum::console {

Result<MissionFile> read_mission_file(const std::string& mission_folder) {
    const std::string path = mission_folder + "/mission.json";
    SANCTUM_TRY(const std::string text, read_file(path, kMemfdBytesMax));
    Result<MissionFile> file = wire::from_json<MissionFile>(text);
    if (!file) return std::move(file).error().in(path);
    return file;
}

}  // namespace sanctum::console
