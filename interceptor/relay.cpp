// SPDX-License-Identifier: Apache-2.0
#include "interceptor/relay.hpp"

#include "base/limits.hpp"
#include "interceptor/http/http1_encoder.hpp"
#include "interceptor/rewrite/forward_request.hpp"
#include "interceptor/rewrite/forward_response.hpp"
#include "interceptor/rewrite/redact.hpp"

#include <utility>

namespace sanctum::interceptor {
namespace {

constexpr std::uint16_t kUnauthorized = 401;

/// One relay's state, shared by its two directions.
class Relay {
public:
    explicit Relay(RelayNeeds needs) : needs_(needs) {}
    ~Relay() { wipe(held_); }
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    net::awaitable<RelayResult> run() {
        needs_.agent.on_gone([this] { on_agent_gone(); });
        if (needs_.request.has_body()) {
            co_await run_both(send_request(), return_response());
        } else {
            co_await send_request();
            co_await return_response();
        }
        needs_.agent.on_gone({});
        co_return std::move(result_);
    }

private:
    // --- agent to upstream
    net::awaitable<void> send_request() {
        std::string out(needs_.head_bytes);
        if (Status begun = append_body(out, needs_.held_body); !begun.has_value()) {
            co_return refuse_body(out, begun.error());
        }
        while (true) {
            Result<RequestEvent> event = needs_.agent.poll_body();
            if (!event.has_value()) co_return fail_request("request_invalid", event.error());
            if (const auto* chunk = std::get_if<BodyChunk>(&*event)) {
                const Status appended = guard_and_append(out, {chunk->bytes.data(), chunk->bytes.size()});
                if (!appended.has_value()) co_return refuse_body(out, appended.error());
                continue;
            }
            if (auto* trailers = std::get_if<Trailers>(&*event)) {
                strip_fields(trailers->fields, needs_.endpoint);
                if (needs_.aws_body == nullptr) trailers_ = std::move(trailers->fields);  // nobody signs them
                continue;
            }
            const bool is_end = std::holds_alternative<EndOfMessage>(*event);
            if (is_end && needs_.aws_body != nullptr) {
                const Status finished = needs_.aws_body->finish();
                if (!finished.has_value()) co_return refuse_body(out, finished.error());
            }
            if (is_end && needs_.request.framing == Framing::Chunked) append_last_chunk(out, trailers_);
            const Status written = co_await write_upstream(out);
            // A server may answer and stop reading: what it has to say is read by the other direction.
            if (!written.has_value()) co_return;
            if (is_end) {
                result_.is_request_whole = true;
                co_return;
            }
            Status more = co_await needs_.agent.more_body();
            if (!more.has_value()) {
                const bool is_slow = more.error().code == Errc::Timeout;
                co_return fail_request(is_slow ? "timeout" : "agent_closed", more.error());
            }
        }
    }

    /// What was read last stays here: the request never looks whole upstream.
    void refuse_body(std::string& out, const Error& error) {
        wipe(out);  // before the first write it holds the credential
        fail_request("request_invalid", error);
    }

    Status guard_and_append(std::string& out, std::string_view bytes) {
        if (!needs_.guard.passes(bytes)) return Error{Errc::Denied, "a form's field overrides the method"};
        return append_body(out, bytes);
    }

    Status append_body(std::string& out, std::string_view bytes) {
        if (needs_.aws_body == nullptr) {
            append_plain(out, bytes);
            return {};
        }
        std::string leaving;
        SANCTUM_CHECK(needs_.aws_body->push(bytes, leaving));
        append_plain(out, leaving);
        return {};
    }

    void append_plain(std::string& out, std::string_view bytes) {
        if (bytes.empty()) return;
        needs_.body_digest.update(bytes);
        if (needs_.kept_body != nullptr) needs_.kept_body->append(bytes);
        result_.sent += bytes.size();
        if (needs_.request.framing == Framing::Chunked) append_chunk(out, bytes);
        else out.append(bytes);
    }

    net::awaitable<Status> write_upstream(std::string& out) {
        Status written;
        if (!out.empty()) written = co_await needs_.upstream.write(out);
        wipe(out);  // the first write holds the credential
        out.clear();
        co_return written;
    }

