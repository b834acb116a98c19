// SPDX-License-Identifier: Apache-2.0
// What an agent may send to ask for a child mission, and what is none.
#include "launcher/run/delegation_words.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

ChildRequest good_request() {
    ChildRequest request;
    request.profile_name = "review.toml";
    request.profile = "schema = 1";
    request.working_directory = "/work";
    request.command = {"true"};
    request.variables = {{"LANG", "C"}};
    return request;
}

struct BadRequest {
    const char* name;
    void (*spoil)(ChildRequest& request);
};

TEST(ChildRequests, WhatIsMalformedIsRefused) {
    ASSERT_TRUE(parse_child_request(wire::to_json(good_request())));
    for (const BadRequest& row : {
             BadRequest{"no command", [](ChildRequest& r) { r.command.clear(); }},
             BadRequest{"an empty command", [](ChildRequest& r) { r.command = {""}; }},
             BadRequest{"another version", [](ChildRequest& r) { r.v = 2; }},
             BadRequest{"a relative folder", [](ChildRequest& r) { r.working_directory = "work"; }},
             BadRequest{"dots in the folder", [](ChildRequest& r) { r.working_directory = "/work/../etc"; }},
             BadRequest{"dots at its end", [](ChildRequest& r) { r.working_directory = "/work/.."; }},
             BadRequest{"a zero byte", [](ChildRequest& r) { r.command.emplace_back("a\0b", 3); }},
             BadRequest{"a zero byte in a variable", [](ChildRequest& r) { r.variables["X"] = std::string("\0", 1); }},
             BadRequest{"a long profile", [](ChildRequest& r) { r.profile.assign(kSmallFileBytesMax + 1, ' '); }},
         }) {
        SCOPED_TRACE(row.name);
        ChildRequest request = good_request();
        row.spoil(request);
        const Result<ChildRequest> parsed = parse_child_request(wire::to_json(request));
        ASSERT_FALSE(parsed);
        EXPECT_EQ(parsed.error().code, Errc::Protocol);
    }
    for (const char* text : {"", "{", "[]", "{\"v\":1}", "null"}) EXPECT_FALSE(parse_child_request(text)) << text;
}

std::pair<UniqueFd, UniqueFd> seqpacket_pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

TEST(ChildSignals, AreThoseThatEndOrNudgeAndNothingElse) {
    EXPECT_EQ(parse_child_signal(R"({"v":1,"signal":15})").value(), SIGTERM);
    for (const char* bad : {R"({"v":1,"signal":9})", R"({"v":1,"signal":19})", R"({"v":1,"signal":0})",
                            R"({"v":1,"signal":-15})", R"({"v":2,"signal":15})", R"({"v":1,"signal":4294967311})",
                            R"({"v":1})", "15", ""}) {
        EXPECT_FALSE(parse_child_signal(bad)) << bad;
    }
}

TEST(ChildDatagrams, CarryTextAndDescriptorsAndSayWhenTheOtherSideIsGone) {
    auto [ours, theirs] = seqpacket_pair();
    const int given[] = {ours.get(), STDIN_FILENO};

    EXPECT_FALSE(receive_child_datagram(theirs.get())->has_value());
    ASSERT_TRUE(send_child_datagram(ours.get(), "hello", given));
    const std::optional<ChildDatagram> got = receive_child_datagram(theirs.get()).value();
    EXPECT_EQ(got->text, "hello");
    EXPECT_EQ(got->descriptors.size(), 2U);
    EXPECT_EQ(::fcntl(got->descriptors[0].get(), F_GETFD), FD_CLOEXEC);
}

TEST(ChildDatagrams, TheEndIsCancelledAndWhatIsTooLongIsRefused) {
    auto [ours, theirs] = seqpacket_pair();

    ASSERT_TRUE(send_child_datagram(ours.get(), std::string(kChildWordBytesMax + 1, 'x')));
    EXPECT_EQ(receive_child_datagram(theirs.get()).error().code, Errc::Protocol);
    ours.reset();
    EXPECT_EQ(receive_child_datagram(theirs.get()).error().code, Errc::Cancelled);
}

TEST(HandedOverDescriptors, AreFilesPipesAndTerminals) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd reading(ends[0]);
    const UniqueFd writing(ends[1]);
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    for (const UniqueFd* fd : {&reading, &writing, &null, &file}) EXPECT_TRUE(check_handed_over(fd->get(), 0));

    const auto [socket, other] = seqpacket_pair();
    const UniqueFd folder(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd place(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
    const UniqueFd event(::eventfd(0, EFD_CLOEXEC));
    const UniqueFd name_space(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    for (const UniqueFd* fd : {&socket, &folder, &place, &event, &name_space}) {
        const Status checked = check_handed_over(fd->get(), 1);
        ASSERT_FALSE(checked);
        EXPECT_EQ(checked.error().code, Errc::Denied);
        EXPECT_EQ(checked.error().what.find("descriptor 1 is "), 0U) << checked.error().what;
    }
}

}  // namespace
}  // namespace sanctum::launcher
