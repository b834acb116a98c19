// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/child_missions.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/mission_id.hpp"
#include "launcher/run/delegation_words.hpp"
#include "launcher/run/exit_codes.hpp"
#include "profiles/schema/delegated.hpp"

#include <csignal>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utility>

namespace sanctum::launcher {
namespace {

// FAIL-CLOSED: whose credentials cannot be read is nobody of the tree.
bool is_of_the_tree(int socket, const SandboxPlan& plan) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.uid == plan.host_uid && peer.pid > 0;
}

}  // namespace

ParentFile parent_file_of(const PreparedMission& prepared, std::int64_t ends_boot_ms) {
    ParentFile file;
    file.mission = prepared.mission;
    file.ends_boot_ms = ends_boot_ms;
    file.configuration = prepared.places.configuration;
    file.runs_later = prepared.plan.runs_later_existing;
    file.sockets = prepared.facts.sockets;
    file.secrets = prepared.facts.secrets;
    for (const auto& [path, grant] : prepared.facts.grants) file.real_paths[path] = grant.real_path;
    return file;
}

Result<std::unique_ptr<ChildMissions>> ChildMissions::open(UniqueFd listener, ChildMissionsParts parts) {
    std::unique_ptr<ChildMissions> missions(new ChildMissions(std::move(listener), std::move(parts)));
    const std::string text = wire::to_json(parent_file_of(missions->parts_.prepared, missions->parts_.ends_boot_ms));
    SANCTUM_TRY(missions->parent_file_, make_sealed_memfd("sanctum-parent", text));
    SANCTUM_CHECK(missions->parts_.loop.watch(missions->listener_.get(), EPOLLIN,
                                              [all = missions.get()](std::uint32_t) { all->accept_clients(); }));
    return missions;
}

ChildMissions::~ChildMissions() {
    if (listener_) parts_.loop.forget(listener_.get());
    while (!children_.empty()) drop(children_.begin()->first);
}

void ChildMissions::accept_clients() {
    for (std::size_t turn = 0; turn < kChildMissionsMax; ++turn) {
        UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!client) return;
        if (++requests_ > kChildRequestsMax) {
            turn_away(client.get(), "", "this mission has asked for " + std::to_string(kChildRequestsMax) +
                                            " child missions, which are the most");
        } else if (!is_of_the_tree(client.get(), parts_.prepared.plan)) {
            turn_away(client.get(), "request", "only the mission's own agent may ask");
        } else if (children_.size() >= kChildMissionsMax) {
            turn_away(client.get(), "limit", std::to_string(kChildMissionsMax) +
                                                 " child missions run already, which are the most at one time");
        } else {
            start_child(std::move(client));
        }
    }
}

// Without a reason it is not recorded: the record has a bound too.
void ChildMissions::turn_away(int client, const std::string& reason, const std::string& what) {
    if (!reason.empty()) parts_.end_if_failed(parts_.record.child_refused({reason, what}));
    const ChildAnswer answer{1, "refused", "", kExitSetupFailed, reason, what};
    // Who does not read it sees the end.
    static_cast<void>(send_child_datagram(client, wire::to_json(answer)).has_value());
}

void ChildMissions::start_child(UniqueFd client) {
    auto ends = wire::make_channel_pair();
    const Status started =
        ends ? parts_.standby.start_child_mission(ends->second.get(), client.get(), parent_file_.get())
             : Status(ends.error());
    if (!started) return turn_away(client.get(), "setup", "no child mission can be started: " + started.error().what);
    const std::uint64_t number = requests_;
    const int fd = ends->first.get();
    children_[number].channel = wire::Channel(std::move(ends->first));
    const Status watched = parts_.loop.watch(fd, EPOLLIN, [this, number](std::uint32_t) { on_child(number); });
    if (!watched) drop(number);
}

void ChildMissions::on_child(std::uint64_t number) {
    for (std::size_t turn = 0; turn < kPacketsPerTurnMax; ++turn) {
        const auto found = children_.find(number);
        if (found == children_.end()) return;
        Child& child = found->second;
        Result<std::optional<wire::Packet>> received = child.channel.receive();
        if (received && !*received) return;
        const Result<bool> goes_on = received ? take_packet(number, child, **received) : Result<bool>(received.error());
        if (goes_on && *goes_on) continue;
        // Gone, or saying what it may not: in both cases nothing more is known of it, and it sees us leave.
        if (!goes_on) note_gone(child);
        return drop(number);
    }
}

