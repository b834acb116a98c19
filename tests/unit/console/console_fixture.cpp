// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/console/console_fixture.hpp"

#include <cstdlib>
#include <sys/stat.h>

namespace sanctum::console::test {

std::string ConsoleTest::make_folder() {
    std::string folder = ::testing::TempDir() + "console-XXXXXX";
    SANCTUM_ASSERT(::mkdtemp(folder.data()) != nullptr);
    for (const char* name : {"/work", "/config", "/data", "/state", "/run", "/bin"}) {
        std::filesystem::create_directory(folder + name);
    }
    return folder;
}

Console ConsoleTest::make_console(const std::string& folder) {
    const std::map<std::string, std::string> environment = {
        {"HOME", folder + "/home"},
        {"XDG_CONFIG_HOME", folder + "/config"},
        {"XDG_DATA_HOME", folder + "/data"},
        {"XDG_STATE_HOME", folder + "/state"}, {"XDG_RUNTIME_DIR", folder + "/run"}, {"PATH", "/usr/bin:/bin"}};
    Places places = find_places(environment, 1000, folder + "/bin");
    places.shipped = std::string(SANCTUM_BINARY_DIR) + "/share/sanctum";
    return Console{places, environment, folder + "/work", Look{}, out_, err_, clock_};
}

std::unique_ptr<ledger::Ledger> ConsoleTest::begin_mission(const std::string& id) {
    const Places& places = console_.places;
    auto key = ledger::SigningKey::load_or_create(places.ledger_key(), places.ledger_public_key(), places.receipts());
    SANCTUM_ASSERT(key.has_value());
    const std::string file = R"({"v":1,"mission":")" + id + R"(","name":"triage","agent":"bot","purpose":"p",)" +
                             R"("command":["sh"],"profile_path":"/nowhere.toml","profile_sha256":"",)" +
                             R"("workspace":")" + folder_ + R"(/work","started_unix_ms":1,"ends_unix_ms":2})";
    auto made = ledger::Ledger::create(console_.places.mission(id), id, file, console_.places.receipts(),
                                       std::move(*key), clock_);
    SANCTUM_ASSERT(made.has_value());
    ledger::MissionStarted started;
    started.name = "triage";
    started.command = {"sh"};
    started.limits = "rlimits";
    (*made)->append(started);
    (*made)->append(ledger::ConnectionRecord{1, "198.18.0.4:443", "evil.test",
                                             ledger::ClaimedProcess{12, "/usr/bin/\x1b[31mcurl", {"sh"}}});
    wire::ExchangeRefused refused;
    refused.exchange = 1;
    refused.connection = 1;
    refused.method = "GET";
    refused.host = "evil.test";
    refused.path = "/x";
    refused.reason = "host_unknown";
    refused.status = 403;
    (*made)->append(refused);
    SANCTUM_ASSERT((*made)->flush());
    return std::move(*made);
}

void ConsoleTest::run_sealed_mission(const std::string& id) {
    ledger::MissionEnded ended;
    ended.reason = "exit";
    SANCTUM_ASSERT(begin_mission(id)->seal(ended).has_value());
}

void ConsoleTest::vault_says(const std::string& text, int code) {
    const std::string program = console_.places.programs + "/sanctum-vault";
    write(program, "#!/bin/sh\ncat <<'END'\n" + text + "END\nexit " + std::to_string(code) + "\n");
    ::chmod(program.c_str(), 0755);
}

}  // namespace sanctum::console::test
