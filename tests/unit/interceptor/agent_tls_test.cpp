// SPDX-License-Identifier: Apache-2.0
// The handshake that the agent's clients meet: names, leaves, ALPN, tickets, and what is refused.
#include "interceptor/tls/agent_tls.hpp"
#include "interceptor/tls/client_hello.hpp"
#include "interceptor/tls/mission_ca.hpp"
#include "loop_runs.hpp"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>

namespace sanctum::interceptor {
namespace {

constexpr std::size_t kHelloMax = 64 * 1024;
const WallTime kNow{SystemClock().wall()};
const WallTime kEnd{kNow.unix_ms + 600'000};

// An ordinary client that trusts the mission's CA and nothing else.
struct Client {
    network::SslContextPtr context;
    std::string server_name;  ///< empty: none is sent
    std::string checked_name;
    std::string protocols = "\x08http/1.1";

    explicit Client(const MissionCa& ca) : context(SSL_CTX_new(TLS_client_method())) {
        BIO* memory = BIO_new_mem_buf(ca.certificate_pem().data(), -1);
        const network::CertificatePtr root(PEM_read_bio_X509(memory, nullptr, nullptr, nullptr));
        BIO_free(memory);
        X509_STORE* const store = SSL_CTX_get_cert_store(context.get());
        X509_STORE_add_cert(store, root.get());
        // What Python 3.13 and other strict verifiers ask for.
        X509_STORE_set_flags(store, X509_V_FLAG_X509_STRICT);
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
        SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT);
    }
    [[nodiscard]] network::SslPtr start() const {
        network::SslPtr ssl(SSL_new(context.get()));
        std::string name = server_name;
        if (!name.empty()) SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
        X509_VERIFY_PARAM* const checks = SSL_get0_param(ssl.get());
        if (X509_VERIFY_PARAM_set1_ip_asc(checks, checked_name.c_str()) != 1) {
            SSL_set1_host(ssl.get(), checked_name.c_str());
        }
        SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                            static_cast<unsigned>(protocols.size()));
        SSL_set_connect_state(ssl.get());
        return ssl;
    }
};

struct Seen {
    Status client;
    Status server;
    std::string server_name;
    std::string protocol;
    bool is_resumed = false;
    network::SslSessionPtr session;
};

net::awaitable<void> accept(Loop& loop, UniqueFd socket, const AgentTls& tls, AgentHandshake& handshake,
                            Status& result) {
    Result<network::SslPtr> ssl = tls.start(handshake);
    TlsStream stream(loop, Descriptor(loop, std::move(socket)), std::move(*ssl));
    result = co_await stream.handshake(kHelloMax);
    if (!result) co_return;
    const Status written = co_await stream.write_all("x");
    EXPECT_TRUE(written.has_value());
    co_await stream.finish();
}

net::awaitable<void> connect(Loop& loop, UniqueFd socket, network::SslPtr ssl, Seen& seen) {
    TlsStream stream(loop, Descriptor(loop, std::move(socket)), std::move(ssl));
    seen.client = co_await stream.handshake(kHelloMax);
    if (!seen.client) co_return;
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(stream.ssl(), &chosen, &size);
    seen.protocol.assign(reinterpret_cast<const char*>(chosen), size);
    seen.is_resumed = SSL_session_reused(stream.ssl()) == 1;
    std::array<char, 8> byte{};
    const Result<std::size_t> first = co_await stream.read_some(byte);
    EXPECT_TRUE(first.has_value());
    seen.session.reset(SSL_get1_session(stream.ssl()));
}

class AgentTlsTest : public testing::Test {
protected:
    Seen meet(network::SslPtr client, const std::string& dialled_name,
              const std::string& dialled_address = "198.18.0.4") {
        auto [server_end, client_end] = loopback::tcp_pair();
        AgentHandshake handshake{dialled_name, dialled_address, {}};
        Seen seen;
        loop_->spawn(accept(*loop_, std::move(server_end), *tls_, handshake, seen.server));
        loopback::run(*loop_, connect(*loop_, std::move(client_end), std::move(client), seen));
        seen.server_name = handshake.server_name;
        return seen;
    }
    Client client(const std::string& name) const {
        Client made(ca_);
        made.server_name = made.checked_name = name;
        return made;
    }