Result<bool> ChildMissions::take_packet(std::uint64_t number, Child& child, const wire::Packet& packet) {
    if (packet.kind == wire::Kind::ChildRefused && !child.is_admitted) {
        SANCTUM_TRY(wire::ChildRefused refused, packet.as<wire::ChildRefused>());
        parts_.end_if_failed(parts_.record.child_refused({std::move(refused.reason), std::move(refused.what)}));
        return false;
    }
    if (packet.kind == wire::Kind::ChildEnded && child.is_admitted) {
        SANCTUM_TRY(wire::ChildEnded ended, packet.as<wire::ChildEnded>());
        parts_.end_if_failed(parts_.record.child_ended({child.offered.mission, std::move(ended.reason),
                                                        static_cast<int>(ended.code), std::move(ended.receipt),
                                                        std::move(ended.what)}));
        return false;
    }
    if (!child.offered.mission.empty()) return Error{Errc::Protocol, "a child's launcher spoke out of turn"};
    SANCTUM_TRY(child.offered, packet.as<wire::ChildOffered>());
    SANCTUM_CHECK(on_offer(number, child));
    return child.channel.is_open();
}

Status ChildMissions::on_offer(std::uint64_t number, Child& child) {
    const std::vector<profiles::Budget>& budgets = parts_.prepared.mission.budgets;
    if (!is_ulid(child.offered.mission) || child.offered.shares.size() != budgets.size()) {
        return Error{Errc::Protocol, "a child's launcher offered what is no mission"};
    }
    if (is_ending_) {
        refuse(child, "ending", "the parent mission is ending");
        return {};
    }
    if (budgets.empty()) {
        admit(child);
        return {};
    }
    // SECURITY: counted where the parent's own requests are, so that both together never exceed the limit.
    return parts_.interceptor.process.channel.send(wire::ShareBudget{number, child.offered.shares});
}

void ChildMissions::on_budget_shared(const wire::BudgetShared& shared) {
    const auto found = children_.find(shared.child);
    if (found == children_.end()) return;  // gone meanwhile; its share is gone as well
    Child& child = found->second;
    const std::vector<profiles::Budget>& budgets = parts_.prepared.mission.budgets;
    const auto line = static_cast<std::size_t>(shared.short_line);
    if (is_ending_) {
        refuse(child, "ending", "the parent mission is ending");
    } else if (shared.short_line >= 0 && line < budgets.size()) {
        refuse(child, "budget", "the parent has " + std::to_string(shared.left) + " left of its budget for `" +
                                    profiles::budget_key(budgets[line]) + "`, and " +
                                    std::to_string(child.offered.shares[line]) + " are asked for");
    } else {
        admit(child);
    }
    if (!child.channel.is_open()) drop(shared.child);
}

void ChildMissions::admit(Child& child) {
    const wire::ChildOffered& offered = child.offered;
    const Status recorded =
        parts_.record.child_started({offered.mission, offered.name, offered.profile_sha256, offered.command});
    // FAIL-CLOSED: what is not on record does not run.
    if (!recorded) {
        parts_.end_if_failed(recorded);
        return refuse(child, "", "the parent's record cannot be written");
    }
    child.is_admitted = true;
    // One that cannot be told sees nothing and leaves; its end is noted when its socket closes.
    static_cast<void>(child.channel.send(wire::ChildAdmitted{offered.mission}).has_value());
}

void ChildMissions::refuse(Child& child, const std::string& reason, const std::string& what) {
    if (!reason.empty()) parts_.end_if_failed(parts_.record.child_refused({reason, what}));
    static_cast<void>(child.channel.send(wire::ChildRefused{reason, what}).has_value());
    parts_.loop.forget(child.channel.fd());
    child.channel.close();
}

void ChildMissions::note_gone(const Child& child) {
    const Status noted =
        child.is_admitted
            ? parts_.record.child_ended({child.offered.mission, std::string(name_of(EndReason::Lost)),
                                         kExitSignalBase + SIGKILL, "", "its launcher ended without a word"})
            : parts_.record.child_refused({"setup", "its launcher ended before it was ready"});
    parts_.end_if_failed(noted);
}

void ChildMissions::drop(std::uint64_t number) {
    const auto found = children_.find(number);
    if (found == children_.end()) return;
    if (found->second.channel.is_open()) parts_.loop.forget(found->second.channel.fd());
    children_.erase(found);
}

void ChildMissions::revoke_service(const std::string& service) {
    for (auto& [number, child] : children_) {
        // FAIL-CLOSED: one that cannot be told loses everything.
        if (!child.channel.send(wire::RevokeService{service})) child.channel.close();
    }
    std::erase_if(children_, [this](const auto& entry) {
        if (entry.second.channel.is_open()) return false;
        note_gone(entry.second);
        return true;
    });
}

void ChildMissions::end_all(const std::string& why) {
    is_ending_ = true;
    if (listener_) parts_.loop.forget(listener_.get());
    listener_.reset();
    for (auto& [number, child] : children_) static_cast<void>(child.channel.send(wire::EndChild{why}).has_value());
}

void ChildMissions::give_up() {
    while (!children_.empty()) {
        note_gone(children_.begin()->second);
        drop(children_.begin()->first);
    }
}

std::vector<std::string> ChildMissions::running() const {
    std::vector<std::string> ids;
    for (const auto& [number, child] : children_) {
        if (child.is_admitted) ids.push_back(child.offered.mission);
    }
    return ids;
}

}  // namespace sanctum::launcher
