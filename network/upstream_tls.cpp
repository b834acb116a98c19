// SPDX-License-Identifier: Apache-2.0
#include "network/upstream_tls.hpp"

#include "base/limits.hpp"
#include "network/stapled_status.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <deque>
#include <unordered_map>

namespace sanctum::network {

struct UpstreamTls::State {
    SslContextPtr context;
    std::map<std::string, SslContextPtr> pinned;  ///< by host; none of them knows the machine's roots
    std::string bundle;  ///< still to be loaded
    std::unordered_map<std::string, std::deque<SslSessionPtr>> sessions;
    std::size_t session_count = 0;

    void keep(const std::string& key, SslSessionPtr session) {
        if (session_count >= kUpstreamSessionsMax) {
            sessions.clear();
            session_count = 0;
        }
        std::deque<SslSessionPtr>& kept = sessions[key];
        if (kept.size() >= kUpstreamSessionsPerKeyMax) {
            kept.pop_front();
            --session_count;
        }
        kept.push_back(std::move(session));
        ++session_count;
    }
    // A ticket is offered once (RFC 8446 appendix C.4); the server gives new ones.
    SslSessionPtr take(const std::string& key) {
        const auto found = sessions.find(key);
        if (found == sessions.end()) return nullptr;
        SslSessionPtr session = std::move(found->second.back());
        found->second.pop_back();
        --session_count;
        if (found->second.empty()) sessions.erase(found);
        return session;
    }
};

namespace {

struct SessionSlot {
    std::string key;
};

// The key travels with its SSL and is freed with it.
void free_slot(void*, void* slot, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<SessionSlot*>(slot); }

int slot_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, &free_slot);
    return index;
}

int state_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

// `key`: of the configuration, for messages.
Status add_certificates(X509_STORE* store, const std::string& pem, const std::string& key) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                           &BIO_free);
    std::size_t count = 0;
    for (;;) {
        const CertificatePtr certificate(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
        if (!certificate) break;
        if (X509_STORE_add_cert(store, certificate.get()) != 1) {
            return Error{Errc::Internal, key + ": " + take_openssl_error()};
        }
        ++count;
    }
    // The last read always fails; anything but "no further PEM block" is a broken certificate.
    const bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (count == 0 || !is_end) {
        return Error{Errc::InvalidProfile, key + ": not PEM certificates (or a damaged one)"};
    }
    return {};
}

Status configure(SSL_CTX* context) {
    constexpr unsigned char kProtocols[] = "\x08http/1.1";
    X509_VERIFY_PARAM* const checks = SSL_CTX_get0_param(context);
    // SECURITY: level 2 refuses SHA-1 and MD5 signatures, RSA below 2048 and EC below 224 bits anywhere in the chain.
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        X509_VERIFY_PARAM_set_purpose(checks, X509_PURPOSE_SSL_SERVER) != 1 ||
        SSL_CTX_set_alpn_protos(context, kProtocols, sizeof(kProtocols) - 1) != 0) {
        return Error{Errc::Internal, "upstream TLS: " + take_openssl_error()};
    }
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_tlsext_status_type(context, TLSEXT_STATUSTYPE_ocsp);
    // SSL_CTX_set_tlsext_status_cb without its macro's cast.
    SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB,
                          reinterpret_cast<void (*)()>(&check_stapled_status));
    return {};
}

// Without any root yet. `owner` keeps the sessions.
template <class Owner>
Result<SslContextPtr> make_context(Owner* owner) {
    SslContextPtr made(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* const context = made.get();
    if (context == nullptr) return Error{Errc::Internal, "upstream TLS: " + take_openssl_error()};
    SANCTUM_CHECK(configure(context));
    SSL_CTX_set_ex_data(context, state_index(), owner);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
        auto* keeper = static_cast<Owner*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), state_index()));
        const auto* slot = static_cast<SessionSlot*>(SSL_get_ex_data(ssl, slot_index()));
        if (slot == nullptr || SSL_SESSION_is_resumable(session) != 1) return 0;
        keeper->keep(slot->key, SslSessionPtr(session));
        return 1;
    });
    return made;
}

}  // namespace

Result<std::unique_ptr<UpstreamTls>> UpstreamTls::create(const std::string& ca_pem, const RootCertificates& roots,
                                                         const std::map<std::string, std::string>& pinned) {
    auto state = std::make_unique<State>();
    SANCTUM_TRY(state->context, make_context(state.get()));
    SSL_CTX* const context = state->context.get();
    if (!ca_pem.empty()) {
        SANCTUM_CHECK(add_certificates(SSL_CTX_get_cert_store(context), ca_pem, "upstream.ca_file"));
    }
    for (const auto& [host, pem] : pinned) {
        SANCTUM_TRY(SslContextPtr own, make_context(state.get()));
        SANCTUM_CHECK(add_certificates(SSL_CTX_get_cert_store(own.get()), pem,
                                       "upstream.host.\"" + host + "\".ca_file"));
        state->pinned[host] = std::move(own);
    }
    if (!roots.hashed_folder.empty() && SSL_CTX_load_verify_dir(context, roots.hashed_folder.c_str()) != 1) {
        return Error{Errc::Internal, "upstream TLS: " + take_openssl_error()};
    }
    state->bundle = roots.bundle;
    return std::unique_ptr<UpstreamTls>(new UpstreamTls(std::move(state)));
}

UpstreamTls::UpstreamTls(std::unique_ptr<State> state) : state_(std::move(state)) {}
UpstreamTls::~UpstreamTls() = default;

Result<SslPtr> UpstreamTls::start(const std::string& host, const std::string& session_key) {
    const auto pinned = state_->pinned.find(host);
    const bool is_pinned = pinned != state_->pinned.end();
    SSL_CTX* const context = is_pinned ? pinned->second.get() : state_->context.get();
    if (!is_pinned && !state_->bundle.empty()) {
        const std::string bundle = std::exchange(state_->bundle, {});
        if (SSL_CTX_load_verify_file(context, bundle.c_str()) != 1) {
            return Error{Errc::Internal, "root certificates " + bundle + ": " + take_openssl_error()};
        }
    }
    SslPtr ssl(SSL_new(context));
    // SSL_set_tlsext_host_name without its macro's cast.
    std::string name = host;
    if (!ssl || SSL_set1_host(ssl.get(), host.c_str()) != 1 ||
        SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) != 1) {
        return Error{Errc::Internal, "upstream TLS: " + take_openssl_error()};
    }
    SSL_set_connect_state(ssl.get());
    if (session_key.empty()) return ssl;
    auto slot = std::make_unique<SessionSlot>(SessionSlot{session_key});
    if (SSL_set_ex_data(ssl.get(), slot_index(), slot.get()) == 1) static_cast<void>(slot.release());
    if (const SslSessionPtr session = state_->take(session_key)) SSL_set_session(ssl.get(), session.get());
    return ssl;
}

Error UpstreamTls::explain_failure(const SSL* ssl, const Error& failure) {
    const long verified = SSL_get_verify_result(ssl);
    if (verified != X509_V_OK) {
        return {Errc::Denied, std::string("upstream_certificate: ") + X509_verify_cert_error_string(verified)};
    }
    return {failure.code, "upstream_unreachable: " + failure.what, failure.sys_errno};
}

void UpstreamTls::forget_sessions(const std::string& ending) {
    std::erase_if(state_->sessions, [&](const auto& entry) {
        if (!entry.first.ends_with(ending)) return false;
        state_->session_count -= entry.second.size();
        return true;
    });
}

}  // namespace sanctum::network
