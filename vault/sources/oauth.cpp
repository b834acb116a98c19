// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/oauth.hpp"

#include "base/limits.hpp"
#include "vault/oauth/authorization_details.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/retirement.hpp"

#include <algorithm>

namespace sanctum::vault {
namespace {

constexpr std::string_view kExchange = "urn:ietf:params:oauth:grant-type:token-exchange";
constexpr std::string_view kAccessToken = "urn:ietf:params:oauth:token-type:access_token";

// Beside the scopes, in words.
void report_details(ScopeReport& report, const std::vector<DetailMembers>& asked,
                    const std::optional<std::vector<DetailMembers>>& received) {
    for (const DetailMembers& detail : asked) report.asked.push_back(detail.words());
    if (asked.empty() || !received) return;
    if (!report.received) report.received.emplace();
    for (const DetailMembers& detail : *received) report.received->push_back(provider_words(detail.words()));
}

}  // namespace

RetireClass OauthSource::retire_class() const {
    if (provider_->identity().client().revocation_endpoint.empty()) return RetireClass::Expires;
    if (uses_refresh_token() && account_.on_exit != "revoke") return RetireClass::KillsGrant;
    return account_.on_exit == "expire" ? RetireClass::Expires : RetireClass::Self;
}

Capabilities OauthSource::capabilities() const {
    Capabilities capabilities;
    capabilities.narrows_scopes = account_.provider.asks_scopes;
    capabilities.narrows_resources = names_resources(account_.provider);
    capabilities.mints = true;
    capabilities.retire = retire_class();
    return capabilities;
}

Result<Form> OauthSource::make_form(const SourceNeed& need, const Secret& subject) const {
    const profiles::ProviderAccount& provider = account_.provider;
    SANCTUM_TRY(const std::vector<DetailMembers> details, details_for(provider, need));
    Form form;
    if (!details.empty()) form.add("authorization_details", details_json(details));
    if (provider.how == "client-credentials") {
        form.add("grant_type", "client_credentials");
    } else if (uses_refresh_token()) {
        form.add("grant_type", "refresh_token");
        form.add("refresh_token", subject.reveal());
    } else {
        form.add("grant_type", kExchange);
        form.add("subject_token", subject.reveal());
        form.add("subject_token_type", kAccessToken);
        form.add("requested_token_type", kAccessToken);
    }
    form.add_if("audience", provider.audience);
    form.add_if("resource", provider.resource);
    if (provider.asks_scopes) form.add_if("scope", join_scopes(provider_scopes(provider, need.scopes)));
    return form;
}

void OauthSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    if (!subject_) return ask(need, Secret(), {}, std::move(done));
    // The token is ours from here until the answer is taken: a rotating one may be used by one mission at a time.
    subject_->use([this, need, done = std::move(done)](Result<SubjectToken::Use> use) {
        if (!use) return done(std::move(use).error());
        const auto held = std::make_shared<SubjectToken::Use>(std::move(*use));
        if (Status ready = rotates() ? held->sending() : Status(); !ready) {
            return done(unusable_now(account_.name, ready.error()));
        }
        ask(need, held->token(), uses_refresh_token() ? held : nullptr, [held, done](Fetched fetched) {
            held->release();
            done(std::move(fetched));
        });
    });
}

// Google's stay what they are for ever; of others nobody knows before their first answer.
bool OauthSource::rotates() const { return uses_refresh_token() && account_.source != "google"; }

TokenQuestion OauthSource::question() const {
    TokenQuestion question{provider_->identity().title(), account_.name, "", SourceFault::SubjectExpired};
    if (uses_refresh_token()) question.invalid_grant = SourceFault::ConsentLost;
    question.can_connect = uses_refresh_token() && account_.source == "oauth";
    return question;
}

void OauthSource::ask(const SourceNeed& need, const Secret& subject,
                      const std::shared_ptr<SubjectToken::Use>& held, Completion<Fetched> done) {
    Result<Form> made = make_form(need, subject);
    if (!made) {
        if (held) static_cast<void>(held->not_taken());
        return done(SourceFailure{SourceFault::Misconfigured, made.error().what, Milliseconds(0)});
    }
    const auto form = std::make_shared<Form>(std::move(*made));
    const auto make = [form](WallTime /*now*/) -> Result<Form> { return form->duplicate(); };
    provider_->ask(make, question(), [this, need, held, done = std::move(done)](TokenOutcome outcome) {
        if (auto* failure = std::get_if<SourceFailure>(&outcome)) {
            // What cannot be written now is found as "sent": the account must be connected again, and says so.
            if (held && !failure->leaves_an_orphan()) static_cast<void>(held->not_taken());
            return done(std::move(*failure));
        }
        auto& answer = std::get<TokenAnswer>(outcome);
        // Durable before the access token is used: the old one may be dead already.
        if (Status kept = held ? held->answered(answer.refresh_token) : Status(); !kept) {
            SourceFailure lost = unusable_now(account_.name, kept.error());
            lost.what += "; the new refresh token is lost";
            return done(that_may_be_out(std::move(lost)));
        }
        take(need, std::move(answer), done);
    });
}

