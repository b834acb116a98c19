// SPDX-License-Identifier: Apache-2.0
#include "vault/commands/consent_flows.hpp"

#include "base/limits.hpp"
#include "vault/commands/start_browser.hpp"
#include "vault/oauth/device_grant.hpp"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

namespace sanctum::vault {
namespace {

// What a person reads; at once, also where standard output is a pipe.
void tell(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}

// How long there is to consent, on a terminal that is looked at; wiped from it at the end.
class Countdown {
public:
    Countdown(const Clock& clock, BootTime end) : clock_(clock), end_(end), is_seen_(::isatty(STDERR_FILENO) == 1) {}
    Countdown(const Countdown&) = delete;
    Countdown& operator=(const Countdown&) = delete;
    ~Countdown() {
        if (is_seen_) std::fputs("\r\033[K", stderr);
    }
    void show() const {
        if (!is_seen_) return;
        const std::int64_t left = std::max<std::int64_t>(end_.ms - clock_.boot().ms, 0) / 1000;
        std::fprintf(stderr, "\rWaiting for the consent: %lld:%02lld left ", static_cast<long long>(left / 60),
                     static_cast<long long>(left % 60));
    }

private:
    const Clock& clock_;
    BootTime end_;
    bool is_seen_;
};

std::string title_of(const ConsentParts& parts) { return parts.endpoint.identity().title(); }

// A form with our identity to another endpoint than the token's; what the provider refuses is an error.
Result<HttpResponse> ask_endpoint(const ConsentParts& parts, const std::string& url, Form form) {
    SANCTUM_TRY(HttpRequest request, parts.endpoint.request_with(url, std::move(form)));
    SANCTUM_TRY(HttpResponse response, ask_provider(parts.talk, title_of(parts), std::move(request)));
    if (auto refusal = refusal_in(response, title_of(parts), parts.client.client_id)) return std::move(*refusal);
    return response;
}

// --- device -------------------------------------------------------------------------------------------------------

Result<DeviceAuthorization> begin_device(const ConsentParts& parts) {
    Form form;
    add_question(form, parts.question);
    SANCTUM_TRY(const HttpResponse response,
                ask_endpoint(parts, parts.client.device_authorization_endpoint, std::move(form)));
    Result<DeviceAuthorization> begun = read_device_authorization(response);
    if (!begun) return std::move(begun).error().in(title_of(parts));
    return begun;
}

void tell_device(const DeviceAuthorization& begun) {
    tell("Open " + begun.verification_uri + " in a browser, on this machine or any other, and type this code:\n\n    " +
         begun.user_code + "\n");
    if (!begun.verification_uri_complete.empty()) {
        tell("Or open " + begun.verification_uri_complete + " and compare the code.");
    }
}

Result<TokenAnswer> poll_for_token(const ConsentParts& parts, const DeviceAuthorization& begun) {
    const Clock& clock = parts.talk.clock();
    const BootTime end = clock.boot().plus(begun.life);
    const Countdown countdown(clock, end);
    const auto show = [&] { countdown.show(); };
    const Form form = device_token_form(begun.device_code);
    DevicePoll poll(begun.interval);
    Milliseconds pause = poll.interval();
    while (clock.boot().plus(pause) < end) {
        SANCTUM_CHECK(parts.talk.wait([] { return false; }, clock.boot().plus(pause), show));
        SANCTUM_TRY(TokenOutcome outcome, ask_for_token(parts, form, show));
        if (auto* answer = std::get_if<TokenAnswer>(&outcome)) return std::move(*answer);
        const auto& failure = std::get<SourceFailure>(outcome);
        const std::optional<Milliseconds> next = poll.wait_after(failure);
        if (!next) return consent_error(parts, failure);
        pause = *next;
    }
    return consent_refusal(title_of(parts), parts.client.client_id, "expired_token", "");
}

// --- browser ------------------------------------------------------------------------------------------------------

// RFC 9126: what is asked goes to the provider over our own connection, and the browser carries a reference to it.
Result<Form> push(const ConsentParts& parts, Form form) {
    // Whoever proves by a header who it is says it in the form as well; the other ways have put it there.
    if (parts.client.authentication == profiles::ClientAuthentication::SecretBasic) {
        form.add("client_id", parts.client.client_id);
    }
    SANCTUM_TRY(const HttpResponse response,
                ask_endpoint(parts, parts.client.pushed_authorization_endpoint, std::move(form)));
    Result<std::string> reference = read_pushed_answer(response);
    if (!reference) return std::move(reference).error().in(title_of(parts));
    Form pushed;
    pushed.add("client_id", parts.client.client_id);
    pushed.add("request_uri", *reference);
    return pushed;
}

Result<std::string> address_to_open(const ConsentParts& parts, const BrowserGrant& grant) {
    const profiles::IdentityClient& client = parts.client;
    Form form = authorization_form(client, grant, parts.question);
    if (!client.requires_pushed) {
        form.add("client_id", client.client_id);
    } else {
        if (client.pushed_authorization_endpoint.empty()) {
            return Error{Errc::Denied, title_of(parts) + " wants pushed requests and names no address for them: write "
                                                         "pushed_authorization_request_endpoint"};
        }
        SANCTUM_TRY(form, push(parts, std::move(form)));
    }
    return authorization_url(client.authorization_endpoint, form);
}

LoopbackPage judge(const LoopbackQuery& query, const BrowserGrant& grant, std::optional<CallbackAnswer>& answer) {
    CallbackAnswer read = read_callback(query, grant);
    if (std::holds_alternative<NotTheAnswer>(read)) {
        return {400, "This is not the answer to what Sanctum asked. It is still waiting."};
    }
    answer = std::move(read);
    if (std::holds_alternative<Secret>(*answer)) {
        return {200, "Sanctum has the answer. You can close this window and go back to the terminal."};
    }
    return {200, "Sanctum got no consent. You can close this window; the terminal says why."};
}

}  // namespace

Error consent_error(const ConsentParts& parts, const SourceFailure& failure) {
    if (!failure.error.empty()) {
        return consent_refusal(title_of(parts), parts.client.client_id, failure.error, failure.description);
    }
    const bool is_out_of_reach = failure.fault == SourceFault::Unavailable ||
                                 failure.fault == SourceFault::NoAnswer || failure.fault == SourceFault::RateLimited;
    return {is_out_of_reach ? Errc::Timeout : Errc::Denied, failure.what + "; nothing was stored"};
}

Result<TokenOutcome> ask_for_token(const ConsentParts& parts, const Form& form,
                                   const std::function<void()>& each_second) {
    const TokenQuestion question{title_of(parts), parts.account, "", SourceFault::ConsentRequired};
    const auto answer = std::make_shared<std::optional<TokenOutcome>>();
    const auto kept = std::make_shared<Form>(form.duplicate());
    parts.endpoint.ask([kept](WallTime) -> Result<Form> { return kept->duplicate(); }, question,
                       [answer](TokenOutcome outcome) { answer->emplace(std::move(outcome)); });
    SANCTUM_CHECK(parts.talk.wait([&] { return answer->has_value(); }, std::nullopt, each_second));
    return std::move(**answer);
}

Result<Secret> wait_for_browser(const ConsentParts& parts, const BrowserChoice& choice, AnswerIn where,
                                std::optional<BrowserGrant>& grant, const MakeAddress& make_address) {
    std::optional<CallbackAnswer> answer;
    SANCTUM_TRY(const auto listener,
                LoopbackListener::open(choice.place, where, parts.talk.loop(),
                                       [&](const LoopbackQuery& query, bool& is_done) {
                                           const LoopbackPage page = judge(query, *grant, answer);
                                           is_done = answer.has_value();
                                           return page;
                                       }));
    grant.emplace(parts.client.issuer, parts.metadata.sends_issuer, listener->redirect_uri());
    SANCTUM_TRY(const std::string url, make_address(*grant));
    tell("Open this address in a browser on this machine:\n\n    " + url + "\n");
    std::optional<StartedBrowser> browser;
    if (choice.starts_browser && browser.emplace(url).is_started()) tell("A browser was started with it.");
    tell("The provider comes back to " + listener->redirect_uri() +
         ", which has to be among the client's redirect addresses there.");
    const BootTime end = parts.talk.clock().boot().plus(Milliseconds(kConsentTimeout));
    const Countdown countdown(parts.talk.clock(), end);
    SANCTUM_TRY(const bool is_answered, parts.talk.wait([&] { return listener->is_done(); }, end,
                                                        [&] { countdown.show(); }));
    if (!is_answered) return consent_refusal(title_of(parts), parts.client.client_id, "expired_token", "");
    if (auto* code = std::get_if<Secret>(&*answer)) return std::move(*code);
    if (const auto* refused = std::get_if<ConsentRefused>(&*answer)) {
        return consent_refusal(title_of(parts), parts.client.client_id, refused->error, refused->description);
    }
    return std::get<Error>(std::move(*answer)).in(title_of(parts));
}

Result<TokenAnswer> consent_by_device(const ConsentParts& parts) {
    SANCTUM_TRY(const DeviceAuthorization begun, begin_device(parts));
    tell_device(begun);
    return poll_for_token(parts, begun);
}

Result<TokenAnswer> consent_by_browser(const ConsentParts& parts, const BrowserChoice& choice) {
    const auto& methods = parts.metadata.challenge_methods;
    if (methods && std::find(methods->begin(), methods->end(), "S256") == methods->end()) {
        return Error{Errc::Denied, title_of(parts) + " does not speak PKCE with S256, without which a code on loopback "
                                                     "is anybody's; take --flow device"};
    }
    std::optional<BrowserGrant> grant;
    SANCTUM_TRY(const Secret code,
                wait_for_browser(parts, choice, AnswerIn::Query, grant,
                                 [&](const BrowserGrant& made) { return address_to_open(parts, made); }));
    SANCTUM_TRY(TokenOutcome outcome, ask_for_token(parts, code_form(*grant, code)));
    if (auto* answer = std::get_if<TokenAnswer>(&outcome)) return std::move(*answer);
    return consent_error(parts, std::get<SourceFailure>(outcome));
}

}  // namespace sanctum::vault
