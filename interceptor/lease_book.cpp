// SPDX-License-Identifier: Apache-2.0
#include "interceptor/lease_book.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <optional>

namespace sanctum::interceptor {
namespace {

// Two needs are the same when everything is but the exchange and what was tried before.
std::string key_of(wire::LeaseNeed need) {
    need.exchange = 0;
    need.instead_of.clear();
    return wire::to_binary(need);
}

// The token, and the certificate that goes with it where the form says so.
struct HeldBytes {
    Secret token;
    network::ClientCertificate certificate;
};

Result<HeldBytes> split(const wire::LeaseHeld& message, profiles::AuthForm form, const Secret& secret) {
    const bool is_certified = form == profiles::AuthForm::Certificate;
    const std::size_t behind = std::size_t{message.certificate_bytes} + message.key_bytes;
    const bool is_right = is_certified == (message.certificate_bytes > 0) && is_certified == (message.key_bytes > 0);
    if (!is_right || behind >= secret.size()) {
        return Error{Errc::Protocol, "vault: a lease whose certificate does not fit its form or its bytes"};
    }
    const std::string_view bytes = secret.reveal();
    const std::size_t token_bytes = bytes.size() - behind;
    HeldBytes held;
    held.token = Secret(bytes.substr(0, token_bytes));
    held.certificate.certificate = bytes.substr(token_bytes, message.certificate_bytes);
    held.certificate.key = Secret(bytes.substr(token_bytes + message.certificate_bytes));
    return held;
}

Error failure_of(const wire::LeaseFailed& failed) {
    const Errc code = failed.reason == "not_found"        ? Errc::NotFound
                      : failed.reason == "mission_ending" ? Errc::Cancelled
                                                          : Errc::Denied;
    return {code, failed.reason + (failed.detail.empty() ? "" : ": " + failed.detail)};
}

}  // namespace

struct LeaseBook::Asking {
    explicit Asking(Loop& loop) : answered(loop) {}
    Event answered;
    std::string key;  ///< empty: not reusable
    std::optional<Result<LeasePtr>> answer;
};

struct LeaseBook::LoggingIn {
    explicit LoggingIn(Loop& loop) : answered(loop) {}
    Event answered;
    std::optional<wire::LoginAnswered> answer;
};

LeaseBook::LeaseBook(Loop& loop, WirePort& vault, const profiles::Mission& mission, const Clock& clock,
                     std::function<void(const std::string&)> on_gone)
    : loop_(loop), vault_(vault), mission_(mission), clock_(clock), on_gone_(std::move(on_gone)) {}

net::awaitable<Result<LeaseBook::LeasePtr>> LeaseBook::need(const wire::LeaseNeed& need) {
    if (is_closed_) co_return Error{Errc::Cancelled, "mission_ending: no credential is given out any more"};
    if (!may_reuse(need.service) || !need.approval.empty()) co_return co_await ask(need, {}, {});
    std::string key = key_of(need);
    if (LeasePtr lease = reusable(key); lease && lease->id != need.instead_of) co_return lease;
    // A refusal of another credential than the one that failed is no answer to those who have tried none.
    std::string question = key + need.instead_of;
    if (const auto found = questions_.find(question); found != questions_.end()) {
        // Somebody asks for the same already. A lease for one use belongs to the one who asked: then ask for an own.
        Result<LeasePtr> answer = co_await wait_for(found->second);
        if (!answer || (*answer)->uses == 0) co_return answer;
        co_return co_await ask(need, {}, {});
    }
    co_return co_await ask(need, std::move(key), std::move(question));
}

net::awaitable<Result<LeaseBook::LeasePtr>> LeaseBook::ask(wire::LeaseNeed need, std::string key,
                                                           std::string question) {
    sweep();
    if (by_id_.size() + asking_.size() >= kLeasesMax) co_return Error{Errc::Limit, "too many leases in use"};
    const auto asking = std::make_shared<Asking>(loop_);
    asking->key = std::move(key);
    if (!asking_.emplace(need.exchange, asking).second) co_return Error{Errc::Internal, "lease asked for twice"};
    if (!question.empty()) questions_.emplace(question, asking);
    const Result<std::uint64_t> sent = vault_.send(need);
    if (!sent) asking->answer = Error{Errc::Cancelled, "the vault is gone"};
    Result<LeasePtr> answer = co_await wait_for(asking);
    asking_.erase(need.exchange);
    if (!question.empty()) questions_.erase(question);
    co_return answer;
}

net::awaitable<Result<LeaseBook::LeasePtr>> LeaseBook::wait_for(std::shared_ptr<Asking> asking) {
    if (!asking->answer) {
        const Status waited = co_await asking->answered.wait(kLeaseTimeout);
        if (!waited) co_return Error{Errc::Timeout, "source_failed: no credential came in time"};
    }
    if (is_closed_ || !asking->answer) co_return Error{Errc::Cancelled, "mission_ending: the leases are gone"};
    co_return *asking->answer;
}

net::awaitable<Result<wire::LoginAnswered>> LeaseBook::login(const wire::LoginNeed& need) {
    if (is_closed_) co_return Error{Errc::Cancelled, "mission_ending: nobody logs in any more"};
    if (logging_in_.size() >= kLoginsAtOnceMax) co_return Error{Errc::Limit, "too many logins at the same time"};
    const auto waiting = std::make_shared<LoggingIn>(loop_);
    if (!logging_in_.emplace(need.exchange, waiting).second) co_return Error{Errc::Internal, "asked to log in twice"};
    const Result<std::uint64_t> sent = vault_.send(need);
    Status waited;
    if (sent) waited = co_await waiting->answered.wait(kLeaseTimeout);
    logging_in_.erase(need.exchange);
    if (is_closed_ || !sent) co_return Error{Errc::Cancelled, "mission_ending: the vault is gone"};
    if (!waited || !waiting->answer) co_return Error{Errc::Timeout, "source_failed: no answer to the login in time"};
    wire::LoginAnswered& answer = *waiting->answer;
    if (answer.reason.empty()) co_return std::move(answer);
    co_return Error{Errc::Denied, answer.reason + (answer.detail.empty() ? "" : ": " + answer.detail)};
}

Status LeaseBook::answered(wire::LoginAnswered message) {
    const bool is_answer = message.status >= 200 && message.status <= 599;
    if (message.reason.empty() && !is_answer) return Error{Errc::Protocol, "vault: a login's answer without a status"};
    const auto found = logging_in_.find(message.exchange);
    if (found == logging_in_.end()) return {};  // nobody waits any more
    found->second->answer = std::move(message);
    found->second->answered.notify_all();
    return {};
}

void LeaseBook::used(const wire::LeaseUsed& use) {
    // A vault that is gone keeps no count; the launcher ends the mission for it.
    const Result<std::uint64_t> sent = vault_.send(use);
    static_cast<void>(sent.has_value());
}

std::vector<LeaseBook::LeasePtr> LeaseBook::known() const {
    std::vector<LeasePtr> leases = remembered_;
    for (const auto& [id, weak] : by_id_) {
        LeasePtr lease = weak.lock();
        if (lease && lease->is_live) leases.push_back(std::move(lease));
    }
    return leases;
}

Status LeaseBook::take(wire::Packet packet) {
    switch (packet.kind) {
        case wire::Kind::LeaseHeld: {
            SANCTUM_TRY(const wire::LeaseHeld message, packet.as<wire::LeaseHeld>());
            return held(message, packet.secret);
        }
        case wire::Kind::LeaseFailed: {
            SANCTUM_TRY(const wire::LeaseFailed message, packet.as<wire::LeaseFailed>());
            return failed(message);
        }
        case wire::Kind::LeaseGone: {
            SANCTUM_TRY(const wire::LeaseGone message, packet.as<wire::LeaseGone>());
            gone(message.lease);
            return {};
        }
        case wire::Kind::LoginAnswered: {
            SANCTUM_TRY(wire::LoginAnswered message, packet.as<wire::LoginAnswered>());
            return answered(std::move(message));
        }
        default: return Error{Errc::Protocol, std::string("vault: unexpected ") + wire::name_of(packet.kind)};
    }
}

Status LeaseBook::held(const wire::LeaseHeld& message, const Secret& secret) {
    profiles::AuthForm form{};
    if (message.lease.empty() || secret.is_empty() || !parse_name(message.form, form)) {
        return Error{Errc::Protocol, "vault: a lease without id, credential or known form"};
    }
    SANCTUM_TRY(HeldBytes bytes, split(message, form, secret));
    const auto found = asking_.find(message.exchange);
    // The exchange no longer waits; the vault keeps the lease and ends it with the mission.
    if (found == asking_.end()) return {};
    Asking& asking = *found->second;
    LeasePtr lease;
    if (const auto known = by_id_.find(message.lease); known != by_id_.end()) lease = known->second.lock();
    if (!lease || !lease->is_live) {
        lease = std::make_shared<HeldLease>();
        lease->id = message.lease;
        lease->form = form;
        lease->form_name = message.name;
        lease->username = message.username;
        lease->secret = std::move(bytes.token);
        lease->certificate = std::move(bytes.certificate);
        by_id_[message.lease] = lease;
        remember(*lease);
    }
    lease->expires_boot_ms = message.expires_boot_ms;
    lease->uses = message.uses;
    lease->clock_offset_ms = message.clock_offset_ms;
    if (!asking.key.empty() && message.uses == 0) cached_[asking.key] = lease;
    asking.answer = std::move(lease);
    asking.answered.notify_all();
    return {};
}

// SECURITY: a server that kept a credential may return it after its lease has ended, while it is still good there.
void LeaseBook::remember(const HeldLease& lease) {
    const auto is_same = [&](const LeasePtr& one) {
        return one->form == lease.form && one->username == lease.username && one->secret.equals(lease.secret);
    };
    if (std::any_of(remembered_.begin(), remembered_.end(), is_same)) return;
    if (remembered_.size() >= kCredentialsRememberedMax) remembered_.erase(remembered_.begin());
    const auto copy = std::make_shared<HeldLease>();
    copy->id = lease.id;
    copy->form = lease.form;
    copy->username = lease.username;
    copy->secret = lease.secret.duplicate();
    copy->is_live = false;
    remembered_.push_back(copy);
}

Status LeaseBook::failed(const wire::LeaseFailed& message) {
    const auto found = asking_.find(message.exchange);
    if (found == asking_.end()) return {};
    found->second->answer = failure_of(message);
    found->second->answered.notify_all();
    return {};
}

// SECURITY: at once, whoever still holds it: nothing can inject the bytes when this returns.
void LeaseBook::gone(const std::string& id) {
    if (const auto known = by_id_.find(id); known != by_id_.end()) {
        if (const LeasePtr lease = known->second.lock()) {
            lease->is_live = false;
            lease->secret = Secret();
            lease->certificate = {};
        }
        by_id_.erase(known);
    }
    std::erase_if(cached_, [&](const auto& entry) { return entry.second->id == id; });
    on_gone_(id);
}

LeaseBook::LeasePtr LeaseBook::reusable(const std::string& key) {
    const auto found = cached_.find(key);
    if (found == cached_.end()) return nullptr;
    const LeasePtr lease = found->second;
    const std::int64_t floor = clock_.boot().plus(kLeaseFloor).ms;
    if (lease->is_live && lease->expires_boot_ms > floor) return lease;
    cached_.erase(found);
    return nullptr;
}

bool LeaseBook::is_live(const std::string& id) const {
    const auto known = by_id_.find(id);
    if (known == by_id_.end()) return false;
    const LeasePtr lease = known->second.lock();
    return lease && lease->is_live && lease->uses == 0;
}

// Forgets leases that ran out and ids that nobody holds.
void LeaseBook::sweep() {
    const std::int64_t now = clock_.boot().ms;
    std::erase_if(cached_, [&](const auto& entry) { return entry.second->expires_boot_ms <= now; });
    std::vector<std::string> unheld;
    for (const auto& [id, weak] : by_id_) {
        if (weak.expired()) unheld.push_back(id);
    }
    for (const std::string& id : unheld) {
        by_id_.erase(id);
        on_gone_(id);
    }
}

bool LeaseBook::may_reuse(const std::string& service) const {
    const auto found = std::find_if(mission_.services.begin(), mission_.services.end(),
                                    [&](const profiles::Service& one) { return one.name == service; });
    return found != mission_.services.end() && found->reuse;
}

void LeaseBook::close() {
    is_closed_ = true;
    std::vector<std::string> ids;
    for (const auto& [id, weak] : by_id_) ids.push_back(id);
    for (const std::string& id : ids) gone(id);
    remembered_.clear();
    for (const auto& [exchange, asking] : asking_) asking->answered.notify_all();
    for (const auto& [exchange, waiting] : logging_in_) waiting->answered.notify_all();
}

}  // namespace sanctum::interceptor
