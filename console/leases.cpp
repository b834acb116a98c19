// SPDX-License-Identifier: Apache-2.0
// `sanctum leases`: which credentials may be alive, from the journal that the vaults keep.
#include "base/limits.hpp"
#include "console/commands.hpp"
#include "console/run_program.hpp"

#include <algorithm>

namespace sanctum::console {

Exit run_leases(Console& console, const LeasesOptions& options) {
    std::vector<std::string> arguments = {"leases", "--state", console.places.state};
    if (options.lists_all) arguments.emplace_back("--all");
    if (options.format == Format::Json) arguments.emplace_back("--json");
    const Result<ProgramEnd> end =
        run_program(console.places.vault(), arguments, ErrorStream::Inherited, kReapOutputBytesMax);
    if (!end) return fail(console, end.error().what, Exit::Unreachable);
    // One line is one document; the vault's program says what is in it, this one which format that is.
    for (std::size_t begin = 0; begin < end->output.size();) {
        const std::size_t next = std::min(end->output.find('\n', begin), end->output.size() - 1) + 1;
        const std::string_view line = std::string_view(end->output).substr(begin, next - begin);
        const bool is_document = options.format == Format::Json && line.starts_with('{');
        if (is_document) console.out << R"({"schema":"sanctum.leases/1",)" << line.substr(1);
        else console.out << line;
        begin = next;
    }
    return end->code == 0 ? Exit::Ok : Exit::Failed;
}

}  // namespace sanctum::console
