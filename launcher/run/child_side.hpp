// SPDX-License-Identifier: Apache-2.0
// The launcher of a child mission: its two ends, to the parent's launcher and to the agent's sanctum-run that asked.
//
// The parent's end is trusted, the client's is the agent: its request is parsed here, in a process of the child's own,
// and nothing of it is ever opened or run outside of the child's sandbox.
#pragma once

#include "base/wire/channel.hpp"
#include "launcher/confine/spawn.hpp"
#include "launcher/run/delegation_words.hpp"
#include "launcher/run/exit_codes.hpp"
#include "launcher/run/parent_file.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>

namespace sanctum::launcher {

/// Why there is no child mission.
struct ChildRefusal {
    std::string reason;  ///< a word of the ledger's record
    std::string record;  ///< for the parent's record
    std::string agent;   ///< what the agent is told; nothing of the operator's configuration
};

class ChildSide {
public:
    /// Takes what the standby left on descriptors 3 to 5. Errors: Protocol, Io: this was not started by a launcher.
    [[nodiscard]] static Result<std::unique_ptr<ChildSide>> open();
    /// The same with given descriptors.
    ChildSide(wire::Channel parent, UniqueFd client, ParentFile file)
        : parent_(std::move(parent)), client_(std::move(client)), file_(std::move(file)) {}

    [[nodiscard]] const ParentFile& parent() const { return file_; }

    /// Waits for the agent's request; its descriptors are checked and kept. Errors: Timeout, Cancelled, Protocol
    /// (malformed), Denied (a descriptor).
    [[nodiscard]] Result<ChildRequest> await_request();
    [[nodiscard]] StandardDescriptors standard() const;
    /// They belong to the agent alone from here on.
    void drop_standard();

    /// Offers the mission and waits for the parent's word. Errors: Denied (with the parent's reason), Timeout,
    /// Cancelled (the parent is gone), Protocol.
    [[nodiscard]] Result<wire::ChildAdmitted> offer(const wire::ChildOffered& offered);
    [[nodiscard]] bool is_admitted() const { return is_admitted_; }

    /// Nothing was run. Told to both ends; failures are nobody's business any more.
    void refuse(const ChildRefusal& refusal);
    /// The parent refused the offer, which it recorded itself: told to the agent alone.
    void turn_away(const std::string& what);
    void tell_started(const std::string& mission);
    /// `receipt_path`: empty when there is none.
    void note_receipt(const std::string& receipt_path);
    /// `agent`: what the agent is told of it.
    void tell_ended(const std::string& mission, const Ending& ending, const std::string& agent);

    [[nodiscard]] int parent_fd() const { return parent_.fd(); }
    [[nodiscard]] int client_fd() const { return client_.get(); }
    /// Errors: Cancelled (the parent is gone), Protocol, Io.
    [[nodiscard]] Result<std::optional<wire::Packet>> next_from_parent() { return parent_.receive(); }
    /// A signal that the client passes on. Errors: Cancelled (the client is gone), Protocol (anything else), Io.
    [[nodiscard]] Result<std::optional<int>> next_signal();

private:
    void answer(const ChildAnswer& answer);

    wire::Channel parent_;
    UniqueFd client_;
    ParentFile file_;
    std::array<UniqueFd, 3> standard_;
    bool is_admitted_ = false;
    std::string receipt_;
};

}  // namespace sanctum::launcher
