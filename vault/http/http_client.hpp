// SPDX-License-Identifier: Apache-2.0
// HttpClient: how sources talk to identity providers; the only way out of the vault.
//
// One request on one connection: dialled by the vault's own dialler, which is asked by index of a host, TLS with the
// certificate verified (no off switch, no proxy, no redirect followed), HTTP/1.1. Every wait is under one deadline, the
// answer is bounded. Nothing of a request or an answer is ever logged.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "vault/sources/source.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sanctum::vault {

/// May the request be sent a second time when its answer was lost, or the provider said "later"?
enum class Repeat : std::uint8_t {
    Never,  ///< it makes something: a lost answer is an orphan
    Safe,   ///< asking again changes nothing (reading, revoking)
};

/// One request. `url`: https, lower-case host, optional port, path and query in the form that is sent.
struct HttpRequest {
    std::string method;
    std::string url;
    std::vector<std::pair<std::string, std::string>> headers;  ///< no secret; without host, length and authorization
    Secret authorization;                                      ///< the header's value; empty: none is sent
    Secret body;                                               ///< sent with its length; empty for GET and most DELETE
    Repeat repeat = Repeat::Never;
    /// Shown, or nothing is sent; borrowed until the answer; null: none.
    const network::ClientCertificate* certificate = nullptr;
    std::string unasked_remedy;  ///< what the operator can do where the server does not ask for it; empty: nobody knows
};

/// A whole answer, of whatever status.
struct HttpResponse {
    int status = 0;
    std::map<std::string, std::string> headers;  ///< names in lower case; of several the first
    Secret body;                                 ///< at most kProviderAnswerBytesMax
    Milliseconds clock_offset{0};                ///< the provider's `Date` minus ours, 0 without one

    /// The value of `name` (lower case); empty when absent.
    [[nodiscard]] std::string_view header(std::string_view name) const;
};

/// The value of an Authorization header that shows `token` (RFC 6750 2.1).
[[nodiscard]] Secret bearer(const Secret& token);

class HttpClient {
public:
    virtual ~HttpClient() = default;

    /// Sends `request`; `done` is called once, from the loop, never from inside this call.
    ///
    /// A Repeat::Safe request is sent again, at most kProviderTriesMax times in all, with growing, jittered waits:
    /// after a connection that failed, a lost answer, 429 and 5xx; `Retry-After` (RFC 9110 10.2.3) and
    /// `X-RateLimit-Reset` are obeyed where they fit into the deadline, and where they do not, the answer that carries
    /// them is the last. A Repeat::Never request is tried again only while nothing was sent.
    ///
    /// Errors: Io (nothing reached the provider: no address, refused, certificate not valid; the sentence says which),
    /// Timeout and Cancelled (sent, and no whole answer came), Protocol (the answer is no HTTP/1.1, or ends midway with
    /// a declared length: what was asked may have happened), Limit (answer too long), Denied (a host that is not in the
    /// operator's configuration, an address that is forbidden), InvalidProfile (a URL, field, credential or client
    /// certificate that cannot be sent, or a server that does not ask for the certificate: nothing was).
    virtual void send(HttpRequest request, Completion<Result<HttpResponse>> done) = 0;
};

}  // namespace sanctum::vault
