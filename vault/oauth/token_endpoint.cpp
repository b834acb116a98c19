// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/token_endpoint.hpp"

namespace sanctum::vault {
namespace {

HttpRequest post(const std::string& url) {
    HttpRequest request;
    request.method = "POST";
    request.url = url;
    request.headers = {{"content-type", "application/x-www-form-urlencoded"}, {"accept", "application/json"}};
    return request;
}

SourceFailure internal(const Error& error) { return {SourceFault::Failed, error.what, Milliseconds(0)}; }

}  // namespace

void TokenEndpoint::ask(const MakeForm& make, TokenQuestion question, Completion<TokenOutcome> done) {
    send(make, question, Attempt::First, std::move(done));
}

void TokenEndpoint::send(const MakeForm& make, const TokenQuestion& question, Attempt attempt,
                         Completion<TokenOutcome> done) {
    Result<Form> form = make(provider_time());
    if (!form) return done(internal(form.error()));
    HttpRequest request = post(identity_.client().token_endpoint);
    if (Status signed_in = identity_.authenticate(*form, request, provider_time()); !signed_in) {
        return done(internal(signed_in.error()));
    }
    request.body = form->body();
    http_.send(std::move(request), [this, make, question, attempt,
                                    done = std::move(done)](Result<HttpResponse> response) {
        if (!response) return done(failure_of(response.error(), question));
        const bool was_wrong = provider_clock_.learn(*response);
        TokenOutcome outcome = read_token_answer(*response, question);
        auto* failure = std::get_if<SourceFailure>(&outcome);
        if (failure == nullptr) return done(std::move(outcome));
        // What was signed with a wrong time is refused as a bad client or a bad grant; no provider says more. What was
        // not signed is not sent twice: a provider may have used up a refresh token before it refused the rest.
        const bool may_be_time = (identity_.signs() || question.is_signed) && response->status >= 400 &&
                                 response->status < 500 && failure->fault != SourceFault::RateLimited;
        if (was_wrong && may_be_time && attempt == Attempt::First) {
            return send(make, question, Attempt::Corrected, done);
        }
        if (attempt == Attempt::Corrected && may_be_time && !clock_remark().empty()) {
            failure->what += "; " + clock_remark() + ", which did not help";
            failure->fault = SourceFault::ClockSkew;
        }
        if (failure->retry_after.count() == 0) failure->retry_after = retry_after_of(*response, our_time());
        done(std::move(outcome));
    });
}

Result<HttpRequest> TokenEndpoint::request_with(const std::string& url, Form form) const {
    HttpRequest request = post(url);
    SANCTUM_CHECK(identity_.authenticate(form, request, provider_time()));
    request.body = form.body();
    return request;
}

void TokenEndpoint::revoke(const Secret& token, std::string_view hint, Completion<RetireOutcome> done) {
    using End = RetireOutcome::End;
    const std::string& url = identity_.client().revocation_endpoint;
    if (url.empty()) return done({End::LeftToExpire, identity_.title() + " has no revocation endpoint"});
    Form form;
    form.add("token", token.reveal());
    form.add("token_type_hint", hint);
    Result<HttpRequest> request = request_with(url, std::move(form));
    if (!request) return done({End::NotYet, request.error().what});
    request->repeat = Repeat::Safe;
    http_.send(std::move(*request), [title = identity_.title(), done = std::move(done)](Result<HttpResponse> response) {
        if (!response) return done({End::NotYet, title + ": " + response.error().what});
        const int status = response->status;
        if (status == 200 || status == 202 || status == 204 || status == 404) {
            return done({End::Gone, "revoked at " + title});
        }
        const std::string problem = title + ": revocation was answered with status " + std::to_string(status);
        done({status == 400 ? End::LeftToExpire : End::NotYet, problem});
    });
}

}  // namespace sanctum::vault
