// SPDX-License-Identifier: Apache-2.0
// Every event against every state: what follows, or that it cannot happen.
#include "vault/lease_states.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <optional>

namespace sanctum::vault {
namespace {

using enum LeaseState;
using enum LeaseEvent;

constexpr std::array kStates = {Wanted, Held, Retiring, Gone, Expired, Parked, Orphaned, Failed};
constexpr std::array kEvents = {Issued, Refused, NothingMade, AnswerLost, Ending, GivenBack, StaysAlive, TimePassed};
constexpr std::optional<LeaseState> kNever;

using Row = std::array<std::optional<LeaseState>, kEvents.size()>;

// Columns: issued, refused, nothing made, answer lost | ending | given back, stays alive, time passed.
const std::map<LeaseState, Row> kTable = {
    {Wanted, {Held, Failed, Gone, Orphaned, kNever, kNever, kNever, Expired}},
    {Held, {kNever, kNever, kNever, kNever, Retiring, Gone, Parked, Expired}},
    {Retiring, {kNever, kNever, kNever, kNever, kNever, Gone, Parked, Expired}},
    {Parked, {kNever, kNever, kNever, kNever, kNever, Gone, Parked, Expired}},
    {Orphaned, {kNever, kNever, kNever, kNever, kNever, kNever, kNever, Expired}},
    {Gone, {}},
    {Expired, {}},
    {Failed, {}},
};

TEST(LeaseStates, EveryEventLeadsWhereTheTableSaysOrCannotHappen) {
    ASSERT_EQ(kTable.size(), kStates.size());
    for (const LeaseState from : kStates) {
        for (std::size_t i = 0; i < kEvents.size(); ++i) {
            EXPECT_EQ(next_state(from, kEvents.at(i)), kTable.at(from).at(i)) << name_of(from) << ", event " << i;
        }
    }
}

TEST(LeaseStates, WhatMayBeAliveCanOnlyBecomeWhatIsNot) {
    for (const LeaseState end : {Parked, Orphaned}) {
        for (const LeaseEvent event : kEvents) {
            const std::optional<LeaseState> next = next_state(end, event);
            EXPECT_TRUE(!next || *next == end || *next == Gone || *next == Expired);
        }
    }
}

TEST(LeaseStates, EveryStateHasANameThatLeadsBackToIt) {
    for (const LeaseState state : kStates) {
        LeaseState parsed{};
        EXPECT_TRUE(parse_name(name_of(state), parsed));
        EXPECT_EQ(parsed, state);
        EXPECT_EQ(is_end(state), state == Gone || state == Expired || state == Parked || state == Orphaned);
    }
    LeaseState none{};
    EXPECT_FALSE(parse_name("renewed", none));
}

TEST(LeaseStatesDeathTest, AnEventThatCannotHappenIsABrokenInvariant) {
    LeaseState gone = Gone;
    EXPECT_DEATH(advance(gone, Issued), "");
    advance(gone = Wanted, Issued);
    EXPECT_EQ(gone, Held);
}

}  // namespace
}  // namespace sanctum::vault
