// SPDX-License-Identifier: Apache-2.0
// The spine of the interceptor: serve_connection() reads requests one after another, serve_exchange() is the whole way
// of one of them. Everything else in this folder is a step that is called from here.
#include "base/limits.hpp"
#include "interceptor/http/git_push_commands.hpp"
#include "interceptor/http/http1_encoder.hpp"
#include "interceptor/http/lfs_batch.hpp"
#include "interceptor/policy/exchange_record.hpp"
#include "interceptor/policy/names.hpp"
#include "interceptor/relay.hpp"
#include "interceptor/rewrite/form_guard.hpp"
#include "interceptor/rewrite/forward_request.hpp"
#include "interceptor/rewrite/inject.hpp"
#include "interceptor/rewrite/login_request.hpp"
#include "interceptor/services.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace sanctum::interceptor {
namespace {

using profiles::AuthForm;
using profiles::Decision;
using profiles::Endpoint;
using profiles::Operation;
using profiles::Verdict;
using MaybeRefusal = std::optional<Refusal>;

enum class Next : std::uint8_t { KeepAlive, Refused, Close };

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

/// One request on its way. Its steps are called in the order in which they stand, each once.
class Exchange {
public:
    Exchange(RequestHead head, const AgentConnection& connection, AgentSide& agent, Services& services)
        : head_(std::move(head)), connection_(connection), agent_(agent), services_(services),
          record_(services.recorder, connection.id) {}

    [[nodiscard]] MaybeRefusal check_names();
    [[nodiscard]] net::awaitable<MaybeRefusal> classify();
    [[nodiscard]] MaybeRefusal decide();
    [[nodiscard]] net::awaitable<MaybeRefusal> hold_unsigned_body();
    [[nodiscard]] bool is_login() const { return operation_.is_login; }
    [[nodiscard]] net::awaitable<Next> answer_login();
    [[nodiscard]] net::awaitable<MaybeRefusal> take_lease();
    [[nodiscard]] net::awaitable<MaybeRefusal> open_upstream(Upstreams::Pool pool);
    [[nodiscard]] net::awaitable<MaybeRefusal> record_intent();
    [[nodiscard]] net::awaitable<Next> send_and_answer();
    [[nodiscard]] net::awaitable<Next> refuse(const Refusal& refusal);

private:
    [[nodiscard]] net::awaitable<MaybeRefusal> read_push();
    [[nodiscard]] net::awaitable<MaybeRefusal> read_lfs_batch();
    [[nodiscard]] MaybeRefusal read_signed_request();
    [[nodiscard]] net::awaitable<MaybeRefusal> hold_body(std::size_t bytes_max);
    [[nodiscard]] net::awaitable<MaybeRefusal> read_login(wire::LoginNeed& need);
    [[nodiscard]] std::string finish_login(const Result<wire::LoginAnswered>& answer, bool closes);
    [[nodiscard]] bool is_signed() const { return endpoint_ != nullptr && endpoint_->form == AuthForm::Sigv4; }
    [[nodiscard]] bool is_proved() const { return endpoint_ != nullptr && endpoint_->form == AuthForm::Dpop; }
    [[nodiscard]] std::string origin() const;
    [[nodiscard]] bool is_idempotent() const;
    [[nodiscard]] net::awaitable<Status> send_continue();
    [[nodiscard]] net::awaitable<RelayResult> relay_once();
    [[nodiscard]] bool may_repeat(const RelayResult& result) const;
    [[nodiscard]] bool may_send_again() const;
    [[nodiscard]] wire::LeaseNeed lease_need() const;
    [[nodiscard]] net::awaitable<MaybeRefusal> replace_lease();
    [[nodiscard]] net::awaitable<bool> answer_unauthorized();
    [[nodiscard]] net::awaitable<RelayResult> send_again(RelayResult first);
    enum class RestOf : std::uint8_t { Any, Push };
    [[nodiscard]] net::awaitable<bool> skip_body(RestOf what);
    [[nodiscard]] RefusalOptions refusal_options(bool closes) const;
    [[nodiscard]] bool is_service_revoked() const { return services_.revoked.contains(operation_.service); }
    [[nodiscard]] bool is_revoked() const {
        return services_.is_ending || is_service_revoked() || (lease_ && !lease_->is_live);
    }
    /// It ended before anything was sent, as when an upstream refuses it to another exchange. Not where it is for one.
    [[nodiscard]] bool has_lost_lease() const {
        return lease_ && !lease_->is_live && lease_->uses == 0 && !services_.is_ending && !is_service_revoked();
    }
    /// What the lease's connection showed, and not that it showed nothing.
    [[nodiscard]] bool is_certificate_refused(const RelayResult& result) const {
        return result.is_certificate_refused && lease_ && lease_->form == AuthForm::Certificate;
    }
    [[nodiscard]] std::string encode_break(const RelayResult& result) const;
    void settle_upstream(const RelayResult& result);
    void finish_record(const RelayResult& result);
    [[nodiscard]] std::string decision_id() const {
        return services_.mission.id + "-e" + std::to_string(record_.id());
    }

