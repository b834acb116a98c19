// SPDX-License-Identifier: Apache-2.0
// The answer to one DNS message. Pure apart from the pool; the agent chooses every byte that comes in. Fuzzed.
//
// Every host name gets an address, known to the mission or not: the refusal is then said in words by HTTP instead of
// by a resolver error. Nothing is asked of any other name server.
#pragma once

#include "interceptor/dns/address_pool.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sanctum::interceptor {

/// The answer to `query`, at most 512 bytes; nullopt for what must be dropped (not a query, or too short to answer).
///
/// A: an address of the pool; `localhost`: 127.0.0.1. AAAA, HTTPS, SVCB and every other type: no data, with SOA, at
/// once, so that nobody waits or is led around us. PTR: the name of a pool address. A name that no host can have:
/// NXDOMAIN. Other opcodes NOTIMP, other classes REFUSED, more or less than one question FORMERR, EDNS versions
/// above 0 BADVERS. See RFC 1035, 2308, 6761, 6891, 9460.
[[nodiscard]] std::optional<std::string> answer_dns(std::string_view query, AddressPool& pool);

}  // namespace sanctum::interceptor
