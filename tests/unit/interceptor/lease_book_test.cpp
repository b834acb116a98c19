// SPDX-License-Identifier: Apache-2.0
// Leases between interceptor and vault: one question per need, reuse while they live, wiped when they are gone.
#include "interceptor/lease_book.hpp"
#include "loop_runs.hpp"

#include <gtest/gtest.h>

#include <array>
#include <optional>

namespace sanctum::interceptor {
namespace {

using LeaseResult = Result<std::shared_ptr<HeldLease>>;

net::awaitable<void> ask(LeaseBook& book, wire::LeaseNeed need, std::optional<LeaseResult>& result) {
    LeaseResult answer = co_await book.need(need);
    result.emplace(std::move(answer));
}

// Hands `count` packets of the vault to the book.
net::awaitable<void> hear(WirePort& port, LeaseBook& book, int count, Status& result) {
    for (int i = 0; i < count; ++i) {
        Result<wire::Packet> packet = co_await port.receive();
        result = packet ? book.take(std::move(*packet)) : Status(packet.error());
        if (!result) co_return;
    }
}

class LeaseBookTest : public testing::Test {
protected:
    LeaseBookTest() {
        profiles::Service reused;
        reused.name = "git";
        profiles::Service fresh;
        fresh.name = "fresh";
        fresh.reuse = false;
        mission_.services = {reused, fresh};
        auto ends = wire::make_channel_pair();
        vault_ = wire::Channel(std::move(ends->first));
        port_ = std::make_unique<WirePort>(*loop_, wire::Channel(std::move(ends->second)));
        book_ = std::make_unique<LeaseBook>(*loop_, *port_, mission_, clock_,
                                            [this](const std::string& id) { gone_.push_back(id); });
    }
    static wire::LeaseNeed need(std::uint64_t exchange, const std::string& service = "git",
                                const std::string& scope = "push") {
        wire::LeaseNeed made;
        made.exchange = exchange;
        made.service = service;
        made.scopes = {scope};
        made.risk = "medium";
        return made;
    }
    wire::LeaseHeld held(std::uint64_t exchange, const std::string& id, std::uint32_t uses = 0) const {
        return {exchange, id, "bearer", "", "", clock_.boot().plus(seconds(60)).ms, uses};
    }
    // What the vault was asked, or nullopt.
    std::optional<wire::LeaseNeed> asked() {
        auto packet = vault_.receive();
        if (!packet || !*packet) return std::nullopt;
        return *(*packet)->as<wire::LeaseNeed>();
    }
    template <class Message>
    void vault_says(const Message& message, const std::string& secret = "") {
        const Secret credential(secret);
        ASSERT_TRUE(vault_.send(message, {}, &credential).has_value());
    }
    // Takes the `count` messages that the vault has sent, and lets go on who waited for them.
    Status hear_from_vault(int count) {
        Status result = Error{Errc::Timeout, "the vault has not said so much"};
        loop_->spawn(hear(*port_, *book_, count, result));
        loop_->run_ready();
        return result;
    }
    // Lets the questions leave without waiting for their answers.
    void begin(wire::LeaseNeed wanted, std::optional<LeaseResult>& result) {
        loop_->spawn(ask(*book_, std::move(wanted), result));
        loop_->run_ready();
    }