    std::unique_ptr<Loop> loop_ = loopback::make_loop();
    MissionCa ca_ = std::move(*MissionCa::create("01k0000000000000000000test", kNow, kEnd));
    std::unique_ptr<AgentTls> tls_ = std::move(*AgentTls::create(ca_));
};

TEST_F(AgentTlsTest, TheDialledNameIsShownWithACertificateThatStrictClientsAccept) {
    const Seen seen = meet(client("api.example.test").start(), "api.example.test");

    EXPECT_TRUE(seen.client.has_value()) << seen.client.error().what;
    EXPECT_TRUE(seen.server.has_value());
    EXPECT_EQ(seen.server_name, "api.example.test");
    EXPECT_EQ(seen.protocol, "http/1.1");
}

// So that the refusal can be read instead of a certificate error.
TEST_F(AgentTlsTest, AnotherNameThanTheDialledOneStillHandshakesAndIsReported) {
    const Seen seen = meet(client("evil.example.test").start(), "api.example.test");

    EXPECT_TRUE(seen.client.has_value()) << seen.client.error().what;
    EXPECT_EQ(seen.server_name, "evil.example.test");
}

TEST_F(AgentTlsTest, WithoutServerNameTheDialledNameIsShown) {
    Client plain = client("api.example.test");
    plain.server_name.clear();

    const Seen seen = meet(plain.start(), "api.example.test");

    EXPECT_TRUE(seen.client.has_value()) << seen.client.error().what;
    EXPECT_EQ(seen.server_name, "");
}

TEST_F(AgentTlsTest, ARawAddressGetsACertificateForTheAddress) {
    for (const char* address : {"203.0.113.7", "2001:db8::7"}) {
        Client plain(ca_);
        plain.checked_name = address;

        const Seen seen = meet(plain.start(), "", address);

        EXPECT_TRUE(seen.client.has_value()) << seen.client.error().what;
        EXPECT_EQ(seen.server_name, "");
    }
}

TEST_F(AgentTlsTest, UpperCaseServerNamesAreOneNameWithLowerCase) {
    const Seen seen = meet(client("API.Example.Test").start(), "api.example.test");

    EXPECT_TRUE(seen.client.has_value()) << seen.client.error().what;
    EXPECT_EQ(seen.server_name, "api.example.test");
}

TEST_F(AgentTlsTest, AClientWithoutHttp11InItsListIsRefused) {
    Client h2_only = client("api.example.test");
    h2_only.protocols = "\x02h2";

    const Seen seen = meet(h2_only.start(), "api.example.test");

    EXPECT_FALSE(seen.client.has_value());
    EXPECT_FALSE(seen.server.has_value());
}

TEST_F(AgentTlsTest, AClientThatPrefersHttp2GetsHttp11) {
    Client both = client("api.example.test");
    both.protocols = std::string("\x02h2\x08http/1.1");

    EXPECT_EQ(meet(both.start(), "api.example.test").protocol, "http/1.1");
}

TEST_F(AgentTlsTest, Tls11IsRefused) {
    Client old = client("api.example.test");
    SSL_CTX_set_security_level(old.context.get(), 0);
    SSL_CTX_set_max_proto_version(old.context.get(), TLS1_1_VERSION);

    const Seen seen = meet(old.start(), "api.example.test");

    EXPECT_FALSE(seen.client.has_value());
}

TEST_F(AgentTlsTest, TicketsResumeForTheSameNameInBothVersions) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Client one = client("api.example.test");
        SSL_CTX_set_max_proto_version(one.context.get(), version);
        const Seen first = meet(one.start(), "api.example.test");
        ASSERT_TRUE(first.session);
        network::SslPtr again = one.start();
        SSL_set_session(again.get(), first.session.get());

        const Seen second = meet(std::move(again), "api.example.test");

        EXPECT_FALSE(first.is_resumed);
        EXPECT_TRUE(second.is_resumed) << version;
        EXPECT_EQ(SSL_SESSION_get_max_early_data(first.session.get()), 0U);
        EXPECT_EQ(second.server_name, "api.example.test");
    }
}

TEST_F(AgentTlsTest, TicketsOfAnotherMissionAreWorthNothing) {
    Client one = client("api.example.test");
    const Seen first = meet(one.start(), "api.example.test");
    tls_ = std::move(*AgentTls::create(ca_));
    network::SslPtr again = one.start();
    SSL_set_session(again.get(), first.session.get());

    EXPECT_FALSE(meet(std::move(again), "api.example.test").is_resumed);
}

net::awaitable<void> send_bytes(Loop& loop, UniqueFd socket, std::string bytes, std::size_t piece) {
    PlainStream stream(loop, Descriptor(loop, std::move(socket)));
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        const Status written = co_await stream.write_all(std::string_view(bytes).substr(at, piece));
        if (!written) co_return;
        co_await loop.yield_turn();
    }
    std::array<char, 4096> answer{};
    for (;;) {
        const Result<std::size_t> size = co_await stream.read_some(answer);
        if (!size || *size == 0) co_return;
    }
}

