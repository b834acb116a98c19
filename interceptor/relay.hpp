// SPDX-License-Identifier: Apache-2.0
// relay: one decided request out and its response back, both bodies flowing at the same time, each chunk awaited on the
// far side before the next is read. Knows nothing of policy; exchange.cpp decides what is relayed.
#pragma once

#include "base/digest.hpp"
#include "interceptor/http/agent_side.hpp"
#include "interceptor/http/upstream_side.hpp"
#include "interceptor/rewrite/aws_body.hpp"
#include "interceptor/rewrite/form_guard.hpp"
#include "interceptor/rewrite/scrub.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sanctum::interceptor {

/// Asked when the answer is a 401 and the whole request was written. True: nothing of the answer goes to the agent, and
/// the request will be sent again.
using MaySendAgain = std::function<net::awaitable<bool>()>;

/// What one relay needs; all borrowed for its duration.
struct RelayNeeds {
    const RequestHead& request;                 ///< as prepared
    const profiles::Endpoint* endpoint = nullptr;  ///< nullptr: plain host
    std::string_view head_bytes;                ///< encoded head, credential included
    std::string_view held_body;                 ///< body bytes that were read for the decision
    FormGuard& guard;                           ///< sees every later byte before it leaves
    AwsBody* aws_body = nullptr;                ///< what becomes of the body where requests are signed
    AgentSide& agent;
    UpstreamSide& upstream;
    Scrubber& scrubber;
    const std::vector<std::string>& redact;     ///< JSON pointers into the response; none: its body is streamed
    Sha256& body_digest;                        ///< salted; takes every body byte sent
    std::string* kept_body = nullptr;           ///< takes every body byte sent, too; nullptr: it is not kept
    const std::function<void(const ResponseHead&)>* on_head = nullptr;  ///< told of the final head as it came
    const MaySendAgain* may_send_again = nullptr;  ///< nullptr: every answer goes to the agent
};

/// How it went. `failure` is empty when everything passed.
struct RelayResult {
    std::uint16_t status = 0;          ///< of the final response, 0: none came
    std::string outcome = "complete";  ///< word of wire::ExchangeOutcome
    std::string detail;                ///< for the operator's log
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::map<std::string, std::string> evidence;
    std::size_t cookies_kept = 0;
    std::size_t redacted = 0;          ///< values of the response that were overwritten
    bool has_answered_agent = false;   ///< a byte of a final response went to the agent
    bool is_request_whole = false;     ///< all of it was written
    bool is_request_broken = false;    ///< the agent broke its own request, which is what ended the exchange
    bool is_response_whole = false;
    bool is_certificate_refused = false;  ///< the upstream accepts no certificate of ours, or none at all
    bool is_to_repeat = false;         ///< may_send_again() said so; the upstream connection is spent
    bool upstream_closes = false;
    bool agent_closes = false;         ///< the framing sent to the agent ends its connection
};

/// Runs until the response has ended or something broke. Never answers the agent on its own: when
/// `has_answered_agent` is false the caller may still refuse.
[[nodiscard]] net::awaitable<RelayResult> relay(RelayNeeds needs);

}  // namespace sanctum::interceptor