    /// The agent broke its own request: it must not look complete upstream.
    void fail_request(std::string outcome, const Error& error) {
        if (is_response_over_) return;
        result_.is_request_broken = !has_failed_;
        fail(std::move(outcome), error.what);
        needs_.upstream.close();
    }

    void on_agent_gone() {
        fail("agent_closed", "the agent closed its connection");
        needs_.upstream.close();
    }

    // --- upstream to agent
    net::awaitable<void> return_response() {
        while (!is_response_over_) {
            Result<ResponseEvent> event = needs_.upstream.poll();
            if (!event.has_value()) {
                fail("upstream_protocol", event.error().what);
                break;
            }
            const Status taken = co_await take(std::move(*event));
            if (!taken.has_value()) break;
        }
        is_response_over_ = true;
        if (!result_.is_response_whole) needs_.upstream.close();
        needs_.agent.abandon_body();
        if (!result_.is_request_whole) needs_.upstream.close();
    }

    net::awaitable<Status> take(ResponseEvent event) {
        if (auto* head = std::get_if<ResponseHead>(&event)) return take_head(std::move(*head));
        if (auto* chunk = std::get_if<BodyChunk>(&event)) {
            result_.received += chunk->bytes.size();
            if (is_held_) return hold(chunk->bytes);
            append_response(needs_.scrubber.push(chunk->bytes));
            return ready();
        }
        if (auto* trailers = std::get_if<Trailers>(&event)) {
            result_.cookies_kept += prepare_response(trailers->fields, needs_.endpoint);
            trailers_back_ = std::move(trailers->fields);
            return ready();
        }
        if (std::holds_alternative<EndOfMessage>(event)) return end_response();
        return flush_and_read();
    }

    static net::awaitable<Status> ready() { co_return Status{}; }

    net::awaitable<Status> take_head(ResponseHead head) {
        if (head.is_interim()) {
            if (++interims_ > kInterimResponsesMax) co_return stop("upstream_protocol", "too many interim responses");
            if (head.status == 100) co_return Status{};  // ours has been sent already, where one was asked for
            result_.cookies_kept += prepare_response(head.fields, needs_.endpoint);
            if (!needs_.request.is_http10) append_head(head, {});
            co_return Status{};
        }
        result_.status = head.status;
        if (needs_.on_head != nullptr) (*needs_.on_head)(head);
        result_.upstream_closes = head.wants_close;
        const bool is_credentialed = needs_.endpoint != nullptr && needs_.endpoint->form != profiles::AuthForm::None;
        result_.evidence = evidence_of(head, is_credentialed);
        for (auto& [name, value] : result_.evidence) needs_.scrubber.scrub_whole(value);
        if (head.status == kUnauthorized && result_.is_request_whole && needs_.may_send_again != nullptr) {
            result_.is_to_repeat = co_await (*needs_.may_send_again)();
            if (has_failed_) result_.is_to_repeat = false;  // the agent left meanwhile
            if (result_.is_to_repeat) co_return stop("upstream_closed", "it is sent again with another credential");
        }
        const Status readable = check_readable(head, needs_.endpoint);
        if (!readable.has_value()) co_return stop("scrub_stopped", readable.error().what);
        is_held_ = !needs_.redact.empty();
        if (is_held_) {
            const Status redactable = check_redactable(head);
            if (!redactable.has_value()) co_return stop("scrub_stopped", redactable.error().what);
        }
        result_.cookies_kept += prepare_response(head.fields, needs_.endpoint);
        const ResponseFraming framing = framing_for_agent(head);
        framing_ = framing.framing;
        result_.agent_closes = framing.closes;
        append_head(head, framing);
        co_return Status{};
    }

    [[nodiscard]] ResponseFraming framing_for_agent(const ResponseHead& head) const {
        ResponseFraming framing;
        framing.closes = needs_.request.wants_close;
        framing.content_length = head.content_length;
        framing.says_length = head.framing == Framing::None && head.has_content_length && head.status >= 200 &&
                              head.status != 204;
        const bool has_length = head.framing == Framing::None || head.framing == Framing::Length;
        // A body whose length is unknown is chunked for the agent, however it came; HTTP/1.0 knows only the close.
        framing.framing = has_length ? head.framing : needs_.request.is_http10 ? Framing::UntilClose : Framing::Chunked;
        return framing;
    }

