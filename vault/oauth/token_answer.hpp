// SPDX-License-Identifier: Apache-2.0
// What a token endpoint answered (RFC 6749 5.1 and 5.2, RFC 8693 2.2), as data or as one fault. Pure.
#pragma once

#include "vault/http/http_client.hpp"
#include "vault/oauth/authorization_details.hpp"
#include "vault/sources/source.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace sanctum::vault {

/// A token and what was said about it.
struct TokenAnswer {
    Secret access_token;
    std::string token_type;                           ///< as written; `Bearer` or `DPoP` in any case
    std::optional<Milliseconds> expires_in;           ///< of `expires_in`, which may be a number or its text
    std::optional<std::vector<std::string>> scopes;   ///< sorted; absent: not said. Separated by spaces or commas
    std::optional<std::vector<DetailMembers>> details;  ///< RFC 9396 7; absent: not said
    Secret refresh_token;                             ///< a new one, that replaces ours; empty: ours stays
    Secret id_token;                                  ///< OpenID Connect; empty: none came
};

/// Who was asked, in the words of the sentences that an operator reads.
struct TokenQuestion {
    std::string provider;     ///< `tenant acme`, `provider corp`
    std::string account;
    std::string connection;   ///< auth0: `connection github`; empty elsewhere
    /// What `invalid_grant` means here: the owner's session is over, or the consent is; or (Misconfigured) the key that
    /// signed is no good.
    SourceFault invalid_grant = SourceFault::ConsentLost;
    bool can_connect = false;  ///< `sanctum connect` of this account mends a consent
    bool is_signed = false;    ///< what is sent carries a time of ours, besides what the client may sign
    bool is_bound = false;    ///< the request was proved with a key (RFC 9449): so must be those with the token
};

/// Checks status, content type and members: bearer tokens only (where a key was shown, tokens that are bound to it), no
/// member twice, nothing over a bound.
///
/// An answer 200 with `error` is an error. Faults: Protocol, and by the error's name (or, without one, the status)
/// ConsentRequired, ConsentLost, SubjectExpired, ScopeUnavailable, Misconfigured, RateLimited (with `Retry-After`),
/// Unavailable; NoAnswer for 502 and 504, behind which something may have been made. A success that cannot be read is
/// Protocol and may be out.
[[nodiscard]] std::variant<TokenAnswer, SourceFailure> read_token_answer(const HttpResponse& response,
                                                                         const TokenQuestion& question);

/// Texts between spaces or commas, sorted, each once.
[[nodiscard]] std::vector<std::string> split_scopes(std::string_view text);

/// The fault of an HTTP client's error: what never reached the provider made nothing.
[[nodiscard]] SourceFailure failure_of(const Error& error, const TokenQuestion& question);

/// True for an error's name as RFC 6749 5.2 and RFC 8628 3.5 have them; anything else is not repeated.
[[nodiscard]] bool is_error_name(std::string_view name);

/// A provider's sentence for a person (`error_description`), cut and with `?` for what a terminal would obey.
[[nodiscard]] std::string provider_words(std::string_view text);

/// wait_asked_for() with our time `now`; 0: not said.
[[nodiscard]] Milliseconds retry_after_of(const HttpResponse& response, WallTime now);

}  // namespace sanctum::vault
