// SPDX-License-Identifier: Apache-2.0
#include "vault/http/dial_port.hpp"

#include "base/log.hpp"

#include <cerrno>
#include <sys/wait.h>

namespace sanctum::vault {

DialPort::DialPort(PollLoop& loop, network::DiallerProcess dialler) : loop_(loop), dialler_(std::move(dialler)) {
    loop_.watch(dialler_.channel.fd(), [this] { take_answers(); });
}

DialPort::~DialPort() {
    lose_dialler();
    while (::waitpid(dialler_.pid, nullptr, 0) < 0 && errno == EINTR) {}
}

Result<std::uint64_t> DialPort::dial(std::uint32_t host, std::uint16_t port, Answer answer) {
    if (!dialler_.channel.is_open()) return Error{Errc::Io, "the dialler is gone"};
    SANCTUM_CHECK(dialler_.channel.send(wire::Dial{++last_, host, {}, port}));
    waiting_[last_] = std::move(answer);
    return last_;
}

void DialPort::take_answers() {
    while (dialler_.channel.is_open()) {
        Result<std::optional<wire::Packet>> packet = dialler_.channel.receive();
        if (packet && !*packet) return;
        const Status taken = packet ? take(**packet) : Status(packet.error());
        if (taken) continue;
        log::error("dialler: " + taken.error().what);
        const auto waiting = std::move(waiting_);
        lose_dialler();
        for (const auto& [dial, answer] : waiting) answer(Error{Errc::Io, "the dialler is gone"});
        return;
    }
}

Status DialPort::take(wire::Packet& packet) {
    SANCTUM_TRY(const wire::Dialled dialled, packet.as<wire::Dialled>());
    // SECURITY: success carries exactly one descriptor, failure none.
    if (packet.descriptors.size() != (dialled.reason.empty() ? 1U : 0U)) {
        return Error{Errc::Protocol, "an answer with a wrong number of descriptors"};
    }
    const auto found = waiting_.find(dialled.dial);
    if (found == waiting_.end()) return {};  // forgotten: the descriptor is closed here
    const Answer answer = std::move(found->second);
    waiting_.erase(found);
    if (dialled.reason == "upstream_address") answer(Error{Errc::Denied, "upstream_address: " + dialled.detail});
    else if (!dialled.reason.empty()) answer(Error{Errc::Io, "upstream_unreachable: " + dialled.detail});
    else answer(std::move(packet.descriptors.front()));
    return {};
}

void DialPort::lose_dialler() {
    if (dialler_.channel.is_open()) loop_.forget(dialler_.channel.fd());
    dialler_.channel.close();
    waiting_.clear();
}

}  // namespace sanctum::vault
