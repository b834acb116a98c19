// SPDX-License-Identifier: Apache-2.0
// The program `sanctum`: the operator's command.
#include "base/confinement/self_confinement.hpp"
#include "console/console.hpp"

#include <csignal>
#include <iostream>

int main(int argc, char** argv) {
    using namespace sanctum;
    const SystemClock clock;
    console::Console console = console::console_of_this_process(std::cout, std::cerr, clock);
    // The ledger key passes through `reap`: no core file, no debugger of the same user.
    if (const Status undumpable = become_undumpable(); !undumpable) {
        return static_cast<int>(console::fail(console, undumpable.error()));
    }
    // Under `ulimit -f` a write fails with EFBIG, like one to a full disk, instead of killing the process half-way.
    std::signal(SIGXFSZ, SIG_IGN);
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    const console::Exit code = console::run_console(arguments, console);
    std::cout.flush();
    if (!std::cout) return static_cast<int>(console::fail(console, "the output could not be written whole"));
    return static_cast<int>(code);
}