    std::unique_ptr<Loop> loop_ = loopback::make_loop();
    ManualClock clock_;
    profiles::Mission mission_;
    wire::Channel vault_;
    std::unique_ptr<WirePort> port_;
    std::vector<std::string> gone_;
    std::unique_ptr<LeaseBook> book_;
};

TEST_F(LeaseBookTest, ALiveLeaseIsReusedForTheSameNeedWithoutAsking) {
    std::optional<LeaseResult> first;
    std::optional<LeaseResult> second;
    begin(need(1), first);
    ASSERT_TRUE(asked());
    vault_says(held(1, "l1"), "token");
    ASSERT_TRUE(hear_from_vault(1).has_value());

    begin(need(2), second);

    ASSERT_TRUE(first && first->has_value() && second && second->has_value());
    EXPECT_EQ(**first, **second);
    EXPECT_EQ((**first)->secret.reveal(), "token");
    EXPECT_FALSE(asked());
    ASSERT_FALSE(book_->known().empty());
    EXPECT_EQ(book_->known().front()->secret.reveal(), "token");
}

TEST_F(LeaseBookTest, AnotherNeedIsAskedAnew) {
    std::optional<LeaseResult> first;
    std::optional<LeaseResult> second;
    begin(need(1), first);
    begin(need(2, "git", "fetch"), second);

    EXPECT_EQ(asked()->exchange, 1U);
    EXPECT_EQ(asked()->exchange, 2U);
    book_->close();
    loop_->run();
}

TEST_F(LeaseBookTest, TheSameNeedIsAskedOnceAtATime) {
    std::optional<LeaseResult> results[3];
    for (std::uint64_t i = 0; i < 3; ++i) begin(need(i + 1), results[i]);
    ASSERT_TRUE(asked());
    EXPECT_FALSE(asked());

    vault_says(held(1, "l1"), "token");
    ASSERT_TRUE(hear_from_vault(1).has_value());

    for (const auto& result : results) {
        ASSERT_TRUE(result && result->has_value());
        EXPECT_EQ((**result)->id, "l1");
    }
}

TEST_F(LeaseBookTest, ACertificateIsApartFromItsTokenAndGoneWithItsLease) {
    std::optional<LeaseResult> result;
    begin(need(1), result);
    wire::LeaseHeld message = held(1, "l1");
    message.form = "certificate";
    message.certificate_bytes = 4;
    message.key_bytes = 3;
    vault_says(message, "token" "CERT" "KEY");
    ASSERT_TRUE(hear_from_vault(1).has_value());

    ASSERT_TRUE(result && result->has_value());
    const std::shared_ptr<HeldLease> lease = **result;
    EXPECT_EQ(lease->secret.reveal(), "token");
    EXPECT_EQ(lease->certificate.certificate, "CERT");
    EXPECT_EQ(lease->certificate.key.reveal(), "KEY");
    for (const auto& known : book_->known()) EXPECT_EQ(known->secret.reveal(), "token");
    vault_says(wire::LeaseGone{"l1"});
    ASSERT_TRUE(hear_from_vault(1).has_value());
    EXPECT_TRUE(lease->certificate.is_empty() && lease->certificate.key.is_empty());
}

TEST_F(LeaseBookTest, ACertificateThatDoesNotFitItsFormOrItsBytesEndsTheMission) {
    struct Row {
        const char* form;
        std::uint32_t certificate_bytes;
        std::uint32_t key_bytes;
    };
    std::uint64_t exchange = 0;
    std::array<std::optional<LeaseResult>, 7> results;  // whoever asked waits until the book is closed
    for (const Row& row : {Row{"certificate", 0, 0}, Row{"certificate", 4, 0}, Row{"certificate", 0, 3},
                           Row{"bearer", 4, 3}, Row{"dpop", 4, 3}, Row{"certificate", 9, 3},
                           Row{"certificate", 4'000'000'000, 4'000'000'000}}) {
        begin(need(exchange + 1, "fresh"), results.at(exchange));
        ++exchange;
        wire::LeaseHeld message = held(exchange, "l1");
        message.form = row.form;
        message.certificate_bytes = row.certificate_bytes;
        message.key_bytes = row.key_bytes;
        vault_says(message, "tokenCERTKEY");
        const Status heard = hear_from_vault(1);
        EXPECT_EQ(heard.error().code, Errc::Protocol) << row.form << row.certificate_bytes;
    }
    book_->close();
    loop_->run();
}

TEST_F(LeaseBookTest, AFailureIsPassedOnWithTheVaultsReason) {
    std::optional<LeaseResult> result;
    begin(need(1), result);
    vault_says(wire::LeaseFailed{1, "not_found", "no item quickstart in the store", 0});
    ASSERT_TRUE(hear_from_vault(1).has_value());

    ASSERT_TRUE(result && !result->has_value());
    EXPECT_EQ(result->error().code, Errc::NotFound);
    EXPECT_EQ(result->error().what, "not_found: no item quickstart in the store");
}

TEST_F(LeaseBookTest, ALeaseForOneUseIsNeverShared) {
    std::optional<LeaseResult> results[2];
    begin(need(1), results[0]);
    begin(need(2), results[1]);
    ASSERT_TRUE(asked());
    vault_says(held(1, "l1", 1), "one");
    ASSERT_TRUE(hear_from_vault(1).has_value());
    EXPECT_FALSE(results[1]);
    ASSERT_EQ(asked()->exchange, 2U);
    vault_says(held(2, "l2", 1), "two");
    ASSERT_TRUE(hear_from_vault(1).has_value());

    ASSERT_TRUE(results[0] && results[0]->has_value() && results[1] && results[1]->has_value());
    EXPECT_EQ((**results[0])->id, "l1");
    EXPECT_EQ((**results[1])->id, "l2");
    EXPECT_FALSE(book_->is_live("l1"));  // nothing of it is kept for later
}

TEST_F(LeaseBookTest, AServiceWithoutReuseAsksForEachExchange) {
    std::optional<LeaseResult> results[2];
    for (std::uint64_t i = 0; i < 2; ++i) {
        begin(need(i + 1, "fresh"), results[i]);
        ASSERT_TRUE(asked());
        vault_says(held(i + 1, "l" + std::to_string(i)), "token");
        ASSERT_TRUE(hear_from_vault(1).has_value());
    }
    EXPECT_NE((**results[0])->id, (**results[1])->id);
}

TEST_F(LeaseBookTest, AnExpiredLeaseIsAskedAnew) {
    std::optional<LeaseResult> first;
    std::optional<LeaseResult> second;
    begin(need(1), first);
    ASSERT_TRUE(asked());
    vault_says(held(1, "l1"), "token");
    ASSERT_TRUE(hear_from_vault(1).has_value());
    clock_.advance(seconds(59));

    begin(need(2), second);

    EXPECT_TRUE(asked());
    book_->close();
    loop_->run();
}

TEST_F(LeaseBookTest, ACredentialIsLookedForAfterItsLeaseHasEnded) {
    for (std::uint64_t i = 1; i <= 3; ++i) {
        std::optional<LeaseResult> result;
        const std::string id = "l" + std::to_string(i);
        begin(need(i, "fresh"), result);
        ASSERT_TRUE(asked());
        vault_says(held(i, id, 1), i == 1 ? "first" : "second");
        vault_says(wire::LeaseGone{id});
        ASSERT_TRUE(hear_from_vault(2).has_value());
    }

    const auto known = book_->known();
    ASSERT_EQ(known.size(), 2U) << "the same credential counts once";
    EXPECT_EQ(known[0]->secret.reveal(), "first");
    EXPECT_EQ(known[1]->secret.reveal(), "second");
    EXPECT_FALSE(known[0]->is_live || known[1]->is_live) << "it is never injected again";
}

TEST_F(LeaseBookTest, InsteadOfARefusedLeaseEverybodyGetsTheSameOtherOneForOneQuestion) {
    std::optional<LeaseResult> first;
    begin(need(1), first);
    ASSERT_TRUE(asked());
    vault_says(held(1, "l1"), "token");
    ASSERT_TRUE(hear_from_vault(1).has_value());

    std::optional<LeaseResult> others[3];
    for (std::uint64_t i = 0; i < 3; ++i) {
        wire::LeaseNeed another = need(i + 2);
        another.instead_of = "l1";
        begin(another, others[i]);
    }
    const auto question = asked();
    ASSERT_TRUE(question);
    EXPECT_EQ(question->instead_of, "l1");
    EXPECT_FALSE(asked());
    vault_says(held(2, "l2"), "new token");
    ASSERT_TRUE(hear_from_vault(1).has_value());

    for (const auto& other : others) {
        ASSERT_TRUE(other && other->has_value());
        EXPECT_EQ((**other)->id, "l2");
    }
    std::optional<LeaseResult> later;
    begin(need(9), later);
    EXPECT_FALSE(asked());
    EXPECT_EQ((**later)->id, "l2");
}

TEST_F(LeaseBookTest, ThatThereIsNoOtherCredentialIsNoAnswerToThoseWhoHaveTriedNone) {
    std::optional<LeaseResult> refused;
    std::optional<LeaseResult> plain;
    wire::LeaseNeed another = need(1);
    another.instead_of = "l1";
    begin(another, refused);
    begin(need(2), plain);
    ASSERT_TRUE(asked());
    ASSERT_TRUE(asked());

    vault_says(wire::LeaseFailed{1, "credential_refused", "its source gave the same credential again", 0});
    vault_says(held(2, "l2"), "token");
    ASSERT_TRUE(hear_from_vault(2).has_value());

    ASSERT_TRUE(refused && !refused->has_value());
    EXPECT_EQ(refused->error().what, "credential_refused: its source gave the same credential again");
    ASSERT_TRUE(plain && plain->has_value());
}

TEST_F(LeaseBookTest, ClosingForgetsEveryCredential) {
    std::optional<LeaseResult> result;
    begin(need(1), result);
    ASSERT_TRUE(asked());
    vault_says(held(1, "l1"), "token");
    ASSERT_TRUE(hear_from_vault(1).has_value());
    ASSERT_FALSE(book_->known().empty());

    book_->close();

    EXPECT_TRUE(book_->known().empty());
}

TEST_F(LeaseBookTest, ALeaseThatIsGoneIsWipedWhoeverHoldsItAndNeverGivenAgain) {
    std::optional<LeaseResult> first;
    std::optional<LeaseResult> second;
    begin(need(1), first);
    ASSERT_TRUE(asked());
    vault_says(held(1, "l1"), "token");
    vault_says(wire::LeaseGone{"l1"});
    ASSERT_TRUE(hear_from_vault(2).has_value());

    ASSERT_TRUE(first && first->has_value());
    EXPECT_FALSE((**first)->is_live);
    EXPECT_TRUE((**first)->secret.is_empty());
    EXPECT_FALSE(book_->is_live("l1"));
    EXPECT_EQ(gone_, std::vector<std::string>{"l1"});
    begin(need(2), second);
    EXPECT_TRUE(asked());
    book_->close();
    loop_->run();
}

TEST_F(LeaseBookTest, ClosingWipesEverythingAndEndsTheWaits) {
    std::optional<LeaseResult> first;
    std::optional<LeaseResult> waiting;
    std::optional<LeaseResult> late;
    begin(need(1), first);
    ASSERT_TRUE(asked());
    vault_says(held(1, "l1"), "token");
    ASSERT_TRUE(hear_from_vault(1).has_value());
    begin(need(2, "git", "fetch"), waiting);

    book_->close();
    loop_->run();
    loopback::run(*loop_, ask(*book_, need(3), late));

    EXPECT_TRUE((**first)->secret.is_empty());
    ASSERT_TRUE(waiting && !waiting->has_value() && late && !late->has_value());
    EXPECT_EQ(waiting->error().code, Errc::Cancelled);
    EXPECT_EQ(late->error().code, Errc::Cancelled);
}

TEST_F(LeaseBookTest, MessagesOutsideTheProtocolAreAFault) {
    vault_says(wire::Stop{});
    EXPECT_EQ(hear_from_vault(1).error().code, Errc::Protocol);
    vault_says(held(1, ""), "token");
    EXPECT_EQ(hear_from_vault(1).error().code, Errc::Protocol);
    vault_says(held(1, "l1"));
    EXPECT_EQ(hear_from_vault(1).error().code, Errc::Protocol);
    wire::LeaseHeld odd = held(1, "l1");
    odd.form = "cookie";
    vault_says(odd, "token");
    EXPECT_EQ(hear_from_vault(1).error().code, Errc::Protocol);
}

}  // namespace
}  // namespace sanctum::interceptor
