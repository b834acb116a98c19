// SPDX-License-Identifier: Apache-2.0
// The way out of the vault, against a TLS server on loopback: who is believed, what is sent twice and what never.
#include "vault/http/provider_client.hpp"

#include "base/limits.hpp"
#include "provider_double.hpp"
#include "support.hpp"
#include "vault/mission_setup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <fcntl.h>
#include <functional>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

using loopback::Identity;
using test::ProviderDouble;
using test::Turn;
using testing::HasSubstr;
using testing::Not;

const std::string kHost = "www.example.test";
const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

std::string key_pem(const Identity& identity) {
    BIO* memory = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(memory, identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    char* text = nullptr;
    const long size = BIO_get_mem_data(memory, &text);
    std::string pem(text, static_cast<std::size_t>(size));
    BIO_free(memory);
    return pem;
}

HttpRequest request_to(const std::string& url, Repeat repeat = Repeat::Never) {
    HttpRequest request;
    request.method = "POST";
    request.url = url;
    request.body = Secret("grant_type=refresh_token&refresh_token=top-secret");
    request.authorization = Secret("Basic top-secret");
    request.repeat = repeat;
    return request;
}

using Answer = std::optional<Result<HttpResponse>>;

// A double, and a client that knows it as www.example.test. Time stands still unless the test turns it.
class Conversation {
public:
    enum class Start { Now, Later };
    explicit Conversation(std::vector<Turn> turns, const Identity* server = nullptr,
                          const Identity* client_authority = nullptr, Start start = Start::Now)
        : provider(server != nullptr ? *server : good_, std::move(turns), client_authority) {
        profiles::UpstreamConfig config;
        config.resolver = "127.0.0.1:9";
        config.ca_pem = authority().pem();
        config.addresses = {{kHost, "127.0.0.1:" + std::to_string(provider.port())},
                            {"metadata.example.test", "169.254.169.254:443"},
                            {"closed.example.test", "127.0.0.1:" + std::to_string(loopback::listener().port)}};
        auto made = ProviderClient::start(
            {{kHost, 443}, {"metadata.example.test", 443}, {"closed.example.test", 443}}, config, {}, loop_, clock);
        EXPECT_TRUE(made.has_value());
        client = std::move(*made);
        if (start == Start::Now) provider.start();
    }
    static const Identity& authority() {
        static const Identity made = loopback::make_authority("test authority");
        return made;
    }

    /// Sends, and waits until there is an answer or the client rests before another try.
    Answer& ask(HttpRequest request) {
        deadline_ = clock.boot().plus(kProviderTimeout);
        answer_.reset();
        client->send(std::move(request), [this](Result<HttpResponse> answer) { answer_ = std::move(answer); });
        EXPECT_FALSE(answer_.has_value()) << "answered from inside send()";
        return go_on();
    }
    /// The same after `delta`.
    Answer& go_on_after(Milliseconds delta) {
        clock.advance(delta);
        return go_on();
    }
    void run_until(const std::function<bool()>& is_reached) {
        const SystemClock real;
        const BootTime end = real.boot().plus(seconds(30));
        for (client->tick(); !is_reached() && real.boot() < end; client->tick()) {
            EXPECT_TRUE(loop_.wait(real, real.boot().plus(milliseconds(20))).has_value());
        }
        EXPECT_TRUE(is_reached());
    }
    /// How long until the next try, if that is what the client waits for.
    [[nodiscard]] std::optional<Milliseconds> rest() const {
        const auto next = client->next_tick();
        if (!next || *next >= deadline_) return std::nullopt;
        return Milliseconds(next->ms - clock.boot().ms);
    }

private:
    Answer& go_on() {
        run_until([this] { return answer_.has_value() || rest().has_value(); });
        return answer_;
    }

    const Identity good_ = loopback::make_identity({}, &authority());
    PollLoop loop_;
    BootTime deadline_;
    Answer answer_;

public:
    ManualClock clock;
    ProviderDouble provider;
    std::unique_ptr<ProviderClient> client;  // before the double: its connections end first
};

std::string url(const std::string& path = "/oauth/token") { return "https://" + kHost + path; }

TEST(ProviderClient, AnAnswerComesWithStatusFieldsAndBody) {
    Conversation talk({{"HTTP/1.1 403 Forbidden\r\nDate: Sun, 22 Nov 2026 02:06:42 GMT\r\nX-Reason: no\r\n"
                        "Content-Length: 5\r\n\r\nhello"}});

    const Answer& answer = talk.ask(request_to(url()));

    ASSERT_TRUE(answer && *answer) << (*answer).error().what;
    EXPECT_EQ((*answer)->status, 403);
    EXPECT_EQ((*answer)->header("x-reason"), "no");
    EXPECT_EQ((*answer)->body.reveal(), "hello");
    EXPECT_EQ((*answer)->clock_offset, Milliseconds(29'999));
    ASSERT_EQ(talk.provider.requests().size(), 1U);
    EXPECT_THAT(talk.provider.requests()[0], HasSubstr("POST /oauth/token HTTP/1.1\r\nHost: www.example.test\r\n"));
    EXPECT_THAT(talk.provider.requests()[0], HasSubstr("\r\nAuthorization: Basic top-secret\r\n"));
    EXPECT_FALSE(talk.client->next_tick().has_value());
}

TEST(ProviderClient, BodiesInChunksAndUntilTheEndAreRead) {
    for (const char* bytes : {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
                              "HTTP/1.1 200 OK\r\n\r\nhello"}) {
        Conversation talk({{bytes}});
        const Answer& answer = talk.ask(request_to(url()));
        ASSERT_TRUE(answer && *answer) << (*answer).error().what;
        EXPECT_EQ((*answer)->body.reveal(), "hello");
    }
}

TEST(ProviderClient, EveryDefectOfACertificateIsRefusedBeforeTheRequestIsSent) {
    const Identity stranger = loopback::make_authority("stranger");
    struct Row {
        const char* name;
        loopback::Wanted wanted;
        const Identity* issuer;
    };
    const Row rows[] = {
        {"another name", {.dns_names = {"other.example.test"}}, &Conversation::authority()},
        {"expired", {.valid_from_s = -7200, .valid_to_s = -60}, &Conversation::authority()},
        {"unknown authority", {}, &stranger},
        {"self-signed", {}, nullptr},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);
        const Identity server = loopback::make_identity(row.wanted, row.issuer);
        Conversation talk({{kOk}}, &server);

        const Answer& answer = talk.ask(request_to(url(), Repeat::Safe));

        ASSERT_TRUE(answer.has_value());
        ASSERT_FALSE(answer->has_value());
        EXPECT_EQ(answer->error().code, Errc::Io);
        EXPECT_THAT(answer->error().what, HasSubstr("www.example.test: upstream_certificate: "));
        EXPECT_TRUE(talk.provider.requests().empty());
        EXPECT_EQ(talk.provider.connections(), 1U);  // another try would meet the same certificate
    }
}

TEST(ProviderClient, AnAnswerThatDoesNotComeInTimeIsATimeout) {
    Conversation talk({{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", Turn::Then::Hold}});
    Answer answer;
    talk.client->send(request_to(url(), Repeat::Safe), [&](Result<HttpResponse> got) { answer = std::move(got); });
    talk.run_until([&] { return talk.provider.requests().size() == 1; });

    talk.clock.advance(kProviderTimeout - milliseconds(1));
    talk.client->tick();
    EXPECT_FALSE(answer.has_value());
    talk.clock.advance(milliseconds(1));
    talk.client->tick();

    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->error().code, Errc::Timeout);
    EXPECT_EQ(talk.provider.connections(), 1U);
}

TEST(ProviderClient, AServerThatNeverShakesHandsWasToldNothing) {
    Conversation talk({{kOk}}, nullptr, nullptr, Conversation::Start::Later);
    Answer answer;
    talk.client->send(request_to(url()), [&](Result<HttpResponse> got) { answer = std::move(got); });
    talk.client->tick();

    talk.clock.advance(kProviderTimeout);
    talk.client->tick();

    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->error().code, Errc::Io);
    talk.provider.start();
}

TEST(ProviderClient, AnAnswerThatEndsMidwayIsNone) {
    struct Row {
        const char* name;
        Turn turn;
    };
    const Row rows[] = {
        {"shorter than declared", {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"}},
        {"shorter than declared, broken", {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", Turn::Then::Break}},
        {"half a head", {"HTTP/1.1 200 OK\r\nConte"}},
        // SECURITY: whoever cuts the connection must not choose where an answer ends.
        {"without length, broken", {"HTTP/1.1 200 OK\r\n\r\nhello", Turn::Then::Break}},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);
        Conversation talk({row.turn, {kOk}});

        const Answer& answer = talk.ask(request_to(url()));

        ASSERT_TRUE(answer.has_value());
        ASSERT_FALSE(answer->has_value());
        EXPECT_EQ(answer->error().code, Errc::Protocol) << answer->error().what;
        EXPECT_EQ(talk.provider.connections(), 1U);
    }
}

TEST(ProviderClient, ALostAnswerIsNotAskedForAgainWhereTheRequestMakesSomething) {
    Conversation talk({{"", Turn::Then::Break}, {kOk}});

    const Answer& answer = talk.ask(request_to(url(), Repeat::Never));

    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->error().code, Errc::Cancelled);
    EXPECT_EQ(talk.provider.requests().size(), 1U);
}

TEST(ProviderClient, ALostAnswerIsAskedForAgainWhereThatIsSafe) {
    Conversation talk({{"", Turn::Then::Break}, {"", Turn::Then::Close}, {kOk}});

    EXPECT_FALSE(talk.ask(request_to(url(), Repeat::Safe)).has_value());
    EXPECT_EQ(talk.provider.requests().size(), 1U);
    EXPECT_FALSE(talk.go_on_after(kProviderRetryWait).has_value());
    const Answer& answer = talk.go_on_after(2 * kProviderRetryWait);

    ASSERT_TRUE(answer && *answer);
    EXPECT_EQ((*answer)->body.reveal(), "ok");
    ASSERT_EQ(talk.provider.requests().size(), 3U);
    EXPECT_EQ(talk.provider.requests()[0], talk.provider.requests()[2]);
}

TEST(ProviderClient, TriesHaveAnEnd) {
    Conversation talk({{"", Turn::Then::Break}});

    Answer* answer = &talk.ask(request_to(url(), Repeat::Safe));
    for (int tries = 1; tries < kProviderTriesMax; ++tries) answer = &talk.go_on_after(seconds(2));

    ASSERT_TRUE(answer->has_value());
    EXPECT_EQ((*answer)->error().code, Errc::Cancelled);
    EXPECT_EQ(talk.provider.requests().size(), static_cast<std::size_t>(kProviderTriesMax));
}

TEST(ProviderClient, NothingIsSentBeforeTheTimeThatTheProviderAskedFor) {
    // The client's wall clock says 02:06:12.001.
    const char* const heads[] = {
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n",
        "HTTP/1.1 503 Service Unavailable\r\nDate: Sun, 22 Nov 2026 02:06:12 GMT\r\n"
        "Retry-After: Sun, 22 Nov 2026 02:06:19 GMT\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nDate: Sun, 22 Nov 2026 02:04:42 GMT\r\nX-RateLimit-Remaining: 0\r\n"
        "X-RateLimit-Reset: 1795313089\r\n",
        "HTTP/1.1 403 Forbidden\r\nDate: Sun, 22 Nov 2026 02:06:12 GMT\r\nx-ratelimit-limit: 5000\r\n"
        "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1795313179\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nX-RateLimit-Reset: 7\r\n",
    };
    for (const char* head : heads) {
        SCOPED_TRACE(head);
        Conversation talk({{std::string(head) + "Content-Length: 0\r\n\r\n"}, {kOk}});

        EXPECT_FALSE(talk.ask(request_to(url(), Repeat::Safe)).has_value());
        ASSERT_TRUE(talk.rest().has_value());
        EXPECT_GE(*talk.rest(), seconds(7));
        EXPECT_LE(*talk.rest(), seconds(7) + kProviderRetryWait + milliseconds(1));
        EXPECT_FALSE(talk.go_on_after(seconds(7) - milliseconds(1)).has_value());
        EXPECT_EQ(talk.provider.connections(), 1U);
        const Answer& answer = talk.go_on_after(kProviderRetryWait + milliseconds(2));

        ASSERT_TRUE(answer && *answer);
        EXPECT_EQ((*answer)->status, 200);
    }
}

TEST(ProviderClient, AWaitBeyondTheDeadlineIsTheCallersToKnow) {
    Conversation talk({{"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"}, {kOk}});

    const Answer& answer = talk.ask(request_to(url(), Repeat::Safe));

    ASSERT_TRUE(answer && *answer);
    EXPECT_EQ((*answer)->status, 429);
    EXPECT_EQ((*answer)->header("retry-after"), "60");
    EXPECT_EQ(talk.provider.connections(), 1U);
}

TEST(ProviderClient, LaterIsTheAnswerWhereTheRequestMakesSomething) {
    Conversation talk({{"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"}, {kOk}});

    const Answer& answer = talk.ask(request_to(url(), Repeat::Never));

    ASSERT_TRUE(answer && *answer);
    EXPECT_EQ((*answer)->status, 429);
    EXPECT_EQ(talk.provider.connections(), 1U);
}

TEST(ProviderClient, AnAnswerThatIsTooLongIsRefused) {
    const std::string length = std::to_string(kProviderAnswerBytesMax + 1);
    const std::string body(kProviderAnswerBytesMax + 1, 'x');
    for (const std::string& head : {"Content-Length: " + length + "\r\n", std::string()}) {
        Conversation talk({{"HTTP/1.1 200 OK\r\n" + head + "\r\n" + body}});
        const Answer& answer = talk.ask(request_to(url(), Repeat::Safe));
        ASSERT_TRUE(answer.has_value());
        EXPECT_EQ(answer->error().code, Errc::Limit);
    }
}

TEST(ProviderClient, AnAnswerThatJustFitsIsRead) {
    Conversation talk({{"HTTP/1.1 200 OK\r\n\r\n" + std::string(kProviderAnswerBytesMax, 'x')}});

    const Answer& answer = talk.ask(request_to(url()));

    ASSERT_TRUE(answer && *answer);
    EXPECT_EQ((*answer)->body.size(), kProviderAnswerBytesMax);
}

TEST(ProviderClient, WhatIsNotInTheTableOrPermittedIsDenied) {
    Conversation talk({{kOk}});
    for (const char* place : {"https://other.example.test/", "https://www.example.test:8443/",
                              "https://metadata.example.test/latest"}) {
        SCOPED_TRACE(place);
        const Answer& answer = talk.ask(request_to(place, Repeat::Safe));
        ASSERT_TRUE(answer.has_value());
        ASSERT_FALSE(answer->has_value());
        EXPECT_EQ(answer->error().code, Errc::Denied) << answer->error().what;
    }
    EXPECT_EQ(talk.provider.connections(), 0U);
}

TEST(ProviderClient, WhatCannotBeReachedIsTriedAgainAlthoughItMakesSomething) {
    Conversation talk({{kOk}});

    Answer* answer = &talk.ask(request_to("https://closed.example.test/", Repeat::Never));
    EXPECT_FALSE(answer->has_value());
    for (int tries = 1; tries < kProviderTriesMax; ++tries) answer = &talk.go_on_after(seconds(2));

    ASSERT_TRUE(answer->has_value());
    EXPECT_EQ((*answer)->error().code, Errc::Io);
    EXPECT_THAT((*answer)->error().what, HasSubstr("Connection refused"));
}

TEST(ProviderClient, AClientCertificateIsShownWhereTheRequestHasOne) {
    const Identity clients = loopback::make_authority("client authority");
    const Identity client = loopback::make_identity({.extended_usage = "clientAuth"}, &clients);
    const network::ClientCertificate certificate{client.pem() + clients.pem(), Secret(key_pem(client))};
    Conversation talk({{kOk}}, nullptr, &clients);
    for (int times = 0; times < 2; ++times) {
        HttpRequest request = request_to(url());
        request.certificate = &certificate;
        const Answer& answer = talk.ask(std::move(request));
        ASSERT_TRUE(answer && *answer) << answer->error().what;
        EXPECT_EQ((*answer)->status, 200);
    }
}

TEST(ProviderClient, WhoDoesNotAskForTheCertificateOfARequestDoesNotGetTheRequest) {
    const Identity client = loopback::make_identity({.extended_usage = "clientAuth"}, nullptr);
    const network::ClientCertificate certificate{client.pem(), Secret(key_pem(client))};
    Conversation talk({{kOk}});
    for (const char* remedy : {"write another address", ""}) {
        HttpRequest request = request_to(url(), Repeat::Safe);
        request.certificate = &certificate;
        request.unasked_remedy = remedy;
        const Answer& answer = talk.ask(std::move(request));
        ASSERT_TRUE(answer.has_value());
        EXPECT_EQ(answer->error().code, Errc::InvalidProfile);
        EXPECT_EQ(answer->error().what, "www.example.test: the server asks for no client certificate" +
                                            (*remedy == 0 ? std::string() : "; " + std::string(remedy)));
    }
    EXPECT_TRUE(talk.provider.requests().empty());
    EXPECT_EQ(talk.provider.connections(), 2U) << "another try would meet the same server";

    const Answer& without = talk.ask(request_to(url()));
    EXPECT_TRUE(without && *without) << "what has no certificate is sent";
}

TEST(ProviderClient, WithoutItsClientCertificateARequestIsNotServed) {
    const Identity clients = loopback::make_authority("client authority");
    Conversation talk({{kOk}}, nullptr, &clients);

    const Answer& answer = talk.ask(request_to(url()));

    ASSERT_TRUE(answer.has_value());
    EXPECT_FALSE(answer->has_value());
    EXPECT_TRUE(talk.provider.requests().empty());
}

TEST(ProviderClient, AClientCertificateWithAnotherKeyIsNotUsed) {
    const Identity client = loopback::make_identity({}, nullptr);
    const Identity other = loopback::make_identity({}, nullptr);
    Conversation talk({{kOk}});
    for (const std::string& key : {key_pem(other), std::string("top-secret, but no key")}) {
        const network::ClientCertificate certificate{client.pem(), Secret(key)};
        HttpRequest request = request_to(url(), Repeat::Safe);
        request.certificate = &certificate;
        const Answer& answer = talk.ask(std::move(request));
        ASSERT_TRUE(answer.has_value());
        EXPECT_EQ(answer->error().code, Errc::InvalidProfile);
        EXPECT_THAT(answer->error().what, Not(HasSubstr("top-secret")));
    }
    EXPECT_TRUE(talk.provider.requests().empty());
}

TEST(ProviderClient, ASecretOfTheRequestOrTheAnswerIsInNoError) {
    const Turn turns[] = {
        {"", Turn::Then::Break},
        {"top-secret\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nContent-Length: top-secret\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ntop-secret"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: top-secret\r\n\r\n"},
    };
    for (const Turn& turn : turns) {
        Conversation talk({turn});
        const Answer& answer = talk.ask(request_to(url("/?token=top-secret")));
        ASSERT_TRUE(answer.has_value());
        ASSERT_FALSE(answer->has_value());
        EXPECT_THAT(answer->error().what, Not(HasSubstr("top-secret")));
    }
    Conversation talk({{kOk}});
    for (const char* place : {"http://top-secret@www.example.test/", "https://www.example.test/?top-secret#"}) {
        EXPECT_THAT(talk.ask(request_to(place))->error().what, Not(HasSubstr("top-secret")));
    }
}

TEST(ProviderClient, MoreRequestsThanConnectionsWaitForTheirTurn) {
    constexpr std::size_t kRequests = kProviderConnectionsMax + 8;
    Conversation talk({{kOk}});
    std::size_t answered = 0;
    for (std::size_t i = 0; i < kRequests; ++i) {
        talk.client->send(request_to(url()), [&](Result<HttpResponse> got) { answered += got ? 1U : 0U; });
    }

    talk.run_until([&] { return answered == kRequests; });

    EXPECT_EQ(talk.provider.requests().size(), kRequests);
}

TEST(ProviderClient, AnAnswerMayBringTheNextRequest) {
    Conversation talk({{kOk}});
    bool is_answered = false;
    talk.client->send(request_to(url("/first")), [&](const Result<HttpResponse>&) {
        talk.client->send(request_to(url("/second")), [&](const Result<HttpResponse>&) { is_answered = true; });
    });

    talk.run_until([&] { return is_answered; });

    EXPECT_EQ(talk.provider.requests().size(), 2U);
}

// What a mission's vault does in this order: start the client, lock itself up, ask. Returns the answer's status, or 0.
int ask_when_confined(const profiles::UpstreamConfig& config, const std::string& state_folder) {
    PollLoop loop;
    const SystemClock clock;
    auto client = ProviderClient::start({{kHost, 443}}, config, {}, loop, clock);
    if (!client || !confine_vault(state_folder, {}, false)) return 0;
    if (::open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0) return 0;
    Answer answer;
    (*client)->send(request_to(url()), [&](Result<HttpResponse> got) { answer = std::move(got); });
    while (!answer) {
        (*client)->tick();
        if (!answer && !loop.wait(clock, (*client)->next_tick())) return 0;
    }
    client->reset();
    return *answer ? (*answer)->status : 0;
}

TEST(ProviderClient, ALockedUpVaultCanAskAndCannotConnectItself) {
    const test::TemporaryFolder folder;
    const Identity server = loopback::make_identity({}, &Conversation::authority());
    ProviderDouble provider(server, {{kOk}});
    profiles::UpstreamConfig config;
    config.ca_pem = Conversation::authority().pem();
    config.addresses = {{kHost, "127.0.0.1:" + std::to_string(provider.port())}};
    const pid_t vault = ::fork();
    if (vault == 0) {
        const int status = ask_when_confined(config, folder.path());
        ::_exit(status == 200 && ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? 0 : 1);
    }
    provider.start();
    int ended = -1;
    EXPECT_EQ(::waitpid(vault, &ended, 0), vault);

    EXPECT_EQ(ended, 0);
    EXPECT_EQ(provider.requests().size(), 1U);
}

TEST(ProviderClient, ATableThatIsNoneIsRefusedAtStart) {
    PollLoop loop;
    const ManualClock clock;
    profiles::UpstreamConfig damaged;
    damaged.ca_pem = "no certificate";
    EXPECT_EQ(ProviderClient::start({{"127.0.0.1", 443}}, {}, {}, loop, clock).error().code, Errc::InvalidProfile);
    EXPECT_EQ(ProviderClient::start({{kHost, 0}}, {}, {}, loop, clock).error().code, Errc::InvalidProfile);
    EXPECT_EQ(ProviderClient::start({{kHost, 443}}, damaged, {}, loop, clock).error().code, Errc::InvalidProfile);
}

}  // namespace
}  // namespace sanctum::vault
