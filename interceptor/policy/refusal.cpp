// SPDX-License-Identifier: Apache-2.0
#include "interceptor/policy/refusal.hpp"

#include "base/wire/archive.hpp"
#include "interceptor/http/git_push_report.hpp"
#include "interceptor/http/http1_encoder.hpp"

#include <algorithm>
#include <array>

namespace sanctum::interceptor {
namespace {

enum class Retry : std::uint8_t { Never, Later };

struct Row {
    std::string_view reason;
    std::uint16_t status;
    Retry retry;
    std::string_view title;
    std::string_view sentence;  ///< used when the refusal brings none
};

constexpr std::array<Row, 22> kRows{{
    {"host_unknown", 403, Retry::Never, "This host is not part of the mission",
     "The mission names the hosts it needs; this one is not among them."},
    {"address_without_name", 403, Retry::Never, "An address was dialled without asking for its name",
     "Connections go by host name here; look the name up and connect to what the answer says."},
    {"name_mismatch", 403, Retry::Never, "The request names another host than the connection",
     "The name that was looked up, the TLS server name and the Host header have to be the same, and the port too."},
    {"plain_http", 403, Retry::Never, "This host is reached by https only", "Use https for this host."},
    {"operation_unknown", 403, Retry::Never, "This operation is not part of the mission",
     "The mission allows named operations only; this request is none of them."},
    {"scope_missing", 403, Retry::Never, "The mission was not granted what this operation needs",
     "The operation needs a permission that this mission does not have."},
    {"resource_outside", 403, Retry::Never, "This resource is outside the mission",
     "The operation is allowed, but not on this resource."},
    {"rule_denied", 403, Retry::Never, "A rule of the mission forbids this",
     "A rule of the mission forbids this request."},
    {"approval_unavailable", 403, Retry::Never, "This needs a human's approval, and nobody can be asked",
     "The request was not sent: it needs an approval, and this mission has no way to ask for one."},
    {"approval_denied", 403, Retry::Never, "A human refused this", "The request was shown to a human, who refused it."},
    {"approval_timeout", 403, Retry::Later, "Nobody answered in time",
     "The request waited for an approval that did not come."},
    {"budget_spent", 403, Retry::Later, "The mission's budget for this is spent",
     "The mission may do this only so many times, and has."},
    {"service_revoked", 403, Retry::Never, "The operator took this service back",
     "The mission goes on without this service; asking again does not help."},
    {"mission_ending", 403, Retry::Never, "The mission is ending", "No new request is taken."},
    {"request_invalid", 400, Retry::Never, "The request cannot be read without guessing",
     "The request is ambiguous or holds something that is not forwarded."},
    {"credential_unavailable", 503, Retry::Later, "No credential could be had for this request",
     "The request was not sent. The operator can see why."},
    {"record_unavailable", 503, Retry::Later, "The request could not be recorded",
     "Nothing is sent that cannot be recorded first."},
    {"upstream_address", 502, Retry::Never, "The host's address may not be dialled",
     "The name resolves to an address that this machine's operator has not allowed."},
    {"upstream_certificate", 502, Retry::Never, "The host could not prove who it is",
     "The host's certificate was not accepted; nothing was sent."},
    {"client_certificate", 502, Retry::Never, "The host does not take the certificate of this service",
     "The credential is good only with a certificate, which the host did not ask for or does not accept."},
    {"upstream_unreachable", 502, Retry::Later, "The host gave no usable answer",
     "The host could not be reached, or its answer broke off or was not understood."},
    {"internal", 503, Retry::Later, "The request could not be handled", "The request was not sent."},
}};

// Why the vault had no credential, in words that name no account and no provider.
struct NoCredential {
    std::string_view reason;
    std::string_view sentence;
};
constexpr std::string_view kMissionEnding = "mission_ending";
constexpr std::array<NoCredential, 12> kNoCredential{{
    {"consent_required", "The account behind this service has not been connected for this; its owner has to do that."},
    {"consent_lost", "The provider no longer honours the account's consent; its owner has to connect it again."},
    {"subject_expired", "The account's owner has to log in again."},
    {"scope_unavailable", "The account was not given the permission that this operation needs."},
    {"expires_too_soon", "The provider's credential ends too soon to begin a request with it; try again later."},
    {"scope_too_wide", "The provider gave more than this operation needs, which the operator does not accept."},
    {"misconfigured", "The account is not set up correctly; the operator can see what to change."},
    {"rate_limited", "The provider was asked too often; try again later."},
    {"unavailable", "The provider cannot be reached; try again later."},
    {"no_answer", "The provider did not answer; try again later."},
    {"clock_skew", "This machine's clock is wrong; the operator can see by how much."},
    {"protocol", "The provider's answer was not understood."},
}};

const Row& row_of(std::string_view reason) {
    const auto found = std::find_if(kRows.begin(), kRows.end(), [&](const Row& row) { return row.reason == reason; });
    return found == kRows.end() ? kRows.back() : *found;
}

std::string shown_sentence(const Row& row, std::string_view sentence) {
    return "Sanctum refused this: " + std::string(row.title) + ". " + std::string(sentence);
}

std::string problem_json(const Row& row, const Refusal& refusal, std::string_view sentence,
                         const std::string& decision) {
    std::string out = "{";
    const auto add = [&](std::string_view name, std::string_view value) {
        if (out.size() > 1) out += ",";
        wire::append_json_string(out, name);
        out += ":";
        wire::append_json_string(out, value);
    };
    add("type", "urn:sanctum:refusal:" + std::string(row.reason));
    add("title", row.title);
    out += ",\"status\":" + std::to_string(row.status);
    add("detail", sentence);
    add("decision", decision);
    add("reason_code", row.reason);
    add("rule", refusal.rule);
    // What clients show of an error's body: npm its `error`, gh and the SDKs of many APIs its `message`.
    const std::string shown = shown_sentence(row, sentence);
    add("error", shown);
    add("message", shown);
    out += ",\"can_request\":false,\"retry\":";
    out += row.retry == Retry::Later ? "true}\n" : "false}\n";
    return out;
}

std::string plain_text(const Row& row, const Refusal& refusal, std::string_view sentence, const std::string& decision) {
    std::string out = "Sanctum refused this: " + std::string(row.title) + "\n" + std::string(sentence) + "\n";
    out += "reason: " + std::string(row.reason);
    if (!refusal.rule.empty()) out += " (" + refusal.rule + ")";
    return out + ", decision: " + decision + "\n";
}

/// Printable ASCII only: a line end or a control byte of the agent's own request would end a packet's line.
std::string one_line(std::string_view text) {
    std::string out(text);
    std::replace_if(out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return out;
}

std::string push_report(const Row& row, const Refusal& refusal, std::string_view sentence, const std::string& decision,
                        const PushCommands& push) {
    const std::string rule = refusal.rule.empty() ? "" : " (" + refusal.rule + ")";
    const std::string text = "sanctum: " + std::string(row.title) + "\n" + "sanctum: " + one_line(sentence) + "\n" +
                             "sanctum: decision " + decision + "\n";
    return encode_push_rejection(push, "sanctum: " + std::string(row.reason) + one_line(rule), text);
}

std::string body_of(const Row& row, const Refusal& refusal, std::string_view sentence, const std::string& decision,
                    const RefusalOptions& options) {
    switch (options.form) {
        case RefusalForm::PushReport: return push_report(row, refusal, sentence, decision, *options.push);
        case RefusalForm::Text: return plain_text(row, refusal, sentence, decision);
        default: return problem_json(row, refusal, sentence, decision);
    }
}

std::string_view type_of(RefusalForm form) {
    switch (form) {
        case RefusalForm::PushReport: return "application/x-git-receive-pack-result";
        case RefusalForm::Text: return "text/plain; charset=utf-8";
        default: return "application/problem+json";
    }
}

std::string_view phrase_of(std::uint16_t status) {
    switch (status) {
        case 200: return "OK";
        case 400: return "Bad Request";
        case 502: return "Bad Gateway";
        case 503: return "Service Unavailable";
        default: return "Forbidden";
    }
}

}  // namespace

Refusal no_credential(const std::string& what) {
    Refusal refusal{.reason = "credential_unavailable", .detail = what};
    const std::string_view reason = std::string_view(what).substr(0, what.find(':'));
    if (reason == kMissionEnding) refusal.reason = kMissionEnding;  // later is never
    for (const NoCredential& known : kNoCredential) {
        if (known.reason != reason) continue;
        refusal.rule = known.reason;
        refusal.explanation = known.sentence;
    }
    return refusal;
}

std::uint16_t status_of(std::string_view reason) { return row_of(reason).status; }

std::uint16_t sent_status_of(std::string_view reason, RefusalForm form) {
    return form == RefusalForm::PushReport ? 200 : status_of(reason);
}

std::string encode_refusal(const Refusal& refusal, const std::string& decision, RefusalOptions options) {
    const Row& row = row_of(refusal.reason);
    const std::string_view sentence = refusal.explanation.empty() ? row.sentence : refusal.explanation;
    const std::string body = body_of(row, refusal, sentence, decision, options);
    ResponseHead head;
    head.status = sent_status_of(refusal.reason, options.form);
    head.reason = phrase_of(head.status);
    head.fields = {{"content-type", std::string(type_of(options.form))},
                   {"cache-control", "no-store"},
                   {"sanctum-decision", decision},
                   {"sanctum-reason", std::string(row.reason)}};
    std::string out = encode_response_head(
        head, {.framing = Framing::Length, .content_length = body.size(), .closes = options.closes});
    if (options.with_body) out += body;
    return out;
}

}  // namespace sanctum::interceptor
