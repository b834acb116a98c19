// SPDX-License-Identifier: Apache-2.0
// LeaseBook: the leases in use, asked from the vault and reused while they live. Secrets lie in Secret only.
#pragma once

#include "interceptor/io/wire_port.hpp"
#include "interceptor/services.hpp"

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace sanctum::interceptor {

class LeaseBook final : public Leases {
public:
    /// `on_gone` is called with the id of each lease that may not be used any more.
    LeaseBook(Loop& loop, WirePort& vault, const profiles::Mission& mission, const Clock& clock,
              std::function<void(const std::string&)> on_gone);

    net::awaitable<Result<std::shared_ptr<HeldLease>>> need(const wire::LeaseNeed& need) override;
    net::awaitable<Result<wire::LoginAnswered>> login(const wire::LoginNeed& need) override;
    void used(const wire::LeaseUsed& use) override;
    std::vector<std::shared_ptr<HeldLease>> known() const override;

    /// LeaseHeld, LeaseFailed, LeaseGone, LoginAnswered from the vault. Errors: Protocol (anything else, or an answer
    /// nobody asked for): the vault is broken and the mission must end.
    [[nodiscard]] Status take(wire::Packet packet);
    [[nodiscard]] bool is_live(const std::string& lease) const;
    /// Wipes every lease; every wait and later need ends with Cancelled.
    void close();

private:
    struct Asking;
    struct LoggingIn;
    using LeasePtr = std::shared_ptr<HeldLease>;
    [[nodiscard]] LeasePtr reusable(const std::string& key);
    [[nodiscard]] net::awaitable<Result<LeasePtr>> ask(wire::LeaseNeed need, std::string key, std::string question);
    [[nodiscard]] net::awaitable<Result<LeasePtr>> wait_for(std::shared_ptr<Asking> asking);
    [[nodiscard]] Status held(const wire::LeaseHeld& message, const Secret& secret);
    [[nodiscard]] Status failed(const wire::LeaseFailed& message);
    [[nodiscard]] Status answered(wire::LoginAnswered message);
    void remember(const HeldLease& lease);
    void gone(const std::string& lease);
    void sweep();
    [[nodiscard]] bool may_reuse(const std::string& service) const;

    Loop& loop_;
    WirePort& vault_;
    const profiles::Mission& mission_;
    const Clock& clock_;
    std::function<void(const std::string&)> on_gone_;
    bool is_closed_ = false;
    std::unordered_map<std::string, LeasePtr> cached_;                    ///< by need
    std::unordered_map<std::string, std::weak_ptr<HeldLease>> by_id_;     ///< also those that are used once
    std::vector<LeasePtr> remembered_;                                    ///< never injected: only looked for
    std::unordered_map<std::uint64_t, std::shared_ptr<Asking>> asking_;   ///< by exchange
    std::unordered_map<std::string, std::shared_ptr<Asking>> questions_;  ///< one at a time per reusable need
    std::unordered_map<std::uint64_t, std::shared_ptr<LoggingIn>> logging_in_;  ///< by exchange
};

}  // namespace sanctum::interceptor
