// SPDX-License-Identifier: Apache-2.0
#include "base/limits.hpp"
#include "interceptor/http/git_push_commands.hpp"
#include "interceptor/http/git_push_report.hpp"
#include "tests/support/git_packet.hpp"

#include <gtest/gtest.h>

namespace sanctum::interceptor {
namespace {

using std::string_literals::operator""s;
using test::packet;

const std::string kZero(40, '0');
const std::string kOne(40, '1');
const std::string kTwo(40, '2');

const std::string kCapabilities = "\0 report-status side-band-64k object-format=sha1 agent=git/2.39.5"s;

TEST(PushCommands, OneUpdateIsReadOnceTheFlushPacketIsThere) {
    const std::string list = packet(kOne + " " + kTwo + " refs/heads/agent/x" + kCapabilities) + "0000";
    for (std::size_t size = 0; size < list.size(); ++size) {
        const auto early = read_push_commands(std::string_view(list).substr(0, size));
        ASSERT_TRUE(early.has_value()) << early.error().what;
        EXPECT_FALSE(early->has_value()) << size;
    }

    const auto commands = read_push_commands(list + "PACK…");

    ASSERT_TRUE(commands.has_value() && commands->has_value());
    ASSERT_EQ((*commands)->updates.size(), 1U);
    EXPECT_EQ((**commands).updates[0].name, "refs/heads/agent/x");
    EXPECT_EQ((**commands).updates[0].old_id, kOne);
    EXPECT_EQ((**commands).updates[0].new_id, kTwo);
}

TEST(PushCommands, CreatesDeletesAndShallowLinesAreUnderstood) {
    const std::string list = packet("shallow " + kTwo) +
                             packet(kZero + " " + kOne + " refs/heads/new" + kCapabilities) +
                             packet(kOne + " " + kZero + " refs/tags/old\n") + "0000";

    const auto commands = read_push_commands(list);

    ASSERT_TRUE(commands.has_value() && commands->has_value());
    ASSERT_EQ((*commands)->updates.size(), 2U);
    EXPECT_TRUE((**commands).updates[0].is_create());
    EXPECT_TRUE((**commands).updates[1].is_delete());
}

TEST(PushCommands, TheProbeWithAnEmptyListGivesNoUpdates) {
    const auto commands = read_push_commands("0000");

    ASSERT_TRUE(commands.has_value() && commands->has_value());
    EXPECT_TRUE((*commands)->updates.empty());
}

TEST(PushCommands, WhatIsNotAPlainCommandListIsRefused) {
    const std::string command = kOne + " " + kTwo + " ";
    const std::vector<std::pair<const char*, std::string>> rows{
        {"not hexadecimal", "zzzz"},
        {"delimiter packet", "0001"},
        {"empty packet", "0004"},
        {"too long packet", "fff1"},
        {"no command", packet("hello")},
        {"short id", packet("1 2 refs/heads/x")},
        {"upper-case id", packet(std::string(40, 'A') + " " + kTwo + " refs/heads/x")},
        {"ids of two formats", packet(kOne + " " + std::string(64, '1') + " refs/heads/x")},
        {"no full ref name", packet(command + "main")},
        {"two dots", packet(command + "refs/heads/a..b")},
        {"blank in the name", packet(command + "refs/heads/a b")},
        {"star in the name", packet(command + "refs/heads/*")},
        {"hidden component", packet(command + "refs/heads/.a")},
        {"lock suffix", packet(command + "refs/heads/a.lock")},
        {"line end in the name", packet(command + "refs/heads/a\nb")},
        {"certificate", packet("push-cert" + kCapabilities)},
        {"late capabilities",
         packet(command + "refs/heads/a" + kCapabilities) + packet(command + "refs/heads/b" + kCapabilities)},
        {"late shallow", packet(command + "refs/heads/a") + packet("shallow " + kOne)},
        {"ref twice", packet(command + "refs/heads/a") + packet(kOne + " " + kZero + " refs/heads/a")},
    };
    for (const auto& [name, list] : rows) {
        SCOPED_TRACE(name);
        const auto commands = read_push_commands(list + "0000");
        EXPECT_FALSE(commands.has_value());
    }
}

TEST(PushCommands, SizeAndNumberAreBounded) {
    std::string many;
    for (std::size_t i = 0; i <= kPushRefsMax; ++i) many += packet(kOne + " " + kTwo + " refs/h/" + std::to_string(i));

    EXPECT_FALSE(read_push_commands(many + "0000").has_value());
    EXPECT_FALSE(
        read_push_commands(packet(kOne + " " + kTwo + " refs/heads/a") + std::string(kPushCommandsBytesMax, 'f'))
            .has_value());
}

TEST(PushCommands, OptionsAreSeenHoweverTheirCapabilityIsWritten) {
    const std::string command = kZero + " " + kOne + " refs/heads/a";
    const auto has_options = [&](const std::string& capabilities) {
        const auto commands = read_push_commands(packet(command + "\0"s + capabilities) + "0000");
        return (*commands)->has_options();
    };
    for (const auto& written : {"report-status push-options"s, " push-options\n"s, "push-options=1 quiet"s,
                                "quiet\tpush-options\tatomic"s, "quiet\0push-options"s}) {
        EXPECT_TRUE(has_options(written)) << written;
    }
    EXPECT_FALSE(has_options(" report-status side-band-64k agent=git/2.39.5"));
    EXPECT_FALSE((*read_push_commands(packet(command) + "0000"))->has_options());
}

TEST(PushCommands, CapabilitiesAreThoseOfTheFirstCommand) {
    const std::string list = packet("shallow " + kTwo + "\0 report-status"s) +
                             packet(kZero + " " + kOne + " refs/heads/a" + kCapabilities + "\n") + "0000";

    const auto commands = read_push_commands(list);

    ASSERT_TRUE(commands.has_value() && commands->has_value());
    EXPECT_TRUE((*commands)->wants_report());
    EXPECT_TRUE((*commands)->has_capability("agent=git/2.39.5"));
    EXPECT_FALSE((*commands)->has_capability("report"));
    EXPECT_FALSE((*commands)->has_capability("side-band"));
}

TEST(PushCommands, WhatAClientTakesFollowsFromItsCapabilities) {
    const auto push = [](std::string capabilities) { return PushCommands{{}, std::move(capabilities)}; };

    EXPECT_TRUE(push("report-status").wants_report());
    EXPECT_TRUE(push(" atomic report-status-v2 quiet").wants_report());
    EXPECT_FALSE(push("").wants_report());
    EXPECT_FALSE(push("report-status-v3 noreport-status").wants_report());
    EXPECT_EQ(push("side-band side-band-64k").side_band_bytes(), 65520U);
    EXPECT_EQ(push("side-band").side_band_bytes(), 1000U);
    EXPECT_EQ(push("report-status").side_band_bytes(), 0U);
}

/// Payloads of packets up to a flush packet; checks that it is the end, and that none is too long.
std::vector<std::string> packets_of(std::string_view bytes, std::size_t packet_bytes_max = 65520) {
    std::vector<std::string> payloads;
    while (bytes.substr(0, 4) != "0000") {
        const std::size_t length = std::stoul(std::string(bytes.substr(0, 4)), nullptr, 16);
        EXPECT_LE(length, packet_bytes_max);
        payloads.emplace_back(bytes.substr(4, length - 4));
        bytes.remove_prefix(length);
    }
    EXPECT_EQ(bytes, "0000");
    return payloads;
}

TEST(PushRejection, EveryRefIsRejectedAndNoneAccepted) {
    PushCommands push{{}, "report-status"};
    for (std::size_t i = 0; i < kPushRefsMax; ++i) {
        const std::string name = "refs/heads/" + std::string(i % 200, 'n') + std::to_string(i);
        push.updates.push_back({kOne, i % 2 == 0 ? kTwo : kZero, name});
    }
    for (const char* capabilities : {"report-status", "report-status side-band", "report-status-v2 side-band-64k"}) {
        push.capabilities = capabilities;
        std::string answer = encode_push_rejection(push, "sanctum: why", "sanctum: words\n");
        std::string text;
        if (const std::size_t most = push.side_band_bytes(); most > 0) {
            std::string report;
            for (const std::string& payload : packets_of(answer, most)) {
                ASSERT_TRUE(payload[0] == '\1' || payload[0] == '\2');
                (payload[0] == '\1' ? report : text) += payload.substr(1);
            }
            EXPECT_EQ(text, "sanctum: words\n");
            answer = report;
        }
        const std::vector<std::string> lines = packets_of(answer);
        ASSERT_EQ(lines.size(), push.updates.size() + 1);
        EXPECT_EQ(lines[0], "unpack ok\n");
        for (std::size_t i = 1; i < lines.size(); ++i) {
            EXPECT_EQ(lines[i], "ng " + push.updates[i - 1].name + " sanctum: why\n");
        }
    }
}

}  // namespace
}  // namespace sanctum::interceptor
