// SPDX-License-Identifier: Apache-2.0
// MemoryStream: a ByteStream between a test and the code under test, without sockets, timers or threads.
#pragma once

#include "interceptor/http/concurrency.hpp"
#include "interceptor/io/byte_stream.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <string>

namespace sanctum::interceptor::test {

/// Counts the I/O calls of all streams of one conversation and lets the n-th fail.
struct Faults {
    int calls = 0;
    int fail_at = -1;  ///< -1: none
    [[nodiscard]] bool strikes() { return calls++ == fail_at; }
};

/// What the test sees of a stream; outlives it.
struct Wire {
    std::deque<std::string> incoming;  ///< each element is one read at most
    bool has_ended = false;            ///< the far side closed in order
    bool is_broken = false;            ///< the far side reset
    bool refuses_certificate = false;  ///< the far side says by an alert that it does not accept ours
    bool is_timed_out = false;
    bool is_closed = false;            ///< our side closed at once
    bool is_finished = false;          ///< our side ended in order
    bool is_stalled = false;           ///< the far side takes nothing
    std::string written;
    std::size_t writes = 0;
    std::size_t bytes_read_max = 0;    ///< largest single read asked for
    bool is_deadline_armed = false;
    Signal changed_for_read, changed_for_write;

    void change() {
        changed_for_read.notify();
        changed_for_write.notify();
    }
    void send(std::string bytes) {
        if (!bytes.empty()) incoming.push_back(std::move(bytes));
        change();
    }
    void end() {
        has_ended = true;
        change();
    }
    void expire() {
        if (!is_deadline_armed) return;
        is_timed_out = true;
        change();
    }
    void set_stalled(bool stalled) {
        is_stalled = stalled;
        change();
    }
};

class MemoryStream final : public ByteStream {
public:
    MemoryStream(std::shared_ptr<Wire> wire, std::shared_ptr<Faults> faults)
        : wire_(std::move(wire)), faults_(std::move(faults)) {}
    ~MemoryStream() override { wire_->is_closed = true; }

    net::awaitable<Status> wait_to_read() override { co_return Status{}; }
    net::awaitable<Result<std::size_t>> read_some(std::span<char> into) override {
        if (faults_->strikes()) wire_->is_broken = true;
        wire_->bytes_read_max = std::max(wire_->bytes_read_max, into.size());
        while (true) {
            if (const std::optional<Error> error = ended()) co_return *error;
            if (!wire_->incoming.empty()) co_return take(into);
            if (wire_->has_ended) co_return std::size_t{0};
            co_await wire_->changed_for_read.wait();
        }
    }
    net::awaitable<Status> write_all(std::string_view bytes) override {
        if (faults_->strikes()) wire_->is_broken = true;
        while (true) {
            if (const std::optional<Error> error = ended()) co_return *error;
            if (!wire_->is_stalled) break;
            co_await wire_->changed_for_write.wait();
        }
        wire_->written += bytes;
        ++wire_->writes;
        co_return Status{};
    }
    net::awaitable<void> finish() override {
        if (!ended()) wire_->is_finished = true;
        close();
        co_return;
    }
    void close() override {
        wire_->is_closed = true;
        wire_->change();
    }
    void set_deadline(std::chrono::milliseconds) override { wire_->is_deadline_armed = true; }
    void clear_deadline() override { wire_->is_deadline_armed = false; }

private:
    [[nodiscard]] std::optional<Error> ended() const {
        if (wire_->is_closed) return Error{Errc::Cancelled, "closed"};
        if (wire_->is_broken) return Error{Errc::Io, "reset"};
        if (wire_->refuses_certificate) return Error{Errc::Denied, "tls: not our certificate"};
        if (wire_->is_timed_out) return Error{Errc::Timeout, "deadline"};
        return std::nullopt;
    }
    std::size_t take(std::span<char> into) {
        std::string& front = wire_->incoming.front();
        const std::size_t count = std::min(into.size(), front.size());
        std::copy_n(front.begin(), count, into.begin());
        front.erase(0, count);
        if (front.empty()) wire_->incoming.pop_front();
        return count;
    }

    std::shared_ptr<Wire> wire_;
    std::shared_ptr<Faults> faults_;
};

}  // namespace sanctum::interceptor::test