    RequestHead head_;
    const AgentConnection& connection_;
    AgentSide& agent_;
    Services& services_;
    ExchangeRecord record_;

    profiles::Request request_;
    Operation operation_;
    Decision decision_;
    const Endpoint* endpoint_ = nullptr;
    std::vector<std::size_t> counted_;  ///< budget lines
    std::string held_body_;             ///< a push's commands and what came with them, a batch, a body to sign
    std::optional<PushCommands> push_;  ///< as read from there
    FormGuard guard_;
    Payload payload_;                   ///< of a request that is signed
    std::shared_ptr<HeldLease> lease_;
    std::size_t entry_ = 0;
    std::optional<UpstreamSide> upstream_;
    std::optional<Sha256> body_digest_;
    std::uint64_t scrubbed_ = 0;
    std::string kept_body_;             ///< what was sent of it, to be sent again
    bool was_sent_again_ = false;
    bool is_use_told_ = false;          ///< of lease_, and how it was answered
    bool has_new_nonce_ = false;        ///< the last answer brought one
    bool wants_nonce_ = false;          ///< and said that nothing else was wrong
    const MaySendAgain on_unauthorized_ = [this] { return answer_unauthorized(); };
    const std::function<void(const ResponseHead&)> on_head_ = [this](const ResponseHead& answer) {
        has_new_nonce_ = services_.dpop_nonces.learn(origin(), answer);
        wants_nonce_ = wants_nonce(answer);
    };
    std::map<std::string, std::string> replaced_;  ///< evidence of another lease than the intent's
};

/// Writes a refusal; `next` holds unless the agent did not take it.
net::awaitable<Next> answer_refusal(AgentSide& agent, std::string bytes, Next next) {
    const Status told = co_await agent.write(bytes);
    co_return told.has_value() ? next : Next::Close;
}

/// The whole way of one request.
net::awaitable<Next> serve_exchange(RequestHead head, const AgentConnection& connection, AgentSide& agent,
                                    Services& services) {
    Exchange exchange(std::move(head), connection, agent, services);
    MaybeRefusal refusal = exchange.check_names();
    if (!refusal) refusal = co_await exchange.classify();
    if (!refusal) refusal = exchange.decide();
    if (!refusal) refusal = co_await exchange.hold_unsigned_body();
    // SECURITY: what answers a token endpoint's request holds tokens. No such request leaves here: the vault asks.
    if (!refusal && exchange.is_login()) co_return co_await exchange.answer_login();
    // From here on nothing about the request changes: what was decided is what is recorded, digested and sent.
    if (!refusal) refusal = co_await exchange.take_lease();
    if (!refusal) refusal = co_await exchange.open_upstream(Upstreams::Pool::MayReuse);
    // The intent names the lease, so it stands behind both; no byte of the request has left yet.
    if (!refusal) refusal = co_await exchange.record_intent();
    if (refusal) co_return co_await exchange.refuse(*refusal);
    // From here on the exchange is in the ledger and owes an outcome.
    co_return co_await exchange.send_and_answer();
}

/// One host value from the name that was looked up to the certificate that is checked.
MaybeRefusal Exchange::check_names() {
    request_.method = head_.method;
    request_.host = head_.host;
    request_.port = connection_.port;
    request_.is_tls = connection_.is_tls;
    request_.path = head_.path;
    request_.query = head_.query;
    record_.describe(request_);
    if (services_.is_ending) return Refusal{.reason = "mission_ending"};
    return check_connection_names(head_, connection_);
}

net::awaitable<MaybeRefusal> Exchange::classify() {
    operation_ = profiles::classify(services_.mission, services_.catalog, request_);
    record_.describe(operation_);
    if (is_service_revoked()) co_return Refusal{.reason = "service_revoked"};
    if (operation_.service >= 0) {
        const auto& endpoints = services_.mission.services[static_cast<std::size_t>(operation_.service)].endpoints;
        endpoint_ = &endpoints[static_cast<std::size_t>(operation_.endpoint)];
        if (is_signed()) {
            MaybeRefusal refusal = read_signed_request();
            if (refusal) co_return refusal;
        }
        Status parameters = check_query_parameters(head_, *endpoint_);
        if (!parameters.has_value()) {
            co_return Refusal{.reason = "request_invalid", .explanation = std::move(parameters).error().what};
        }
        Result<FormGuard> guard = FormGuard::create(head_, endpoint_);
        if (!guard.has_value()) {
            co_return Refusal{.reason = "request_invalid", .explanation = std::move(guard).error().what};
        }
        guard_ = std::move(*guard);
    }
    if (!operation_.needs_push_commands && !operation_.needs_lfs_operation) co_return std::nullopt;
    MaybeRefusal refusal;
    if (operation_.needs_push_commands) refusal = co_await read_push();
    else refusal = co_await read_lfs_batch();
    if (refusal) co_return refusal;
    operation_ = profiles::classify(services_.mission, services_.catalog, request_);
    record_.describe(operation_);
    co_return std::nullopt;
}

/// Reads what the agent's own signature says, and takes it off as far as it is a part of the query.
MaybeRefusal Exchange::read_signed_request() {
    if (strip_presigned(head_)) {
        request_.query = head_.query;
        operation_ = profiles::classify(services_.mission, services_.catalog, request_);
        record_.describe(operation_);
    }
    Status known = check_amz_request(head_, *endpoint_);
    if (!known.has_value()) {
        return Refusal{.reason = "operation_unknown", .explanation = std::move(known).error().what};
    }
    Result<Payload> payload = payload_of(head_, *endpoint_);
    if (!payload.has_value()) {
        return Refusal{.reason = "request_invalid", .explanation = std::move(payload).error().what};
    }
    payload_ = std::move(*payload);
    return std::nullopt;
}

/// A body whose digest has to stand in the head is read before the head can be signed.
net::awaitable<MaybeRefusal> Exchange::hold_unsigned_body() {
    if (payload_.kind != PayloadKind::Unknown) co_return std::nullopt;
    if (head_.framing != Framing::Length || head_.content_length > kSignedBodyBytesMax) {
        co_return Refusal{.reason = "request_invalid",
                          .explanation =
                              "a long or chunked body can only be signed with its SHA-256 in x-amz-content-sha256"};
    }
    MaybeRefusal refusal = co_await hold_body(kSignedBodyBytesMax);
    if (!refusal) payload_ = {PayloadKind::Hashed, sigv4::hex_digest(held_body_)};
    co_return refusal;
}

/// Reads the whole body into held_body_.
net::awaitable<MaybeRefusal> Exchange::hold_body(std::size_t bytes_max) {
    const auto invalid = [](std::string why) {
        return Refusal{.reason = "request_invalid", .explanation = std::move(why)};
    };
    const Status continued = co_await send_continue();
    if (!continued.has_value()) co_return invalid("the body did not come");
    while (true) {
        Result<RequestEvent> event = agent_.poll_body();
        if (!event.has_value()) co_return invalid(std::move(event).error().what);
        if (std::holds_alternative<EndOfMessage>(*event)) co_return std::nullopt;
        if (const auto* chunk = std::get_if<BodyChunk>(&*event)) {
            const std::string_view bytes(chunk->bytes.data(), chunk->bytes.size());
            if (!guard_.passes(bytes)) co_return invalid("a form's field overrides the method");
            if (held_body_.size() + bytes.size() > bytes_max) co_return invalid("the body is too long");
            held_body_.append(bytes);
        }
        if (!std::holds_alternative<NeedMore>(*event)) continue;
        const Status more = co_await agent_.more_body();
        if (!more.has_value()) co_return invalid("the body broke off");
    }
}

/// What the agent asks its token endpoint for, as far as the vault may know it.
net::awaitable<MaybeRefusal> Exchange::read_login(wire::LoginNeed& need) {
    MaybeRefusal refusal = co_await hold_body(kLoginBodyBytesMax);
    if (refusal) co_return refusal;
    const profiles::Service& service = services_.mission.services[static_cast<std::size_t>(operation_.service)];
    auto asked = read_login_request(head_, held_body_, *service.login);
    if (!asked.has_value()) {
        co_return Refusal{.reason = "request_invalid", .explanation = std::move(asked).error().what};
    }
    if (asked->grant == kCodeGrant && !service.captures_login) {
        co_return Refusal{.reason = "operation_unknown",
                          .rule = "login",
                          .explanation = "an agent of this mission cannot log in by itself",
                          .detail = "the service does not say login = \"capture\""};
    }
    need.exchange = record_.id();
    need.service = operation_.name;
    need.grant = std::move(asked->grant);
    need.members = std::move(asked->members);
    co_return std::nullopt;
}

/// The whole answer to a login; the caller has an intent on record.
std::string encode_login(const wire::LoginAnswered& answer, bool closes) {
    ResponseHead head;
    head.status = answer.status;
    head.reason = answer.status == 200 ? "OK" : "Refused";
    head.fields = {{"content-type", "application/json"}, {"cache-control", "no-store"}};
    const ResponseFraming framing{.framing = Framing::Length, .content_length = answer.body.size(), .closes = closes};
    return encode_response_head(head, framing) + answer.body;
}

/// A request to the token endpoint: the vault asks there itself, and no byte of its answer comes by here.
net::awaitable<Next> Exchange::answer_login() {
    wire::LoginNeed need;
    MaybeRefusal refusal = co_await read_login(need);
    if (!refusal) refusal = co_await record_intent();
    if (refusal) co_return co_await refuse(*refusal);
    const auto answer = co_await services_.leases.login(need);
    const bool closes = head_.wants_close || services_.is_ending;
    std::string told = finish_login(answer, closes);
    co_return co_await answer_refusal(agent_, std::move(told), closes ? Next::Close : Next::KeepAlive);
}

/// Closes the record; what the agent is told. (No coroutine, as encode_break.)
std::string Exchange::finish_login(const Result<wire::LoginAnswered>& answer, bool closes) {
    wire::ExchangeOutcome outcome;
    outcome.evidence["answered_by"] = "vault";
    outcome.body = Sha256().finish();  // nothing of the agent's body was sent
    std::string told;
    if (answer.has_value()) {
        outcome.status = answer->status;
        outcome.outcome = "complete";
        outcome.received = answer->body.size();
        told = encode_login(*answer, closes);
    } else {
        outcome.outcome = services_.is_ending ? "mission_ended" : "login_failed";
        outcome.evidence["reason"] = answer.error().what;
        told = encode_refusal(no_credential(answer.error().what), decision_id(), refusal_options(closes));
    }
    record_.finish(std::move(outcome));
    return told;
}

/// Reads a push's command list into held_body_ and request_.ref_updates.
net::awaitable<MaybeRefusal> Exchange::read_push() {
    const auto invalid = [](std::string why) {
        return Refusal{.reason = "request_invalid", .explanation = std::move(why)};
    };
    if (find_field(head_.fields, "content-encoding") != nullptr) {
        co_return invalid("a push with an encoded body cannot be decided on; leave content-encoding out");
    }
    // The list is a part of the body: a client that waits for permission has to send it to get its decision.
    const Status continued = co_await send_continue();
    if (!continued.has_value()) co_return invalid("the body did not come");
    while (true) {
        auto commands = read_push_commands(held_body_);
        if (!commands.has_value()) co_return invalid(std::move(commands).error().what);
        if (commands->has_value()) {
            push_ = std::move(**commands);
            request_.ref_updates = push_->updates;
            if (push_->has_options()) co_return invalid("git push: no ref limits what options ask for; leave out -o");
            co_return std::nullopt;
        }
        Result<RequestEvent> event = agent_.poll_body();
        if (!event.has_value()) co_return invalid(std::move(event).error().what);
        if (const auto* chunk = std::get_if<BodyChunk>(&*event)) {
            held_body_.append(chunk->bytes.data(), chunk->bytes.size());
        } else if (std::holds_alternative<NeedMore>(*event)) {
            const Status more = co_await agent_.more_body();
            if (!more.has_value()) co_return invalid("the body broke off within the command list");
        } else {
            co_return invalid("git push: the body ends within the command list");
        }
    }
}

/// Reads the whole batch of git-lfs, which says what it is for.
net::awaitable<MaybeRefusal> Exchange::read_lfs_batch() {
    if (head_.framing != Framing::Length) {
        co_return Refusal{.reason = "request_invalid", .explanation = "git lfs: a batch needs a content-length"};
    }
    MaybeRefusal refusal = co_await hold_body(kLfsBatchBytesMax);
    if (refusal) co_return refusal;
    Result<std::string> operation = read_lfs_operation(held_body_);
    if (!operation.has_value()) {
        co_return Refusal{.reason = "request_invalid", .explanation = std::move(operation).error().what};
    }
    request_.lfs_operation = std::move(*operation);
    co_return std::nullopt;
}

MaybeRefusal Exchange::decide() {
    const BootTime now = services_.clock.boot();
    decision_ = profiles::decide(services_.mission, request_, operation_, services_.budgets.spent(now));
    if (decision_.verdict == Verdict::Ask || decision_.verdict == Verdict::StepUp) {
        // The one place where a human will be asked; until there is a channel the answer is no.
        return Refusal{.reason = "approval_unavailable", .rule = decision_.rule, .detail = decision_.text};
    }
    if (decision_.verdict != Verdict::Allow) {
        return Refusal{.reason = decision_.reason, .rule = decision_.rule, .explanation = decision_.text};
    }
    const std::optional<std::size_t> entry = profiles::find_dial_entry(services_.entries, request_.host);
    // One table: the entry that is dialled has to be the one that was decided on.
    const bool is_same = entry && services_.entries[*entry].service == operation_.service &&
                         services_.entries[*entry].endpoint == operation_.endpoint &&
                         services_.entries[*entry].host == operation_.host;
    if (!is_same) return Refusal{.reason = "host_unknown", .detail = "no dial entry agrees with the decision"};
    entry_ = *entry;
    counted_ = profiles::budgets_of(services_.mission, operation_, decision_);
    services_.budgets.count(counted_, now);
    if (is_signed()) prepare_amz_request(head_, *endpoint_, payload_);
    prepare_request(head_, endpoint_, operation_.redact.empty() ? AnswerIs::Streamed : AnswerIs::Redacted);
    return std::nullopt;
}

wire::LeaseNeed Exchange::lease_need() const {
    wire::LeaseNeed need;
    need.exchange = record_.id();
    need.service = operation_.name;
    need.scopes = decision_.scopes;
    need.resources = operation_.resources;
    need.risk = profiles::name_of(decision_.risk);
    return need;
}

net::awaitable<MaybeRefusal> Exchange::take_lease() {
    if (endpoint_ == nullptr || endpoint_->form == AuthForm::None) co_return std::nullopt;
    const wire::LeaseNeed need = lease_need();
    auto lease = co_await services_.leases.need(need);
    if (is_service_revoked()) co_return Refusal{.reason = "service_revoked"};
    if (!lease.has_value()) co_return no_credential(lease.error().what);
    Status usable = check_lease(**lease, *endpoint_);
    if (!usable.has_value()) co_return no_credential(usable.error().what);
    lease_ = std::move(*lease);
    co_return std::nullopt;
}

net::awaitable<MaybeRefusal> Exchange::open_upstream(Upstreams::Pool pool) {
    auto upstream =
        co_await services_.upstreams.open(entry_, request_.host, request_.port, request_.is_tls, lease_, pool);
    if (!upstream.has_value()) {
        const std::string& what = upstream.error().what;
        co_return Refusal{.reason = what.substr(0, what.find(':')), .detail = what};
    }
    upstream_.emplace(std::move(*upstream), head_.method == "HEAD" ? ResponseTo::Head : ResponseTo::Other);
    co_return std::nullopt;
}

net::awaitable<MaybeRefusal> Exchange::record_intent() {
    const wire::Digest head = head_digest(head_, request_.port, request_.is_tls);
    const std::string lease = lease_ ? lease_->id : std::string();
    const Status recorded = co_await record_.intent(operation_, decision_, lease, head);
    if (recorded.has_value()) co_return std::nullopt;
    if (upstream_) services_.upstreams.park(upstream_->release());
    upstream_.reset();
    co_return Refusal{.reason = "record_unavailable", .detail = recorded.error().what};
}

/// What the agent is told when nothing of an answer has reached it. (No coroutine: GCC 12 destroys an aggregate that is
/// a local variable of one twice.)
std::string Exchange::encode_break(const RelayResult& result) const {
    Refusal refusal{.reason = "upstream_unreachable"};
    if (is_service_revoked()) refusal.reason = "service_revoked";
    else if (is_revoked()) refusal.reason = "credential_unavailable";
    else if (is_certificate_refused(result)) refusal.reason = "client_certificate";
    else if (result.is_request_broken) refusal = {.reason = "request_invalid", .explanation = result.detail};
    return encode_refusal(refusal, decision_id(), refusal_options(true));
}

net::awaitable<Next> Exchange::send_and_answer() {
    RelayResult result;
    // What is under way when its service is taken back is cut: an endless upload or answer would outlive it.
    std::optional<RevokedServices::Watch> watch;
    watch.emplace(services_.revoked, operation_.service, [this] { upstream_->close(); });
    const Status continued = co_await send_continue();
    MaybeRefusal refusal;
    if (continued.has_value() && has_lost_lease()) {
        refusal = co_await replace_lease();
        if (!refusal) refusal = co_await open_upstream(Upstreams::Pool::MayReuse);
    }
    if (is_revoked() || refusal || !continued.has_value()) {
        // FAIL-CLOSED: the credential was taken back, or the agent left, while the record was being written.
        result.outcome = is_revoked() ? "mission_ended" : refusal ? "upstream_closed" : "agent_closed";
        upstream_->close();
    } else {
        result = co_await relay_once();
        if (may_repeat(result)) {
            refusal = co_await open_upstream(Upstreams::Pool::OnlyFresh);
            // FAIL-CLOSED: dialling again takes time, in which the credential may have been taken back.
            if (!refusal && !is_revoked()) result = co_await relay_once();
        }
        if (result.is_to_repeat) result = co_await send_again(std::move(result));
    }
    watch.reset();
    settle_upstream(result);
    finish_record(result);
    if (result.has_answered_agent) {
        const bool goes_on = result.is_response_whole && agent_.has_whole_request() && !result.agent_closes;
        if (!result.is_response_whole) agent_.close();  // SECURITY: a cut answer must not look like a whole one
        co_return goes_on ? Next::KeepAlive : Next::Close;
    }
    if (agent_.is_gone()) co_return Next::Close;
    std::string told = encode_break(result);
    co_return co_await answer_refusal(agent_, std::move(told), Next::Close);
}

net::awaitable<Status> Exchange::send_continue() {
    if (!std::exchange(head_.expects_continue, false)) co_return Status{};
    co_return co_await agent_.write(kContinue);
}

/// The agent's request turned out to be none when it was to be written.
RelayResult broken_request(std::string why) {
    RelayResult result;
    result.outcome = "request_invalid";
    result.detail = std::move(why);
    result.is_request_broken = true;
    return result;
}

net::awaitable<RelayResult> Exchange::relay_once() {
    const auto known = services_.leases.known();
    if (!services_.needles || !services_.needles->is_for(known)) services_.needles = std::make_shared<NeedleSet>(known);
    std::optional<AwsSignature> signature;
    std::optional<AwsBody> aws_body;
    std::optional<DpopFields> proof;
    std::shared_ptr<const NeedleSet> own;
    if (is_signed()) {
        auto made = sign_request(head_, *lease_, *endpoint_, payload_, lease_->time(services_.clock));
        if (!made.has_value()) co_return broken_request(std::move(made).error().what);
        signature = std::move(*made);
        aws_body.emplace(payload_, *signature);
        // SECURITY: with it the same request could be sent again, by anybody, for some minutes.
        own = std::make_shared<NeedleSet>(signature->seed);
    }
    if (is_proved()) {
        const std::string nonce = services_.dpop_nonces.of(origin());
        auto made = prove_request(head_, *lease_, origin(), nonce, lease_->time(services_.clock));
        if (!made.has_value()) co_return broken_request(std::move(made).error().what);
        proof = std::move(*made);
        own = std::make_shared<NeedleSet>(proof->proof);  // as above, where the server keeps no list of proofs
    }
    const Secret* const fields = signature ? &signature->fields : proof ? &proof->fields : nullptr;
    Scrubber scrubber(services_.needles, std::move(own));
    body_digest_.emplace();
    body_digest_->update(services_.salt);
    const Secret head_bytes = inject(head_, lease_.get(), endpoint_, fields);
    RelayNeeds needs{.request = head_,
                           .endpoint = endpoint_,
                           .head_bytes = head_bytes.reveal(),
                           .held_body = held_body_,
                           .guard = guard_,
                           .aws_body = aws_body ? &*aws_body : nullptr,
                           .agent = agent_,
                           .upstream = *upstream_,
                           .scrubber = scrubber,
                           .redact = operation_.redact,
                           .body_digest = *body_digest_};
    if (is_proved()) needs.on_head = &on_head_;
    if (may_send_again()) {
        needs.kept_body = &kept_body_;
        needs.may_send_again = &on_unauthorized_;
    }
    RelayResult result = co_await relay(needs);
    scrubbed_ += scrubber.hits() + result.redacted;
    co_return result;
}

/// RFC 9110 section 9.2.2: only what is safe, has no body, and met a kept connection that the server had given up.
bool Exchange::may_repeat(const RelayResult& result) const {
    const bool is_safe = (head_.method == "GET" || head_.method == "HEAD") && !head_.has_body();
    return is_safe && result.outcome == "upstream_closed" && upstream_->is_reused() && !upstream_->has_response_begun();
}

/// Scheme, host, and the port where it is not the scheme's own.
std::string Exchange::origin() const {
    const std::uint16_t usual_port = request_.is_tls ? 443 : 80;
    std::string text = (request_.is_tls ? "https://" : "http://") + request_.host;
    if (request_.port != usual_port) text += ":" + std::to_string(request_.port);
    return text;
}

/// RFC 9110 section 9.2.2.
bool Exchange::is_idempotent() const {
    constexpr std::array<std::string_view, 5> methods{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
    return std::find(methods.begin(), methods.end(), head_.method) != methods.end();
}

/// What a 401 says was not done (RFC 9110 section 15.5.2) may be sent again with another credential where that would
/// change nothing, and with another proof; all of it has to be here still. Not where a lease is for one request.
bool Exchange::may_send_again() const {
    const bool is_small = !head_.has_body() || (head_.framing == Framing::Length &&
                                                head_.content_length <= kRepeatedBodyBytesMax);
    const bool is_harmless = is_idempotent() || is_proved();
    return lease_ && lease_->uses == 0 && !is_signed() && is_harmless && is_small && !was_sent_again_;
}

/// Another lease for the same need, of which nothing has been sent yet.
net::awaitable<MaybeRefusal> Exchange::replace_lease() {
    wire::LeaseNeed need = lease_need();
    need.instead_of = lease_->id;
    auto lease = co_await services_.leases.need(need);
    if (is_service_revoked()) co_return Refusal{.reason = "service_revoked"};
    if (!lease.has_value()) co_return no_credential(lease.error().what);
    Status usable = check_lease(**lease, *endpoint_);
    if (!usable.has_value()) co_return no_credential(usable.error().what);
    replaced_["lease_replaced"] = lease_->id;
    replaced_["sent_with"] = (*lease)->id;
    lease_ = std::move(*lease);
    co_return std::nullopt;
}

/// The upstream refused the credential. True: the agent does not get this answer, since there is another credential, or
/// another proof of it, to send the request with.
net::awaitable<bool> Exchange::answer_unauthorized() {
    was_sent_again_ = true;  // or not at all
    if (is_proved() && wants_nonce_) {
        if (has_new_nonce_) replaced_["sent_again"] = "use_dpop_nonce";
        co_return has_new_nonce_;
    }
    if (!is_idempotent()) co_return false;
    services_.leases.used({.exchange = record_.id(), .lease = lease_->id, .status = 401});
    is_use_told_ = true;
    const MaybeRefusal refusal = co_await replace_lease();
    if (refusal) replaced_["not_sent_again"] = refusal->detail.empty() ? refusal->reason : refusal->detail;
    co_return !refusal || is_service_revoked();  // of a service that was taken back the agent gets no answer at all
}

net::awaitable<RelayResult> Exchange::send_again(RelayResult first) {
    if (const auto why = first.evidence.find("www-authenticate"); why != first.evidence.end()) {
        replaced_["refused_with"] = why->second;
    }
    upstream_->close();
    if (is_revoked()) co_return first;
    held_body_ = std::move(kept_body_);
    const MaybeRefusal refusal = co_await open_upstream(Upstreams::Pool::MayReuse);
    // FAIL-CLOSED: dialling takes time, as above.
    if (refusal || is_revoked()) co_return first;
    is_use_told_ = false;
    co_return co_await relay_once();
}

void Exchange::settle_upstream(const RelayResult& result) {
    if (lease_ && !is_use_told_) {
        // A proof that was refused says nothing against the credential.
        const std::uint16_t status = wants_nonce_ ? 0 : result.status;
        services_.leases.used({.exchange = record_.id(), .lease = lease_->id, .status = status});
    }
    // Any doubt about framing on either side and the connection is not used again.
    const bool is_clean = result.is_request_whole && result.is_response_whole && !result.upstream_closes &&
                          upstream_->is_between_messages();
    if (is_clean) services_.upstreams.park(upstream_->release());
    else upstream_->close();
}

void Exchange::finish_record(const RelayResult& result) {
    wire::ExchangeOutcome outcome;
    outcome.status = result.status;
    outcome.outcome = result.outcome;
    if (services_.is_ending && !result.is_response_whole) outcome.outcome = "mission_ended";
    outcome.sent = result.sent;
    outcome.received = result.received;
    if (body_digest_) outcome.body = body_digest_->finish();
    outcome.scrubbed = scrubbed_;
    outcome.evidence = result.evidence;
    if (result.cookies_kept > 0) outcome.evidence["cookies_kept"] = std::to_string(result.cookies_kept);
    for (const auto& [name, value] : replaced_) outcome.evidence[name] = value;
    if (is_certificate_refused(result)) {
        outcome.evidence["client_certificate"] = result.detail + std::string(kCertificateRemedy);
    }
    if (result.redacted > 0) outcome.evidence["redacted"] = std::to_string(result.redacted);
    record_.finish(std::move(outcome));
}

RefusalOptions Exchange::refusal_options(bool closes) const {
    const bool is_git = endpoint_ != nullptr && endpoint_->kind == profiles::EndpointKind::Git;
    const RefusalForm form = is_git ? RefusalForm::Text : RefusalForm::Problem;
    return {.form = form, .closes = closes, .with_body = head_.method != "HEAD"};
}

net::awaitable<Next> Exchange::refuse(const Refusal& refusal) {
    services_.budgets.give_back(counted_);
    // SECURITY: a client that reads no report takes status 200 for success; it gets the plain status.
    const bool has_report = push_ && !push_->updates.empty() && push_->wants_report();
    // The rest of the body is read, so that git looks for its report and the connection can go on; a large one of other
    // requests ends the connection.
    const bool is_read = !head_.expects_continue && co_await skip_body(has_report ? RestOf::Push : RestOf::Any);
    RefusalOptions options = refusal_options(!is_read || head_.wants_close || services_.is_ending);
    if (has_report && is_read) {
        options.form = RefusalForm::PushReport;
        options.push = &*push_;
    }
    record_.refused(refusal, sent_status_of(refusal.reason, options.form));
    const Next next = options.closes ? Next::Close : Next::Refused;
    co_return co_await answer_refusal(agent_, encode_refusal(refusal, decision_id(), options), next);
}

/// True when the whole request has been read.
net::awaitable<bool> Exchange::skip_body(RestOf what) {
    const bool is_push = what == RestOf::Push;
    std::uint64_t left = is_push ? kRefusedPushBytesMax : kRefusedBodyBytesMax;
    if (head_.framing == Framing::Length && head_.content_length > left) co_return false;
    if (head_.framing == Framing::Chunked && !is_push) co_return false;
    const BootTime deadline = services_.clock.boot().plus(kRefusedPushTime);
    while (true) {
        const Result<RequestEvent> event = agent_.poll_body();
        if (!event.has_value()) co_return false;
        if (std::holds_alternative<EndOfMessage>(*event)) co_return true;
        if (const auto* chunk = std::get_if<BodyChunk>(&*event)) {
            if (chunk->bytes.size() > left) co_return false;
            left -= chunk->bytes.size();
        }
        if (!std::holds_alternative<NeedMore>(*event)) continue;
        if (services_.clock.boot() >= deadline || services_.is_ending) co_return false;
        const Status more = co_await agent_.more_body();
        if (!more.has_value()) co_return false;
    }
}

/// A head that is not a request: recorded and answered, then the connection ends.
net::awaitable<void> refuse_head(const Error& error, const AgentConnection& connection, AgentSide& agent,
                                 Services& services) {
    ExchangeRecord record(services.recorder, connection.id);
    const Refusal refusal{.reason = "request_invalid", .explanation = error.what};
    record.refused(refusal, status_of(refusal.reason));
    const std::string decision = services.mission.id + "-e" + std::to_string(record.id());
    const RefusalOptions options{.closes = true};
    co_await answer_refusal(agent, encode_refusal(refusal, decision, options), Next::Close);
}

/// However the conversation ends, receive() has to end with it.
struct CloseAtExit {
    AgentSide& agent;
    ~CloseAtExit() { agent.close(); }
};

/// Requests one after another; one in flight, further ones wait in the socket.
net::awaitable<void> converse(AgentSide& agent, const AgentConnection& connection, Services& services) {
    const CloseAtExit closing{agent};
    // An agent caught in a loop of refusals has to pay for a new connection now and then.
    for (int refusals_in_row = 0; refusals_in_row < kRefusalsInRowMax;) {
        Result<std::optional<RequestHead>> head = co_await agent.next_request();
        if (!head.has_value()) {
            const bool is_invalid = head.error().code == Errc::Protocol || head.error().code == Errc::Limit;
            if (is_invalid) co_await refuse_head(head.error(), connection, agent, services);
            break;
        }
        if (!head->has_value()) break;
        const Next next = co_await serve_exchange(std::move(**head), connection, agent, services);
        if (next == Next::Close) break;
        refusals_in_row = next == Next::Refused ? refusals_in_row + 1 : 0;
    }
    co_await agent.finish();
}

}  // namespace

net::awaitable<void> serve_connection(std::unique_ptr<ByteStream> stream, AgentConnection connection,
                                      Services& services) {
    AgentSide agent(std::move(stream));
    co_await run_both(agent.receive(), converse(agent, connection, services));
}

}  // namespace sanctum::interceptor
