// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/reports.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>

namespace sanctum::launcher {
namespace {

struct Record {
    std::uint8_t what;
    std::uint8_t reserved[3];
    std::int32_t value;
    char step[kSetupStepBytesMax];
};

constexpr std::size_t kControlBytes =
    CMSG_SPACE(sizeof(int) * kSpawnDescriptorsMax) + CMSG_SPACE(sizeof(ucred));

void take_control(msghdr& message, Report& report) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET) continue;
        if (part->cmsg_type == SCM_RIGHTS) {
            const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t at = 0; at < count; ++at) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(part) + at * sizeof fd, sizeof fd);
                report.descriptors.emplace_back(fd);
            }
        } else if (part->cmsg_type == SCM_CREDENTIALS) {
            ucred sender{};
            std::memcpy(&sender, CMSG_DATA(part), sizeof sender);
            report.sender = sender.pid;
        }
    }
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> make_report_pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return io_error("socketpair");
    return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Status send_report(int socket, std::uint8_t what, std::int32_t value, const std::string& step,
                   std::span<const int> descriptors) {
    SANCTUM_ASSERT(descriptors.size() <= kSpawnDescriptorsMax);
    Record record{};
    record.what = what;
    record.value = value;
    std::memcpy(record.step, step.data(), std::min(step.size(), sizeof record.step - 1));
    iovec bytes{&record, sizeof record};
    alignas(cmsghdr) std::array<char, kControlBytes> control{};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
    }
    while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR) return io_error("send a report");
    }
    return {};
}

Result<std::optional<Report>> receive_report(int socket, int flags) {
    Record record{};
    iovec bytes{&record, sizeof record};
    alignas(cmsghdr) std::array<char, kControlBytes> control{};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t size = -1;
    do {
        size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | flags);
    } while (size < 0 && errno == EINTR);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::optional<Report>();
    if (size < 0 && errno != ECONNRESET) return io_error("receive a report");
    if (size <= 0) return Error{Errc::Cancelled, "the other side is gone"};

    Report report;
    take_control(message, report);
    if (static_cast<std::size_t>(size) != sizeof record || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        return Error{Errc::Protocol, "a report of another size"};
    }
    record.step[sizeof record.step - 1] = '\0';
    report.what = record.what;
    report.value = record.value;
    report.step = record.step;
    return std::optional(std::move(report));
}

Result<Report> await_report(int socket, std::chrono::milliseconds timeout) {
    pollfd waiting{socket, POLLIN, 0};
    int ready = -1;
    do {
        ready = ::poll(&waiting, 1, static_cast<int>(timeout.count()));
    } while (ready < 0 && errno == EINTR);
    if (ready < 0) return io_error("wait for a report");
    if (ready == 0) return Error{Errc::Timeout, "no answer in time"};
    SANCTUM_TRY(std::optional<Report> report, receive_report(socket, MSG_DONTWAIT));
    if (!report) return Error{Errc::Protocol, "readable without a report"};
    return std::move(*report);
}

}  // namespace sanctum::launcher
