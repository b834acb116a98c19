// SPDX-License-Identifier: Apache-2.0
// A console over scratch folders and string streams; nothing of the machine's own configuration is seen.
#pragma once

#include "base/mission_id.hpp"
#include "console/console.hpp"
#include "ledger/ledger.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace sanctum::console::test {

inline constexpr const char* kMission = "01kabcdefghjkmnpqrstvwxyz0";

class ConsoleTest : public ::testing::Test {
protected:
    ConsoleTest() : folder_(make_folder()), console_(make_console(folder_)) {}
    ~ConsoleTest() override { std::filesystem::remove_all(folder_); }

    Exit run(const std::vector<std::string>& arguments) {
        out_.str("");
        err_.str("");
        return run_console(arguments, console_);
    }
    [[nodiscard]] std::string out() const { return out_.str(); }
    [[nodiscard]] std::string err() const { return err_.str(); }
    [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/work/" + name; }
    void write(const std::string& path, const std::string& text) {
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        std::ofstream(path) << text;
    }
    static std::string read(const std::string& path) {
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        return text.str();
    }
    /// A mission with one refused and one allowed exchange; alive while the pointer lives, unless sealed.
    std::unique_ptr<ledger::Ledger> begin_mission(const std::string& id = kMission);
    void run_sealed_mission(const std::string& id = kMission);

    /// A vault that says what it was told to say; the real one is tested end to end.
    void vault_says(const std::string& text, int code = 0);

    std::string folder_;
    ManualClock clock_;
    std::ostringstream out_;
    std::ostringstream err_;
    Console console_;

private:
    static std::string make_folder();
    Console make_console(const std::string& folder);
};

}  // namespace sanctum::console::test
