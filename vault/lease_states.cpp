// SPDX-License-Identifier: Apache-2.0
#include "vault/lease_states.hpp"

#include "base/result.hpp"

#include <array>

namespace sanctum::vault {
namespace {

constexpr std::array<std::string_view, 8> kStateNames = {"wanted",  "held",   "retiring", "gone",
                                                         "expired", "parked", "orphaned", "failed"};

struct Step {
    LeaseState from;
    LeaseEvent event;
    LeaseState to;
};

// From `wanted` and `held` straight to an end: the reaper, whose vault died in between.
constexpr std::array kSteps = {
    Step{LeaseState::Wanted, LeaseEvent::Issued, LeaseState::Held},
    Step{LeaseState::Wanted, LeaseEvent::Refused, LeaseState::Failed},
    Step{LeaseState::Wanted, LeaseEvent::NothingMade, LeaseState::Gone},
    Step{LeaseState::Wanted, LeaseEvent::AnswerLost, LeaseState::Orphaned},
    Step{LeaseState::Wanted, LeaseEvent::TimePassed, LeaseState::Expired},
    Step{LeaseState::Held, LeaseEvent::Ending, LeaseState::Retiring},
    Step{LeaseState::Held, LeaseEvent::GivenBack, LeaseState::Gone},
    Step{LeaseState::Held, LeaseEvent::StaysAlive, LeaseState::Parked},
    Step{LeaseState::Held, LeaseEvent::TimePassed, LeaseState::Expired},
    Step{LeaseState::Retiring, LeaseEvent::GivenBack, LeaseState::Gone},
    Step{LeaseState::Retiring, LeaseEvent::StaysAlive, LeaseState::Parked},
    Step{LeaseState::Retiring, LeaseEvent::TimePassed, LeaseState::Expired},
    Step{LeaseState::Parked, LeaseEvent::GivenBack, LeaseState::Gone},
    Step{LeaseState::Parked, LeaseEvent::StaysAlive, LeaseState::Parked},
    Step{LeaseState::Parked, LeaseEvent::TimePassed, LeaseState::Expired},
    Step{LeaseState::Orphaned, LeaseEvent::TimePassed, LeaseState::Expired},
};

}  // namespace

std::string_view name_of(LeaseState value) { return kStateNames.at(static_cast<std::size_t>(value)); }

bool parse_name(std::string_view name, LeaseState& value) {
    for (std::size_t i = 0; i < kStateNames.size(); ++i) {
        if (kStateNames[i] != name) continue;
        value = static_cast<LeaseState>(i);
        return true;
    }
    return false;
}

bool is_end(LeaseState value) {
    return value == LeaseState::Gone || value == LeaseState::Expired || value == LeaseState::Parked ||
           value == LeaseState::Orphaned;
}

bool may_be_alive(LeaseState value) { return value == LeaseState::Parked || value == LeaseState::Orphaned; }

std::optional<LeaseState> next_state(LeaseState from, LeaseEvent event) {
    for (const Step& step : kSteps) {
        if (step.from == from && step.event == event) return step.to;
    }
    return std::nullopt;
}

void advance(LeaseState& state, LeaseEvent event) {
    const std::optional<LeaseState> next = next_state(state, event);
    SANCTUM_ASSERT(next);
    state = *next;
}

}  // namespace sanctum::vault
