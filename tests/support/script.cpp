// SPDX-License-Identifier: Apache-2.0
#include "tests/support/script.hpp"

#include "interceptor/rewrite/needles.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace sanctum::interceptor::test {

/// One playing of the script.
struct Script::Play {
    World world;
    net::io_context io{1};
    std::shared_ptr<Wire> agent = std::make_shared<Wire>();
    std::size_t agent_seen = 0;
    std::vector<std::size_t> upstream_seen;
    bool is_over = false;
    bool has_fault = false;
    std::string transcript;

    Wire& upstream() {
        auto& wires = world.upstreams.wires;
        if (wires.empty()) wires.push_back(std::make_shared<Wire>());
        upstream_seen.resize(std::max(upstream_seen.size(), wires.size()));
        return *wires[world.upstreams.opened == 0 ? 0 : world.upstreams.opened - 1];
    }
    std::string fresh_from_upstream() {
        const std::string all = upstream().written;
        std::size_t& seen = upstream_seen[world.upstreams.opened == 0 ? 0 : world.upstreams.opened - 1];
        std::string fresh = all.substr(seen);
        seen = all.size();
        return fresh;
    }
    std::string fresh_at_agent() {
        std::string fresh = agent->written.substr(agent_seen);
        agent_seen = agent->written.size();
        return fresh;
    }
    void settle() {
        io.restart();
        io.poll();
    }
};

struct Script::Step {
    std::string label;
    std::function<void(Play&)> act;
};

Script::Script(std::string host) : host_(std::move(host)) {}

Script::~Script() {
    if (!was_run_) ADD_FAILURE() << "a script was written and never run";
}

Script& Script::add(std::string label, std::function<void(Play&)> act) {
    steps_.push_back(std::make_unique<Step>(Step{std::move(label), std::move(act)}));
    return *this;
}

Script& Script::given(std::function<void(World&)> change) {
    givens_.push_back(std::move(change));
    return *this;
}
Script& Script::given_connection(std::function<void(AgentConnection&)> change) {
    connection_givens_.push_back(std::move(change));
    return *this;
}
Script& Script::agent_sends(std::string bytes) {
    return add("agent sends " + bytes, [bytes](Play& play) { play.agent->send(bytes); });
}
Script& Script::agent_dribbles(const std::string& bytes) {
    return add("agent dribbles " + bytes, [bytes](Play& play) {
        for (const char c : bytes) {
            play.agent->send(std::string(1, c));
            play.settle();
        }
    });
}
Script& Script::agent_closes() {
    return add("agent closes", [](Play& play) { play.agent->end(); });
}
Script& Script::agent_expects(std::string bytes) {
    return add("agent expects " + bytes, [bytes](Play& play) {
        const std::string fresh = play.fresh_at_agent();
        if (!play.has_fault) {
            EXPECT_EQ(fresh, bytes) << play.transcript;
        }
    });
}
Script& Script::agent_expects_containing(std::string part) {
    return add("agent expects …" + part, [part](Play& play) {
        const std::string fresh = play.fresh_at_agent();
        if (!play.has_fault) {
            EXPECT_NE(fresh.find(part), std::string::npos) << "got: " << fresh << play.transcript;
        }
    });
}
Script& Script::agent_expects_nothing() { return agent_expects(""); }
Script& Script::agent_sees_close() {
    return add("agent sees the close", [](Play& play) {
        if (!play.has_fault) {
            EXPECT_TRUE(play.agent->is_closed) << play.transcript;
        }
    });
}
Script& Script::upstream_sends(std::string bytes) {
    return add("upstream sends " + bytes, [bytes](Play& play) { play.upstream().send(bytes); });
}
Script& Script::upstream_closes() {
    return add("upstream closes", [](Play& play) { play.upstream().end(); });
}
Script& Script::upstream_resets() {
    return add("upstream resets", [](Play& play) {
        play.upstream().is_broken = true;
        play.upstream().change();
    });
}
Script& Script::upstream_refuses_certificate() {
    return add("upstream refuses our certificate", [](Play& play) {
        play.upstream().refuses_certificate = true;
        play.upstream().change();
    });
}
Script& Script::upstream_expects(std::string bytes) {
    return add("upstream expects " + bytes, [bytes](Play& play) {
        const std::string fresh = play.fresh_from_upstream();
        if (!play.has_fault) {
            EXPECT_EQ(fresh, bytes) << play.transcript;
        }
    });
}
Script& Script::upstream_expects_containing(std::string part) {
    return add("upstream expects …" + part, [part](Play& play) {
        const std::string fresh = play.fresh_from_upstream();
        if (!play.has_fault) {
            EXPECT_NE(fresh.find(part), std::string::npos) << "got: " << fresh << play.transcript;
        }
    });
}
Script& Script::upstream_expects_nothing() { return upstream_expects(""); }
Script& Script::checks(std::function<void(World&, Wire&)> look) {
    return add("checks", [look](Play& play) {
        if (!play.has_fault) look(play.world, *play.agent);
    });
}
Script& Script::then(std::function<void(World&, Wire&)> act) {
    return add("then", [act](Play& play) { act(play.world, *play.agent); });
}
Script& Script::refused(std::string reason) {
    endings_.push_back([reason](Play& play) {
        EXPECT_TRUE(play.world.recorder.intents.empty()) << play.transcript;
        ASSERT_EQ(play.world.recorder.refusals.size(), 1U) << play.transcript;
        EXPECT_EQ(play.world.recorder.refusals[0].reason, reason) << play.world.recorder.refusals[0].detail;
        for (const auto& wire : play.world.upstreams.wires) EXPECT_EQ(wire->written, "") << play.transcript;
    });
    return *this;
}
Script& Script::completed(std::string outcome, std::size_t count) {
    endings_.push_back([outcome, count](Play& play) {
        EXPECT_EQ(play.world.recorder.intents.size(), count) << play.transcript;
        ASSERT_EQ(play.world.recorder.outcomes.size(), count) << play.transcript;
        for (const auto& record : play.world.recorder.outcomes) EXPECT_EQ(record.outcome, outcome) << play.transcript;
    });
    return *this;
}

