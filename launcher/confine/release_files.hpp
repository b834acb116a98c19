// SPDX-License-Identifier: Apache-2.0
// What the agent gets at the gate: the mission's authority and its rules, from the launcher in one sealed memfd.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "launcher/plan/sandbox_plan.hpp"

#include <string>

namespace sanctum::launcher {

struct ReleaseFiles {
    std::string authority;     ///< PEM
    std::string subject_hash;  ///< eight hex digits: its name in an OpenSSL hashed folder
    std::string policy;        ///< JSON
};

/// Checks the authority and computes its name. Errors: Protocol (not one PEM certificate).
[[nodiscard]] Result<ReleaseFiles> make_release_files(const std::string& ca_pem, const std::string& policy_json);

/// Packs into a sealed memfd. Errors: Io, Limit.
[[nodiscard]] Result<UniqueFd> pack_release_files(const ReleaseFiles& files);

/// The inverse, in the held agent. Errors: Protocol, Limit, Io.
[[nodiscard]] Result<ReleaseFiles> read_release_files(int memfd);

/// Writes them to their places below the new root, which must still be writable, the trust store of Java if the plan
/// has a place for it, and the plan's files of the home. Errors: Io; Protocol (the machine's trust bundle is damaged).
[[nodiscard]] Status place_release_files(const ReleaseFiles& files, const SandboxPlan& plan);

}  // namespace sanctum::launcher
