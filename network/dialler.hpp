// SPDX-License-Identifier: Apache-2.0
// The dialler: the only kind of process of ours that opens connections. Forked from the interceptor before the first
// agent byte, and from the vault before the first secret, it holds neither, and only its owner's list of hosts.
//
// It is asked by index of a host entry, never by address and, for exact entries, never by name. It resolves, judges
// every address, connects, and hands the descriptor over.
#pragma once

#include "base/result.hpp"
#include "base/wire/channel.hpp"
#include "network/address.hpp"
#include "network/resolver.hpp"
#include "profiles/schema/mission.hpp"
#include "profiles/schema/operator_config.hpp"

#include <map>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sanctum::network {

/// What the dialler knows: parsed once, before the fork, so that a mistake is found at start.
struct DialTable {
    std::vector<profiles::DialEntry> entries;
    std::vector<Prefix> allowed;
    std::map<std::string, SocketAddress> named;  ///< host → the address the operator named for it

    /// Errors: InvalidProfile (an address or range of the configuration that is none).
    [[nodiscard]] static Result<DialTable> create(std::vector<profiles::DialEntry> entries,
                                                  const profiles::UpstreamConfig& config);
};

/// The host that a Dial message means, and where its address comes from. Pure. Errors: Protocol (no such entry, a port
/// that the entry has not, labels where none belong or that are no labels).
[[nodiscard]] Result<std::string> dialled_host(const DialTable& table, const wire::Dial& dial);

/// The addresses to try, IPv6 and IPv4 in turn (RFC 8305 section 4), forbidden ones left out. Pure.
/// Errors: Denied (each of them is forbidden; names the first reason).
[[nodiscard]] Result<std::vector<Address>> judge_addresses(const std::vector<Address>& found,
                                                           std::span<const Prefix> allowed);

/// Answers Dial messages until its owner closes the other end. Runs in the dialler process, single-threaded.
class Dialler {
public:
    Dialler(DialTable table, std::unique_ptr<Resolver> resolver, wire::Channel channel);
    ~Dialler();
    /// Returns when the owner is gone. Errors: Protocol (anything but Dial), Io.
    [[nodiscard]] Status run();

private:
    struct Dialling;
    [[nodiscard]] Status take_requests();
    void begin(const wire::Dial& dial);
    void on_resolved(std::uint64_t dial, Result<std::vector<Address>> found);
    void start_next_attempt(Dialling& dialling);
    void progress(Dialling& dialling);
    void answer(Dialling& dialling, int fd, const std::string& reason, const std::string& detail);

    DialTable table_;
    std::unique_ptr<Resolver> resolver_;
    wire::Channel channel_;
    std::map<std::uint64_t, std::unique_ptr<Dialling>> diallings_;
    Status broken_;
};

/// Forks the dialler. In the child: closes every descriptor but 0-2 and the channel, dies with its parent, confines
/// itself, runs, and never returns. Returns its pid and our end of the channel. To be called before any thread and
/// before anything of the agent was read or a secret came into memory. Errors: Io; InvalidProfile from the table or
/// resolver.
struct DiallerProcess {
    pid_t pid = -1;
    wire::Channel channel;
};
[[nodiscard]] Result<DiallerProcess> fork_dialler(DialTable table, const std::string& resolver);

}  // namespace sanctum::network