TEST_F(AgentTlsTest, BytesThatAreNoHandshakeEndTheConnection) {
    const std::string endless = std::string("\x16\x03\x01\x40\x00\x01\x01\xff\xfc", 9) + std::string(200'000, 'a');
    const std::string sslv2 = std::string("\x80\x2e\x01\x00\x02", 5) + std::string(60, 'x');
    const std::string rows[] = {std::string(2000, '\x16'), sslv2,
                                "GET / HTTP/1.1\r\nHost: x\r\n\r\n", std::string(3000, '\0'), endless};
    for (const std::string& bytes : rows) {
        auto [server_end, client_end] = loopback::tcp_pair();
        AgentHandshake handshake{"api.example.test", "198.18.0.4", {}};
        Status result;
        loop_->spawn(accept(*loop_, std::move(server_end), *tls_, handshake, result));
        loopback::run(*loop_, send_bytes(*loop_, std::move(client_end), bytes, 4096));
        EXPECT_FALSE(result.has_value());
    }
}

// The hello of a real client, taken from OpenSSL and cut into single bytes and odd pieces (POL-14).
TEST_F(AgentTlsTest, AClientHelloInSingleBytesIsRead) {
    const network::SslPtr ssl = client("api.example.test").start();
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_do_handshake(ssl.get());
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(ssl.get()), &bytes);
    const std::string hello(bytes, static_cast<std::size_t>(size));
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{100}}) {
        auto [server_end, client_end] = loopback::tcp_pair();
        AgentHandshake handshake{"api.example.test", "198.18.0.4", {}};
        Status result;
        loop_->spawn(accept(*loop_, std::move(server_end), *tls_, handshake, result));
        // An alert at the end, so that the server does not wait for the rest of the handshake.
        const std::string bytes_and_alert = hello + std::string("\x15\x03\x03\x00\x02\x02\x28", 7);
        loopback::run(*loop_, send_bytes(*loop_, std::move(client_end), bytes_and_alert, piece));
        EXPECT_EQ(handshake.server_name, "api.example.test") << piece;
    }
}

std::optional<std::string> server_name_of(const std::string& extension) {
    return parse_server_name({reinterpret_cast<const unsigned char*>(extension.data()), extension.size()});
}

std::string extension_with(const std::string& name, char type = 0) {
    const auto size = [](std::size_t value) {
        return std::string{static_cast<char>(value >> 8U), static_cast<char>(value & 0xffU)};
    };
    return size(name.size() + 3) + type + size(name.size()) + name;
}

TEST(ServerName, IsTakenFromTheExtensionInLowerCase) {
    EXPECT_EQ(server_name_of(extension_with("Api.Example.Test")), "api.example.test");
    EXPECT_EQ(server_name_of(extension_with("203.0.113.7")), "203.0.113.7");
}

TEST(ServerName, AnyOtherFormIsNone) {
    const std::string good = extension_with("api.example.test");
    const std::string rows[] = {"", std::string(1, '\0'), std::string("\0\0", 2), good.substr(0, 5), good.substr(0, 10),
                                good + "x", extension_with(""), extension_with("api.example.test", 1),
                                extension_with(std::string("a\0b.test", 8)), extension_with("a b.test"),
                                extension_with("a/b"), extension_with("user@host"), extension_with("ä.test"),
                                extension_with("a\r\nb"), extension_with(std::string(256, 'a')),
                                extension_with("a") + extension_with("b").substr(2)};
    for (const std::string& row : rows) EXPECT_EQ(server_name_of(row), std::nullopt);
}

TEST(MissionCertificates, NeverOutliveTheMission) {
    MissionCa ca = std::move(*MissionCa::create("01k0000000000000000000test", kNow, kEnd));
    const auto leaf = ca.leaf_for("api.example.test");
    ASSERT_TRUE(leaf.has_value());

    time_t end = kEnd.unix_ms / 1000 + 1;
    time_t now = kNow.unix_ms / 1000;
    EXPECT_LT(X509_cmp_time(X509_get0_notAfter(*leaf), &end), 0);
    EXPECT_LT(X509_cmp_time(X509_get0_notBefore(*leaf), &now), 0);
}

TEST(MissionCertificates, OnlyNamesAndAddressesGetOne) {
    MissionCa ca = std::move(*MissionCa::create("01k0000000000000000000test", kNow, kEnd));
    for (const char* name : {"", "a,DNS:evil.test", "a b", "A.test", "*.test", "a..b", "@x", "-a.test", "email:x"}) {
        EXPECT_FALSE(ca.leaf_for(name).has_value()) << name;
    }
    for (const char* name : {"a.test", "x_y.test", "203.0.113.7", "2001:db8::1", "localhost"}) {
        EXPECT_TRUE(ca.leaf_for(name).has_value()) << name;
    }
}

TEST(MissionCertificates, AreKeptAndBounded) {
    MissionCa ca = std::move(*MissionCa::create("01k0000000000000000000test", kNow, kEnd));
    X509* const first = *ca.leaf_for("first.test");
    EXPECT_EQ(*ca.leaf_for("first.test"), first);
    for (std::size_t i = 0; i < 300; ++i) ASSERT_TRUE(ca.leaf_for("h" + std::to_string(i) + ".test").has_value());
    EXPECT_TRUE(ca.leaf_for("first.test").has_value());
}

}  // namespace
}  // namespace sanctum::interceptor
