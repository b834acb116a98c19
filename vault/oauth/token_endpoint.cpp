// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/token_endpoint.hpp"

#include "base/limits.hpp"
#include "vault/oauth/base64url.hpp"
#include "vault/retirement.hpp"

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

void TokenEndpoint::bind_to(dpop::Key key) {
    bound_to_.key = key.thumbprint();
    key_ = std::move(key);
}

Status TokenEndpoint::bind_to_certificate(const std::string& holder, WallTime ends) {
    const network::ClientCertificate* const own = identity_.certificate();
    if (own != nullptr) {
        certificate_ = own->duplicate();
    } else {
        SANCTUM_TRY(certificate_, network::make_client_certificate(holder, clock_.wall(), ends));
    }
    if (certificate_.certificate.size() + certificate_.key.size() > kClientCertificateBytesMax) {
        return Error{Errc::InvalidProfile, identity_.title() + ": `certificate` and its key have more than " +
                                               std::to_string(kClientCertificateBytesMax) +
                                               " bytes; leave out of the file what the servers know themselves"};
    }
    Result<Digest> digest = network::certificate_digest(certificate_.certificate);
    if (!digest) return std::move(digest).error().in(identity_.title());
    bound_to_.certificate = base64url({reinterpret_cast<const char*>(digest->data()), digest->size()});
    return {};
}

void TokenEndpoint::ask(const MakeForm& make, TokenQuestion question, Completion<TokenOutcome> done) {
    question.is_bound = key_.has_value();
    send(make, question, {}, std::move(done));
}

// RFC 9449 5: with what the provider last wanted to see in it.
Status TokenEndpoint::prove(HttpRequest& request) const {
    if (!key_) return {};
    SANCTUM_TRY(std::string proof, key_->prove({request.method, request.url, nonce_, {}}, provider_time()));
    request.headers.emplace_back("dpop", std::move(proof));
    return {};
}

// True when the provider wants another nonce than the one that it saw (RFC 9449 8).
bool TokenEndpoint::learn_nonce(const HttpResponse& response) {
    std::optional<std::string> nonce = dpop::read_nonce(response.header("dpop-nonce"));
    if (!key_ || !nonce || *nonce == nonce_) return false;
    nonce_ = std::move(*nonce);
    return true;
}

void TokenEndpoint::send(const MakeForm& make, const TokenQuestion& question, Learnt learnt,
                         Completion<TokenOutcome> done) {
    Result<Form> form = make(provider_time());
    if (!form) return done(internal(form.error()));
    HttpRequest request = post(identity_.client().token_endpoint);
    Status ready = identity_.authenticate(*form, request, provider_time());
    if (ready) ready = prove(request);
    if (certificate() != nullptr) identity_.show(request, certificate_);
    if (!ready) return done(internal(ready.error()));
    request.body = form->body();
    http_.send(std::move(request), [this, make, question, learnt,
                                    done = std::move(done)](Result<HttpResponse> response) {
        if (!response) return done(failure_of(response.error(), question));
        const bool is_new_nonce = learn_nonce(*response);
        const bool was_wrong = provider_clock_.learn(*response);
        TokenOutcome outcome = read_token_answer(*response, question);
        auto* failure = std::get_if<SourceFailure>(&outcome);
        if (failure == nullptr) return done(std::move(outcome));
        if (failure->error == "use_dpop_nonce" && is_new_nonce && !learnt.nonce) {
            return send(make, question, {learnt.time, true}, done);
        }
        // What was signed with a wrong time is refused as a bad client or a bad grant; no provider says more. What was
        // not signed is not sent twice: a provider may have used up a refresh token before it refused the rest.
        const bool is_signed = identity_.signs() || question.is_signed || key_.has_value();
        const bool may_be_time = is_signed && response->status >= 400 && response->status < 500 &&
                                 failure->fault != SourceFault::RateLimited;
        if (was_wrong && may_be_time && !learnt.time) return send(make, question, {true, learnt.nonce}, done);
        if (learnt.time && may_be_time && !clock_remark().empty()) {
            failure->what += "; " + clock_remark() + ", which did not help";
            failure->fault = SourceFault::ClockSkew;
        }
        if (failure->retry_after.count() == 0) failure->retry_after = retry_after_of(*response, our_time());
        done(std::move(outcome));
    });
}

void TokenEndpoint::introspect(const Secret& token, TokenQuestion question,
                               Completion<std::variant<Introspection, SourceFailure>> done) {
    Form form;
    form.add("token", token.reveal());
    form.add("token_type_hint", "access_token");
    Result<HttpRequest> request = request_with(identity_.client().introspection_endpoint, std::move(form));
    if (!request) return done(internal(request.error()));
    request->repeat = Repeat::Safe;
    http_.send(std::move(*request), [question = std::move(question),
                                     done = std::move(done)](Result<HttpResponse> response) {
        if (response) return done(read_introspection(*response, question));
        done(failure_of(response.error(), question));
    });
}

Result<HttpRequest> TokenEndpoint::request_with(const std::string& url, Form form) const {
    HttpRequest request = post(url);
    SANCTUM_CHECK(identity_.authenticate(form, request, provider_time()));
    request.body = form.body();
    return request;
}

Result<HttpRequest> TokenEndpoint::revocation(const Secret& token, std::string_view hint) const {
    Form form;
    form.add("token", token.reveal());
    form.add("token_type_hint", hint);
    SANCTUM_TRY(HttpRequest request, request_with(identity_.client().revocation_endpoint, std::move(form)));
    request.repeat = Repeat::Safe;
    return request;
}

std::unique_ptr<Retirement> TokenEndpoint::retirement(const Secret& token, std::string_view hint) const {
    if (identity_.client().revocation_endpoint.empty() || !identity_.why_no_reaper().empty()) return nullptr;
    Result<HttpRequest> request = revocation(token, hint);
    if (!request) return nullptr;
    auto retirement = std::make_unique<Retirement>();
    retirement->provider = identity_.title();
    retirement->request = std::move(*request);
    return retirement;
}

void TokenEndpoint::revoke(const Secret& token, std::string_view hint, Completion<RetireOutcome> done) {
    using End = RetireOutcome::End;
    if (identity_.client().revocation_endpoint.empty()) {
        return done({End::LeftToExpire, identity_.title() + " has no revocation endpoint"});
    }
    Result<HttpRequest> request = revocation(token, hint);
    if (!request) return done({End::NotYet, request.error().what});
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
