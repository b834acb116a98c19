// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/device_grant.hpp"

#include "base/limits.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/oauth/token_answer.hpp"

#include <algorithm>

namespace sanctum::vault {
namespace {

constexpr std::string_view kDeviceGrant = "urn:ietf:params:oauth:grant-type:device_code";

bool is_visible(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

// SECURITY: it is printed on a terminal and opened by a person.
bool is_address(std::string_view text) {
    return text.starts_with("https://") && text.size() <= kProviderUrlBytesMax && is_visible(text);
}

}  // namespace

Result<DeviceAuthorization> read_device_authorization(const HttpResponse& response) {
    SANCTUM_TRY(JsonAnswer json, JsonAnswer::parse(response));
    if (response.status != 200) {
        return Error{Errc::Protocol, "status " + std::to_string(response.status) + " to the device flow's question"};
    }
    DeviceAuthorization answer;
    answer.device_code = json.take_secret("device_code");
    answer.user_code = json.text("user_code");
    answer.verification_uri = json.text("verification_uri");
    answer.verification_uri_complete = json.text("verification_uri_complete");
    const std::int64_t life = json.number("expires_in").value_or(0);
    const std::int64_t interval = json.number("interval").value_or(kDeviceInterval.count());
    const bool has_code = !answer.device_code.is_empty() && !answer.user_code.empty() &&
                          answer.user_code.size() <= kUserCodeBytesMax && is_visible(answer.user_code);
    if (!has_code || !is_address(answer.verification_uri) || life <= 0 || interval < 0) {
        return Error{Errc::Protocol, "its answer to the device flow's question is not that of RFC 8628"};
    }
    if (!answer.verification_uri_complete.empty() && !is_address(answer.verification_uri_complete)) {
        return Error{Errc::Protocol, "its verification_uri_complete is no https address"};
    }
    answer.life = Milliseconds(std::min<std::int64_t>(life, std::chrono::seconds(kConsentTimeout).count()) * 1000);
    answer.interval = Milliseconds(std::min<std::int64_t>(interval, kDeviceIntervalMax.count()) * 1000);
    return answer;
}

Form device_token_form(const Secret& device_code) {
    Form form;
    form.add("grant_type", kDeviceGrant);
    form.add("device_code", device_code.reveal());
    return form;
}

std::optional<Milliseconds> DevicePoll::wait_after(const SourceFailure& failure) {
    const Milliseconds longest(kDeviceIntervalMax);
    if (failure.error == "authorization_pending") return interval_;
    // Auth0 says 429 where others say `slow_down` alone.
    if (failure.error == "slow_down" || failure.fault == SourceFault::RateLimited) {
        interval_ = std::min(interval_ + Milliseconds(kDeviceInterval), longest);
        return std::max(interval_, std::min(failure.retry_after, longest));
    }
    if (failure.fault == SourceFault::Unavailable || failure.fault == SourceFault::NoAnswer) {
        interval_ = std::min(std::max(interval_, Milliseconds(1000)) * 2, longest);
        return interval_;
    }
    return std::nullopt;
}

}  // namespace sanctum::vault
