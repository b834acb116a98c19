// SPDX-License-Identifier: Apache-2.0
// What OpenBao and HashiCorp Vault are asked, and what their answers mean. Pure.
// https://openbao.org/api-docs/auth/token/, …/auth/approle/, …/system/leases/, …/system/wrapping-unwrap/
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "vault/http/http_client.hpp"
#include "vault/retirement.hpp"
#include "vault/sources/source.hpp"

#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace sanctum::vault {

/// A token of the server's that was made for us.
struct BaoToken {
    Secret value;
    std::string accessor;
    Milliseconds life{0};               ///< 0: the server did not say
    std::vector<std::string> policies;  ///< all that it has, sorted; those of its entity included
};

/// What a child token is to be.
struct BaoChild {
    std::vector<std::string> policies;
    Milliseconds life{0};
    std::int64_t uses = 0;  ///< 0: any number
};

/// A secret that was read.
struct BaoSecret {
    Secret value;
    std::string username;   ///< empty: not asked for
    std::string lease;      ///< dynamic: its id, no secret
    Milliseconds life{0};   ///< 0: the server did not say
};

/// Which request failed; it decides what a status means.
enum class BaoStep : std::uint8_t { Unwrap, LogIn, Create, Read };

class BaoApi {
public:
    explicit BaoApi(profiles::Account account) : account_(std::move(account)) {}

    [[nodiscard]] const profiles::BaoAccount& bao() const { return account_.bao; }

    // Requests. `token`, `parent`: who asks.
    [[nodiscard]] HttpRequest look_at_wrapping(const Secret& wrapping) const;
    [[nodiscard]] HttpRequest unwrap(const Secret& wrapping) const;
    [[nodiscard]] HttpRequest log_in(const Secret& secret_id) const;
    [[nodiscard]] HttpRequest create(const Secret& parent, const BaoChild& child, const SourceNeed& need) const;
    [[nodiscard]] HttpRequest read(const Secret& token) const;

    /// Ends a login that `token` stands for, and all its children.
    [[nodiscard]] Retirement revoke_self(const Secret& token) const;
    /// Ends, with `revoker`: the lease (when there is one; the server answers when the engine has done it), every
    /// lease of the path (`all_of_path`), then the tokens, the revoker's own the last.
    [[nodiscard]] std::unique_ptr<Retirement> revoke(const Secret& revoker, const std::string& lease, bool all_of_path,
                                                     const std::vector<std::string>& accessors) const;

    /// The policies of a child for these scopes, sorted. Misconfigured: a scope has none.
    [[nodiscard]] std::variant<std::vector<std::string>, SourceFailure> policies_for(
        const std::vector<std::string>& scopes) const;

    // Answers. Each is what it says or a fault: by the status and what the server says of it.
    /// Misconfigured when what is wrapped is not what the account's item should be: somebody put another there.
    [[nodiscard]] std::optional<SourceFailure> check_wrapping(const HttpResponse& response) const;
    [[nodiscard]] std::variant<Secret, SourceFailure> take_unwrapped(const HttpResponse& response) const;
    [[nodiscard]] std::variant<BaoToken, SourceFailure> take_token(BaoStep step, const HttpResponse& response) const;
    [[nodiscard]] std::variant<BaoSecret, SourceFailure> take_secret(const HttpResponse& response) const;
    /// ScopeTooWide or ScopeUnavailable when a child did not get exactly `asked`.
    [[nodiscard]] std::optional<SourceFailure> check_policies(const std::vector<std::string>& asked,
                                                              const BaoToken& token) const;
    /// The fault of an error below HTTP.
    [[nodiscard]] SourceFailure failure_of_error(const Error& error) const;

private:
    [[nodiscard]] HttpRequest request(const std::string& method, const std::string& path, const Secret& token) const;
    [[nodiscard]] Retirement retirement(const std::string& path, Secret body, const Secret& token,
                                        const std::string& needs) const;
    [[nodiscard]] SourceFailure failure(SourceFault fault, const std::string& what) const;
    [[nodiscard]] SourceFailure refusal(BaoStep step, const HttpResponse& response) const;
    [[nodiscard]] SourceFailure not_found(BaoStep step, std::string_view body) const;
    [[nodiscard]] SourceFailure denied(BaoStep step, std::string_view body) const;
    [[nodiscard]] SourceFailure bad_request(BaoStep step, std::string_view body) const;

    profiles::Account account_;
};

}  // namespace sanctum::vault
