// SPDX-License-Identifier: Apache-2.0
#include "interceptor/tls/agent_tls.hpp"

#include "interceptor/tls/client_hello.hpp"
#include "network/host_name.hpp"

#include <openssl/ssl.h>

#include <string_view>

namespace sanctum::interceptor {
namespace {

constexpr std::string_view kHttp11 = "http/1.1";

// The leaf follows the name that the client asked for, since that is the name it will check.
const std::string& leaf_name(const AgentHandshake& handshake) {
    const std::string& asked = handshake.server_name;
    if (network::is_host_name(asked) || network::is_address_literal(asked)) return asked;
    return handshake.name.empty() ? handshake.dialled_address : handshake.name;
}

// OpenSSL calls this once the whole ClientHello has been read, before anything of it is acted on.
int on_client_hello(SSL* ssl, int* alert, void* argument) {
    auto& ca = *static_cast<MissionCa*>(argument);
    auto& handshake = *static_cast<AgentHandshake*>(SSL_get_app_data(ssl));
    const unsigned char* bytes = nullptr;
    std::size_t size = 0;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) == 1) {
        std::optional<std::string> name = parse_server_name({bytes, size});
        if (!name) {
            *alert = SSL_AD_UNRECOGNIZED_NAME;
            return SSL_CLIENT_HELLO_ERROR;
        }
        handshake.server_name = std::move(*name);
    }
    const Result<X509*> leaf = ca.leaf_for(leaf_name(handshake));
    if (!leaf || SSL_use_cert_and_key(ssl, *leaf, ca.leaf_key(), nullptr, 1) != 1) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

// A client that offers protocols but not HTTP/1.1 is refused: nothing here speaks anything else.
int on_alpn(SSL*, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
            unsigned int offered_size, void*) {
    const std::string_view list(reinterpret_cast<const char*>(offered), offered_size);
    for (std::size_t at = 0; at < list.size();) {
        const auto size = static_cast<unsigned char>(list[at]);
        if (list.substr(at + 1, size) == kHttp11) {
            *chosen = offered + at + 1;
            *chosen_size = size;
            return SSL_TLSEXT_ERR_OK;
        }
        at += 1U + size;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

Result<std::unique_ptr<AgentTls>> AgentTls::create(MissionCa& ca) {
    std::unique_ptr<AgentTls> tls(new AgentTls());
    tls->context_.reset(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* const context = tls->context_.get();
    // RFC 8446 section 9.1: the one that everybody has comes first; SHA-384 takes several times its time per handshake.
    constexpr const char* kCipherSuites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
    constexpr std::string_view kSessionContext = "sanctum";
    if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(kSessionContext.data()),
                                       kSessionContext.size()) != 1 ||
        SSL_CTX_set_ciphersuites(context, kCipherSuites) != 1) {
        return Error{Errc::Internal, "agent TLS: " + network::take_openssl_error()};
    }
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    // Tickets only: their keys are made with this context and never leave it; nothing is kept per client.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_max_early_data(context, 0);
    SSL_CTX_set_client_hello_cb(context, &on_client_hello, &ca);
    SSL_CTX_set_alpn_select_cb(context, &on_alpn, nullptr);
    return tls;
}

Result<network::SslPtr> AgentTls::start(AgentHandshake& handshake) const {
    network::SslPtr ssl(SSL_new(context_.get()));
    if (!ssl || SSL_set_app_data(ssl.get(), &handshake) != 1) {
        return Error{Errc::Internal, "agent TLS: " + network::take_openssl_error()};
    }
    SSL_set_accept_state(ssl.get());
    return ssl;
}

}  // namespace sanctum::interceptor
