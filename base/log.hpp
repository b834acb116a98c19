// SPDX-License-Identifier: Apache-2.0
// The developer's log: stderr, may be lost, never evidence (that is the ledger) and never a secret.
#pragma once

#include <string_view>

namespace sanctum::log {

enum class Level { Quiet, Error, Warning, Info, Debug };

/// Sets up this process's log: `name` goes in front of every line. Before it is called only errors are shown.
void open(std::string_view name, Level level);

void error(std::string_view text);
void warning(std::string_view text);
void info(std::string_view text);
void debug(std::string_view text);

}  // namespace sanctum::log
