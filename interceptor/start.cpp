// SPDX-License-Identifier: Apache-2.0
#include "interceptor/start.hpp"

#include "base/build_id.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/wire/archive.hpp"

#include <string_view>
#include <unistd.h>

namespace sanctum::interceptor {
namespace {

constexpr std::size_t kSaltBytes = 32;

template <class Value>
Status read_value(int memfd, Value& into) {
    SANCTUM_TRY(const std::string text, read_sealed_memfd(memfd, kMemfdBytesMax));
    SANCTUM_TRY(into, wire::from_json<Value>(text));
    return {};
}

// One descriptor to where its role says. Each role that exists once is refused the second time.
Status sort_in(Start& start, const std::string& role, UniqueFd fd) {
    const auto take_once = [&](UniqueFd& place) -> Status {
        if (place) return Error{Errc::Protocol, "start: " + role + " twice"};
        place = std::move(fd);
        return {};
    };
    if (role == "mission") return read_value(fd.get(), start.mission);
    if (role == "upstream") return read_value(fd.get(), start.upstream);
    if (role.starts_with("catalog:")) {
        SANCTUM_TRY(profiles::CompiledEntry entry, profiles::CompiledEntry::map(fd.get()));
        start.catalog.add(std::move(entry));
        return {};
    }
    if (role == "vault") return take_once(start.vault);
    if (role == "sock-diag") return take_once(start.sock_diag);
    if (role.starts_with("listen:") || role.starts_with("listen6:")) start.listeners.push_back(std::move(fd));
    else if (role == "dns-udp" || role == "dns-udp6") start.dns_udp.push_back(std::move(fd));
    else if (role == "dns-tcp" || role == "dns-tcp6") start.dns_tcp.push_back(std::move(fd));
    else return Error{Errc::Protocol, "start: unknown role " + role};
    return {};
}

Status check_complete(const Start& start) {
    if (start.mission.id.empty() || start.mission.id != start.mission_id) {
        return Error{Errc::Protocol, "start: the mission is missing or another"};
    }
    if (!start.vault || start.listeners.empty() || start.dns_udp.empty()) {
        return Error{Errc::Protocol, "start: vault socket, listeners or DNS sockets are missing"};
    }
    if (start.salt.size() != kSaltBytes) return Error{Errc::Protocol, "start: salt of a wrong size"};
    return {};
}

}  // namespace

Result<Start> receive_start(wire::Channel& launcher) {
    SANCTUM_CHECK(launcher.send(wire::Hello{build_id(), "interceptor", static_cast<std::uint64_t>(::getpid())}));
    SANCTUM_TRY(wire::Packet packet, launcher.receive_within(kStartTimeout));
    SANCTUM_TRY(const wire::StartInterceptor message, packet.as<wire::StartInterceptor>());
    if (message.descriptors.size() != packet.descriptors.size()) {
        return Error{Errc::Protocol, "start: roles and descriptors differ in number"};
    }
    Start start;
    start.mission_id = message.mission;
    start.ends_boot_ms = message.ends_boot_ms;
    start.salt = wire::from_hex(message.salt).value_or("");
    for (std::size_t i = 0; i < message.descriptors.size(); ++i) {
        const Status sorted = sort_in(start, message.descriptors[i], std::move(packet.descriptors[i]));
        if (!sorted) return Error(sorted.error()).in(message.descriptors[i]);
    }
    SANCTUM_CHECK(check_complete(start));
    return start;
}

}  // namespace sanctum::interceptor
