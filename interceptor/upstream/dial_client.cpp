// SPDX-License-Identifier: Apache-2.0
#include "interceptor/upstream/dial_client.hpp"

#include "base/limits.hpp"

namespace sanctum::interceptor {

struct DialClient::Waiting {
    explicit Waiting(Loop& loop) : answered(loop) {}
    Event answered;
    bool is_answered = false;
    wire::Dialled dialled;
    UniqueFd fd;
};

DialClient::DialClient(Loop& loop, wire::Channel channel) : loop_(loop), port_(loop, std::move(channel)) {}

net::awaitable<Result<UniqueFd>> DialClient::dial(std::size_t entry, std::string labels, std::uint16_t port) {
    const std::uint64_t id = ++last_;
    const auto waiting = std::make_shared<Waiting>(loop_);
    waiting_.emplace(id, waiting);
    const auto sent = port_.send(wire::Dial{id, static_cast<std::uint32_t>(entry), std::move(labels), port});
    if (sent) {
        const Status waited = co_await waiting->answered.wait(kDialAnswerTimeout);
        waiting_.erase(id);
        if (!waited) co_return Error{Errc::Timeout, "upstream_unreachable: the dialler did not answer"};
    }
    waiting_.erase(id);
    if (!sent || !waiting->is_answered) co_return Error{Errc::Io, "upstream_unreachable: the dialler is gone"};
    const wire::Dialled& dialled = waiting->dialled;
    if (dialled.reason == "upstream_address") co_return Error{Errc::Denied, "upstream_address: " + dialled.detail};
    if (!dialled.reason.empty()) co_return Error{Errc::Io, "upstream_unreachable: " + dialled.detail};
    co_return std::move(waiting->fd);
}

net::awaitable<Status> DialClient::serve() {
    for (;;) {
        Result<wire::Packet> packet = co_await port_.receive();
        Status taken = packet ? take(std::move(*packet)) : Status(std::move(packet).error());
        if (taken) continue;
        close();
        co_return taken;
    }
}

Status DialClient::take(wire::Packet packet) {
    SANCTUM_TRY(wire::Dialled dialled, packet.as<wire::Dialled>());
    // SECURITY: success carries exactly one descriptor, failure none.
    if (packet.descriptors.size() != (dialled.reason.empty() ? 1U : 0U)) {
        return Error{Errc::Protocol, "dialler: an answer with a wrong number of descriptors"};
    }
    const auto found = waiting_.find(dialled.dial);
    // Unknown: the exchange went away while the dial was under way; the descriptor is closed here.
    if (found == waiting_.end()) return {};
    Waiting& waiting = *found->second;
    waiting.is_answered = true;
    waiting.dialled = std::move(dialled);
    if (!packet.descriptors.empty()) waiting.fd = std::move(packet.descriptors.front());
    waiting.answered.notify_all();
    return {};
}

void DialClient::close() {
    port_.close();
    for (const auto& [id, waiting] : waiting_) waiting->answered.notify_all();
}

}  // namespace sanctum::interceptor
