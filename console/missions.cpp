// SPDX-License-Identifier: Apache-2.0
#include "console/missions.hpp"

#include "base/mission_id.hpp"
#include "ledger/printable.hpp"
#include "ledger/read_ledger.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace sanctum::console {

Result<std::vector<std::string>> list_missions(const Places& places) {
    std::vector<std::string> ids;
    std::error_code error;
    std::filesystem::directory_iterator folder(places.missions(), error);
    if (error == std::errc::no_such_file_or_directory) return ids;
    if (error) return io_error("read " + places.missions(), error.value());
    for (const std::filesystem::directory_entry& entry : folder) {
        std::string name = entry.path().filename().string();
        if (is_ulid(name)) ids.push_back(std::move(name));
    }
    std::sort(ids.begin(), ids.end());
    return ids;
}

Result<std::string> find_mission(const Places& places, const std::string& word) {
    SANCTUM_TRY(const std::vector<std::string> ids, list_missions(places));
    if (ids.empty()) return Error{Errc::NotFound, "there are no missions in " + places.missions()};
    if (word == "last") return ids.back();
    std::vector<std::string> found;
    for (const std::string& id : ids) {
        if (!word.empty() && id.starts_with(word)) found.push_back(id);
    }
    if (found.size() == 1) return found.front();
    if (found.empty()) {
        return Error{Errc::NotFound, "no mission '" + ledger::printable(word) + "' (sanctum ps --all lists them)"};
    }
    return Error{Errc::Limit, "'" + word + "' is the beginning of " + std::to_string(found.size()) +
                                  " missions, such as " + found.front() + " and " + found.back()};
}

bool is_mission_alive(const Places& places, const std::string& id) {
    const Result<bool> alive = ledger::is_alive(places.mission(id));
    return alive && *alive;
}

}  // namespace sanctum::console
