// SPDX-License-Identifier: Apache-2.0
// `[login]` of a catalog entry: how an agent logs in by itself there, and what of it is a credential. Internal.
#pragma once

#include "profiles/catalog/entry_text.hpp"
#include "profiles/schema/toml_reader.hpp"

namespace sanctum::profiles {

/// Takes `[login]` of `top` into `entry`, whose endpoints and operations have been read. Reports what does not fit: a
/// token endpoint that no operation is about, a member of the answer that is both a credential and shown.
void read_login(TableReader& top, EntryText& entry);

}  // namespace sanctum::profiles
