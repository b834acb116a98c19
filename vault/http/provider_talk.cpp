// SPDX-License-Identifier: Apache-2.0
#include "vault/http/provider_talk.hpp"

#include <algorithm>

namespace sanctum::vault {

Status ProviderTalk::reach(const std::vector<ProviderHost>& hosts, const profiles::UpstreamConfig& upstream) {
    client_.reset();
    SANCTUM_TRY(client_, ProviderClient::start(hosts, upstream, roots_, loop_, clock_));
    return {};
}

void ProviderTalk::cancel_on(int fd) {
    cancel_fd_ = fd;
    loop_.watch(fd, [this] {
        is_cancelled_ = true;
        loop_.forget(cancel_fd_);
    });
}

Result<HttpResponse> ProviderTalk::send(HttpRequest request) {
    // Shared: the answer may come after this call was cancelled.
    const auto answer = std::make_shared<std::optional<Result<HttpResponse>>>();
    client_->send(std::move(request),
                  [answer](Result<HttpResponse> response) { answer->emplace(std::move(response)); });
    SANCTUM_TRY(const bool is_answered, wait([&] { return answer->has_value(); }, deadline_));
    if (!is_answered) return Error{Errc::Timeout, "it did not answer in time"};
    return std::move(**answer);
}

Result<bool> ProviderTalk::wait(const std::function<bool()>& is_done, std::optional<BootTime> until,
                                const std::function<void()>& each_second) {
    for (;;) {
        if (is_done()) return true;
        if (is_cancelled_) return Error{Errc::Cancelled, "cancelled; nothing was stored"};
        if (until && clock_.boot() >= *until) return false;
        if (each_second) each_second();
        BootTime next = clock_.boot().plus(Milliseconds(1000));
        if (until) next = std::min(next, *until);
        if (const auto tick = client_ ? client_->next_tick() : std::nullopt) next = std::min(next, *tick);
        SANCTUM_CHECK(loop_.wait(clock_, next));
        if (client_) client_->tick();
    }
}

Result<HttpResponse> ask_provider(ProviderTalk& talk, HttpRequest request) {
    Result<HttpResponse> response = talk.send(std::move(request));
    if (response && response->status < 500 && response->status != 429) return response;
    if (response) {
        return Error{Errc::Timeout,
                     "it answers with status " + std::to_string(response->status) + "; try again later"};
    }
    Error error = std::move(response).error();
    const bool is_out_of_reach = error.code == Errc::Io || error.code == Errc::Cancelled;
    if (is_out_of_reach && !talk.is_cancelled()) error.code = Errc::Timeout;
    return error;
}

Result<HttpResponse> ask_provider(ProviderTalk& talk, const std::string& provider, HttpRequest request) {
    Result<HttpResponse> response = ask_provider(talk, std::move(request));
    if (response || talk.is_cancelled()) return response;
    return std::move(response).error().in(provider);
}

}  // namespace sanctum::vault
