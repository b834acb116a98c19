// SPDX-License-Identifier: Apache-2.0
// The device authorization grant (RFC 8628): a person consents with a browser anywhere while we ask, now and then,
// whether it is done. Pure.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "vault/http/http_client.hpp"
#include "vault/oauth/form.hpp"
#include "vault/sources/source.hpp"

#include <optional>
#include <string>

namespace sanctum::vault {

/// What the provider answered to the first question (RFC 8628 3.2); the texts can be shown as they are.
struct DeviceAuthorization {
    Secret device_code;
    std::string user_code;
    std::string verification_uri;           ///< https
    std::string verification_uri_complete;  ///< https, holds the code; empty: the provider has none
    Milliseconds life{0};
    Milliseconds interval{0};
};

/// Errors: Protocol (not such an answer; an address or a code that must not be shown to a person).
[[nodiscard]] Result<DeviceAuthorization> read_device_authorization(const HttpResponse& response);

/// The form that asks the token endpoint (RFC 8628 3.4).
[[nodiscard]] Form device_token_form(const Secret& device_code);

/// How long to wait between two questions (RFC 8628 3.5).
class DevicePoll {
public:
    explicit DevicePoll(Milliseconds interval) : interval_(interval) {}
    [[nodiscard]] Milliseconds interval() const { return interval_; }
    /// The wait after an answer without a token: `slow_down` lengthens all that follow, and so does a provider that
    /// cannot be reached. Absent: the answer is final.
    [[nodiscard]] std::optional<Milliseconds> wait_after(const SourceFailure& failure);

private:
    Milliseconds interval_;
};

}  // namespace sanctum::vault
