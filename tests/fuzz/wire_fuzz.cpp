// SPDX-License-Identifier: Apache-2.0
// Datagrams between our processes: whatever arrives is refused or means exactly one message. What decodes must encode
// to a head that decodes to the same bytes again.
#include "base/wire/channel.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace sanctum::wire;

std::string framed(std::string_view head) {
    std::string datagram;
    const auto size = static_cast<std::uint32_t>(head.size());
    for (unsigned shift = 0; shift < 32; shift += 8) datagram.push_back(static_cast<char>((size >> shift) & 0xffU));
    return datagram.append(head);
}

template <class Message>
void check_round_trip(const Packet& packet) {
    if (packet.kind != Message::kind) return;
    const auto message = packet.as<Message>();
    if (!message) return;
    const std::string head = encode(*message);
    const auto again = parse_datagram(framed(head));
    if (!again || again->size() != 1) std::abort();
    const auto same = again->front().template as<Message>();
    if (!same || encode(*same) != head) std::abort();
}

template <class... Message>
void check_each(const Packet& packet) {
    static_assert(sizeof...(Message) == static_cast<std::size_t>(Kind::LoginAnswered), "a kind is left out");
    (check_round_trip<Message>(packet), ...);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto packets = parse_datagram({reinterpret_cast<const char*>(data), size});
    if (!packets) return 0;
    if (packets->empty()) std::abort();
    for (const Packet& packet : *packets) {
        check_each<Hello, StartInterceptor, StartVault, InterceptorReady, VaultReady, ConnectionOpened,
                   ConnectionRefused, ExchangeIntent, Recorded, ExchangeRefused, ExchangeOutcome, Ask, Answer,
                   Withdraw, Approved, LeaseNeed, LeaseHeld, LeaseFailed, LeaseUsed, LeaseGone, LeaseChanged, Dial,
                   Dialled, Stop, Stopped, Retire, Retired, Failed, RevokeService, ShareBudget, BudgetShared,
                   ChildOffered, ChildAdmitted, ChildRefused, ChildEnded, EndChild, LoginNeed, LoginAnswered>(packet);
    }
    return 0;
}
