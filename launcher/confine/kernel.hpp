// SPDX-License-Identifier: Apache-2.0
// System calls that the C library of the reference distributions does not wrap, as thin functions.
// They answer like system calls: -1 and errno.
#pragma once

#include <cstdint>
#include <sys/types.h>

namespace sanctum::launcher::kernel {

/// A fork with clone3(2): `flags` are CLONE_*; *pidfd gets a close-on-exec descriptor of the child. 0 in the child.
/// The C library's cached thread id is stale in the child: it must not abort(), throw or start threads.
[[nodiscard]] pid_t fork_with_flags(std::uint64_t flags, int* pidfd);

/// pidfd_open(2), close-on-exec. (The C library's header lacks C linkage in the reference distributions.)
[[nodiscard]] int open_process(pid_t process);

/// openat2(2) with O_PATH: a place below `folder` (or an absolute one with AT_FDCWD), no symbolic link anywhere.
[[nodiscard]] int open_place(int folder, const char* path);

/// The same below a root that `..` and absolute names cannot leave.
[[nodiscard]] int open_place_in_root(int root, const char* path);

[[nodiscard]] int pivot_root(const char* new_root, const char* put_old);

/// A new anonymous session keyring in place of the inherited one; keyctl(2).
[[nodiscard]] int join_new_session_keyring();

}  // namespace sanctum::launcher::kernel
