// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/open_record.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/mission_id.hpp"
#include "ledger/recover.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/file.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

struct MissionFile {
    int v = 1;
    std::string id, name, agent, purpose;
    std::vector<std::string> command;
    std::string profile_path, profile_sha256, salt, boot_id;
    std::int64_t launcher_pid = 0;
    std::uint64_t launcher_start_ticks = 0;
    std::int64_t started_unix_ms = 0, ends_unix_ms = 0;
    std::string folder, state_folder, control, workspace;
    std::vector<std::string> cared_for;  ///< folders in which files are held back at the end; of a child: none
    std::int64_t user = 0;
    std::string parent;  ///< mission whose agent started this one; empty: a person did
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("v", self.v);
        archive("id", self.id);
        archive("mission", self.id);
        archive("name", self.name);
        archive("agent", self.agent);
        archive("purpose", self.purpose);
        archive("command", self.command);
        archive("profile_path", self.profile_path);
        archive("profile_sha256", self.profile_sha256);
        archive("salt", self.salt);
        archive("boot_id", self.boot_id);
        archive("launcher_pid", self.launcher_pid);
        archive("launcher_start_ticks", self.launcher_start_ticks);
        archive("started_unix_ms", self.started_unix_ms);
        archive("ends_unix_ms", self.ends_unix_ms);
        archive("folder", self.folder);
        archive("state_folder", self.state_folder);
        archive("control", self.control);
        archive("workspace", self.workspace);
        archive("cared_for", self.cared_for);
        archive("user", self.user);
        archive("parent", self.parent);
    }
};

// Field 22 of /proc/self/stat (proc(5)); the name in field 2 may hold blanks and brackets, so it is skipped first.
Result<std::uint64_t> own_start_ticks() {
    SANCTUM_TRY(const std::string stat, read_file("/proc/self/stat", kProcFileBytesMax));
    std::size_t at = stat.rfind(')');
    for (int field = 2; field < 22 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
    if (at == std::string::npos) return Error{Errc::Protocol, "/proc/self/stat has an unknown form"};
    return std::uint64_t{std::strtoull(stat.c_str() + at + 1, nullptr, 10)};
}

std::string_view name_of(LimitMeans means) {
    switch (means) {
        case LimitMeans::None: return "none";
        case LimitMeans::Cgroup2: return "cgroup2";
        case LimitMeans::Cgroup1: return "cgroup1";
        case LimitMeans::Rlimits: return "rlimits";
    }
    return "none";
}

ledger::MissionStarted first_record(const PreparedMission& prepared) {
    ledger::MissionStarted started;
    started.agent = prepared.mission.agent;
    started.name = prepared.mission.name;
    started.purpose = prepared.mission.purpose;
    started.profile_sha256 = prepared.mission.profile_sha256;
    started.overrides = prepared.mission.overrides;
    started.command = prepared.plan.command;
    started.landlock_abi = prepared.plan.landlock_abi;
    started.limits = name_of(prepared.plan.limits.means);
    started.limits_missing = prepared.plan.limits.missing;
    started.watch = prepared.plan.attribute;
    started.parent = prepared.mission.parent;
    return started;
}

// A record that could not be opened is of a mission that never was: nothing of it stays. What cannot be removed now,
// `sanctum reap` removes.
void discard_record(const std::string& folder) { static_cast<void>(ledger::remove_unrecorded(folder).has_value()); }

// A launcher that lives holds its ledger's lock.
bool is_unfinished(const std::string& folder) {
    if (::access((folder + "/receipt.json").c_str(), F_OK) == 0) return false;
    if (::access((folder + "/ledger.jsonl").c_str(), F_OK) != 0) return true;
    const UniqueFd ledger(::open((folder + "/ledger.jsonl").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    return ledger.is_open() && ::flock(ledger.get(), LOCK_SH | LOCK_NB) == 0;
}

}  // namespace

Result<std::string> mission_json(const PreparedMission& prepared, const MissionTimes& times,
                                 const std::string& salt_hex) {
    const profiles::Mission& mission = prepared.mission;
    MissionFile file;
    file.id = mission.id;
    file.name = mission.name;
    file.agent = mission.agent;
    file.purpose = mission.purpose;
    file.command = prepared.plan.command;
    file.profile_path = mission.profile_path;
    file.profile_sha256 = mission.profile_sha256;
    file.salt = salt_hex;
    SANCTUM_TRY(file.boot_id, read_file("/proc/sys/kernel/random/boot_id", kProcFileBytesMax));
    while (!file.boot_id.empty() && file.boot_id.back() == '\n') file.boot_id.pop_back();
    file.launcher_pid = ::getpid();
    SANCTUM_TRY(file.launcher_start_ticks, own_start_ticks());
    file.started_unix_ms = times.started_unix_ms;
    file.ends_unix_ms = times.ends_unix_ms;
    file.folder = prepared.places.mission(mission.id);
    file.state_folder = prepared.places.state;
    file.control = prepared.places.control_socket(mission.id);
    file.workspace = mission.sandbox.workspace;
    for (const WorkspaceCare& folder : prepared.care) file.cared_for.push_back(folder.before.workspace);
    file.user = ::geteuid();
    file.parent = mission.parent;
    return wire::to_json(file) + "\n";
}

Result<ledger::SigningKey> load_ledger_key(const Places& places) {
    SANCTUM_CHECK(make_folders(places.data, 0700));
    return ledger::SigningKey::load_or_create(places.ledger_key(), places.ledger_public_key(), places.receipts());
}

Result<std::unique_ptr<MissionRecord>> open_record(const PreparedMission& prepared, const MissionTimes& times,
                                                   const std::string& salt_hex, ledger::SigningKey key,
                                                   ledger::HeadWitness* witness, const Clock& clock) {
    const Places& places = prepared.places;
    SANCTUM_CHECK(make_folders(places.missions(), 0700));
    SANCTUM_TRY(const std::string text, mission_json(prepared, times, salt_hex));
    const std::string folder = places.mission(prepared.mission.id);
    if (::access(folder.c_str(), F_OK) == 0) return Error{Errc::Io, folder + " is there already"};
    auto ledger = ledger::Ledger::create(folder, prepared.mission.id, text, places.receipts(), std::move(key), clock,
                                         witness);
    if (!ledger) {
        discard_record(folder);
        return std::move(ledger).error();
    }
    auto record = std::make_unique<MissionRecord>(*std::move(ledger), prepared.mission, prepared.catalog);
    if (Status started = record->started(first_record(prepared)); !started) {
        record.reset();
        discard_record(folder);
        return std::move(started).error();
    }
    return record;
}

bool has_unfinished_missions(const Places& places, const std::string& own_mission) {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(places.missions().c_str()), &::closedir);
    if (!folder) return false;
    for (std::size_t looked_at = 0; looked_at < kMissionsLookedAtMax; ++looked_at) {
        const dirent* entry = ::readdir(folder.get());
        if (entry == nullptr) return false;
        const std::string id = entry->d_name;
        if (id != own_mission && is_ulid(id) && is_unfinished(places.mission(id))) return true;
    }
    return false;
}

}  // namespace sanctum::launcher
