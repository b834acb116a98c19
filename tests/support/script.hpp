// SPDX-License-Identifier: Apache-2.0
// Script: a conversation between an agent, serve_connection() and an upstream, written down step by step.
//
//     Script().agent_sends("GET / …").upstream_expects("GET / …").upstream_sends("HTTP/1.1 200 …").run();
//
// run() plays it once; run_with_failure_at_every_step() plays it again with each I/O call failing in turn and checks
// what has to hold whatever breaks. A script that was never run fails its test.
#pragma once

#include "tests/support/interceptor_world.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sanctum::interceptor::test {

class Script {
public:
    /// A TLS connection to `host` whose name, SNI and port agree.
    explicit Script(std::string host = "api.test");
    ~Script();
    Script(const Script&) = delete;
    Script& operator=(const Script&) = delete;

    /// Changes the world before the conversation begins (again for each replay).
    Script& given(std::function<void(World&)> change);
    Script& given_connection(std::function<void(AgentConnection&)> change);
    Script& agent_sends(std::string bytes);
    /// Sends each byte as a read of its own.
    Script& agent_dribbles(const std::string& bytes);
    Script& agent_closes();
    /// Exactly these bytes arrived since the last look.
    Script& agent_expects(std::string bytes);
    Script& agent_expects_containing(std::string part);
    Script& agent_expects_nothing();
    Script& agent_sees_close();
    Script& upstream_sends(std::string bytes);
    Script& upstream_closes();
    Script& upstream_resets();
    Script& upstream_refuses_certificate();
    Script& upstream_expects(std::string bytes);
    Script& upstream_expects_containing(std::string part);
    Script& upstream_expects_nothing();
    /// Expectations between two steps; passed over in replays with a failure.
    Script& checks(std::function<void(World&, Wire& agent)> look);
    /// Any other act between two steps.
    Script& then(std::function<void(World&, Wire& agent)> act);
    /// At the end: one refusal with this reason and nothing else.
    Script& refused(std::string reason);
    /// At the end: so many intents, each with this outcome.
    Script& completed(std::string outcome, std::size_t count = 1);

    void run();
    void run_with_failure_at_every_step();

private:
    struct Step;
    struct Play;
    Script& add(std::string label, std::function<void(Play&)> act);
    void play(int fail_at, int& calls);

    std::string host_;
    std::vector<std::function<void(World&)>> givens_;
    std::vector<std::function<void(AgentConnection&)>> connection_givens_;
    std::vector<std::unique_ptr<Step>> steps_;
    std::vector<std::function<void(Play&)>> endings_;
    bool was_run_ = false;
};

}  // namespace sanctum::interceptor::test
