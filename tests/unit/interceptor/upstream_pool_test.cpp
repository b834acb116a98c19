// SPDX-License-Identifier: Apache-2.0
// Kept upstream connections: who may have them again, and which are thrown away. Streams as they end.
#include "interceptor/upstream/upstream_pool.hpp"
#include "loop_runs.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <sys/socket.h>

namespace sanctum::interceptor {
namespace {

const std::string kHost = "api.example.test";

// Connects whatever is asked for and keeps the servers' ends.
class FakeDialler {
public:
    explicit FakeDialler(Loop& loop) : loop_(loop) {
        auto ends = wire::make_channel_pair();
        mine_ = wire::Channel(std::move(ends->first));
        client = std::make_unique<DialClient>(loop, wire::Channel(std::move(ends->second)));
    }
    net::awaitable<void> serve(int dials) {
        while (dials > 0) {
            auto packet = mine_.receive();
            if (!packet) co_return;
            if (!*packet) {
                co_await loop_.yield_turn();
                continue;
            }
            --dials;
            const auto dial = (*packet)->as<wire::Dial>();
            auto [server_end, client_end] = loopback::tcp_pair();
            const int fd = client_end.get();
            const Status sent = mine_.send(wire::Dialled{dial->dial, "", ""}, std::span<const int>(&fd, 1));
            EXPECT_TRUE(sent.has_value());
            labels.push_back(dial->labels);
            servers.push_back(std::move(server_end));
        }
    }
    std::unique_ptr<DialClient> client;
    std::vector<UniqueFd> servers;
    std::vector<std::string> labels;

private:
    Loop& loop_;
    wire::Channel mine_;
};

net::awaitable<void> serve_dialler(DialClient& client) {
    const Status ended = co_await client.serve();
    EXPECT_FALSE(ended.has_value());
}

class UpstreamPoolTest : public testing::Test {
protected:
    UpstreamPoolTest() {
        profiles::DialEntry plain;
        plain.name = kHost;
        plain.ports = {80};
        plain.plain_http = true;
        profiles::DialEntry wildcard;
        wildcard.name = "*.cdn.example.test";
        wildcard.ports = {80};
        wildcard.plain_http = true;
        profiles::DialEntry only_tls;
        only_tls.name = "tls.example.test";
        only_tls.ports = {443};
        entries_ = {plain, wildcard, only_tls};
        loop_->spawn(serve_dialler(*dialler_.client));
    }
    ~UpstreamPoolTest() override {
        pool_.close();
        dialler_.client->close();
        loop_->run();
    }
    Result<Upstream> open(const std::string& lease, Upstreams::Pool how = Upstreams::Pool::MayReuse,
                          std::size_t entry = 0, const std::string& host = kHost, std::uint16_t port = 80);
    Result<Upstream> open(std::shared_ptr<HeldLease> lease, Upstreams::Pool how, std::size_t entry,
                          const std::string& host, std::uint16_t port);

