// SPDX-License-Identifier: Apache-2.0
// ProviderTalk: asking providers one thing after the other, for commands that a person waits for. Each call waits in
// place; a signal ends the waiting.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "network/root_certificates.hpp"
#include "vault/http/provider_client.hpp"
#include "vault/poll_loop.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::vault {

class ProviderTalk {
public:
    explicit ProviderTalk(const Clock& clock) : clock_(clock), roots_(network::find_root_certificates()) {}
    ~ProviderTalk() {
        if (cancel_fd_ >= 0) loop_.forget(cancel_fd_);
    }
    ProviderTalk(const ProviderTalk&) = delete;
    ProviderTalk& operator=(const ProviderTalk&) = delete;

    /// From here on these hosts can be asked, and no others. Forks; before a secret is in this process (see
    /// ProviderClient::start). Errors: as there.
    [[nodiscard]] Status reach(const std::vector<ProviderHost>& hosts, const profiles::UpstreamConfig& upstream);

    /// Whoever waits longer gets Timeout: one deadline for all that is asked, with all its tries.
    void give_up_at(BootTime deadline) { deadline_ = deadline; }

    /// Readable: whoever waits gets Cancelled. Borrowed.
    void cancel_on(int fd);

    /// Sends and waits. Errors: those of HttpClient::send; Cancelled (a signal) where `is_cancelled()` is true; Timeout
    /// (give_up_at).
    [[nodiscard]] Result<HttpResponse> send(HttpRequest request);

    /// Serves the loop until `is_done`, or `until` (boot time) has come: true when it is done. `each_second` is called
    /// about as often. Errors: Cancelled, Io.
    [[nodiscard]] Result<bool> wait(const std::function<bool()>& is_done, std::optional<BootTime> until,
                                    const std::function<void()>& each_second = nullptr);

    /// What give_up_at() was told; absent: nothing.
    [[nodiscard]] std::optional<BootTime> deadline() const { return deadline_; }
    /// What verifying a server's certificate reads.
    [[nodiscard]] const std::vector<std::string>& readable() const { return roots_.readable; }

    [[nodiscard]] bool is_cancelled() const { return is_cancelled_; }
    [[nodiscard]] HttpClient& http() { return *client_; }
    [[nodiscard]] PollLoop& loop() { return loop_; }
    [[nodiscard]] const Clock& clock() const { return clock_; }

private:
    const Clock& clock_;
    network::RootCertificates roots_;
    PollLoop loop_;
    std::unique_ptr<ProviderClient> client_;
    std::optional<BootTime> deadline_;
    int cancel_fd_ = -1;
    bool is_cancelled_ = false;
};

/// The whole answer of a provider, whatever it says. Errors: Timeout (out of reach, or it answers 429 or 5xx),
/// Cancelled (a signal), Protocol, Denied.
[[nodiscard]] Result<HttpResponse> ask_provider(ProviderTalk& talk, HttpRequest request);
/// The same with the provider's name before each error but Cancelled.
[[nodiscard]] Result<HttpResponse> ask_provider(ProviderTalk& talk, const std::string& provider, HttpRequest request);

}  // namespace sanctum::vault
