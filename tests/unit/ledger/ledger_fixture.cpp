// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/ledger/ledger_fixture.hpp"

#include "base/files.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sanctum::ledger::test {

Scratch::Scratch() {
    std::string folder = ::testing::TempDir() + "ledger-XXXXXX";
    SANCTUM_ASSERT(::mkdtemp(folder.data()) != nullptr);
    path_ = folder;
}

Scratch::~Scratch() { std::filesystem::remove_all(path_); }

SigningKey Scratch::signing_key() const {
    Result<SigningKey> key = SigningKey::load_or_create(private_key(), public_key(), receipts());
    SANCTUM_ASSERT(key.has_value());
    return std::move(key).value();
}

VerifyingKey Scratch::verifying_key() const {
    Result<VerifyingKey> key = VerifyingKey::load(public_key());
    SANCTUM_ASSERT(key.has_value());
    return std::move(key).value();
}

std::shared_ptr<const SigningKey> Scratch::shared_key() const {
    return std::make_shared<const SigningKey>(signing_key());
}

MissionStarted started() {
    MissionStarted out;
    out.agent = "triage-bot";
    out.name = "triage";
    out.purpose = "label new issues";
    out.profile_sha256 = std::string(64, 'a');
    out.overrides = {"ttl=10m"};
    out.command = {"sh", "job.sh"};
    out.landlock_abi = 7;
    out.limits = "rlimits";
    out.watch = true;
    out.granted = {{"git", {"fetch", "push"}}};
    return out;
}

wire::ExchangeIntent intent(std::uint64_t exchange) {
    wire::ExchangeIntent out;
    out.exchange = exchange;
    out.connection = 1;
    out.service = "git";
    out.operation = "git.push";
    out.method = "POST";
    out.host = "git.quickstart.test";
    out.path = "/git/demo.git/git-receive-pack";
    out.needed = {{"push"}};
    out.resources = {{"ref", {"refs/heads/agent/x"}}, {"repo", {"demo.git"}}};
    out.risk = "medium";
    out.verdict = "allow";
    out.rule = "grant";
    out.lease = "l1";
    out.head.fill(0x11);
    return out;
}

wire::ExchangeOutcome outcome(std::uint64_t exchange) {
    wire::ExchangeOutcome out;
    out.exchange = exchange;
    out.status = 200;
    out.outcome = "complete";
    out.sent = 20'003'121;
    out.received = 52;
    out.body.fill(0x22);
    return out;
}

wire::ExchangeRefused refused(std::uint64_t exchange) {
    wire::ExchangeRefused out;
    out.exchange = exchange;
    out.connection = 1;
    out.service = "git";
    out.operation = "git.push";
    out.method = "POST";
    out.host = "git.quickstart.test";
    out.path = "/git/demo.git/git-receive-pack";
    out.reason = "resource_outside";
    out.rule = "resources.ref";
    out.status = 403;
    return out;
}

wire::LeaseChanged lease(const std::string& state) {
    wire::LeaseChanged out;
    out.lease = "l1";
    out.service = "git";
    out.account = "quickstart";
    out.state = state;
    out.asked = {"push"};
    out.narrowed_by = "proxy";
    out.retire = "self";
    out.expires_unix_ms = 1'795'313'772'001;
    out.thumbprint = std::string(64, 'c');
    if (state != "held") out.uses = 3;
    return out;
}

MissionEnded ended() {
    MissionEnded out;
    out.reason = "exit";
    out.gone = 1;
    out.held_files = {".git/hooks/post-commit"};
    return out;
}

std::unique_ptr<Ledger> create(const Scratch& scratch, const Clock& clock, const std::string& id) {
    Result<std::unique_ptr<Ledger>> ledger =
        Ledger::create(scratch.mission(id), id, "{}", scratch.receipts(), scratch.signing_key(), clock);
    EXPECT_TRUE(ledger) << (ledger ? "" : ledger.error().what);
    return std::move(ledger).value();
}

void write_sealed(const Scratch& scratch, std::uint64_t records, const std::string& id) {
    ManualClock clock;
    const auto ledger = create(scratch, clock, id);
    ledger->append(started());
    ledger->append(lease("held"));
    ledger->append(ConnectionRecord{1, "198.18.0.4:443", "git.quickstart.test",
                                    ClaimedProcess{12, "/usr/lib/git-core/git-remote-http", {"git", "sh"}}});
    ledger->append(ConnectionRefused{"192.0.2.1:444", "no_listener", std::nullopt});
    ApprovalChanged approval{"a1", 3, {}, "approved", "uid:1000", "control", 1'795'313'772'001};
    ledger->append(approval);
    for (std::uint64_t exchange = 1; exchange * 3 + 10 <= records; ++exchange) {
        clock.advance(Milliseconds(700));
        ledger->append(intent(exchange * 2));
        ledger->append(outcome(exchange * 2));
        ledger->append(refused(exchange * 2 + 1));
    }
    ledger->append(lease("gone"));
    const Result<Sealed> sealed = ledger->seal(ended());
    EXPECT_TRUE(sealed) << (sealed ? "" : sealed.error().what);
}

Verification verify(const Scratch& scratch, const std::string& id) {
    Result<Verification> verification = verify_mission(scratch.mission(id), id, scratch.verifying_key());
    EXPECT_TRUE(verification) << (verification ? "" : verification.error().what);
    return verification ? std::move(verification).value() : Verification{};
}

std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

void write(const std::string& path, const std::string& bytes) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << bytes;
}

std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) out.push_back(line + "\n");
    return out;
}

}  // namespace sanctum::ledger::test
