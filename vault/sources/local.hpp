// SPDX-License-Identifier: Apache-2.0
// `local`: an item of this machine's sealed store. It cannot be narrowed and cannot be revoked; the mission's own
// decision is all that makes it smaller, and the record says so.
#pragma once

#include "vault/locked_bytes.hpp"
#include "vault/sources/source.hpp"

namespace sanctum::vault {

class LocalSource final : public Source {
public:
    /// `value`: the opened item; it rests here for the mission's life, so that the store itself is closed before the
    /// first request.
    explicit LocalSource(LockedBytes value) : value_(std::move(value)) {}

    [[nodiscard]] Capabilities capabilities() const override { return {}; }
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    void retire(const Credential& credential, RetireCause /*cause*/, Completion<RetireOutcome> done) override;

private:
    LockedBytes value_;
};

}  // namespace sanctum::vault
