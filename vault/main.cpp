// SPDX-License-Identifier: Apache-2.0
// sanctum-vault: the one program that opens the sealed store and holds what grants credentials.
// Started by sanctum-run for a mission (socket on descriptor 3), and by `sanctum vault`, `connect`, `reap` and
// `leases`.
#include "base/confinement/self_confinement.hpp"
#include "network/openssl_memory.hpp"
#include "vault/commands/connect_command.hpp"
#include "vault/commands/journal_commands.hpp"
#include "vault/commands/store_commands.hpp"
#include "vault/mission_process.hpp"

#include <csignal>
#include <cstdio>
#include <string_view>
#include <sys/socket.h>

namespace {

constexpr int kMissionFd = 3;

bool is_started_by_a_launcher() {
    int type = 0;
    socklen_t size = sizeof type;
    return ::getsockopt(kMissionFd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

}  // namespace

int main(int argc, char** argv) {
    if (!sanctum::become_undumpable()) return 1;
    if (const sanctum::Status status = sanctum::network::wipe_what_openssl_frees(); !status) {
        std::fprintf(stderr, "sanctum-vault: %s\n", status.error().what.c_str());
        return 1;
    }
    // Under `ulimit -f` a write fails with EFBIG, like one to a full disk, instead of killing the process half-way.
    std::signal(SIGXFSZ, SIG_IGN);
    const std::string_view mode = argc > 1 ? argv[1] : "mission";
    if (mode == "store") return sanctum::vault::run_store_command(argc - 1, argv + 1);
    if (mode == "connect") return sanctum::vault::run_connect_command(argc - 1, argv + 1);
    if (mode == "reap") return sanctum::vault::run_reap_command(argc - 1, argv + 1);
    if (mode == "leases") return sanctum::vault::run_leases_command(argc - 1, argv + 1);
    if (mode == "mission" && is_started_by_a_launcher()) return sanctum::vault::run_mission(kMissionFd);
    std::fputs("sanctum-vault is started by sanctum-run; for the store use `sanctum vault --help`\n", stderr);
    return 2;
}
