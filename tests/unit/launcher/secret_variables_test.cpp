// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/secret_variables.hpp"

#include "base/files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

namespace sanctum::launcher {
namespace {

constexpr const char* kName = "SANCTUM_TEST_VARIABLE";

class SecretVariablesTest : public ::testing::Test {
protected:
    SecretVariablesTest() {
        for (const char* name : {"used", "unused"}) {
            profiles::Account& account = config_.accounts.emplace_back();
            account.name = name;
            account.source = "environment";
            account.place = "config.toml:3";
        }
        config_.accounts[0].variable = kName;
        config_.accounts[1].variable = "OTHER";
        mission_.services.emplace_back().account = "used";
    }
    ~SecretVariablesTest() override { ::unsetenv(kName); }

    profiles::OperatorConfig config_;
    profiles::Mission mission_;
    std::map<std::string, std::string> environment_ = {{kName, "canary-1"}, {"OTHER", "canary-2"}, {"HOME", "/root"}};
};

TEST_F(SecretVariablesTest, AreTakenOutOfTheMapAndOverwrittenInThisProcess) {
    ::setenv(kName, "canary-1", 1);
    const char* place = std::getenv(kName);

    const SecretVariables taken = take_secret_variables(config_, environment_);

    EXPECT_EQ(taken.at(kName).reveal(), "canary-1");
    EXPECT_EQ(taken.at("OTHER").reveal(), "canary-2") << "also what this mission does not need";
    EXPECT_EQ(environment_, (std::map<std::string, std::string>{{"HOME", "/root"}}));
    EXPECT_EQ(std::getenv(kName), nullptr);
    EXPECT_EQ(std::memcmp(place, "\0\0\0\0\0\0\0\0", 8), 0);
}

TEST_F(SecretVariablesTest, OnlyThoseThatTheMissionNeedsAreHandedOver) {
    const SecretVariables taken = take_secret_variables(config_, environment_);

    const Result<UniqueFd> sealed = seal_secret_variables(taken, mission_, config_);

    ASSERT_TRUE(sealed) << sealed.error().what;
    EXPECT_EQ(read_sealed_memfd(sealed->get(), 4096).value(), std::string(kName) + "=canary-1" + '\0');
    mission_.services.clear();
    const Result<UniqueFd> none = seal_secret_variables(taken, mission_, config_);
    ASSERT_TRUE(none);
    EXPECT_FALSE(*none);
}

TEST_F(SecretVariablesTest, OneThatIsMissingOrEmptyIsNamedWithItsAccount) {
    for (const char* value : {"", "x"}) {
        environment_[kName] = value;
        if (*value != '\0') environment_.erase(kName);
        const SecretVariables taken = take_secret_variables(config_, environment_);
        const Result<UniqueFd> sealed = seal_secret_variables(taken, mission_, config_);
        ASSERT_FALSE(sealed);
        EXPECT_EQ(sealed.error().code, Errc::NotFound);
        EXPECT_THAT(sealed.error().what,
                    ::testing::HasSubstr("config.toml:3: account used: the variable SANCTUM_TEST_VARIABLE is not set"));
    }
}

}  // namespace
}  // namespace sanctum::launcher
