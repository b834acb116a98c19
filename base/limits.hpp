// SPDX-License-Identifier: Apache-2.0
// Every bound of Sanctum, with its unit and its reason. Code holds no other magic limit.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sanctum {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// --- base ---------------------------------------------------------------------------------------------------------
/// Nesting of any JSON we read; deeper is an attack on the parser's stack.
inline constexpr int kJsonDepthMax = 32;
/// One datagram between our processes: 128 KiB passes through SOCK_SEQPACKET, 256 KiB does not; half of the first.
inline constexpr std::size_t kWireDatagramBytesMax = 64 * 1024;
/// Descriptors in one datagram; the kernel allows 253, nothing of ours needs more.
inline constexpr std::size_t kWireDescriptorsMax = 64;
/// How long one of our processes waits for room in another's socket before it calls that one broken.
inline constexpr milliseconds kWireSendTimeout{5000};
/// A small file that we read whole (configuration, profile, policy).
inline constexpr std::size_t kSmallFileBytesMax = 1024 * 1024;
/// A sealed memfd that a peer of ours hands over (mission, catalog, upstream configuration).
inline constexpr std::size_t kMemfdBytesMax = 16 * 1024 * 1024;

}  // namespace sanctum
