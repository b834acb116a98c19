// SPDX-License-Identifier: Apache-2.0
// One provider's token and revocation endpoints: a form goes out with our identity, a token or a fault comes back.
#pragma once

#include "base/jose/dpop.hpp"
#include "vault/http/provider_clock.hpp"
#include "vault/oauth/identity.hpp"
#include "vault/oauth/introspection.hpp"
#include "vault/oauth/token_answer.hpp"
#include "vault/oauth/token_binding.hpp"

#include <functional>
#include <memory>
#include <variant>

namespace sanctum::vault {

struct Retirement;

using TokenOutcome = std::variant<TokenAnswer, SourceFailure>;

/// Single thread; shared by the accounts of one identity. What it was given must outlive it.
class TokenEndpoint {
public:
    TokenEndpoint(HttpClient& http, const Clock& clock, Identity identity)
        : http_(http), clock_(clock), identity_(std::move(identity)), provider_clock_(clock) {}

    /// From here on every request for a token is proved with `key`, and every token has to be bound to it (RFC 9449).
    void bind_to(dpop::Key key);
    /// From here on every token has to be bound to a certificate (RFC 8705 3), which each request for one shows: the
    /// client's own where that proves who it is, else one that is made here, in the name `holder` and until about
    /// `ends`. Errors: InvalidProfile (the client's own is none, or longer than kClientCertificateBytesMax with its
    /// key), Internal.
    [[nodiscard]] Status bind_to_certificate(const std::string& holder, WallTime ends);
    /// Null: tokens need no proof.
    [[nodiscard]] const dpop::Key* key() const { return key_ ? &*key_ : nullptr; }
    /// Null: tokens need no certificate.
    [[nodiscard]] const network::ClientCertificate* certificate() const {
        return bound_to_.certificate.empty() ? nullptr : &certificate_;
    }
    /// What tokens have to be bound to; both empty: to nothing.
    [[nodiscard]] const TokenBinding& bound_to() const { return bound_to_; }

    /// Makes the form once more for another attempt; `now` is the provider's time.
    using MakeForm = std::function<Result<Form>(WallTime now)>;

    /// Asks for a token. A token that was signed with a time the provider does not accept is signed again, once, with
    /// the provider's own time (its `Date`); after that it is SourceFault::ClockSkew. A proof is made again, once, with
    /// the nonce that the provider wants. `done` as HttpClient::send.
    void ask(const MakeForm& make, TokenQuestion question, Completion<TokenOutcome> done);

    /// Asks what a token is good for (RFC 7662 2). Precondition: there is an introspection endpoint. `done` as above.
    void introspect(const Secret& token, TokenQuestion question,
                    Completion<std::variant<Introspection, SourceFailure>> done);

    /// Revokes a token (RFC 7009 2): 200, and what the provider does not know, is Gone. `hint`: `access_token` or
    /// `refresh_token`. Without a revocation endpoint: NotYet with a sentence.
    void revoke(const Secret& token, std::string_view hint, Completion<RetireOutcome> done);

    /// The same for a reaper. Null: there is no revocation endpoint, or Identity::why_no_reaper() says why not.
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Secret& token, std::string_view hint) const;

    /// A form for another endpoint of this provider, with our identity. Errors: Internal.
    [[nodiscard]] Result<HttpRequest> request_with(const std::string& url, Form form) const;

    [[nodiscard]] const Identity& identity() const { return identity_; }
    [[nodiscard]] WallTime our_time() const { return clock_.wall(); }
    /// The provider's time, as far as we have seen it.
    [[nodiscard]] WallTime provider_time() const { return provider_clock_.now(); }
    /// One sentence for the record while our clock is corrected for, else empty.
    [[nodiscard]] Milliseconds clock_offset() const { return provider_clock_.offset(); }
    [[nodiscard]] std::string clock_remark() const { return provider_clock_.remark(identity_.title()); }

private:
    /// What was learnt from the first answer to a question; each is tried once.
    struct Learnt {
        bool time = false;
        bool nonce = false;
    };
    void send(const MakeForm& make, const TokenQuestion& question, Learnt learnt, Completion<TokenOutcome> done);
    [[nodiscard]] Status prove(HttpRequest& request) const;
    [[nodiscard]] bool learn_nonce(const HttpResponse& response);
    [[nodiscard]] Result<HttpRequest> revocation(const Secret& token, std::string_view hint) const;

    HttpClient& http_;
    const Clock& clock_;
    Identity identity_;
    ProviderClock provider_clock_;
    std::optional<dpop::Key> key_;
    network::ClientCertificate certificate_;
    TokenBinding bound_to_;  ///< thumbprints of these
    std::string nonce_;  ///< the provider's last one
};

}  // namespace sanctum::vault
