// SPDX-License-Identifier: Apache-2.0
// A disk that is really full: a small tmpfs in a child's own mount namespace (AUD-10, SUP-10).
#include "ledger/read_ledger.hpp"
#include "tests/unit/ledger/ledger_fixture.hpp"

#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::ledger::test {
namespace {

constexpr int kNoNamespaces = 77;

bool enter_own_mounts(const std::string& folder) {
    const std::string uid = std::to_string(::geteuid());
    const std::string gid = std::to_string(::getegid());
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << uid << " " << uid << " 1";
    std::ofstream("/proc/self/gid_map") << gid << " " << gid << " 1";
    return ::mount("small", folder.c_str(), "tmpfs", 0, "size=3m,mode=0700") == 0;
}

// The test's body runs in a child; what it returns is the child's exit code.
int in_small_disk(const Scratch& scratch, int (*body)(const Scratch&)) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(enter_own_mounts(scratch.path()) ? body(scratch) : kNoNamespaces);
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void fill_disk(const Scratch& scratch) {
    std::ofstream filler(scratch.path() + "/filler", std::ios::binary);
    const std::string block(4096, 'x');
    while (filler.write(block.data(), 4096).flush()) {}
}

// Appends durable records until one is refused; false when none ever is.
bool append_until_refused(Ledger& ledger) {
    for (std::uint64_t i = 1; i < 100'000; ++i) {
        ledger.append_durable(intent(i), i);
        pollfd watched{ledger.durable_fd(), POLLIN, 0};
        if (::poll(&watched, 1, 10'000) != 1) return false;
        for (const Durable& durable : ledger.poll_durable()) {
            if (!durable.ok) return true;
        }
    }
    return false;
}

#define NEED(condition) \
    if (!(condition)) { \
        std::fprintf(stderr, "not so: %s\n", #condition); \
        return 1; \
    }

int end_is_recorded(const Scratch& scratch) {
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    ledger->append(lease("held"));
    NEED(ledger->flush());
    fill_disk(scratch);
    NEED(append_until_refused(*ledger));
    NEED(ledger->has_failed());
    ledger->append(lease("gone"));
    const Result<Sealed> sealed = ledger->seal(ended());
    if (!sealed) std::fprintf(stderr, "%s\n", sealed.error().what.c_str());
    NEED(sealed);
    const Verification verification = verify(scratch);
    NEED(verification.state == LedgerState::Sealed);
    NEED(verification.receipt.records_lost > 0);
    NEED(verification.receipt.leases.at(0).state == "gone");
    return 0;
}

int everything_after_is_refused(const Scratch& scratch) {
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    fill_disk(scratch);
    NEED(append_until_refused(*ledger));
    ::unlink((scratch.path() + "/filler").c_str());  // room again: the failure stays final
    NEED(append_until_refused(*ledger));
    NEED(!ledger->flush());
    return 0;
}

int mission_does_not_start(const Scratch& scratch) {
    const ManualClock clock;
    SigningKey key = scratch.signing_key();
    fill_disk(scratch);
    const auto ledger = Ledger::create(scratch.mission(), kMission, "{}", scratch.receipts(), std::move(key), clock);
    NEED(!ledger);
    return 0;
}

void expect_ok(int code) {
    if (code == kNoNamespaces && std::getenv("SANCTUM_REQUIRE_ALL") == nullptr) {
        GTEST_SKIP() << "this machine gives no user namespace";
    }
    EXPECT_EQ(code, 0);
}

TEST(FullDisk, TheEndAndTheReceiptAreStillWritten) {
    const Scratch scratch;
    expect_ok(in_small_disk(scratch, end_is_recorded));
}

TEST(FullDisk, AFailureIsFinal) {
    const Scratch scratch;
    expect_ok(in_small_disk(scratch, everything_after_is_refused));
}

TEST(FullDisk, AMissionWithoutRoomForItsEndDoesNotStart) {
    const Scratch scratch;
    expect_ok(in_small_disk(scratch, mission_does_not_start));
}

}  // namespace
}  // namespace sanctum::ledger::test
