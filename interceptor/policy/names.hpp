// SPDX-License-Identifier: Apache-2.0
// One host value: the name whose address was dialled, the TLS server name and the Host field have to be the same.
#pragma once

#include "interceptor/http/message.hpp"
#include "interceptor/policy/refusal.hpp"
#include "interceptor/services.hpp"

#include <optional>

namespace sanctum::interceptor {

/// `address_without_name` when our DNS did not hand out the dialled address, `name_mismatch` when names or ports
/// differ (threat: a connection allowed for one host carries requests for another).
[[nodiscard]] std::optional<Refusal> check_connection_names(const RequestHead& head, const AgentConnection& connection);

}  // namespace sanctum::interceptor
