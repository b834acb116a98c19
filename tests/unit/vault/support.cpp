// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/vault/support.hpp"

#include "base/result.hpp"

#include <cstdlib>
#include <filesystem>

namespace sanctum::vault::test {

TemporaryFolder::TemporaryFolder() : path_("/tmp/sanctum-vault-test-XXXXXX") {
    SANCTUM_ASSERT(::mkdtemp(path_.data()) != nullptr);
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

profiles::Mission make_mission() {
    profiles::Mission mission;
    mission.id = "01k9vaulttest0000000000000";
    profiles::Service git;
    git.name = "git";
    git.catalog = "git-http";
    git.account = "team";
    git.grant = {"fetch", "push"};
    git.implied = {"fetch", "push"};
    git.resources = {{"repo", {"team/*"}}, {"ref", {"refs/heads/agent/**"}}};
    git.account_resources = {{"repo", {"**"}}};
    profiles::Endpoint endpoint;
    endpoint.name = "git";
    endpoint.form = profiles::AuthForm::Basic;
    endpoint.username = "x-access-token";
    git.endpoints = {endpoint};
    mission.services = {git};
    profiles::Service once = git;
    once.name = "once";
    once.reuse = false;
    mission.services.push_back(once);
    profiles::Service bare = git;
    bare.name = "bare";
    bare.account = "";
    mission.services.push_back(bare);
    return mission;
}

wire::LeaseNeed make_need(std::uint64_t exchange) {
    wire::LeaseNeed need;
    need.exchange = exchange;
    need.service = "git";
    need.scopes = {"fetch"};
    need.resources = {{"repo", {"team/app.git"}}};
    need.risk = "low";
    return need;
}

RetireOutcome give_nothing_back(const LeaseRow& /*row*/) { return {RetireOutcome::End::NotYet, "unreachable"}; }

void Script::answer(const std::string& secret, std::optional<WallTime> expires, RetireClass retire) {
    SANCTUM_ASSERT(!asked.empty());
    const Completion<Fetched> done = std::move(asked.front());
    asked.pop_front();
    Credential credential;
    credential.secret = Secret(secret);
    credential.scopes.asked = {"fetch"};
    credential.expires = expires;
    credential.retire = retire;
    credential.alive_until = alive_until;
    credential.clock_offset = clock_offset;
    credential.handle = "handle-of-" + std::to_string(correlations.size());
    done(std::move(credential));
}

void Script::fail(Fetched failure) {
    SANCTUM_ASSERT(!asked.empty());
    const Completion<Fetched> done = std::move(asked.front());
    asked.pop_front();
    done(std::move(failure));
}

void Script::answer_token(const std::string& secret) {
    lacks_token = false;
    Credential credential;
    credential.secret = Secret(secret);
    credential.retire = RetireClass::Self;
    fail_token(std::move(credential));
}

void Script::fail_token(Fetched failure) {
    SANCTUM_ASSERT(!tokens_asked.empty());
    const Completion<Fetched> done = std::move(tokens_asked.front());
    tokens_asked.pop_front();
    done(std::move(failure));
}

void ScriptedSource::make_mission_token(const SourceNeed& /*need*/, Completion<Fetched> done) {
    script_.tokens_asked.push_back(std::move(done));
}

void ScriptedSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    script_.correlations.push_back(need.correlation);
    script_.need = need;
    script_.asked.push_back(std::move(done));
}

void ScriptedSource::attenuate(const SourceNeed& /*need*/, Credential credential, Completion<Fetched> done) {
    if (!script_.cannot_narrow) return done(std::move(credential));
    done(SourceFailure{SourceFault::Unavailable, "the provider is down", Milliseconds(0)});
}

void ScriptedSource::end_mission(std::function<void()> done) {
    if (script_.holds_end) script_.ending.push_back(std::move(done));
    else done();
}

void ScriptedSource::retire(const Credential& credential, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    script_.retired.emplace_back(credential.secret.reveal());
    if (script_.holds_retire) script_.retiring.push_back(std::move(done));
    else done(script_.outcome);
}

std::unique_ptr<Retirement> ScriptedSource::retirement(const Credential& credential) const {
    if (!script_.has_retirement) return nullptr;
    auto retirement = std::make_unique<Retirement>();
    retirement->request.authorization = credential.secret.duplicate();
    return retirement;
}

}  // namespace sanctum::vault::test