// A token of which the answer says nothing is asked about, once, where the operator named who can be asked.
void OauthSource::take(const SourceNeed& need, TokenAnswer answer, Completion<Fetched> done) {
    const TokenBinding binding = binding_of(answer.access_token);
    const bool says_all = answer.scopes && (account_.provider.details.empty() || answer.details) &&
                          (provider_->certificate() == nullptr || binding.is_said);
    if (says_all || provider_->identity().client().introspection_endpoint.empty()) {
        return judge(need, std::move(answer), binding, std::move(done));
    }
    const auto token = std::make_shared<TokenAnswer>(std::move(answer));
    provider_->introspect(token->access_token, question(), [this, need, token, binding, done = std::move(done)](
                                                               std::variant<Introspection, SourceFailure> told) {
        if (auto* failure = std::get_if<SourceFailure>(&told)) return refuse(*token, std::move(*failure), done);
        auto& said = std::get<Introspection>(told);
        if (!token->scopes) token->scopes = std::move(said.scopes);
        if (!token->details) token->details = std::move(said.details);
        if (!token->expires_in && said.expires) {
            const std::int64_t left = said.expires->unix_ms - provider_->provider_time().unix_ms;
            token->expires_in = Milliseconds(std::max<std::int64_t>(left, 0));
        }
        const bool says_binding = !said.binding.key.empty() || !said.binding.certificate.empty();
        judge(need, std::move(*token), says_binding || !binding.is_said ? said.binding : binding, done);
    });
}

void OauthSource::judge(const SourceNeed& need, TokenAnswer answer, const TokenBinding& binding,
                        Completion<Fetched> done) {
    if (std::string problem = binding_problem(binding, provider_->bound_to()); !problem.empty()) {
        problem.insert(0, "account " + account_.name + ": " + provider_->identity().title() + ": ");
        return refuse(answer, {SourceFault::Misconfigured, std::move(problem), Milliseconds(0)}, std::move(done));
    }
    auto scopes = check_scopes(account_, provider_scopes(account_.provider, need.scopes), answer.scopes);
    if (auto* failure = std::get_if<SourceFailure>(&scopes)) {
        return refuse(answer, std::move(*failure), std::move(done));
    }
    const Result<std::vector<DetailMembers>> details = details_for(account_.provider, need);
    SANCTUM_ASSERT(details);  // they were sent
    if (std::optional<SourceFailure> failure = check_details(account_, *details, answer.details)) {
        return refuse(answer, std::move(*failure), std::move(done));
    }
    Credential credential;
    if (const network::ClientCertificate* certificate = provider_->certificate()) {
        credential.certificate = certificate->duplicate();
    }
    if (const dpop::Key* key = provider_->key()) {
        Result<Secret> jwk = key->jwk();
        if (!jwk) return refuse(answer, {SourceFault::Failed, jwk.error().what, Milliseconds(0)}, std::move(done));
        credential.key = std::move(*jwk);
        credential.clock_offset = provider_->clock_offset();
    }
    credential.secret = std::move(answer.access_token);
    credential.scopes = std::get<ScopeReport>(std::move(scopes));
    report_details(credential.scopes, *details, answer.details);
    const bool is_bounded = !details->empty() && answer.details && !account_.provider.accepts_wider;
    if (is_bounded) credential.scopes.narrowed_by = NarrowedBy::Both;
    credential.retire = retire_class();
    credential.remark = provider_->clock_remark();
    if (provider_->certificate() != nullptr && !binding.is_said) {
        if (!credential.remark.empty()) credential.remark += "; ";
        credential.remark += "nobody said to which certificate it is bound (introspection_endpoint would)";
    }
    if (answer.expires_in) credential.expires = WallTime{provider_->our_time().unix_ms + answer.expires_in->count()};
    done(std::move(credential));
}

// What was made for us and is of no use does not stay.
void OauthSource::refuse(const TokenAnswer& answer, SourceFailure failure, Completion<Fetched> done) {
    if (retire_class() != RetireClass::Self) return done(that_may_be_out(std::move(failure)));
    provider_->revoke(answer.access_token, "access_token",
                      [failure = std::move(failure), done = std::move(done)](const RetireOutcome& outcome) {
                          done(after_clean_up(failure, outcome, /*reaches_all=*/true));
                      });
}

std::unique_ptr<Retirement> OauthSource::retirement(const Credential& credential) const {
    if (credential.retire != RetireClass::Self) return nullptr;
    return provider_->retirement(credential.secret, "access_token");
}

std::string OauthSource::why_no_retirement(const Credential& credential) const {
    return credential.retire == RetireClass::Self ? provider_->identity().why_no_reaper() : std::string();
}

void OauthSource::retire(const Credential& credential, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    using End = RetireOutcome::End;
    switch (credential.retire) {
        case RetireClass::Self: return provider_->revoke(credential.secret, "access_token", std::move(done));
        case RetireClass::KillsGrant:
            return done({End::LeftToExpire,
                         "revoking it could end the account's consent; on_exit = \"revoke\" does it"});
        default: return done({End::LeftToExpire, "it ends at its own time"});
    }
}

}  // namespace sanctum::vault
