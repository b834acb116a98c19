// SPDX-License-Identifier: Apache-2.0
// A small mission and scripted answers of everything that an exchange needs: recorder, leases, upstreams, clock.
#pragma once

#include "interceptor/policy/budgets.hpp"
#include "interceptor/rewrite/needles.hpp"
#include "interceptor/services.hpp"
#include "tests/support/memory_stream.hpp"

#include <memory>
#include <string>
#include <vector>

namespace sanctum::interceptor::test {

/// The one secret of the world; no byte sequence of it may ever reach the agent.
inline constexpr std::string_view kSecret = "s3cr3t-CANARY/0123456789+abcdef";

inline constexpr std::string_view kOtherSecret = "0th3r-CANARY/9876543210+fedcba";

inline constexpr std::string_view kSessionToken = "IQoJb3JpZ2luX2VjCANARY+token/with==";

struct FakeRecorder final : Recorder {
    std::uint64_t next_exchange() override { return ++count; }
    void connection_opened(const wire::ConnectionOpened& record) override { opened.push_back(record); }
    void connection_refused(const wire::ConnectionRefused& record) override { ended_early.push_back(record); }
    net::awaitable<Status> intent(const wire::ExchangeIntent& record) override {
        if (is_failing) co_return Error{Errc::Io, "the ledger is gone"};
        intents.push_back(record);
        if (on_intent) on_intent();
        co_return Status{};
    }
    void refused(const wire::ExchangeRefused& record) override { refusals.push_back(record); }
    void outcome(const wire::ExchangeOutcome& record) override { outcomes.push_back(record); }

    std::uint64_t count = 0;
    bool is_failing = false;
    std::function<void()> on_intent;
    std::vector<wire::ConnectionOpened> opened;
    std::vector<wire::ConnectionRefused> ended_early;
    std::vector<wire::ExchangeIntent> intents;
    std::vector<wire::ExchangeRefused> refusals;
    std::vector<wire::ExchangeOutcome> outcomes;
};

struct FakeLeases final : Leases {
    net::awaitable<Result<std::shared_ptr<HeldLease>>> need(const wire::LeaseNeed& need) override {
        needs.push_back(need);
        if (is_failing) co_return Error{Errc::Denied, "locked: the store is locked"};
        if (need.instead_of.empty()) co_return lease;
        if (on_another) on_another();
        if (!other) co_return Error{Errc::Denied, "credential_refused: its source gave the same credential again"};
        co_return other;
    }
    net::awaitable<Result<wire::LoginAnswered>> login(const wire::LoginNeed& need) override {
        logins.push_back(need);
        if (is_failing) co_return Error{Errc::Denied, "no_answer: the provider is silent"};
        co_return login_answer;
    }
    void used(const wire::LeaseUsed& use) override { uses.push_back(use); }
    std::vector<std::shared_ptr<HeldLease>> known() const override {
        if (other) return {lease, other};
        return {lease};
    }

    bool is_failing = false;
    std::shared_ptr<HeldLease> lease;
    std::shared_ptr<HeldLease> other;  ///< for a need that names a lease which was refused; null: there is none
    std::function<void()> on_another;  ///< called before it is given
    std::vector<wire::LeaseNeed> needs;
    std::vector<wire::LoginNeed> logins;
    wire::LoginAnswered login_answer;
    std::vector<wire::LeaseUsed> uses;
};

/// Every open() takes the next wire that the test has laid out.
struct FakeUpstreams final : Upstreams {
    explicit FakeUpstreams(std::shared_ptr<Faults> shared) : faults(std::move(shared)) {}
    net::awaitable<Result<Upstream>> open(std::size_t, const std::string& host, std::uint16_t, bool,
                                          const std::shared_ptr<HeldLease>& lease, Pool pool) override {
        ++opened;
        hosts.push_back(host);
        last_lease = lease ? lease->id : "";
        last_pool = pool;
        while (wires.size() < opened) wires.push_back(std::make_shared<Wire>());
        if (!failure.empty()) co_return Error{Errc::Io, failure};
        if (faults->strikes()) co_return Error{Errc::Io, "upstream_unreachable: injected"};
        const bool is_reused = is_first_reused && opened == 1;
        co_return Upstream{std::make_unique<MemoryStream>(wires[opened - 1], faults), is_reused, "key"};
    }
    void park(Upstream upstream) override {
        ++parked;
        kept.push_back(std::move(upstream));
    }

    std::shared_ptr<Faults> faults;
    std::size_t opened = 0;
    std::size_t parked = 0;
    bool is_first_reused = false;
    std::string failure;
    std::string last_lease;
    Pool last_pool = Pool::MayReuse;
    std::vector<std::string> hosts;
    std::vector<std::shared_ptr<Wire>> wires;
    std::vector<Upstream> kept;
};

/// Services: `api` (bearer, api.test, scopes read and write), `git` (basic, git.test, fetch and push of agent/**),
/// `aws` (signed: s3.test for S3 and function.test for execute-api; sign_with_keys()), `agent` (bearer, agent.test, and
/// a login of client CID that is captured at login.test), the plain host www.test (GET /**, POST /open) and the http://
/// host plain.test.
struct World {
    World();
    /// There is another credential, kOtherSecret of lease `l2`, for whom `l1` was refused.
    void have_another_lease();
    /// Makes the lease of `api` a token that is bound to a key: kSecret.
    void bind_to_a_key();
    /// Makes the lease of `api` one whose token, kSecret, is good only on connections that show a certificate.
    void bind_to_a_certificate();
    /// Makes the lease a key pair: `AKIDEXAMPLE`, kSecret and kSessionToken.
    void sign_with_keys();
    std::shared_ptr<Faults> faults = std::make_shared<Faults>();
    profiles::Mission mission;
    profiles::CatalogSet catalog;
    std::vector<profiles::DialEntry> entries;
    FakeRecorder recorder;
    FakeLeases leases;
    FakeUpstreams upstreams{faults};
    ManualClock clock;
    std::unique_ptr<Budgets> budgets;
    std::unique_ptr<Services> services;
};

}  // namespace sanctum::interceptor::test