    void append_head(const ResponseHead& head, const ResponseFraming& framing) {
        std::string bytes = encode_response_head(head, framing);
        needs_.scrubber.scrub_whole(bytes);
        out_ += bytes;
        is_final_head_out_ = !head.is_interim();
    }

    void append_response(std::string_view bytes) {
        if (framing_ == Framing::Chunked) append_chunk(out_, bytes);
        else out_.append(bytes);
    }

    net::awaitable<Status> hold(std::span<const char> bytes) {
        if (held_.size() + bytes.size() > kRedactedBodyBytesMax) {
            co_return stop("scrub_stopped", "the answer has to be redacted and is too large");
        }
        // Grown by hand, so that no copy that a string leaves behind keeps a credential.
        if (held_.capacity() == 0) held_.reserve(kRedactedBodyBytesMax);
        held_.append(bytes.data(), bytes.size());
        co_return Status{};
    }

    /// The whole body is here; until now nothing of this answer has gone to the agent.
    Status redact_held() {
        is_held_ = false;
        const Result<std::size_t> redacted = redact(held_, needs_.redact);
        if (!redacted.has_value()) return stop("scrub_stopped", redacted.error().what);
        result_.redacted = *redacted;
        append_response(needs_.scrubber.push(held_));
        return {};
    }

    net::awaitable<Status> end_response() {
        if (is_held_) {
            const Status redacted = redact_held();
            if (!redacted.has_value()) co_return redacted;
        }
        append_response(needs_.scrubber.finish());
        if (framing_ == Framing::Chunked) {
            std::string last;
            append_last_chunk(last, trailers_back_);
            needs_.scrubber.scrub_whole(last);
            out_ += last;
        }
        const Status flushed = co_await flush();
        if (!flushed.has_value()) co_return flushed;
        result_.is_response_whole = true;
        is_response_over_ = true;
        co_return Status{};
    }

    net::awaitable<Status> flush_and_read() {
        const Status flushed = co_await flush();
        if (!flushed.has_value()) co_return flushed;
        Status more = co_await needs_.upstream.more();
        if (more.has_value()) co_return Status{};
        const bool is_slow = more.error().code == Errc::Timeout;
        result_.is_certificate_refused = more.error().code == Errc::Denied;
        co_return stop(is_slow ? "timeout" : "upstream_closed", more.error().what);
    }

    net::awaitable<Status> flush() {
        // FAIL-CLOSED: an answer that may still turn out unreadable waits whole, its head too.
        if (out_.empty() || is_held_) co_return Status{};
        if (is_final_head_out_) result_.has_answered_agent = true;
        Status written = co_await needs_.agent.write(out_);
        out_.clear();
        if (written.has_value()) co_return Status{};
        co_return stop(written.error().code == Errc::Timeout ? "timeout" : "agent_closed", written.error().what);
    }

    /// Notes the first cause only: later errors are its consequences.
    void fail(std::string outcome, std::string detail) {
        if (has_failed_ || result_.is_response_whole) return;
        has_failed_ = true;
        result_.outcome = std::move(outcome);
        result_.detail = std::move(detail);
    }
    Error stop(std::string outcome, std::string detail) {
        fail(std::move(outcome), detail);
        return Error{Errc::Cancelled, std::move(detail)};
    }

    RelayNeeds needs_;
    RelayResult result_;
    Fields trailers_;
    Fields trailers_back_;
    std::string out_;   ///< towards the agent, written before the next read
    std::string held_;  ///< body of an answer that is redacted when it is whole
    Framing framing_ = Framing::None;
    int interims_ = 0;
    bool is_held_ = false;
    bool is_final_head_out_ = false;
    bool is_response_over_ = false;
    bool has_failed_ = false;
};

}  // namespace

net::awaitable<RelayResult> relay(RelayNeeds needs) {
    Relay relay(needs);
    co_return co_await relay.run();
}

}  // namespace sanctum::interceptor
