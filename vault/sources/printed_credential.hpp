// SPDX-License-Identifier: Apache-2.0
// What an operator's program prints: a credential as plain text, or a small JSON object that says more about it. Pure.
//
//     {"secret": "…", "expires_in": 900, "scopes": ["issues:read"], "handle": "key-17"}
#pragma once

#include "base/clock.hpp"
#include "base/secret.hpp"
#include "vault/sources/command_runner.hpp"
#include "vault/sources/source.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sanctum::vault {

struct PrintedCredential {
    Secret secret;                                   ///< empty: none was found
    std::optional<Milliseconds> expires_in;          ///< from now; absent: not said
    std::optional<std::vector<std::string>> scopes;  ///< sorted; absent: not said
    std::string handle;  ///< what the program that gives it back needs besides; no secret
    std::string fault;   ///< what breaks the contract, with the key; then the rest may be missing. Nothing of a value
};

/// Output that begins with `{` is JSON and has to keep the contract; all other is the credential itself, without one
/// newline at its end. Keys are `secret` (required), `expires_in` (whole seconds above 0), `scopes` (a list of texts)
/// and `handle` (printable, kHandleBytesMax at most); another one is a fault.
[[nodiscard]] PrintedCredential read_printed(std::string_view output);

/// The failure that an ending of `program` other than Output is; nothing of its output is in it.
[[nodiscard]] Error command_error(const std::string& program, const CommandEnd& end);

}  // namespace sanctum::vault
