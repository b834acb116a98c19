// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/source.hpp"

#include "vault/retirement.hpp"

#include <array>

namespace sanctum::vault {
namespace {

constexpr std::array<std::string_view, 5> kRetireNames = {"none", "expires", "self", "accessor", "kills-grant"};
constexpr std::array<std::string_view, 3> kNarrowedNames = {"proxy", "provider", "both"};
constexpr std::array<std::string_view, 14> kFaultNames = {
    "not_found",         "source_failed",    "no_answer",      "consent_required", "consent_lost", "subject_expired",
    "scope_unavailable", "expires_too_soon", "scope_too_wide", "misconfigured",    "rate_limited", "unavailable",
    "clock_skew",        "protocol"};

SourceFault fault_of(Errc code) {
    if (code == Errc::NotFound) return SourceFault::NotFound;
    return code == Errc::Timeout || code == Errc::Cancelled ? SourceFault::NoAnswer : SourceFault::Failed;
}

template <class Enum, std::size_t N>
bool find_name(const std::array<std::string_view, N>& names, std::string_view name, Enum& value) {
    for (std::size_t i = 0; i < N; ++i) {
        if (names[i] != name) continue;
        value = static_cast<Enum>(i);
        return true;
    }
    return false;
}

}  // namespace

std::string_view name_of(RetireClass value) { return kRetireNames.at(static_cast<std::size_t>(value)); }
bool parse_name(std::string_view name, RetireClass& value) { return find_name(kRetireNames, name, value); }
std::string_view name_of(NarrowedBy value) { return kNarrowedNames.at(static_cast<std::size_t>(value)); }
bool parse_name(std::string_view name, NarrowedBy& value) { return find_name(kNarrowedNames, name, value); }
std::string_view name_of(SourceFault value) { return kFaultNames.at(static_cast<std::size_t>(value)); }

SourceFailure after_clean_up(SourceFailure failure, const RetireOutcome& outcome, bool reaches_all) {
    if (outcome.end == RetireOutcome::End::Gone) {
        if (!reaches_all) return failure;
        if (failure.fault == SourceFault::NoAnswer) failure.fault = SourceFault::Unavailable;
        failure.may_be_out = false;
        return failure;
    }
    failure.what += "; what was made by then may be alive: " + outcome.detail;
    return that_may_be_out(std::move(failure));
}

SourceFailure that_may_be_out(SourceFailure failure) {
    failure.may_be_out = true;
    return failure;
}

std::unique_ptr<Retirement> Source::retirement(const Credential& /*credential*/) const { return nullptr; }

Fetched::Fetched(Error error) : state_(SourceFailure{fault_of(error.code), std::move(error.what), Milliseconds(0)}) {}

}  // namespace sanctum::vault
