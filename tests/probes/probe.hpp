// SPDX-License-Identifier: Apache-2.0
// What every probe shares: one JSON line about one attempt, and the refusal to try anything outside a mission.
//
// Probes are static and never instrumented: the filter that is tested is the filter that is shipped, and the result
// does
// not depend on what the sandbox mounts.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>

namespace probe {

/// Exit 3 unless this process is in a mission: probes kill, mount and fork.
inline void require_mission() {
    if (::access("/run/sanctum/policy.json", F_OK) == 0) return;
    std::fprintf(stderr, "probe: not inside a mission, nothing tried\n");
    std::exit(3);
}

/// `{"op":"connect","result":"refused","errno":"ECONNREFUSED"}`; error 0: `"result":"done"`.
inline void report(const char* op, int error, const std::string& more = {}) {
    if (error == 0) std::printf("{\"op\":\"%s\",\"result\":\"done\"%s}\n", op, more.c_str());
    else std::printf("{\"op\":\"%s\",\"result\":\"refused\",\"errno\":\"%s\"%s}\n", op, ::strerrorname_np(error),
        more.c_str());
    std::fflush(stdout);
}

/// Reports the outcome of a system call: negative means errno.
inline int report_call(const char* op, long returned) {
    report(op, returned < 0 ? errno : 0);
    return 0;
}

[[noreturn]] inline void usage(const char* text) {
    std::fprintf(stderr, "usage: %s\n", text);
    std::exit(2);
}

}  // namespace probe
