// SPDX-License-Identifier: Apache-2.0
// What the agent sees when Sanctum says no (formats 8): one table from reason to status and words.
//
// The body never holds rule text, addresses or an upstream's error: `sanctum explain DECISION` shows those to the
// operator.
#pragma once

#include "interceptor/http/git_push_commands.hpp"
#include "interceptor/http/message.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sanctum::interceptor {

/// One refusal. `reason` is a reason_code of formats 8.
struct Refusal {
    std::string reason;
    std::string rule{};         ///< name only, may be empty
    std::string explanation{};  ///< for the agent, one sentence; empty: the table's
    std::string detail{};       ///< for the ledger and the operator only
};

/// The refusal of a request for which no credential came. `what` begins with the vault's reason, as in
/// `consent_required: …`: it becomes the rule, with a sentence that the agent can do something with; the rest is the
/// operator's. `mission_ending` is a reason of its own.
[[nodiscard]] Refusal no_credential(const std::string& what);

/// Status of a reason_code; 403 for one the table does not know (that would be a mistake of ours: fail closed).
[[nodiscard]] std::uint16_t status_of(std::string_view reason);

/// What a client can show: git prints text, everything else gets problem details (RFC 9457). Of the answer to a push
/// git reads nothing unless its status is 200; a PushReport is that, and rejects each ref in git's own words.
enum class RefusalForm : std::uint8_t { Problem, Text, PushReport };

/// `closes`: the connection ends behind it. `with_body` false: the request was HEAD. `push`: for a PushReport.
struct RefusalOptions {
    RefusalForm form = RefusalForm::Problem;
    bool closes = false;
    bool with_body = true;
    const PushCommands* push = nullptr;
};

/// The status that is sent: the reason's, and 200 for a PushReport.
[[nodiscard]] std::uint16_t sent_status_of(std::string_view reason, RefusalForm form);

/// The whole response, head and body. `decision` names the exchange for `sanctum explain`.
[[nodiscard]] std::string encode_refusal(const Refusal& refusal, const std::string& decision, RefusalOptions options);

}  // namespace sanctum::interceptor
