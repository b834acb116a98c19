// SPDX-License-Identifier: Apache-2.0
#include "base/wire/channel.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <unistd.h>

namespace sanctum::wire {
namespace {

constexpr std::chrono::seconds kGenerous{30};
constexpr std::chrono::milliseconds kNow{0};

std::size_t open_descriptors() {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator()));
}

class ChannelTest : public ::testing::Test {
protected:
    void SetUp() override {
        auto ends = make_channel_pair().value();
        one_ = Channel(std::move(ends.first));
        two_ = Channel(std::move(ends.second));
    }
    // Past our own checks, as a peer that was taken over would send.
    void send_raw(std::string_view bytes, const std::vector<int>& descriptors = {}) {
        iovec part{const_cast<char*>(bytes.data()), bytes.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        std::vector<char> control(CMSG_SPACE(sizeof(int) * descriptors.size()));
        if (!descriptors.empty()) {
            message.msg_control = control.data();
            message.msg_controllen = control.size();
            cmsghdr* rights = CMSG_FIRSTHDR(&message);
            rights->cmsg_level = SOL_SOCKET;
            rights->cmsg_type = SCM_RIGHTS;
            rights->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
            std::memcpy(CMSG_DATA(rights), descriptors.data(), sizeof(int) * descriptors.size());
        }
        ASSERT_EQ(::sendmsg(one_.fd(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    }

    Channel one_;
    Channel two_;
};

TEST_F(ChannelTest, AMessageArrivesWithItsSecretAndItsDescriptors) {
    const UniqueFd memfd = make_sealed_memfd("x", "content").value();
    const std::array<int, 1> descriptors = {memfd.get()};
    const Secret secret(std::string_view("token\0!", 7));
    ASSERT_TRUE(one_.send(LeaseHeld{1, "l1", "bearer", {}, {}, 5, 0}, descriptors, &secret));

    const Packet packet = two_.receive_within(kGenerous).value();

    EXPECT_EQ(packet.as<LeaseHeld>()->lease, "l1");
    EXPECT_TRUE(packet.secret.equals(secret));
    ASSERT_EQ(packet.descriptors.size(), 1U);
    EXPECT_NE(packet.descriptors[0].get(), memfd.get());
    EXPECT_EQ(*read_sealed_memfd(packet.descriptors[0].get(), 100), "content");
    EXPECT_NE(::fcntl(packet.descriptors[0].get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(ChannelTest, MessagesKeepTheirOrderAndBorders) {
    for (std::uint64_t i = 1; i <= 50; ++i) ASSERT_TRUE(one_.send(Withdraw{i}));
    for (std::uint64_t i = 1; i <= 50; ++i) {
        EXPECT_EQ(two_.receive_within(kGenerous)->as<Withdraw>()->exchange, i);
    }
    EXPECT_FALSE(two_.receive().value()) << "nothing more";
}

TEST_F(ChannelTest, JoinedMessagesArriveOneByOne) {
    std::deque<std::string> heads;
    EXPECT_EQ(one_.try_send_joined(heads).value(), 0U);
    for (std::uint64_t i = 1; i <= 300; ++i) heads.push_back(encode(Withdraw{i}));
    heads[100] = encode(Retire{std::string(kWireJoinedBytesMax + 1, 'x')});  // larger than what is joined
    std::size_t datagrams = 0;
    while (!heads.empty()) {
        const std::size_t count = one_.try_send_joined(heads).value();
        ASSERT_GE(count, 1U);
        heads.erase(heads.begin(), heads.begin() + static_cast<std::ptrdiff_t>(count));
        ++datagrams;
    }
    EXPECT_LE(datagrams, 300 / kWireJoinedMessagesMax + 3);
    for (std::uint64_t i = 1; i <= 300; ++i) {
        const Packet packet = two_.receive_within(kGenerous).value();
        if (i == 101) EXPECT_EQ(packet.as<Retire>()->reason.size(), kWireJoinedBytesMax + 1);
        else EXPECT_EQ(packet.as<Withdraw>()->exchange, i);
    }
    EXPECT_FALSE(two_.has_unread());
    EXPECT_FALSE(two_.receive().value()) << "nothing more";
}

TEST_F(ChannelTest, NothingOfADatagramIsReadAfterTheEndIsClosed) {
    ASSERT_EQ(one_.try_send_joined({encode(Withdraw{1}), encode(Withdraw{2})}).value(), 2U);
    EXPECT_EQ(two_.receive_within(kGenerous)->as<Withdraw>()->exchange, 1U);
    EXPECT_TRUE(two_.has_unread());
    two_.close();
    EXPECT_FALSE(two_.has_unread());
}

TEST_F(ChannelTest, NothingToReadIsNotTheEnd) {
    EXPECT_EQ(two_.receive().value().has_value(), false);
    EXPECT_EQ(two_.receive_within(kNow).error().code, Errc::Timeout);
    one_.close();
    EXPECT_EQ(two_.receive().error().code, Errc::Cancelled);
}

TEST_F(ChannelTest, WhatWasSentBeforeTheEndIsStillRead) {
    ASSERT_TRUE(one_.send(Retire{"exit"}));
    one_.close();
    EXPECT_EQ(two_.receive_within(kGenerous)->as<Retire>()->reason, "exit");
    EXPECT_EQ(two_.receive().error().code, Errc::Cancelled);
    EXPECT_FALSE(two_.send(Retire{"x"})) << "no signal, an error";
}

TEST_F(ChannelTest, AMessageLargerThanADatagramIsRefusedBeforeItIsSent) {
    const Status sent = one_.send(Retire{std::string(kWireDatagramBytesMax, 'x')});
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Errc::Limit);
    EXPECT_TRUE(one_.send(Retire{std::string(kWireDatagramBytesMax / 2, 'x')}));
}

TEST_F(ChannelTest, ADatagramLargerThanAllowedIsRefused) {
    send_raw(std::string(kWireDatagramBytesMax + 1, '\1'));
    EXPECT_EQ(two_.receive().error().code, Errc::Protocol);
}

// A pattern that nothing else has; never whole anywhere but where a test puts it.
char secret_byte(std::size_t i) { return static_cast<char>(0x80U | ((i * 37U + 11U) & 0x7fU)); }
constexpr std::size_t kSecretBytes = 96;

bool holds_secret(std::string_view bytes) {
    std::size_t matched = 0;
    for (const char byte : bytes) {
        matched = byte == secret_byte(matched) ? matched + 1 : (byte == secret_byte(0) ? 1 : 0);
        if (matched == kSecretBytes) return true;
    }
    return false;
}

// Whether the pattern is anywhere in what this process can write.
bool is_in_memory() {
    constexpr std::size_t kMappingMax = 64U * 1024 * 1024;  // beyond are a sanitizer's own
    const UniqueFd memory(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        std::size_t begin = 0, end = 0;
        std::array<char, 5> rights{};
        if (std::sscanf(line.c_str(), "%zx-%zx %4s", &begin, &end, rights.data()) != 3 || rights[1] != 'w') continue;
        if (end - begin > kMappingMax) continue;
        std::string bytes(end - begin, '\0');
        const ssize_t size = ::pread(memory.get(), bytes.data(), bytes.size(), static_cast<off_t>(begin));
        const bool is_found = size > 0 && holds_secret(bytes);
        wipe(bytes);
        if (is_found) return true;
    }
    return false;
}

TEST_F(ChannelTest, NothingOfADatagramThatBreaksTheFormatStaysInMemory) {
    for (const std::size_t size : {std::size_t{200}, kWireDatagramBytesMax + 1}) {
        std::string datagram(size, '\xff');  // a head longer than its datagram
        for (std::size_t i = 0; i < kSecretBytes; ++i) datagram[4 + i] = secret_byte(i);
        ASSERT_TRUE(is_in_memory()) << "the search finds what is there";
        send_raw(datagram);
        wipe(datagram);
        ASSERT_FALSE(is_in_memory());

        EXPECT_EQ(two_.receive().error().code, Errc::Protocol);

        EXPECT_FALSE(is_in_memory()) << size;
    }
}

TEST_F(ChannelTest, MoreDescriptorsThanAllowedAreRefusedAndNoneIsLeft) {
    const std::size_t before = open_descriptors();
    send_raw("x", std::vector<int>(kWireDescriptorsMax + 10, 0));
    EXPECT_EQ(two_.receive().error().code, Errc::Protocol);
    EXPECT_EQ(open_descriptors(), before);
}

TEST_F(ChannelTest, DescriptorsOfAMalformedMessageAreClosed) {
    const std::size_t before = open_descriptors();
    send_raw("no head", {0, 1, 2});
    EXPECT_EQ(two_.receive().error().code, Errc::Protocol);
    EXPECT_EQ(open_descriptors(), before);
}

// SOCK_SEQPACKET reports an empty datagram like an end; a peer that sends one has ended, as far as we know.
TEST_F(ChannelTest, AnEmptyDatagramIsAnEnd) {
    send_raw("");
    EXPECT_EQ(two_.receive().error().code, Errc::Cancelled);
}

TEST_F(ChannelTest, AFullPeerIsToldWithoutWaitingWhereAsked) {
    const Retire large{std::string(kWireDatagramBytesMax / 2, 'x')};
    int sent = 0;
    for (;;) {
        const Result<bool> more = one_.try_send(large);
        ASSERT_TRUE(more);
        if (!*more) break;
        ++sent;
    }
    EXPECT_GT(sent, 0);
    ASSERT_TRUE(two_.receive_within(kGenerous));
    EXPECT_TRUE(*one_.try_send(large));
}

}  // namespace
}  // namespace sanctum::wire
