// SPDX-License-Identifier: Apache-2.0
#include "launcher/plan/agent_filter.hpp"

#include "launcher/plan/call_numbers.hpp"

#include <cerrno>
#include <span>
#include <string_view>

namespace sanctum::launcher {
namespace {

using Action = CallRule::Action;
using Test = CallRule::Test;

/// Calls for one purpose: all are answered alike.
struct PurposeSet {
    const char* reason;
    int error;  ///< 0: allowed
    std::string_view names;
};

constexpr PurposeSet kAllowed[] = {
    {"files that the mounts and Landlock let it see", 0,
     "read write close stat fstat lstat newfstatat statx lseek pread64 pwrite64 readv writev preadv pwritev preadv2 "
     "pwritev2 access faccessat faccessat2 dup dup2 dup3 fcntl flock fsync fdatasync truncate ftruncate getdents "
     "getdents64 getcwd chdir fchdir rename renameat renameat2 mkdir mkdirat rmdir link linkat unlink unlinkat symlink "
     "symlinkat readlink readlinkat chown lchown fchown fchownat umask utime utimes utimensat futimesat statfs fstatfs "
     "sync syncfs sync_file_range readahead fadvise64 fallocate sendfile splice tee vmsplice copy_file_range "
     "close_range setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr "
     "removexattr lremovexattr fremovexattr inotify_init inotify_init1 inotify_add_watch inotify_rm_watch memfd_create "
     "cachestat"},
    {"waiting for descriptors", 0,
     "pipe pipe2 select pselect6 poll ppoll eventfd eventfd2 epoll_create epoll_create1 epoll_ctl epoll_wait "
     "epoll_pwait epoll_pwait2 signalfd signalfd4"},
    {"memory of its own", 0,
     "brk mmap munmap mremap mprotect madvise mlock mlock2 munlock mlockall munlockall msync mincore pkey_alloc "
     "pkey_free pkey_mprotect membarrier mseal map_shadow_stack"},
    {"processes and threads in its own pid namespace", 0,
     "fork vfork execve execveat exit exit_group wait4 waitid getpid getppid gettid getpgid getpgrp setpgid getsid "
     "setsid set_tid_address kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open pidfd_send_signal "
     "arch_prctl getrlimit setrlimit prlimit64 getrusage times getpriority setpriority sched_yield sched_getaffinity "
     "sched_getparam sched_setparam sched_getscheduler sched_setscheduler sched_get_priority_max "
     "sched_get_priority_min sched_rr_get_interval sched_getattr sched_setattr ioprio_get ioprio_set uname sysinfo "
     "getcpu"},
    {"who it is: one id without capabilities, so the kernel refuses any other", 0,
     "getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid setregid setresuid setresgid "
     "setgroups setfsuid setfsgid capget capset"},
    {"signals", 0,
     "rt_sigaction rt_sigprocmask rt_sigpending rt_sigtimedwait rt_sigsuspend rt_sigreturn sigaltstack pause "
     "restart_syscall"},
    {"time and timers", 0,
     "time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep alarm getitimer setitimer timer_create "
     "timer_settime timer_gettime timer_getoverrun timer_delete timerfd_create timerfd_settime timerfd_gettime"},
    {"locks and random numbers of the run time", 0,
     "futex futex_waitv futex_wake futex_wait futex_requeue set_robust_list get_robust_list rseq getrandom"},
    {"queues and shared memory of its own ipc namespace", 0,
     "shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open mq_unlink "
     "mq_timedsend mq_timedreceive mq_notify mq_getsetattr"},
    {"sockets, whose families `socket` has chosen", 0,
     "bind listen accept accept4 getsockname getpeername recvfrom recvmsg recvmmsg shutdown setsockopt getsockopt"},
    {"programs that confine themselves further", 0,
     "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self"},
};

constexpr PurposeSet kRefused[] = {
    {"flags lie in memory where a filter cannot read; the C library falls back to clone", ENOSYS, "clone3"},
    {"the mode lies in memory where a filter cannot read; programs fall back to openat", ENOSYS, "openat2"},
    {"work behind the filter's back; libuv and tokio fall back to epoll", ENOSYS,
     "io_uring_setup io_uring_enter io_uring_register"},
    {"other namespaces and roots", EPERM, "unshare setns pivot_root chroot"},
    {"mounts, old and new interface", EPERM,
     "mount umount2 open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr open_tree_attr"},
    {"keyrings are not namespaced", ENOSYS, "keyctl add_key request_key"},
    {"looking into other processes", EPERM, "ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp"},
    {"kernel programming and tracing", EPERM, "bpf perf_event_open userfaultfd fanotify_init fanotify_mark"},
    {"files by handle, around every folder above them", EPERM, "open_by_handle_at name_to_handle_at"},
    {"the machine's administration", EPERM,
     "kexec_load kexec_file_load init_module finit_module delete_module quotactl quotactl_fd acct swapon swapoff "
     "reboot syslog iopl ioperm vhangup sethostname setdomainname settimeofday clock_settime adjtimex clock_adjtime"},
    {"segments of 16-bit programs", ENOSYS, "modify_ldt"},
    {"memory that nobody can look into, or of others", ENOSYS, "memfd_secret process_madvise"},
    {"placement of memory", ENOSYS, "get_mempolicy set_mempolicy mbind move_pages migrate_pages"},
};

// Kernel values that a filter compares; spelled out because headers differ in what they know.
constexpr std::uint64_t kNamespaceFlags = 0x7e020000;  // CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
constexpr std::uint64_t kSetIdBits = 06000;            // S_ISUID | S_ISGID
constexpr std::uint64_t kFileTypeMask = 0170000;       // S_IFMT
constexpr std::uint64_t kCharacterDevice = 0020000;
constexpr std::uint64_t kBlockDevice = 0060000;
constexpr std::uint64_t kOpenCreate = 0100;            // O_CREAT
constexpr std::uint64_t kOpenTemporary = 020000000;    // __O_TMPFILE
constexpr std::uint64_t kFastOpen = 0x20000000;        // MSG_FASTOPEN
constexpr std::uint64_t kSocketTypeMask = 0xf;
constexpr std::uint64_t kStream = 1, kDatagram = 2;
constexpr std::uint64_t kUnix = 1, kInet = 2, kInet6 = 10, kNetlink = 16;
constexpr std::uint64_t kTcp = 6, kUdp = 17, kRouteProtocol = 0;

constexpr std::uint64_t kPersonalityQuery = 0xffffffff;

/// Options of prctl that a program needs for itself.
constexpr std::uint64_t kProcessOptions[] = {
    1,  2,           // death signal
    3,  4,           // dumpable: agents that hold keys of their own switch it off
    7,  8,           // keep capabilities: there are none
    15, 16,          // name
    21, 22,          // seccomp: further restriction
    23, 24,          // bounding set: read, drop
    27,              // securebits: read
    29, 30,          // timer slack
    36, 37,          // subreaper: in its own pid namespace
    38, 39,          // no_new_privs
    40,              // thread id address
    41, 42,          // transparent huge pages
    47,              // ambient capabilities: there are none
    50, 51,          // vector length (arm64)
    52, 53,          // speculation control
    54, 55, 56,      // pointer keys and tagged addresses (arm64)
    65, 66,          // no memory both writable and executable
    0x53564d41,      // names of mappings
    0x59616d61,      // who may trace it: nobody can
    0x41555856,      // auxiliary vector
};

/// Terminal requests that put words into the caller's terminal or rewire it.
constexpr std::uint64_t kTerminalRequests[] = {
    0x5412,  // TIOCSTI: types as if the user did
    0x541c,  // TIOCLINUX: pastes the console's selection
    0x541d,  // TIOCCONS: takes the console's output
    0x5423,  // TIOCSETD: line disciplines
};
constexpr std::uint64_t kConsoleRequests[] = {0x4b00, 0x5600};  // KD* and VT_*: low byte is the request

/// Collects rows; names that the architecture does not have are left out.
class Rows {
public:
    explicit Rows(Architecture architecture) : architecture_(architecture) {}