namespace {

/// What has to hold however a conversation went.
void check_invariants(World& world, const Wire& agent) {
    EXPECT_EQ(world.recorder.intents.size(), world.recorder.outcomes.size());
    std::vector<std::uint64_t> ids;
    for (const auto& record : world.recorder.intents) ids.push_back(record.exchange);
    for (const auto& record : world.recorder.refusals) ids.push_back(record.exchange);
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end()) << "an exchange has two records";
    EXPECT_EQ(ids.size(), world.recorder.count) << "an exchange has no record";
    if (world.recorder.intents.empty()) {
        for (const auto& wire : world.upstreams.wires) EXPECT_EQ(wire->written, "") << "bytes without a record";
    }
    const NeedleSet needles(world.leases.known());
    std::vector<Sighting> found;
    needles.find(agent.written, found);
    for (const Sighting& sighting : found) EXPECT_TRUE(sighting.is_partial) << "a secret reached the agent";
}

}  // namespace

void Script::play(int fail_at, int& calls) {
    Play play;
    play.has_fault = fail_at >= 0;
    play.world.faults->fail_at = fail_at;
    for (const auto& given : givens_) given(play.world);
    AgentConnection connection{.id = 1, .cookie = 7, .dialled = "198.18.0.4:443", .name = host_, .server_name = host_,
                               .port = 443, .is_tls = true};
    for (const auto& given : connection_givens_) given(connection);
    auto stream = std::make_unique<MemoryStream>(play.agent, play.world.faults);
    net::co_spawn(play.io, serve_connection(std::move(stream), connection, *play.world.services),
                  [&](std::exception_ptr error) {
                      EXPECT_FALSE(error) << "serve_connection threw";
                      play.is_over = true;
                  });
    play.settle();
    for (const auto& step : steps_) {
        play.transcript += "\n  " + step->label;
        step->act(play);
        play.settle();
    }
    if (!play.has_fault) {
        for (const auto& ending : endings_) ending(play);
    }
    // The agent leaves: whatever state things are in, everything has to come to its end.
    play.agent->end();
    play.settle();
    if (!play.is_over) {
        play.agent->is_deadline_armed = true;
        play.agent->expire();
        play.settle();
    }
    EXPECT_TRUE(play.is_over) << "the connection hangs" << play.transcript;
    EXPECT_TRUE(play.agent->is_closed);
    check_invariants(play.world, *play.agent);
    calls = play.world.faults->calls;
}

void Script::run() {
    was_run_ = true;
    int calls = 0;
    play(-1, calls);
}

void Script::run_with_failure_at_every_step() {
    was_run_ = true;
    int calls = 0;
    play(-1, calls);
    for (int fail_at = 0; fail_at < calls; ++fail_at) {
        SCOPED_TRACE("failure at I/O call " + std::to_string(fail_at));
        int unused = 0;
        play(fail_at, unused);
    }
}

}  // namespace sanctum::interceptor::test
