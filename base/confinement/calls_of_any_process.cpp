// SPDX-License-Identifier: Apache-2.0
// The system calls that the C and C++ run time of every process of ours makes, each with its reason.
#include "base/confinement/self_confinement.hpp"

#include <sys/syscall.h>

namespace sanctum {
namespace {

constexpr AllowedCall kCalls[] = {
    {SYS_read, "input"},
    {SYS_write, "output"},
    {SYS_readv, "input"},
    {SYS_writev, "output"},
    {SYS_close, "descriptors"},
    {SYS_fcntl, "descriptors"},
    {SYS_fstat, "the run time asks what stderr is"},
    {SYS_newfstatat, "glibc's fstat"},
    {SYS_lseek, "standard streams"},
    {SYS_brk, "memory"},
    {SYS_mmap, "memory"},
    {SYS_munmap, "memory"},
    {SYS_mremap, "memory"},
    {SYS_mprotect, "memory of new threads' arenas"},
    {SYS_madvise, "memory given back"},
    {SYS_futex, "locks"},
    {SYS_set_robust_list, "threads"},
    {SYS_rseq, "threads"},
    {SYS_sched_yield, "locks"},
    {SYS_sched_getaffinity, "sanitizers and thread pools count processors"},
    {SYS_gettid, "threads"},
    {SYS_getpid, "abort and logging"},
    {SYS_tgkill, "abort"},
    {SYS_rt_sigaction, "signals"},
    {SYS_rt_sigprocmask, "signals"},
    {SYS_rt_sigreturn, "signals return"},
    {SYS_sigaltstack, "signals"},
    {SYS_restart_syscall, "interrupted calls go on"},
    {SYS_clock_gettime, "time where the vDSO cannot answer"},
    {SYS_clock_nanosleep, "time"},
    {SYS_nanosleep, "time"},
    {SYS_gettimeofday, "time where the vDSO cannot answer"},
    {SYS_getrandom, "random numbers"},
    {SYS_prctl, "names of threads and mappings"},
    {SYS_exit, "threads end"},
    {SYS_exit_group, "the process ends"},
#ifdef SYS_time
    {SYS_time, "time where the vDSO cannot answer"},
#endif
};

}  // namespace

std::span<const AllowedCall> calls_of_any_process() { return kCalls; }

}  // namespace sanctum
