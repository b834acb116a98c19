// SPDX-License-Identifier: Apache-2.0
// A scratch state folder, a key, and records with every member set, for the ledger's tests.
#pragma once

#include "base/clock.hpp"
#include "ledger/ledger.hpp"
#include "ledger/recover.hpp"
#include "ledger/verify.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sanctum::ledger::test {

inline constexpr const char* kMission = "01kabcdefghjkmnpqrstvwxyz0";
inline constexpr std::int64_t kTime = 1'795'313'172'001;

/// A folder below the test's own temporary folder, removed at the end.
class Scratch {
public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string mission(const std::string& id = kMission) const { return path_ + "/missions/" + id; }
    [[nodiscard]] std::string ledger(const std::string& id = kMission) const { return mission(id) + "/ledger.jsonl"; }
    [[nodiscard]] std::string receipts() const { return path_ + "/receipts.jsonl"; }
    [[nodiscard]] std::string private_key() const { return path_ + "/data/ledger.key"; }
    [[nodiscard]] std::string public_key() const { return path_ + "/data/ledger.pub"; }
    [[nodiscard]] SigningKey signing_key() const;
    [[nodiscard]] VerifyingKey verifying_key() const;
    [[nodiscard]] std::shared_ptr<const SigningKey> shared_key() const;

private:
    std::string path_;
};

[[nodiscard]] MissionStarted started();
[[nodiscard]] wire::ExchangeIntent intent(std::uint64_t exchange);
[[nodiscard]] wire::ExchangeOutcome outcome(std::uint64_t exchange);
[[nodiscard]] wire::ExchangeRefused refused(std::uint64_t exchange);
[[nodiscard]] wire::LeaseChanged lease(const std::string& state);
[[nodiscard]] MissionEnded ended();

[[nodiscard]] std::unique_ptr<Ledger> create(const Scratch& scratch, const Clock& clock,
                                             const std::string& id = kMission);

/// A sealed mission with about `records` records of every kind.
void write_sealed(const Scratch& scratch, std::uint64_t records, const std::string& id = kMission);

[[nodiscard]] Verification verify(const Scratch& scratch, const std::string& id = kMission);

[[nodiscard]] std::string read(const std::string& path);
void write(const std::string& path, const std::string& bytes);
[[nodiscard]] std::vector<std::string> lines(const std::string& text);

}  // namespace sanctum::ledger::test