    void add(const PurposeSet& set) {
        for (std::size_t start = 0; start < set.names.size();) {
            const std::size_t end = std::min(set.names.find(' ', start), set.names.size());
            plain(set.names.substr(start, end - start), set.error, set.reason);
            start = end + 1;
        }
    }

    void plain(std::string_view name, int error, const char* reason) {
        row(name, error == 0 ? Action::Allow : Action::Errno, error, -1, Test::None, 0, 0, reason);
    }

    void row(std::string_view name, Action action, int error, int argument, Test test, std::uint64_t mask,
             std::uint64_t value, const char* reason) {
        SANCTUM_ASSERT(is_known_call(name));
        const std::optional<int> number = call_number(name, architecture_);
        if (number) rows_.push_back({*number, action, error, argument, test, mask, value, reason});
    }

    void also(std::string_view name, int argument, Test test, std::uint64_t mask, std::uint64_t value,
              const char* reason) {
        row(name, Action::Also, 0, argument, test, mask, value, reason);
    }

    std::vector<FilterRow> take() { return std::move(rows_); }

private:
    Architecture architecture_;
    std::vector<FilterRow> rows_;
};

void allow_own_processes(Rows& rows, Affinity affinity) {
    rows.row("clone", Action::Errno, EPERM, 0, Test::MaskedNotEqual, kNamespaceFlags, 0, "no nested namespaces");
    rows.plain("clone", 0, "processes and threads");
    for (const std::uint64_t option : kProcessOptions) {
        rows.row("prctl", Action::Allow, 0, 0, Test::Equal, 0, option, "options that concern the caller itself");
    }
    rows.plain("prctl", EINVAL, "options of no use to a program without privileges");
    rows.row("personality", Action::Allow, 0, 0, Test::Equal, 0, 0, "the ordinary one");
    rows.row("personality", Action::Allow, 0, 0, Test::Equal, 0, kPersonalityQuery, "the question");
    rows.plain("personality", EPERM, "no switching off of address randomisation");
    rows.plain("sched_setaffinity", affinity == Affinity::Fixed ? EPERM : 0,
               affinity == Affinity::Fixed ? "the processors are the mission's limit" : "placement of its own threads");
}

/// The mode of a file that a call makes or changes: a set-id bit would act outside,
/// for whoever executes the file there.
void refuse_set_id(Rows& rows, std::string_view name, int mode_argument) {
    rows.row(name, Action::Errno, EPERM, mode_argument, Test::MaskedNotEqual, kSetIdBits, 0,
             "no set-id files for the world outside");
}

void refuse_set_id_of_new(Rows& rows, std::string_view name, int flags_argument) {
    for (const std::uint64_t flag : {kOpenCreate, kOpenTemporary}) {
        rows.also(name, flags_argument, Test::MaskedEqual, flag, flag, "the call makes a file");
        refuse_set_id(rows, name, flags_argument + 1);
    }
    rows.plain(name, 0, "files that the mounts and Landlock let it see");
}

void allow_files(Rows& rows) {
    refuse_set_id_of_new(rows, "open", 1);
    refuse_set_id_of_new(rows, "openat", 2);
    struct ModeCall {
        std::string_view name;
        int argument;
    };
    for (const ModeCall& call : {ModeCall{"creat", 1}, ModeCall{"chmod", 1}, ModeCall{"fchmod", 1},
                                 ModeCall{"fchmodat", 2}, ModeCall{"fchmodat2", 2}}) {
        refuse_set_id(rows, call.name, call.argument);
        rows.plain(call.name, 0, "modes of its own files");
    }
    for (const ModeCall& call : {ModeCall{"mknod", 1}, ModeCall{"mknodat", 2}}) {
        refuse_set_id(rows, call.name, call.argument);
        for (const std::uint64_t type : {kCharacterDevice, kBlockDevice}) {
            rows.row(call.name, Action::Errno, EPERM, call.argument, Test::MaskedEqual, kFileTypeMask, type,
                "no devices");
        }
        rows.plain(call.name, 0, "files, pipes and sockets by name");
    }
}

void allow_requests_to_devices(Rows& rows) {
    for (const std::uint64_t request : kTerminalRequests) {
        rows.row("ioctl", Action::Errno, EPERM, 1, Test::Equal, 0, request, "no words into the caller's terminal");
    }
    for (const std::uint64_t range : kConsoleRequests) {
        rows.row("ioctl", Action::Errno, EPERM, 1, Test::MaskedEqual, 0xffffff00, range, "no console");
    }
    rows.plain("ioctl", 0, "terminals, sockets and files");
}

void allow_internet(Rows& rows, std::uint64_t family) {
    struct Kind {
        std::uint64_t type;
        std::uint64_t protocol;
    };
    for (const Kind& kind : {Kind{kStream, kTcp}, Kind{kDatagram, kUdp}}) {
        for (const std::uint64_t protocol : {std::uint64_t{0}, kind.protocol}) {
            rows.also("socket", 0, Test::Equal, 0, family, "internet");
            rows.also("socket", 1, Test::MaskedEqual, kSocketTypeMask, kind.type, "TCP or UDP");
            rows.row("socket", Action::Allow, 0, 2, Test::Equal, 0, protocol, "TCP and UDP in an empty network");
        }
    }
    rows.row("socket", Action::Errno, EPROTONOSUPPORT, 0, Test::Equal, 0, family,
        "no raw sockets, no other transports");
}

void allow_sockets(Rows& rows, Watch watch) {
    rows.row("socket", Action::Allow, 0, 0, Test::Equal, 0, kUnix, "between its own processes");
    allow_internet(rows, kInet);
    allow_internet(rows, kInet6);
    rows.also("socket", 0, Test::Equal, 0, kNetlink, "netlink");
    rows.row("socket", Action::Allow, 0, 2, Test::Equal, 0, kRouteProtocol, "getifaddrs, in the private namespace");
    rows.row("socket", Action::Errno, EPROTONOSUPPORT, 0, Test::Equal, 0, kNetlink, "no other netlink");
    rows.plain("socket", EAFNOSUPPORT, "families that no namespace fences, or that nobody needs");
    rows.row("socketpair", Action::Allow, 0, 0, Test::Equal, 0, kUnix, "between its own processes");
    rows.plain("socketpair", EAFNOSUPPORT, "unix only");

    struct FlagCall {
        std::string_view name;
        int argument;
    };
    for (const FlagCall& call : {FlagCall{"sendto", 3}, FlagCall{"sendmsg", 2}, FlagCall{"sendmmsg", 3}}) {
        if (watch == Watch::Connections) {
            rows.row(call.name, Action::Notify, 0, call.argument, Test::MaskedEqual, kFastOpen, kFastOpen,
                     "a connection without connect");
        }
        rows.plain(call.name, 0, "sending on what is connected");
    }
    if (watch == Watch::Connections) {
        rows.row("connect", Action::Notify, 0, -1, Test::None, 0, 0, "seen by the watch, then goes on");
    } else {
        rows.plain("connect", 0, "every address leads to Sanctum or nowhere");
    }
}

}  // namespace

std::vector<FilterRow> agent_filter(Architecture architecture, Watch watch, Affinity affinity) {
    Rows rows(architecture);
    for (const PurposeSet& set : kAllowed) rows.add(set);
    allow_files(rows);
    allow_own_processes(rows, affinity);
    allow_requests_to_devices(rows);
    allow_sockets(rows, watch);
    for (const PurposeSet& set : kRefused) rows.add(set);
    return rows.take();
}

}  // namespace sanctum::launcher
