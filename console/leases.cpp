// SPDX-License-Identifier: Apache-2.0
// `sanctum leases`: which credentials may be alive, from the journal that the vaults keep.
#include "base/limits.hpp"
#include "console/commands.hpp"
#include "console/run_program.hpp"

namespace sanctum::console {

Exit run_leases(Console& console, const LeasesOptions& options) {
    std::vector<std::string> arguments = {"leases", "--state", console.places.state};
    if (options.lists_all) arguments.emplace_back("--all");
    if (options.format == Format::Json) arguments.emplace_back("--json");
    const Result<ProgramEnd> end =
        run_program(console.places.vault(), arguments, ErrorStream::Inherited, kReapOutputBytesMax);
    if (!end) return fail(console, end.error().what, Exit::Unreachable);
    console.out << end->output;
    return end->code == 0 ? Exit::Ok : Exit::Failed;
}

}  // namespace sanctum::console
