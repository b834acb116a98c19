// SPDX-License-Identifier: Apache-2.0
// sanctum-run: the supervisor of one mission.
#include "base/confinement/self_confinement.hpp"
#include "base/files.hpp"
#include "launcher/run/exit_codes.hpp"
#include "launcher/run/options.hpp"
#include "launcher/run/supervisor.hpp"

#include <string>
#include <unistd.h>
#include <vector>

int main(int argc, char** argv) {
    using namespace sanctum;
    if (const Status undumpable = become_undumpable(); !undumpable) {
        static_cast<void>(write_all(STDERR_FILENO, "sanctum-run: " + undumpable.error().what + "\n").has_value());
        return launcher::kExitSetupFailed;
    }
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments == std::vector<std::string>{std::string(launcher::kChildMissionOption)}) {
        return launcher::supervise_child();
    }
    const launcher::ParsedOptions parsed = launcher::parse_options(arguments);
    if (!parsed.options) {
        const int to = parsed.exit_code == 0 ? STDOUT_FILENO : STDERR_FILENO;
        return write_all(to, parsed.text) ? parsed.exit_code : launcher::kExitSetupFailed;
    }
    return launcher::supervise(*parsed.options);
}
