// SPDX-License-Identifier: Apache-2.0
#include "vault/commands/command_line.hpp"

#include "base/command_line/mistake.hpp"
#include "profiles/schema/diagnostics.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>

namespace sanctum::vault {

int end_at_command_line(const CLI::App& app, const CLI::ParseError& error) {
    constexpr int kUsageMistake = 2;
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fprintf(stderr, "%s: %s (%s --help)\n", app.get_name().c_str(),
                 profiles::printable(describe_mistake(app, error)).c_str(), parsed_command(app).c_str());
    return kUsageMistake;
}

}  // namespace sanctum::vault
