// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/child_side.hpp"

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>

namespace sanctum::launcher {
namespace {

constexpr int kParentDescriptor = 3;
constexpr int kClientDescriptor = 4;
constexpr int kFileDescriptor = 5;
constexpr std::size_t kReceiptFileBytesMax = 16 * 1024 * 1024;

Result<UniqueFd> adopt(int fd, bool is_socket) {
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || (is_socket && ::fcntl(fd, F_SETFL, O_NONBLOCK) != 0)) {
        return io_error("descriptor " + std::to_string(fd) + " (only a launcher starts child missions)");
    }
    return UniqueFd(fd);
}

Status wait_readable(int fd, BootTime deadline) {
    const SystemClock clock;
    for (;;) {
        const std::int64_t left = deadline.ms - clock.boot().ms;
        pollfd wait{fd, POLLIN, 0};
        const int ready = left <= 0 ? 0 : ::poll(&wait, 1, static_cast<int>(left));
        if (ready > 0) return {};
        if (ready == 0) return Error{Errc::Timeout, "the request for a child mission did not come in time"};
        if (errno != EINTR) return io_error("poll");
    }
}

}  // namespace

Result<std::unique_ptr<ChildSide>> ChildSide::open() {
    SANCTUM_TRY(UniqueFd parent, adopt(kParentDescriptor, true));
    SANCTUM_TRY(UniqueFd client, adopt(kClientDescriptor, true));
    SANCTUM_TRY(const UniqueFd memfd, adopt(kFileDescriptor, false));
    SANCTUM_TRY(const std::string text, read_sealed_memfd(memfd.get(), kMemfdBytesMax));
    SANCTUM_TRY(ParentFile file, wire::from_json<ParentFile>(text));
    return std::make_unique<ChildSide>(wire::Channel(std::move(parent)), std::move(client), std::move(file));
}

Result<ChildRequest> ChildSide::await_request() {
    const BootTime deadline = SystemClock().boot().plus(kChildRequestTimeout);
    SANCTUM_CHECK(wait_readable(client_.get(), deadline));
    SANCTUM_TRY(std::optional<ChildDatagram> datagram, receive_child_datagram(client_.get()));
    if (!datagram || datagram->text != kChildRequestWord || datagram->descriptors.size() != 1 + standard_.size()) {
        return Error{Errc::Protocol, "the request for a child mission: not one request with its four descriptors"};
    }
    for (std::size_t number = 0; number < standard_.size(); ++number) {
        UniqueFd& given = datagram->descriptors[number + 1];
        SANCTUM_CHECK(check_handed_over(given.get(), static_cast<int>(number)));
        standard_[number] = std::move(given);
    }
    SANCTUM_TRY(const std::string text, read_sealed_memfd(datagram->descriptors.front().get(), kChildRequestBytesMax));
    return parse_child_request(text);
}

StandardDescriptors ChildSide::standard() const {
    return {standard_[0].get(), standard_[1].get(), standard_[2].get()};
}

void ChildSide::drop_standard() {
    for (UniqueFd& fd : standard_) fd.reset();
}

Result<wire::ChildAdmitted> ChildSide::offer(const wire::ChildOffered& offered) {
    SANCTUM_CHECK(parent_.send(offered));
    SANCTUM_TRY(const wire::Packet packet, parent_.receive_within(kChildRequestTimeout));
    if (packet.kind == wire::Kind::EndChild) return Error{Errc::Denied, "the parent mission is ending"};
    if (packet.kind == wire::Kind::ChildRefused) {
        SANCTUM_TRY(const wire::ChildRefused refused, packet.as<wire::ChildRefused>());
        return Error{Errc::Denied, refused.what};
    }
    SANCTUM_TRY(wire::ChildAdmitted admitted, packet.as<wire::ChildAdmitted>());
    if (admitted.mission != offered.mission) return Error{Errc::Protocol, "the parent admitted another mission"};
    is_admitted_ = true;
    return admitted;
}

void ChildSide::answer(const ChildAnswer& answer) {
    // A client that does not read, or is gone, costs nothing but its own answer.
    static_cast<void>(send_child_datagram(client_.get(), wire::to_json(answer)).has_value());
}

void ChildSide::refuse(const ChildRefusal& refusal) {
    const std::string record = refusal.record.substr(0, kChildWordBytesMax / 2);
    static_cast<void>(parent_.send(wire::ChildRefused{refusal.reason, record}).has_value());
    turn_away(refusal.agent);
}

void ChildSide::turn_away(const std::string& what) {
    ChildAnswer refused;
    refused.event = "refused";
    refused.exit_code = kExitSetupFailed;
    refused.reason = "setup";
    refused.what = what.substr(0, kChildWordBytesMax / 2);
    answer(refused);
}

void ChildSide::tell_started(const std::string& mission) {
    ChildAnswer started;
    started.event = "started";
    started.mission = mission;
    answer(started);
}

void ChildSide::note_receipt(const std::string& receipt_path) {
    const Result<std::string> receipt = read_file(receipt_path, kReceiptFileBytesMax);
    if (receipt) receipt_ = wire::to_hex(sha256(*receipt));
}

void ChildSide::tell_ended(const std::string& mission, const Ending& ending, const std::string& agent) {
    const std::string reason(name_of(ending.reason));
    const wire::ChildEnded ended{reason, ending.exit_code, receipt_, ending.what};
    static_cast<void>(parent_.send(ended).has_value());
    ChildAnswer last;
    last.event = "ended";
    last.mission = mission;
    last.exit_code = ending.exit_code;
    last.reason = reason;
    last.what = agent.substr(0, kChildWordBytesMax / 2);
    answer(last);
}

Result<std::optional<int>> ChildSide::next_signal() {
    SANCTUM_TRY(const std::optional<ChildDatagram> datagram, receive_child_datagram(client_.get()));
    if (!datagram) return std::optional<int>();
    SANCTUM_TRY(const int signal, parse_child_signal(datagram->text));
    return std::optional<int>(signal);
}

}  // namespace sanctum::launcher
