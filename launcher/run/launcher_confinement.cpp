// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/launcher_confinement.hpp"

#include "base/confinement/self_confinement.hpp"

#include <iterator>
#include <sys/syscall.h>

namespace sanctum::launcher {
namespace {

constexpr AllowedCall kLauncherCalls[] = {
    // the loop
    {SYS_epoll_create1, "the event loop"},
    {SYS_epoll_ctl, "the event loop"},
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, "the event loop"},
    {SYS_poll, "waiting for one peer"},
#endif
    {SYS_epoll_pwait, "the event loop"},
    {SYS_ppoll, "waiting for one peer"},
    {SYS_timerfd_create, "the mission's end"},
    {SYS_timerfd_settime, "the mission's end"},
    {SYS_eventfd2, "the ledger's news"},
    // peers, control socket, init
    {SYS_socketpair, "the channel between interceptor and vault"},
    {SYS_accept4, "the control socket"},
    {SYS_getsockopt, "who asks on the control socket; the watch reads socket cookies"},
    {SYS_sendmsg, "messages"},
    {SYS_recvmsg, "messages"},
    {SYS_sendto, "messages"},
    {SYS_recvfrom, "messages"},
    {SYS_shutdown, "messages"},
    {SYS_memfd_create, "values for the peers"},
    // files: the mission's folder, the ledger, /proc, what runs later
    {SYS_openat, "record, /proc, files that run later"},
#ifdef SYS_open
    {SYS_open, "older run times"},
    {SYS_readlink, "executables of the agent's processes"},
    {SYS_unlink, "control socket and temporary files"},
    {SYS_rename, "atomic files"},
    {SYS_mkdir, "folders of the record"},
    {SYS_rmdir, "folders of limits and of the sandbox"},
    {SYS_stat, "older run times"},
    {SYS_lstat, "older run times"},
    {SYS_access, "files"},
    {SYS_dup2, "descriptors"},
    {SYS_getpgrp, "the terminal's foreground"},
#endif
    {SYS_pread64, "files"},
    {SYS_pwrite64, "files"},
    {SYS_ftruncate, "the ledger's room, sealed values"},
    {SYS_fallocate, "room for the ledger's end"},
    {SYS_fsync, "the record is durable"},
    {SYS_fdatasync, "the record is durable"},
    {SYS_flock, "the record has one writer"},
    {SYS_unlinkat, "files"},
    {SYS_renameat, "files that run later are held back"},
    {SYS_renameat2, "files that run later are held back"},
    {SYS_mkdirat, "folders of the record"},
    {SYS_readlinkat, "executables of the agent's processes"},
    {SYS_getdents64, "the workspace is searched for files that run later"},
    {SYS_statx, "files"},
    {SYS_faccessat, "files"},
    {SYS_faccessat2, "files"},
    {SYS_fchmod, "modes of the record's files"},
    {SYS_fchmodat, "modes of files held back"},
    {SYS_fchown, "owner of files held back"},
    {SYS_dup, "descriptors"},
    {SYS_dup3, "descriptors"},
    {SYS_pipe2, "descriptors"},
    {SYS_getcwd, "files that run later"},
    // processes
    {SYS_clone, "the ledger's thread"},
    {SYS_clone3, "the ledger's thread"},
    {SYS_wait4, "ends of our processes"},
    {SYS_waitid, "ends of our processes"},
    {SYS_kill, "ends, and stopping our own group"},
    {SYS_pidfd_open, "the watch; ends"},
    {SYS_pidfd_getfd, "the watch looks at sockets"},
    {SYS_pidfd_send_signal, "ends"},
    {SYS_process_vm_readv, "the watch reads addresses for the record"},
    {SYS_ioctl, "terminal modes, system-call notices"},
    {SYS_geteuid, "who may use the control socket"},
    {SYS_getuid, "who may use the control socket"},
    {SYS_getpgid, "the terminal's foreground"},
    {SYS_getppid, "the terminal's foreground"},
    {SYS_getsid, "the terminal's foreground"},
    {SYS_signalfd4, "signals"},
};

}  // namespace

Status confine_launcher() {
    SelfConfinement confinement;
    confinement.calls.assign(std::begin(kLauncherCalls), std::end(kLauncherCalls));
    confinement.files = SelfConfinement::FileDomain::None;
    return confine_self(confinement);
}

}  // namespace sanctum::launcher
