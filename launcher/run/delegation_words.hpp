// SPDX-License-Identifier: Apache-2.0
// What an agent's sanctum-run and the launcher of its child mission say to each other: JSON datagrams over the socket
// of `delegate = true`. Public like the control socket: `"v":1`.
//
// The agent's end sends one request (a sealed memfd and descriptors 0 to 2 beside it) and then only signals; the
// launcher's end answers `refused`, or `started` and later `ended`.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "base/wire/archive.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sanctum::launcher {

/// What the memfd of a request holds. Every word of it is the agent's.
struct ChildRequest {
    std::int64_t v = 1;
    std::string profile_name;  ///< for messages: `review.toml`
    std::string profile;       ///< TOML text, never a path
    std::string ttl, name;     ///< --ttl, --name; empty: not given
    std::vector<std::string> settings;     ///< -c KEY=VALUE
    std::vector<std::string> environment;  ///< -e VAR[=VALUE]
    std::string working_directory;         ///< absolute, as seen inside
    std::vector<std::string> command;
    std::map<std::string, std::string> variables;  ///< of the client; only some are ever looked at
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("v", self.v);
        archive("profile_name", self.profile_name);
        archive("profile", self.profile);
        archive("ttl", self.ttl);
        archive("name", self.name);
        archive("settings", self.settings);
        archive("environment", self.environment);
        archive("working_directory", self.working_directory);
        archive("command", self.command);
        archive("variables", self.variables);
    }
};

/// Launcher → agent.
struct ChildAnswer {
    std::int64_t v = 1;
    std::string event;    ///< refused | started | ended
    std::string mission;  ///< id; empty when refused before there was one
    std::int64_t exit_code = 0;
    std::string reason;   ///< of the end
    std::string what;     ///< a sentence for a person; empty: none
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("v", self.v);
        archive("event", self.event);
        archive("mission", self.mission);
        archive("exit_code", self.exit_code);
        archive("reason", self.reason);
        archive("what", self.what);
    }
};

/// Agent → launcher, after the request.
struct ChildSignal {
    std::int64_t v = 1;
    std::int64_t signal = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("v", self.v);
        archive("signal", self.signal);
    }
};

/// The text of a request's datagram; the memfd and three descriptors come beside it.
inline constexpr std::string_view kChildRequestWord = R"({"v":1,"request":"child"})";

struct ChildDatagram {
    std::string text;
    std::vector<UniqueFd> descriptors;
};

/// Sends one datagram without waiting; descriptors are borrowed. Errors: Io (EAGAIN: the other side does not read).
[[nodiscard]] Status send_child_datagram(int socket, std::string_view text, std::span<const int> descriptors = {});

/// The next datagram, nullopt when none is waiting. Errors: Cancelled (the other side is gone), Protocol (larger than
/// kChildWordBytesMax, or more descriptors than a request has), Io.
[[nodiscard]] Result<std::optional<ChildDatagram>> receive_child_datagram(int socket);

/// Decodes and bounds what a request's memfd holds. Errors: Protocol, with what is wrong. Pure.
[[nodiscard]] Result<ChildRequest> parse_child_request(std::string_view text);

/// The signal that a ChildSignal names. Errors: Protocol (none that a child mission is told of, or another version).
/// Pure.
[[nodiscard]] Result<int> parse_child_signal(std::string_view text);

/// Whether descriptor `fd`, which an agent handed over as its number `number`, may become its child's: a file, a pipe
/// or a terminal. Errors: Denied (socket, folder, O_PATH, a handle of the kernel), Io.
[[nodiscard]] Status check_handed_over(int fd, int number);

}  // namespace sanctum::launcher
