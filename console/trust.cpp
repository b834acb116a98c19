// SPDX-License-Identifier: Apache-2.0
// `sanctum trust`: pins a profile's path and content after saying what it permits; lists and removes pins.
#include "base/clock.hpp"
#include "base/wire/archive.hpp"
#include "console/commands.hpp"
#include "console/load_mission.hpp"
#include "ledger/printable.hpp"

namespace sanctum::console {
namespace {

using ledger::printable;

Exit list_pins(Console& console, Format format) {
    const Result<std::vector<profiles::TrustPin>> pins = profiles::list_trust(console.places);
    if (!pins) return fail(console, pins.error());
    std::vector<std::vector<std::string>> rows = {{"SHA-256", "SINCE", "FILE"}};
    for (const profiles::TrustPin& pin : *pins) {
        const std::string since = format_rfc3339(WallTime{pin.unix_ms});
        if (format == Format::Json) {
            wire::JsonWriter json;
            json("schema", std::string("sanctum.trust/1"));
            json("file", pin.path);
            json("sha256", pin.sha256);
            json("since", since);
            console.out << json.take() << "\n";
        }
        rows.push_back({pin.sha256.substr(0, 16), since, pin.path});
    }
    if (format == Format::Words && pins->empty()) console.out << "no profile was trusted by hand\n";
    else if (format == Format::Words) console.out << table(rows);
    return Exit::Ok;
}

Exit remove_pin(Console& console, const TrustOptions& options) {
    const std::string path = console.absolute(options.removed);
    if (options.is_dry) {
        console.out << "would no longer trust " << printable(path) << "\n";
        return Exit::Ok;
    }
    const Status removed = profiles::remove_trust(path, console.places);
    if (!removed) return fail(console, removed.error());
    console.out << "no longer trusted: " << printable(path) << "\n";
    return Exit::Ok;
}

}  // namespace

Exit run_trust(Console& console, const TrustOptions& options) {
    if (options.lists) return list_pins(console, options.format);
    if (!options.removed.empty()) return remove_pin(console, options);
    if (options.file.empty()) return fail(console, "name a profile, or --list or --remove", Exit::Usage);
    // A profile that does not load is not worth a pin, and its mistakes are shown here rather than at the run.
    const Result<LoadedMission> loaded = load_mission(console, options.file);
    if (!loaded) return fail(console, loaded.error());
    const std::string exposure = profiles::exposure_line(loaded->mission, loaded->catalog);
    console.out << exposure << (exposure.ends_with('\n') ? "" : "\n");
    if (!options.is_dry) {
        const Status pinned = profiles::pin_trust(loaded->file, console.places);
        if (!pinned) return fail(console, pinned.error());
    }
    console.out << (options.is_dry ? "would trust " : "trusted: ") << printable(loaded->file.path) << " (SHA-256 "
                << loaded->file.sha256.substr(0, 16) << "); sanctum explain " << printable(loaded->file.path)
                << " prints all it permits\n";
    return Exit::Ok;
}

}  // namespace sanctum::console
