// SPDX-License-Identifier: Apache-2.0
// Machines that we do not have, as facts.
#include "console/doctor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace sanctum::console::test {
namespace {

MachineFacts good_machine() {
    MachineFacts facts;
    facts.uid = 1000;
    facts.kernel_release = "6.12.5-amd64";
    facts.max_user_namespaces = 15000;
    facts.trial = {true, true, true, true, true, true, "", 0};
    facts.has_seccomp_notify = true;
    facts.landlock_abi = 7;
    facts.has_cgroup2 = true;
    facts.cgroup2_delegated = {"cpu", "memory", "pids"};
    facts.state_folder = "/home/u/.local/state/sanctum";
    facts.state_filesystem = "disk";
    facts.state_free_bytes = 1ULL << 40U;
    facts.state_is_writable = true;
    facts.unix_ms = 2;
    facts.program_unix_ms = 1;
    facts.has_store = facts.has_ledger_key = facts.has_configuration = facts.has_catalog = true;
    return facts;
}

TEST(Doctor, SaysWhichLoginsOfAnAgentCannotBeCaptured) {
    MachineFacts facts = good_machine();
    const auto about_logins = [&] {
        std::string said;
        for (const Finding& finding : examine(facts)) said += finding.group == "Logins" ? finding.what + "\n" : "";
        return said;
    };
    EXPECT_EQ(about_logins(), "") << "nobody has one";
    facts.login_catalogs = {"codex"};
    EXPECT_THAT(about_logins(), ::testing::HasSubstr("codex login --device-auth"));
    EXPECT_THAT(about_logins(), ::testing::HasSubstr("codex: not captured can be `codex login` with a browser"));
    EXPECT_THAT(about_logins(), ::testing::Not(::testing::HasSubstr("claude")));
}

struct Row {
    const char* name;
    std::function<void(MachineFacts&)> change;
    Health worst;
    const char* mend;  // part of the remedy
};

Health worst_of(const std::vector<Finding>& findings) {
    Health worst = Health::Good;
    for (const Finding& finding : findings) worst = std::max(worst, finding.health);
    return worst;
}

std::string mends_of(const std::vector<Finding>& findings) {
    std::string out;
    for (const Finding& finding : findings) out += finding.mend + "\n";
    return out;
}

void no_namespaces(MachineFacts& facts, const char* at) {
    facts.trial = {};
    facts.trial.failed_at = at;
    facts.trial.sys_errno = 1;
}

TEST(Doctor, AGoodMachineHasNothingToMend) {
    const std::vector<Finding> findings = examine(good_machine());

    EXPECT_EQ(worst_of(findings), Health::Good) << mends_of(findings);
}

TEST(Doctor, EachThingThatIsMissingNamesItsRemedy) {
    const std::vector<Row> rows = {
        {"old kernel", [](auto& f) { f.kernel_release = "5.10.0"; }, Health::Bad, "5.19"},
        {"kernel without every layer", [](auto& f) { f.kernel_release = "6.1.0"; }, Health::Warning, "6.12"},
        {"no notices", [](auto& f) { f.has_seccomp_notify = false; }, Health::Bad, "CONFIG_SECCOMP_FILTER"},
        {"no landlock", [](auto& f) { f.landlock_abi = 0; f.landlock_why = "switched off"; }, Health::Bad, "lsm="},
        {"namespaces used up", [](auto& f) { no_namespaces(f, "user namespace"); f.max_user_namespaces = 0; },
         Health::Bad, "user.max_user_namespaces"},
        {"Debian's switch", [](auto& f) { no_namespaces(f, "user namespace"); f.unprivileged_userns_clone = 0; },
         Health::Bad, "unprivileged_userns_clone=1"},
        {"Ubuntu's switch", [](auto& f) { no_namespaces(f, "mapping ids"); f.apparmor_restricts_userns = 1; },
         Health::Bad, "a build folder has none"},
        {"container with masked /proc",
         [](auto& f) { no_namespaces(f, "mounting /proc"); f.is_container = true; f.container = "docker"; },
         Health::Bad, "systempaths=unconfined"},
        {"podman with masked /proc",
         [](auto& f) { no_namespaces(f, "mounting /proc"); f.is_container = true; f.container = "podman"; },
         Health::Bad, "unmask=ALL"},
        {"container that forbids a host name",
         [](auto& f) { no_namespaces(f, "setting a host name"); f.is_container = true; f.container = "podman"; },
         Health::Bad, "seccomp=unconfined"},
        {"container that forbids namespaces",
         [](auto& f) { no_namespaces(f, "user namespace"); f.is_container = true; f.container = "docker"; },
         Health::Bad, "seccomp=unconfined"},
        {"state on tmpfs", [](auto& f) { f.state_filesystem = "tmpfs"; }, Health::Warning, "XDG_STATE_HOME"},
        {"state on overlay", [](auto& f) { f.state_filesystem = "overlay"; }, Health::Warning, "volume"},
        {"state not writable", [](auto& f) { f.state_is_writable = false; }, Health::Bad, "chown"},
        {"little room", [](auto& f) { f.state_free_bytes = 1024; }, Health::Warning, "make room"},
        {"clock before the program", [](auto& f) { f.program_unix_ms = 9; }, Health::Warning, "NTP"},
        {"no store", [](auto& f) { f.has_store = false; }, Health::Warning, "vault init"},
        {"lost key file", [](auto& f) { f.unlock = "key-file:/x"; }, Health::Bad, "restore the file"},
        {"ledger key readable", [](auto& f) { f.ledger_key_fault = "others may read it"; }, Health::Bad, "chmod 600"},
        {"folder of others", [](auto& f) { f.writable_by_others = {"/x"}; }, Health::Bad, "chmod go-w /x"},
        {"half an installation", [](auto& f) { f.missing_programs = {"/x/sanctum-vault"}; }, Health::Bad, "install"},
        {"no cgroups", [](auto& f) { f.cgroup2_delegated.clear(); }, Health::Warning, "Delegate=yes"},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);
        MachineFacts facts = good_machine();
        row.change(facts);
        const std::vector<Finding> findings = examine(facts);
        EXPECT_EQ(worst_of(findings), row.worst);
        EXPECT_THAT(mends_of(findings), ::testing::HasSubstr(row.mend));
    }
}

TEST(Doctor, AVariableThatPointsClientsAtAnotherBundleIsToldAndNothingToMend) {
    MachineFacts facts = good_machine();
    facts.certificate_variables = {"SSL_CERT_FILE"};

    const std::vector<Finding> findings = examine(facts);

    EXPECT_EQ(worst_of(findings), Health::Good) << mends_of(findings);
    EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
        return finding.what.find("not passed to agents") != std::string::npos &&
               finding.what.find("SSL_CERT_FILE") != std::string::npos;
    }));
}

TEST(Doctor, ForRootTheSwitchesOfOrdinaryUsersDoNotMatter) {
    MachineFacts facts = good_machine();
    facts.uid = 0;
    no_namespaces(facts, "user namespace");
    facts.apparmor_restricts_userns = 1;

    EXPECT_THAT(mends_of(examine(facts)), ::testing::Not(::testing::HasSubstr("AppArmor")));
}

}  // namespace
}  // namespace sanctum::console::test
