// SPDX-License-Identifier: Apache-2.0
// What the other side's alerts say about certificates, as OpenSSL's own server sends them.
#include "interceptor/io/tls_stream.hpp"

#include "loop_runs.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <array>

namespace sanctum::interceptor {
namespace {

constexpr std::size_t kAnyLength = 64 * 1024;

struct Heard {
    Status told;  ///< by the handshake, or by the first read after it
    bool is_certificate_refused = false;
};

net::awaitable<void> refuse(Loop& loop, UniqueFd socket, network::SslPtr ssl) {
    TlsStream stream(loop, Descriptor(loop, std::move(socket)), std::move(ssl));
    const Status shaken = co_await stream.handshake(kAnyLength);
    EXPECT_FALSE(shaken.has_value());
}

net::awaitable<void> listen_to(Loop& loop, UniqueFd socket, network::SslPtr ssl, Heard& heard) {
    TlsStream stream(loop, Descriptor(loop, std::move(socket)), std::move(ssl));
    heard.told = co_await stream.handshake(kAnyLength);
    if (heard.told) {
        std::array<char, 8> byte{};
        const Result<std::size_t> first = co_await stream.read_some(byte);
        EXPECT_FALSE(first.has_value());
        if (!first) heard.told = first.error();
    }
    heard.is_certificate_refused = stream.is_certificate_refused();
}

class TlsStreamAlerts : public testing::Test {
protected:
    // A client without a certificate.
    Heard meet(network::SslPtr server) {
        const network::SslContextPtr context(SSL_CTX_new(TLS_client_method()));
        network::SslPtr client(SSL_new(context.get()));
        std::string name = "api.example.test";
        SSL_ctrl(client.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
        SSL_set_connect_state(client.get());
        auto [server_end, client_end] = loopback::tcp_pair();
        Heard heard;
        loop_->spawn(refuse(*loop_, std::move(server_end), std::move(server)));
        loopback::run(*loop_, listen_to(*loop_, std::move(client_end), std::move(client), heard));
        return heard;
    }
    // A server that answers each name with the alert.
    Heard meet_alert(int alert) {
        network::SslPtr server = loopback::start_server(identity_);
        alert_ = alert;
        SSL_CTX* const context = SSL_get_SSL_CTX(server.get());
        const auto answer = +[](SSL*, int* to, void* from) {
            *to = *static_cast<int*>(from);
            return SSL_TLSEXT_ERR_ALERT_FATAL;
        };
        SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, reinterpret_cast<void (*)()>(answer));
        SSL_CTX_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_ARG, 0, &alert_);
        return meet(std::move(server));
    }

    std::unique_ptr<Loop> loop_ = loopback::make_loop();
    const loopback::Identity identity_ = loopback::make_identity({}, nullptr);
    int alert_ = 0;
};

TEST_F(TlsStreamAlerts, AServerThatRequiresACertificateIsHeardAsOneThatWasShownNone) {
    network::SslPtr server = loopback::start_server(identity_);
    SSL_set_min_proto_version(server.get(), TLS1_3_VERSION);
    SSL_set_verify(server.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);

    const Heard heard = meet(std::move(server));

    ASSERT_FALSE(heard.told.has_value());
    EXPECT_EQ(heard.told.error().code, Errc::Denied);
    EXPECT_TRUE(heard.told.error().what.find("certificate required") != std::string::npos) << heard.told.error().what;
    EXPECT_TRUE(heard.is_certificate_refused);
}

TEST_F(TlsStreamAlerts, DeniedAccessIsAboutTheCertificateAndAnAlertOfAnotherKindIsNot) {
    const Heard denied = meet_alert(SSL_AD_ACCESS_DENIED);
    ASSERT_FALSE(denied.told.has_value());
    EXPECT_TRUE(denied.told.error().code == Errc::Denied && denied.is_certificate_refused) << denied.told.error().what;

    for (const int alert : {SSL_AD_INTERNAL_ERROR, SSL_AD_UNRECOGNIZED_NAME, SSL_AD_INSUFFICIENT_SECURITY}) {
        const Heard other = meet_alert(alert);
        ASSERT_FALSE(other.told.has_value());
        EXPECT_EQ(other.told.error().code, Errc::Protocol) << other.told.error().what;
        EXPECT_FALSE(other.is_certificate_refused);
    }
}

}  // namespace
}  // namespace sanctum::interceptor
