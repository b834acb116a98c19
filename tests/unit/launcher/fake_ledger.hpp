// SPDX-License-Identifier: Apache-2.0
// A ledger in memory that fails when told to.
#pragma once

#include "base/unique_fd.hpp"
#include "ledger/ledger.hpp"

#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

namespace sanctum::launcher {

/// What a FakeLedger was given; outlives it.
struct FakeLedgerLog {
    std::vector<ledger::Record> records;
    std::vector<ledger::Durable> durable;
    std::optional<ledger::MissionEnded> ended;
    bool has_failed = false;
};

class FakeLedger final : public ledger::Ledger {
public:
    explicit FakeLedger(FakeLedgerLog& log) : log_(log), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

    void append(ledger::Record record) override { log_.records.push_back(std::move(record)); }
    void append_durable(ledger::Record record, std::uint64_t token) override {
        log_.records.push_back(std::move(record));
        log_.durable.push_back({token, !log_.has_failed});
        const std::uint64_t one = 1;
        static_cast<void>(!::write(event_.get(), &one, sizeof one));
    }
    void gather() override {}
    void hand_over() override {}
    int durable_fd() const override { return event_.get(); }
    std::vector<ledger::Durable> poll_durable() override {
        std::uint64_t count = 0;
        static_cast<void>(!::read(event_.get(), &count, sizeof count));
        return std::exchange(log_.durable, {});
    }
    bool flush() override { return !log_.has_failed; }
    bool has_failed() const override { return log_.has_failed; }
    Result<ledger::Sealed> seal(ledger::MissionEnded ended) override {
        log_.ended = std::move(ended);
        return ledger::Sealed{"/ledger.jsonl", "/receipt.json", {}};
    }

private:
    FakeLedgerLog& log_;
    UniqueFd event_;
};

}  // namespace sanctum::launcher