    std::unique_ptr<Loop> loop_ = loopback::make_loop();
    std::vector<profiles::DialEntry> entries_;
    std::set<std::string> live_ = {"l1", "l2"};
    FakeDialler dialler_{*loop_};
    std::unique_ptr<network::UpstreamTls> tls_ = std::move(*network::UpstreamTls::create("", {}));
    UpstreamPool pool_{*loop_, entries_, *dialler_.client, *tls_,
                       [this](const std::string& id) { return live_.contains(id); }};
};

net::awaitable<void> open_one(UpstreamPool& pool, std::size_t entry, std::string host, std::uint16_t port,
                              std::shared_ptr<HeldLease> lease, Upstreams::Pool how,
                              std::optional<Result<Upstream>>& result) {
    Result<Upstream> opened = co_await pool.open(entry, host, port, port == 443, lease, how);
    result.emplace(std::move(opened));
}

std::shared_ptr<HeldLease> lease_of(const std::string& id, profiles::AuthForm form = profiles::AuthForm::Bearer) {
    if (id.empty()) return nullptr;
    auto lease = std::make_shared<HeldLease>();
    lease->id = id;
    lease->form = form;
    return lease;
}

Result<Upstream> UpstreamPoolTest::open(const std::string& lease, Upstreams::Pool how, std::size_t entry,
                                        const std::string& host, std::uint16_t port) {
    return open(lease_of(lease), how, entry, host, port);
}

Result<Upstream> UpstreamPoolTest::open(std::shared_ptr<HeldLease> lease, Upstreams::Pool how, std::size_t entry,
                                        const std::string& host, std::uint16_t port) {
    std::optional<Result<Upstream>> result;
    const std::size_t before = dialler_.servers.size();
    loop_->spawn(open_one(pool_, entry, host, port, lease, how, result));
    loop_->run_ready();
    if (!result) {
        loop_->spawn(dialler_.serve(1));
        while (!result) loop_->run_ready();
    }
    EXPECT_LE(dialler_.servers.size(), before + 1);
    return std::move(*result);
}

TEST_F(UpstreamPoolTest, AParkedConnectionIsUsedAgainForTheSameLease) {
    pool_.park(std::move(*open("l1")));

    const auto again = open("l1");

    ASSERT_TRUE(again.has_value());
    EXPECT_TRUE(again->is_reused);
    EXPECT_EQ(dialler_.servers.size(), 1U);
}

TEST_F(UpstreamPoolTest, AnotherLeaseOrNoneGetsAConnectionOfItsOwn) {
    pool_.park(std::move(*open("l1")));

    EXPECT_FALSE(open("l2")->is_reused);
    EXPECT_FALSE(open("")->is_reused);
    EXPECT_FALSE(open("l1", Upstreams::Pool::OnlyFresh)->is_reused);
    EXPECT_EQ(dialler_.servers.size(), 4U);
}

TEST_F(UpstreamPoolTest, AConnectionThatTheServerClosedOrWroteToIsThrownAway) {
    pool_.park(std::move(*open("l1")));
    ASSERT_EQ(::send(dialler_.servers[0].get(), "HTTP/1.1 200 OK\r\n", 17, 0), 17);
    EXPECT_FALSE(open("l1")->is_reused);

    pool_.park(std::move(*open("l2")));
    dialler_.servers.back().reset();
    EXPECT_FALSE(open("l2")->is_reused);
    EXPECT_EQ(pool_.idle(), 0U);
}

TEST_F(UpstreamPoolTest, ConnectionsOfALeaseThatIsGoneAreClosed) {
    pool_.park(std::move(*open("l1")));
    auto in_use = open("l1", Upstreams::Pool::OnlyFresh);
    live_.erase("l1");

    pool_.drop_lease("l1");
    EXPECT_EQ(pool_.idle(), 0U);
    pool_.park(std::move(*in_use));
    EXPECT_EQ(pool_.idle(), 0U);

    char byte = 0;
    EXPECT_EQ(::recv(dialler_.servers[0].get(), &byte, 1, 0), 0);
    EXPECT_EQ(::recv(dialler_.servers[1].get(), &byte, 1, 0), 0);
}

TEST_F(UpstreamPoolTest, AWildcardIsDialledByItsLabels) {
    ASSERT_TRUE(open("", Upstreams::Pool::MayReuse, 1, "a.b.cdn.example.test").has_value());
    EXPECT_EQ(dialler_.labels.back(), "a.b");
}

TEST_F(UpstreamPoolTest, AHostOutsideItsEntryAndPlainHttpWithoutPermissionAreRefusedHereToo) {
    EXPECT_FALSE(open("", Upstreams::Pool::MayReuse, 0, "evil.example.test").has_value());
    EXPECT_FALSE(open("", Upstreams::Pool::MayReuse, 9).has_value());
    EXPECT_FALSE(open("", Upstreams::Pool::MayReuse, 1, "cdn.example.test").has_value());
    EXPECT_FALSE(open("", Upstreams::Pool::MayReuse, 2, "tls.example.test", 80).has_value());
    EXPECT_TRUE(dialler_.servers.empty());
}

TEST_F(UpstreamPoolTest, ATokenBoundToACertificateGoesNowhereWithoutTlsAndItsKeyNowhereOnceItsLeaseHasEnded) {
    const auto lease = lease_of("l1", profiles::AuthForm::Certificate);
    const auto plain = open(lease, Upstreams::Pool::MayReuse, 0, kHost, 80);
    ASSERT_FALSE(plain.has_value());
    EXPECT_TRUE(plain.error().what.starts_with("client_certificate: ")) << plain.error().what;
    EXPECT_TRUE(dialler_.servers.empty());

    const auto broken = open(lease, Upstreams::Pool::MayReuse, 2, "tls.example.test", 443);
    EXPECT_TRUE(broken.error().what.starts_with("client_certificate: ")) << "there is none, or it is damaged";
    lease->is_live = false;
    const auto ended = open(lease, Upstreams::Pool::MayReuse, 2, "tls.example.test", 443);
    EXPECT_TRUE(ended.error().what.starts_with("credential_unavailable: ")) << ended.error().what;
}

net::awaitable<void> read_one(PlainStream& stream, std::optional<Result<std::size_t>>& result) {
    std::array<char, 64> buffer{};
    Result<std::size_t> size = co_await stream.read_some(buffer);
    result.emplace(std::move(size));
}

TEST(PlainStream, ClosingEndsAPendingReadWithCancelled) {
    const auto loop = loopback::make_loop();
    auto [one, other] = loopback::tcp_pair();
    PlainStream stream(*loop, Descriptor(*loop, std::move(one)));
    std::optional<Result<std::size_t>> result;
    loop->spawn(read_one(stream, result));
    loop->run_ready();
    EXPECT_FALSE(result);

    stream.close();
    loop->run();

    ASSERT_TRUE(result && !result->has_value());
    EXPECT_EQ(result->error().code, Errc::Cancelled);
}

TEST(PlainStream, AnEarlierDeadlineEndsAPendingReadWithTimeout) {
    const auto loop = loopback::make_loop();
    auto [one, other] = loopback::tcp_pair();
    PlainStream stream(*loop, Descriptor(*loop, std::move(one)));
    stream.set_deadline(std::chrono::hours(1));
    std::optional<Result<std::size_t>> result;
    loop->spawn(read_one(stream, result));
    loop->run_ready();

    stream.set_deadline(milliseconds(5));
    loop->run();

    ASSERT_TRUE(result && !result->has_value());
    EXPECT_EQ(result->error().code, Errc::Timeout);
}

net::awaitable<void> finish(ByteStream& stream, bool& is_done) {
    co_await stream.finish();
    is_done = true;
}

// The last words arrive although the other side is still sending, also when somebody is reading here.
TEST(PlainStream, FinishLetsAPendingReadSeeTheEndAndThenCloses) {
    const auto loop = loopback::make_loop();
    auto [one, other] = loopback::tcp_pair();
    PlainStream stream(*loop, Descriptor(*loop, std::move(one)));
    std::optional<Result<std::size_t>> result;
    bool is_done = false;
    loop->spawn(read_one(stream, result));
    loop->spawn(finish(stream, is_done));
    loop->run_ready();
    EXPECT_FALSE(is_done);

    ::shutdown(other.get(), SHUT_WR);
    loop->run();

    EXPECT_TRUE(is_done);
    ASSERT_TRUE(result && result->has_value());
    EXPECT_EQ(**result, 0U);
    EXPECT_FALSE(stream.is_open());
}

}  // namespace
}  // namespace sanctum::interceptor
