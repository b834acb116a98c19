// SPDX-License-Identifier: Apache-2.0
// Names and addresses inside every sandbox that do not depend on the mission.
#pragma once

namespace sanctum::launcher {

/// The sandbox's own addresses, and the one that its resolv.conf names. All lie outside the pool of the DNS answers.
inline constexpr const char* kSandboxAddress = "198.18.0.1";
inline constexpr const char* kSandboxAddress6 = "fd53:616e:6374::1";
inline constexpr const char* kNameServer = "198.18.0.2";
/// The interface for programs that ask whether the machine is online, and its other end.
inline constexpr const char* kLinkName = "eth0";
inline constexpr const char* kLinkEndName = "eth0-end";
inline constexpr const char* kHostName = "sanctum";

inline constexpr const char* kPolicyFile = "/run/sanctum/policy.json";

/// The machine's roots and the mission's authority; /etc/ssl/certs is also a hashed folder with that authority in it.
inline constexpr const char* kTrustFolder = "/etc/ssl/certs";
inline constexpr const char* kTrustBundle = "/etc/ssl/certs/ca-certificates.crt";
/// The mission's authority alone, for run times that add it to their own list.
inline constexpr const char* kMissionAuthority = "/etc/ssl/certs/sanctum-mission.pem";

/// The same roots and that authority as Java reads them; shown wherever a JVM of the machine has its own list.
inline constexpr const char* kJavaTrustStore = "/run/sanctum/java-cacerts";

/// Where Chromium and Chrome read settings of the machine: the mission's authority is one (Chrome enterprise policy
/// CACertificates), as they read no bundle.
inline constexpr const char* kBrowserPolicies[] = {"/etc/chromium/policies/managed/sanctum.json",
                                                   "/etc/opt/chrome/policies/managed/sanctum.json"};

/// Where an agent that may delegate asks for a child mission; there in no other mission.
inline constexpr const char* kDelegateSocket = "/run/sanctum/delegate.sock";

/// What masked places show; both lie on the read-only root.
inline constexpr const char* kEmptyFile = "/run/sanctum/empty/file";
inline constexpr const char* kEmptyFolder = "/run/sanctum/empty/folder";

}  // namespace sanctum::launcher
