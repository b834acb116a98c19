// SPDX-License-Identifier: Apache-2.0
// `sanctum doctor`: what this machine enforces, in groups, each thing that is missing with its remedy.
#include "console/doctor.hpp"

#include "base/wire/archive.hpp"
#include "console/commands.hpp"
#include "ledger/printable.hpp"

namespace sanctum::console {
namespace {

struct Sign {
    const char* utf8;
    const char* plain;
    const char* colour;
};

Sign sign_of(Health health) {
    switch (health) {
        case Health::Good: return {"✓", "ok  ", "\x1b[32m"};
        case Health::Warning: return {"⚠", "warn", "\x1b[33m"};
        case Health::Bad: return {"✗", "BAD ", "\x1b[31m"};
    }
    return {"✗", "BAD ", "\x1b[31m"};
}

void print_words(Console& console, const std::vector<Finding>& findings, bool is_plain) {
    std::string group;
    const bool has_signs = console.look.has_utf8 && !is_plain;
    const bool has_colour = console.look.has_colour && !is_plain;
    for (const Finding& finding : findings) {
        if (finding.group != group) console.out << (group.empty() ? "" : "\n") << finding.group << "\n";
        group = finding.group;
        const Sign sign = sign_of(finding.health);
        console.out << "  " << (has_colour ? sign.colour : "") << (has_signs ? sign.utf8 : sign.plain)
                    << (has_colour ? "\x1b[0m" : "") << " " << ledger::printable(finding.what) << "\n";
        if (!finding.mend.empty()) {
            console.out << (has_signs ? "    " : "       ") << "mend: " << ledger::printable(finding.mend) << "\n";
        }
    }
}

void print_json(Console& console, const std::vector<Finding>& findings, bool has_bad) {
    std::string rows;
    for (const Finding& finding : findings) {
        wire::JsonWriter row;
        row("group", finding.group);
        row("health", std::string(name_of(finding.health)));
        row("what", finding.what);
        row("mend", finding.mend);
        rows += (rows.empty() ? "" : ",") + row.take();
    }
    console.out << R"({"schema":"sanctum.doctor/1","ok":)" << (has_bad ? "false" : "true") << R"(,"findings":[)" << rows
                << "]}\n";
}

}  // namespace

Exit run_doctor(Console& console, const DoctorOptions& options) {
    const std::vector<Finding> findings = examine(gather_machine_facts(console));
    bool has_bad = false;
    for (const Finding& finding : findings) has_bad = has_bad || finding.health == Health::Bad;
    if (options.format == Format::Json) print_json(console, findings, has_bad);
    else print_words(console, findings, options.is_plain);
    return has_bad ? Exit::Finding : Exit::Ok;
}

}  // namespace sanctum::console
