// SPDX-License-Identifier: Apache-2.0
// AnswerParser: one answer from bytes to HttpResponse, without sockets. Refuses what can be read in two ways.
#pragma once

#include "base/result.hpp"
#include "vault/http/http_client.hpp"

#include <memory>
#include <string_view>

namespace sanctum::vault {

/// One final answer in HTTP/1.1 (RFC 9112); interim ones (1xx) before it are skipped, at most kProviderInterimMax.
/// What it holds is wiped. After an error it is spent.
class AnswerParser {
public:
    AnswerParser();
    AnswerParser(const AnswerParser&) = delete;
    AnswerParser& operator=(const AnswerParser&) = delete;
    ~AnswerParser();

    /// Copies `bytes`; the caller wipes its own copy. What follows the answer is not looked at. Errors: Protocol
    /// (`RFC section: what is wrong`; nothing of the answer is in the sentence), Limit (head, fields, body).
    [[nodiscard]] Status feed(std::string_view bytes);
    /// The connection ended in order: the end of a body without a length. Errors: Cancelled (before any byte),
    /// Protocol (midway).
    [[nodiscard]] Status end();
    [[nodiscard]] bool has_started() const;
    /// The answer is whole.
    [[nodiscard]] bool is_done() const;
    /// Gives it away; only when is_done(), once. `clock_offset` is left to the caller, who knows the time.
    [[nodiscard]] HttpResponse take();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sanctum::vault
