// SPDX-License-Identifier: Apache-2.0
// A real sanctum-vault with a test in the place of launcher and interceptor.
#pragma once

#include "base/wire/channel.hpp"
#include "profiles/schema/operator_config.hpp"
#include "tests/unit/vault/support.hpp"

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sanctum::vault::test {

class VaultProcess {
public:
    /// A state folder, a store with item `team` (value kStoredValue) that opens with a key file, and account `team`.
    VaultProcess();
    ~VaultProcess();
    VaultProcess(const VaultProcess&) = delete;
    VaultProcess& operator=(const VaultProcess&) = delete;

    static constexpr const char* kStoredValue = "stored-canary-value";

    /// Starts the program and hands it `start`; `terminal` is borrowed.
    void start(int terminal = -1);
    /// The next message of the launcher's or interceptor's socket; aborts the test after a generous time.
    [[nodiscard]] wire::Packet from_vault();
    [[nodiscard]] wire::Packet to_interceptor();
    /// start(), and the services that are ready.
    std::vector<std::string> start_and_wait();
    /// Need and answer in one.
    [[nodiscard]] wire::Packet need(const wire::LeaseNeed& need);
    /// Waits for the process: its exit code, or minus the signal.
    int wait();
    void kill_now();
    [[nodiscard]] std::vector<LeaseRow> leases() const;
    [[nodiscard]] std::string status_line(const std::string& name) const;  ///< of /proc/PID/status

    TemporaryFolder folder;
    std::string state = folder / "state";
    profiles::Mission mission = make_mission();
    profiles::VaultConfig config;
    wire::Channel launcher;
    wire::Channel interceptor;
    pid_t pid = -1;
    std::int64_t ttl_ms = 600'000;
};

}  // namespace sanctum::vault::test
