// SPDX-License-Identifier: Apache-2.0
// Signed statements of this machine, one line each: a DSSE envelope with one signature, and files of such lines.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "ledger/keys.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sanctum::ledger {

/// One line: the envelope of `payload`. See https://github.com/secure-systems-lab/dsse (protocol, envelope).
[[nodiscard]] std::string seal_payload(std::string_view type, std::string_view payload, const SigningKey& key);

/// The payload, after form, type and signature were checked. `what` names the statement in errors ("receipt").
/// Errors: Protocol with what is wrong.
[[nodiscard]] Result<std::string> open_payload(std::string_view what, std::string_view type, std::string_view envelope,
                                               const VerifyingKey& key);

/// Opens (makes) a file of envelopes for appending and waits for its lock, which ends with the descriptor. Errors: Io.
[[nodiscard]] Result<UniqueFd> open_envelopes(const std::string& path);

/// The end of a file of envelopes.
struct EnvelopesTail {
    std::string last_line;    ///< the last whole one; empty: there is none
    std::uint64_t bytes = 0;  ///< of all whole lines
};

/// Read from the end: such a file grows with every mission of the machine. Errors: Limit, Io.
[[nodiscard]] Result<EnvelopesTail> read_envelopes_tail(int fd, const std::string& path);

/// Cuts what a crash left behind the whole lines, appends `envelope` as a line and syncs it. Errors: Io; nothing of the
/// line is left then.
[[nodiscard]] Status append_envelope(int fd, const std::string& path, const EnvelopesTail& tail,
                                     const std::string& envelope);

}  // namespace sanctum::ledger
