// SPDX-License-Identifier: Apache-2.0
// spawn_confined: from a plan to an agent held at a gate, and from the gate to a running agent.
//
// The launcher is single-threaded until this returned. The tree is: init (pid 1 of the new namespaces, a fork of the
// launcher that never execs) and the agent, its child, which walks the last steps and execs the command.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "launcher/plan/sandbox_plan.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sanctum::launcher {

/// A socket made inside the agent's network namespace; roles as in wire::StartInterceptor.
struct NamespaceSocket {
    std::string role;
    UniqueFd fd;
};

/// What init tells the launcher, one datagram each on ConfinedAgent::events.
struct InitEvent {
    enum class What : std::uint8_t {
        SetupFailed,   ///< step, error number: nothing was run
        ExecFailed,    ///< error number of execve (126/127)
        Started,       ///< exec succeeded
        Stopped,       ///< the agent's foreground group stopped by signal `value`
        Continued,
        Exited,        ///< exit status `value`
        Signalled,     ///< ended by signal `value`
        TimeRanOut,    ///< init's own timer fired
    } what{};
    int value = 0;
    std::string step;  ///< SetupFailed: name of the failing step
};

/// What the launcher tells init.
enum class InitOrder : std::uint8_t {
    Forward = 1,    ///< `signal` to the agent's process group
    Terminate = 2,  ///< end everything
    Freeze = 3,     ///< SIGSTOP to every process of the namespace but init (before the launcher itself stops)
    Thaw = 4,       ///< SIGCONT to the same
};

/// The live tree. Dropping it closes `alive`, which ends the tree.
struct ConfinedAgent {
    pid_t init_pid = -1;      ///< in the launcher's pid namespace
    UniqueFd init_pidfd;
    UniqueFd alive;           ///< write end; its closing means "launcher gone" to init
    UniqueFd events;          ///< SOCK_SEQPACKET to init, non-blocking: InitEvent in, orders out
    UniqueFd gate;            ///< SOCK_SEQPACKET to the held agent (CA in, go, notify descriptor out)
    pid_t agent_pid = -1;     ///< of the held agent, launcher's pid namespace
    UniqueFd agent_pidfd;
    UniqueFd notify;          ///< seccomp listener; after release(), when the plan has `attribute`
    std::vector<NamespaceSocket> sockets;
    UniqueFd delegation;      ///< listens at kDelegateSocket inside, where the plan has `delegate`; SOCK_SEQPACKET
    std::vector<std::string> control_groups;  ///< made for this tree; removed by kill_tree()
};

/// Descriptors 0 to 2 of the agent, borrowed; -1: the launcher's own.
using StandardDescriptors = std::array<int, 3>;
inline constexpr StandardDescriptors kOwnDescriptors = {-1, -1, -1};

/// Builds namespaces, network, mounts and holds the agent before its last steps. Every step is fatal.
/// Errors: the failing step's sentence (`confine: root filesystem: pivot_root: Invalid argument (hint)`).
[[nodiscard]] Result<ConfinedAgent> spawn_confined(const SandboxPlan& plan,
                                                   const StandardDescriptors& standard = kOwnDescriptors);

/// Hands the mission CA's certificate and files of /run/sanctum to the held agent, lets it enter Landlock and the
/// filter, fetches the notification descriptor, and lets it exec. Returns when exec succeeded.
/// Errors: NotFound / NotPermitted with sys_errno for exec failures (127 / 126), else the failing step's.
[[nodiscard]] Status release(ConfinedAgent& agent, const SandboxPlan& plan, const std::string& ca_pem,
                             const std::string& policy_json);

/// Next event of init, or nullopt. Errors: Cancelled (init is gone), Protocol, Io.
[[nodiscard]] Result<std::optional<InitEvent>> next_event(ConfinedAgent& agent);

/// Asks init to send `signal` to the agent's process group (Forward) or to end everything (Terminate).
[[nodiscard]] Status order(ConfinedAgent& agent, InitOrder what, int signal);

/// SIGKILLs the namespace's init and waits until it is reaped, so that no process of the tree is left. Idempotent.
void kill_tree(ConfinedAgent& agent);

}  // namespace sanctum::launcher
