// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/exit_codes.hpp"

#include <csignal>

namespace sanctum::launcher {

std::string_view name_of(EndReason reason) {
    switch (reason) {
        case EndReason::Exit: return "exit";
        case EndReason::Signal: return "signal";
        case EndReason::Ttl: return "ttl";
        case EndReason::Revoked: return "revoked";
        case EndReason::Lost: return "lost";
        case EndReason::Setup: return "setup";
    }
    return "lost";
}

Ending ended_by_exit(int status) { return {EndReason::Exit, status, ""}; }

Ending ended_by_signal(int signal) { return {EndReason::Signal, kExitSignalBase + signal, ""}; }

Ending ended_by_time() { return {EndReason::Ttl, kExitTimeRanOut, "the mission's time ran out"}; }

Ending ended_by_revocation(std::string_view why) {
    std::string what = "the mission was revoked";
    if (!why.empty()) what += ": " + std::string(why);
    return {EndReason::Revoked, kExitRevoked, std::move(what)};
}

Ending ended_by_loss(std::string what) { return {EndReason::Lost, kExitSignalBase + SIGKILL, std::move(what)}; }

Ending ended_unsealed(const Ending& ending, std::string_view why) {
    std::string what = ending.what;
    if (!what.empty()) what += "; ";
    what += "the record could not be sealed: " + std::string(why) + " (run: sanctum reap)";
    if (ending.reason == EndReason::Setup) return failed_to_set_up(std::move(what), ending.exit_code);
    return ended_by_loss(std::move(what));
}

Ending failed_to_set_up(std::string what, int exit_code) {
    return {EndReason::Setup, exit_code, std::move(what)};
}

}  // namespace sanctum::launcher
