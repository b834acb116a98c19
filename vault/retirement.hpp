// SPDX-License-Identifier: Apache-2.0
// Retirement: what gives a credential back and needs nothing that is not in it: requests, or one run of a program of
// the operator's. Sealed into the journal, so that whoever comes after a vault that died can do it, without the store
// and its passphrase.
#pragma once

#include "base/result.hpp"
#include "vault/http/http_client.hpp"
#include "vault/sources/source.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sanctum::vault {

/// An answer that says: what is to be revoked, or the token that asks for it and ends with it, is not known any more.
struct UnknownAnswer {
    std::int32_t status = 0;
    std::string words;  ///< that the answer's body holds; empty: the status is enough
};

struct Retirement {
    std::string provider;          ///< for sentences: `GitHub`
    HttpRequest request;           ///< Repeat::Safe, without a client certificate
    bool unknown_is_gone = false;  ///< 401 says that the credential, which is also who asks, is not known any more
    std::vector<UnknownAnswer> also_gone;
    std::string leaves;                ///< not empty: the credential itself lives on, and what is revoked instead
    std::string when_denied;           ///< what to change where the answer is 403; empty: nothing is known
    std::unique_ptr<Retirement> next;  ///< sent when this one is confirmed, at the same host; null: it was the last
    /// Not empty: no request, but the second program of this account, which gets request.body on its standard input.
    /// SECURITY: the account alone; which program that is says the operator's configuration, so that nobody who can
    /// write the journal runs anything.
    std::string account;
    std::string handle;                ///< what the program gets in `SANCTUM_HANDLE`
};

/// What the provider's answer means: 200, 202, 204 and 404 are Gone, 401 where it says so; else NotYet.
[[nodiscard]] RetireOutcome outcome_of(const std::string& provider, bool unknown_is_gone,
                                       const Result<HttpResponse>& response);
/// The same by what `retirement` itself says of its answer; LeftToExpire where it was confirmed and `leaves` something.
[[nodiscard]] RetireOutcome outcome_of(const Retirement& retirement, const Result<HttpResponse>& response);

/// Sends a retirement and all that follow it, one after the other; the first that is not confirmed ends it. Gone only
/// when each was confirmed. `http` must live until `done` was called.
void send_retirement(HttpClient& http, Retirement retirement, Completion<RetireOutcome> done);

/// What retirements are sealed to: the public half. Nobody who has only this can open one.
class ReaperSeal {
public:
    /// libsodium's sealed box (crypto_box_seal(3)) in hex.
    [[nodiscard]] std::string seal(const Retirement& retirement) const;

private:
    friend class ReaperKey;
    std::string public_key_;
};

/// The key of this machine's reaper, `reaper.key` in the state folder (0600). It opens what vaults left behind, and
/// nothing of the store.
class ReaperKey {
public:
    /// Reads the key, or makes it where there is none; two that make it at once get the same. Errors: Unsupported
    /// (others may read the file), Protocol (no key), Io.
    [[nodiscard]] static Result<ReaperKey> open(const std::string& state_folder);

    [[nodiscard]] const ReaperSeal& seal() const { return seal_; }
    /// Errors: Protocol (sealed to another key, or damaged).
    [[nodiscard]] Result<Retirement> unseal(const std::string& sealed) const;

private:
    ReaperSeal seal_;
    Secret secret_key_;
};

}  // namespace sanctum::vault
