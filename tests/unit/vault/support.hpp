// SPDX-License-Identifier: Apache-2.0
// What the vault's tests share: a folder that goes away, a mission, and a source that answers when it is told to.
#pragma once

#include "base/wire/messages.hpp"
#include "profiles/schema/mission.hpp"
#include "vault/leases.hpp"

#include <deque>
#include <string>
#include <vector>

namespace sanctum::vault::test {

/// A fresh folder, removed with all that is in it.
class TemporaryFolder {
public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

/// Fetch and push on team/*; account `team`; high risk asks, low and medium are allowed.
[[nodiscard]] profiles::Mission make_mission();

/// A need of service `git` that the mission allows.
[[nodiscard]] wire::LeaseNeed make_need(std::uint64_t exchange);

/// What was asked of a ScriptedSource, answered by the test.
struct Script {
    Capabilities capabilities;
    std::deque<Completion<Fetched>> asked;      ///< acquire() calls without an answer yet
    bool lacks_token = false;                   ///< a mission token has to be made first; false when one was
    std::deque<Completion<Fetched>> tokens_asked;  ///< make_mission_token() calls without an answer yet
    std::vector<std::string> correlations;
    std::vector<std::string> retired;                      ///< secrets given back
    RetireOutcome outcome;
    bool has_retirement = false;                           ///< then the secret is its authorization
    bool holds_retire = false;
    std::deque<Completion<RetireOutcome>> retiring;
    bool cannot_narrow = false;                            ///< attenuate() fails: the provider is down
    std::string stale;                                     ///< a secret that is not the current one any more
    SourceNeed need;                                       ///< the last one
    std::optional<WallTime> alive_until;                   ///< of the credentials that it answers with
    Milliseconds clock_offset{0};
    bool holds_end = false;
    std::vector<std::function<void()>> ending;             ///< end_mission() calls without an answer yet

    void answer(const std::string& secret, std::optional<WallTime> expires = {},
                RetireClass retire = RetireClass::None);
    void fail(Fetched failure);
    void answer_token(const std::string& secret);
    void fail_token(Fetched failure);
};

class ScriptedSource final : public Source {
public:
    explicit ScriptedSource(Script& script) : script_(script) {}
    [[nodiscard]] Capabilities capabilities() const override { return script_.capabilities; }
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    [[nodiscard]] std::optional<Capabilities> lacks_mission_token() const override {
        Capabilities capabilities;
        capabilities.mints = true;
        capabilities.retire = RetireClass::Self;
        return script_.lacks_token ? std::optional(capabilities) : std::nullopt;
    }
    void make_mission_token(const SourceNeed& need, Completion<Fetched> done) override;
    void attenuate(const SourceNeed& need, Credential credential, Completion<Fetched> done) override;
    [[nodiscard]] bool is_current(const Credential& credential) const override {
        return credential.secret.reveal() != script_.stale;
    }
    void end_mission(std::function<void()> done) override;
    void retire(const Credential& credential, RetireCause /*cause*/, Completion<RetireOutcome> done) override;
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Credential& credential) const override;

private:
    Script& script_;
};

/// A reaper's way to providers that reaches none.
[[nodiscard]] RetireOutcome give_nothing_back(const LeaseRow& row);

/// Keeps what leases said.
struct Heard final : LeaseListener {
    std::vector<std::pair<wire::LeaseHeld, std::string>> held_messages;
    std::vector<wire::LeaseFailed> failures;
    std::vector<std::string> gone_leases;
    std::vector<wire::LeaseChanged> changes;
    void held(const wire::LeaseHeld& message, const Secret& secret) override {
        held_messages.emplace_back(message, std::string(secret.reveal()));
    }
    void failed(const wire::LeaseFailed& message) override { failures.push_back(message); }
    void gone(const wire::LeaseGone& message) override { gone_leases.push_back(message.lease); }
    void changed(const wire::LeaseChanged& message) override { changes.push_back(message); }
    std::vector<wire::LoginAnswered> answers;
    void answered(const wire::LoginAnswered& message) override { answers.push_back(message); }
};

}  // namespace sanctum::vault::test
