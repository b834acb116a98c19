// SPDX-License-Identifier: Apache-2.0
// The parent's side of delegation: the socket inside the sandbox, and the launchers of the child missions that were
// asked for over it.
//
// Nothing of the agent's is read here. A connection is handed, as it is, to a launcher of its own, which the standby
// starts; that one reads the request and offers what it would run. Here it is bounded, takes its share of the budget,
// goes on record, and only then may run.
#pragma once

#include "base/clock.hpp"
#include "launcher/run/event_loop.hpp"
#include "launcher/run/mission_record.hpp"
#include "launcher/run/parent_file.hpp"
#include "launcher/run/peers.hpp"
#include "launcher/run/preparation.hpp"
#include "launcher/run/standby.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sanctum::launcher {

/// What a child mission's launcher is told about the mission `prepared`, which ends at `ends_boot_ms`. Pure.
[[nodiscard]] ParentFile parent_file_of(const PreparedMission& prepared, std::int64_t ends_boot_ms);

/// What child missions are started with; all of it outlives them.
struct ChildMissionsParts {
    const PreparedMission& prepared;
    std::int64_t ends_boot_ms = 0;
    EventLoop& loop;
    MissionRecord& record;
    Standby& standby;
    Peer& interceptor;
    std::function<void(Status)> end_if_failed;  ///< an error here is the parent's end: no record, no action
};

class ChildMissions {
public:
    /// Serves `listener` (kDelegateSocket inside). Errors: Io.
    [[nodiscard]] static Result<std::unique_ptr<ChildMissions>> open(UniqueFd listener, ChildMissionsParts parts);
    ~ChildMissions();
    ChildMissions(const ChildMissions&) = delete;
    ChildMissions& operator=(const ChildMissions&) = delete;

    /// The interceptor's answer to a share that a child asked for.
    void on_budget_shared(const wire::BudgetShared& shared);
    /// Takes a service back from every child that has it.
    void revoke_service(const std::string& service);
    /// No more children; those there are end as if revoked, and are not waited for.
    void end_all(const std::string& why);
    [[nodiscard]] bool is_empty() const { return children_.empty(); }
    /// Those without an end go on record as lost; their launchers see it and end.
    void give_up();
    /// Ids of those that run, in the order of their start.
    [[nodiscard]] std::vector<std::string> running() const;

private:
    struct Child {
        wire::Channel channel;
        wire::ChildOffered offered;  ///< mission is empty before the offer
        bool is_admitted = false;
    };
    using Children = std::map<std::uint64_t, Child>;

    explicit ChildMissions(UniqueFd listener, ChildMissionsParts parts)
        : listener_(std::move(listener)), parts_(std::move(parts)) {}
    void accept_clients();
    void start_child(UniqueFd client);
    void turn_away(int client, const std::string& reason, const std::string& what);
    void on_child(std::uint64_t number);
    /// False when the child is done with. Errors: Protocol and what is wrong with the record.
    [[nodiscard]] Result<bool> take_packet(std::uint64_t number, Child& child, const wire::Packet& packet);
    [[nodiscard]] Status on_offer(std::uint64_t number, Child& child);
    void admit(Child& child);
    void refuse(Child& child, const std::string& reason, const std::string& what);
    void drop(std::uint64_t number);
    void note_gone(const Child& child);

    UniqueFd listener_;
    ChildMissionsParts parts_;
    UniqueFd parent_file_;
    Children children_;
    std::uint64_t requests_ = 0;
    bool is_ending_ = false;
};

}  // namespace sanctum::launcher
