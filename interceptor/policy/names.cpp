// SPDX-License-Identifier: Apache-2.0
#include "interceptor/policy/names.hpp"

namespace sanctum::interceptor {

std::optional<Refusal> check_connection_names(const RequestHead& head, const AgentConnection& connection) {
    if (connection.name.empty()) {
        return Refusal{.reason = "address_without_name", .detail = "dialled " + connection.dialled};
    }
    const auto mismatch = [&](const std::string& what) {
        return Refusal{.reason = "name_mismatch", .detail = "looked up " + connection.name + ", " + what};
    };
    if (connection.is_tls && connection.server_name.empty()) return mismatch("no TLS server name");
    if (connection.is_tls && connection.server_name != connection.name) {
        return mismatch("TLS server name " + connection.server_name);
    }
    if (head.host != connection.name) return mismatch("host field " + head.host);
    const std::uint16_t usual_port = connection.is_tls ? 443 : 80;
    const std::uint16_t port = head.port == 0 ? usual_port : head.port;
    if (port != connection.port) return mismatch("host field names port " + std::to_string(port));
    return std::nullopt;
}

}  // namespace sanctum::interceptor
