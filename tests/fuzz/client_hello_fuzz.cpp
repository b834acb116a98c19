// SPDX-License-Identifier: Apache-2.0
// The first flight of an agent's client, through the same server set-up as the real one, and the server name's own
// parser: no crash, and what is taken for a name has only characters of one.
#include "interceptor/tls/agent_tls.hpp"
#include "interceptor/tls/client_hello.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace sanctum::interceptor;

struct Server {
    MissionCa ca;
    std::unique_ptr<AgentTls> tls;

    static Server& instance() {
        static Server server = [] {
            sanctum::network::initialise_openssl();
            const sanctum::WallTime now = sanctum::SystemClock().wall();
            const sanctum::WallTime end{now.unix_ms + 3'600'000};
            return Server{std::move(*MissionCa::create("01k000000000000000000fuzz", now, end)), {}};
        }();
        if (!server.tls) server.tls = std::move(*AgentTls::create(server.ca));
        return server;
    }
};

void check_name(std::string_view name) {
    if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.:") != std::string_view::npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    check_name(parse_server_name({data, size}).value_or(""));

    AgentHandshake handshake{"api.example.test", "198.18.0.4", {}};
    const auto ssl = Server::instance().tls->start(handshake);
    if (!ssl) std::abort();
    BIO* const input = BIO_new_mem_buf(data, static_cast<int>(size));
    SSL_set_bio(ssl->get(), input, BIO_new(BIO_s_mem()));
    SSL_do_handshake(ssl->get());
    ERR_clear_error();
    check_name(handshake.server_name);
    return 0;
}
