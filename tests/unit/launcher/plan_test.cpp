// SPDX-License-Identifier: Apache-2.0
// plan_sandbox as data: what it refuses, what it decides, and the whole plan as text.
#include "launcher/plan/cgroup_facts.hpp"
#include "launcher/plan/fixed_places.hpp"
#include "launcher/plan/root_places.hpp"
#include "launcher/plan/sandbox_plan.hpp"
#include "base/limits.hpp"
#include "tests/unit/launcher/golden.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace sanctum::launcher {
namespace {

using test::expect_golden;

constexpr uid_t kAlice = 1000;

/// An ordinary user's mission in /home/alice/project on an ordinary machine.
struct World {
    profiles::Mission mission;
    HostFacts facts;
    std::vector<std::string> later;
    bool new_session = false;

    World() {
        mission.id = "01k9zq3w5c7x8r9t0v1w2x3y4z";
        mission.ttl_ms = 1'800'000;
        mission.sandbox.workspace = "/home/alice/project";
        facts.uid = facts.gid = kAlice;
        facts.user_name = "alice";
        facts.home = "/home/alice";
        facts.real_home = "/srv/alice";
        facts.landlock_abi = 7;
        facts.has_user_namespaces = facts.has_seccomp_notify = facts.has_ipv6 = facts.has_terminal = true;
        facts.existing_roots = {"/usr", "/bin", "/lib", "/lib64", "/opt", "/etc/ld.so.cache", "/etc/localtime",
                                "/proc/sys", "/proc/kcore", "/bin/bash"};
        facts.root_links = {{"/bin", "usr/bin"}, {"/lib", "usr/lib"}, {"/lib64", "usr/lib64"},
                            {"/etc/localtime", "/usr/share/zoneinfo/Etc/UTC"}};
        facts.ca_bundle = "/etc/ssl/certs/ca-certificates.crt";
        facts.sanctum_folders = {"/home/alice/.local/share/sanctum", "/home/alice/.local/state/sanctum"};
        facts.program_folders = {"/opt/sanctum/bin"};
        facts.terminal_type = "xterm-256color";
        facts.cpus = 4;
        place("/home/alice/project");
        facts.workspace_owner = facts.workspace_group = kAlice;
        facts.workspace_can_be_idmapped = true;
    }

    GrantFacts& place(const std::string& path) {
        return facts.grants[path] = {path, kAlice, kAlice, true, true};
    }

    void grant(const std::string& path, bool writable) {
        mission.sandbox.mounts.push_back({path, path, writable});
        place(path);
    }

    Result<SandboxPlan> plan() const {
        return plan_sandbox(mission, facts, {"sh", "job.sh"}, new_session, mission.sandbox.workspace, later);
    }

    SandboxPlan planned() const {
        auto made = plan();
        EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().what);
        return made ? *made : SandboxPlan{};
    }

    std::string refusal() const {
        const auto made = plan();
        EXPECT_FALSE(made.has_value());
        return made ? "" : made.error().what;
    }
};

std::vector<MountStep> steps_at(const SandboxPlan& plan, const std::string& target) {
    std::vector<MountStep> found;
    std::copy_if(plan.mounts.begin(), plan.mounts.end(), std::back_inserter(found),
                 [&](const MountStep& step) { return step.target == target; });
    return found;
}

TEST(PlanSandbox, AnOrdinaryUsersPlanReadsAsReviewed) { expect_golden("plan-user.txt",
    render_plan(World().planned())); }

TEST(PlanSandbox, RootsPlanInAFolderOfRootReadsAsReviewed) {
    World world;
    world.facts.uid = world.facts.gid = 0;
    world.facts.user_name = "root";
    world.facts.home = "/root";
    world.facts.has_terminal = false;
    world.facts.workspace_owner = world.facts.workspace_group = 0;
    world.place("/home/alice/project").owner = 0;
    world.grant("/srv/data", false);
    world.facts.sockets = {"/home/alice/project/tool.sock"};
    world.facts.secrets = {"/srv/data/.ssh/", "/srv/data/.netrc"};
    world.later = {"/home/alice/project/.git/hooks", "/home/alice/project/sub/.envrc"};
    expect_golden("plan-root.txt", render_plan(world.planned()));
}

TEST(PlanSandbox, TheAgentIsNeverRootOutside) {
    World world;
    world.facts.uid = world.facts.gid = 0;
    world.facts.home = "/root";
    const SandboxPlan owners = world.planned();
    EXPECT_EQ(owners.host_uid, kAlice);
    EXPECT_TRUE(owners.map_by_parent);
    world.facts.workspace_owner = 0;
    EXPECT_EQ(world.planned().host_uid, kUnprivilegedId);
    world.facts.workspace_can_be_idmapped = false;
    EXPECT_NE(world.refusal().find("belongs to root"), std::string::npos);
}

TEST(PlanSandbox, RootsGroupIsNotTakenOver) {
    World world;
    world.facts.uid = world.facts.gid = 0;
    world.facts.home = "/root";
    world.facts.workspace_group = 0;
    EXPECT_EQ(world.planned().host_gid, kUnprivilegedId);
}

TEST(PlanSandbox, GrantsThatAreTooWideAreRefused) {
    struct Row {
        const char* path;
        bool writable;
        const char* why;
    };
    constexpr Row kRows[] = {
        {"/", false, "whole machine"},
        {"/home/alice", false, "is your home folder"},
        {"/home", false, "holds your home folder"},
        {"/srv/alice", false, "is your home folder"},
        {"/srv", false, "holds your home folder"},
        {"/home/alice/.local/share/sanctum", false, "Sanctum's own folder"},
        {"/home/alice/.local/share/sanctum/sub", false, "Sanctum's own folder"},
        {"/home/alice/.local/state", true, "Sanctum's own folder"},
        {"/opt/sanctum", true, "Sanctum's programs"},
        {"/usr/local", true, "part of the system"},
        {"/etc", true, "part of the system"},
        {"/proc/1", false, "which every mission has of its own"},
        {"/dev", false, "which every mission has of its own"},
        {"/run/sanctum", false, "which every mission has of its own"},
        {"/run", false, "holds /run/sanctum"},
        {"/etc/ssl", false, "holds /etc/ssl/certs/ca-certificates.crt"},
        {"/bin", false, "is a link to usr/bin"},
    };
    for (const Row& row : kRows) {
        SCOPED_TRACE(row.path);
        World world;
        world.grant(row.path, row.writable);
        EXPECT_NE(world.refusal().find(row.why), std::string::npos) << world.refusal();
    }
}

TEST(PlanSandbox, FilesOnWhichTheOperatorReliesAreOutOfTheAgentsReach) {
    World key;
    key.facts.key_files = {"/srv/keys/store.key"};
    key.grant("/srv/keys", false);
    EXPECT_NE(key.refusal().find("holds the store's key file /srv/keys/store.key (move it)"), std::string::npos);

    World read;
    read.facts.operator_files = {"/srv/etc/config.toml"};
    read.grant("/srv/etc", false);
    EXPECT_EQ(steps_at(read.planned(), "/srv/etc").front().kind, MountKind::BindReadOnly);

    World written;
    written.facts.operator_files = {"/srv/etc/config.toml"};
    written.grant("/srv/etc", true);
    EXPECT_NE(written.refusal().find("is writable and holds /srv/etc/config.toml"), std::string::npos);

    World workspace;
    workspace.facts.operator_files = {"/home/alice/project/print-token"};
    EXPECT_NE(workspace.refusal().find("workspace /home/alice/project is writable and holds"), std::string::npos);
}

TEST(PlanSandbox, GrantsOfOrdinaryPlacesAreMounted) {
    World world;
    world.grant("/srv/data", false);
    world.grant("/srv/out", true);
    world.grant("/opt/sanctum", false);
    const SandboxPlan plan = world.planned();
    EXPECT_EQ(steps_at(plan, "/srv/data").front().kind, MountKind::BindReadOnly);
    EXPECT_EQ(steps_at(plan, "/srv/out").front().kind, MountKind::Bind);
    EXPECT_NE(std::find(plan.landlock_write.begin(), plan.landlock_write.end(), "/srv/out"), plan.landlock_write.end());
    EXPECT_EQ(std::find(plan.landlock_write.begin(), plan.landlock_write.end(), "/srv/data"),
        plan.landlock_write.end());
}

TEST(PlanSandbox, AWorkspaceThatIsOrHoldsTheHomeIsRefused) {
    for (const char* path : {"/home/alice", "/home", "/"}) {
        World world;
        world.mission.sandbox.workspace = path;
        world.place(path);
        EXPECT_NE(world.refusal().find("workspace"), std::string::npos);
    }
}

TEST(PlanSandbox, ALinkToAPlaceThatIsTooWideIsRefusedToo) {
    World world;
    world.grant("/srv/link", false);
    world.facts.grants["/srv/link"].real_path = "/home";
    EXPECT_NE(world.refusal().find("holds your home folder"), std::string::npos);
}

TEST(PlanSandbox, AGrantThatDoesNotExistIsNamed) {
    World world;
    world.mission.sandbox.mounts.push_back({"/srv/gone", "/srv/gone", false});
    EXPECT_NE(world.refusal().find("/srv/gone does not exist"), std::string::npos);
}

TEST(PlanSandbox, SecretsBelowAGrantAreMaskedUnlessNamed) {
    World world;
    world.grant("/srv/data", false);
    world.facts.secrets = {"/srv/data/.ssh/", "/srv/data/.netrc"};
    EXPECT_EQ(steps_at(world.planned(), "/srv/data/.ssh").front().kind, MountKind::MaskFolder);
    EXPECT_EQ(steps_at(world.planned(), "/srv/data/.netrc").front().kind, MountKind::MaskFile);
    world.grant("/srv/data/.ssh", false);
    EXPECT_EQ(steps_at(world.planned(), "/srv/data/.ssh").front().kind, MountKind::BindReadOnly);
    EXPECT_EQ(steps_at(world.planned(), "/srv/data/.ssh").size(), 1U);
}

TEST(PlanSandbox, ASocketIsHiddenInEveryPlaceWhereItWouldBeSeen) {
    World world;
    world.place("/home/alice/project/sub");
    world.mission.sandbox.mounts.push_back({"/home/alice/project/sub", "/other", false});
    world.facts.sockets = {"/home/alice/project/sub/tool.sock"};
    world.facts.secrets = {"/home/alice/project/sub/.netrc"};
    const SandboxPlan plan = world.planned();
    for (const char* place : {"/home/alice/project/sub/tool.sock", "/other/tool.sock",
                              "/home/alice/project/sub/.netrc", "/other/.netrc"}) {
        ASSERT_EQ(steps_at(plan, place).size(), 1U) << place;
        EXPECT_EQ(steps_at(plan, place).front().kind, MountKind::MaskFile) << place;
    }
}

TEST(PlanSandbox, ASocketBehindAnotherGrantNeedsNoMask) {
    World world;
    world.place("/srv/data");
    world.mission.sandbox.mounts.push_back({"/srv/data", "/home/alice/project/sub", false});
    world.facts.sockets = {"/home/alice/project/sub/tool.sock"};
    EXPECT_TRUE(steps_at(world.planned(), "/home/alice/project/sub/tool.sock").empty());
}

TEST(PlanSandbox, MasksFollowAMountThatIsMoved) {
    World world;
    world.place("/srv/data");
    world.mission.sandbox.mounts.push_back({"/srv/data", "/data", false});
    world.facts.sockets = {"/srv/data/a/x.sock"};
    EXPECT_EQ(steps_at(world.planned(), "/data/a/x.sock").front().kind, MountKind::MaskFile);
}

TEST(PlanSandbox, FilesThatRunLaterAreReadOnlyAndTheirFoldersStayInPlace) {
    World world;
    world.later = {"/home/alice/project/a/b/.envrc"};
    const SandboxPlan plan = world.planned();
    EXPECT_EQ(steps_at(plan, "/home/alice/project/a").front().kind, MountKind::Bind);
    EXPECT_EQ(steps_at(plan, "/home/alice/project/a/b").front().kind, MountKind::Bind);
    EXPECT_EQ(steps_at(plan, "/home/alice/project/a/b/.envrc").front().kind, MountKind::BindReadOnly);
}

TEST(PlanSandbox, LandlockBelowTheMinimumIsRefused) {
    World world;
    world.facts.landlock_abi = 0;
    EXPECT_NE(world.refusal().find("Landlock ABI 1 is asked for, this kernel has 0"), std::string::npos);
    world.mission.sandbox.landlock_min = 0;
    EXPECT_NE(render_plan(world.planned()).find("landlock    NOT ENFORCED"), std::string::npos);
}

TEST(PlanSandbox, WithoutUserNamespacesTheReasonIsNamed) {
    World world;
    world.facts.has_user_namespaces = false;
    world.facts.user_namespaces_why = "AppArmor restricts them";
    EXPECT_NE(world.refusal().find("AppArmor restricts them"), std::string::npos);
}

TEST(PlanSandbox, InheritedTrustVariablesAreOverwritten) {
    World world;
    world.mission.sandbox.environment = {{"SSL_CERT_FILE", "/evil"}, {"NODE_EXTRA_CA_CERTS", "/evil"}, {"HOME",
        "/evil"},
                                         {"SANCTUM_POLICY", "/evil"}, {"LANG", "C"}};
    const SandboxPlan plan = world.planned();
    EXPECT_EQ(plan.environment.at("SSL_CERT_FILE"), kTrustBundle);
    EXPECT_EQ(plan.environment.at("NODE_EXTRA_CA_CERTS"), kMissionAuthority);
    EXPECT_EQ(plan.environment.at("HOME"), "/home/alice");
    EXPECT_EQ(plan.environment.at("SANCTUM_POLICY"), kPolicyFile);
    EXPECT_EQ(plan.environment.at("LANG"), "C");
}

TEST(PlanSandbox, EachListOfRootsOfAJvmIsReplacedByTheMissionsOwn) {
    World world;
    world.facts.java_trust_stores = {"/etc/ssl/certs/java/cacerts", "/usr/lib/jvm/other/lib/security/cacerts"};
    const SandboxPlan plan = world.planned();
    const auto in_settings = steps_at(plan, "/etc/ssl/certs/java/cacerts");
    const auto in_programs = steps_at(plan, "/usr/lib/jvm/other/lib/security/cacerts");
    ASSERT_EQ(in_settings.size(), 1U);
    ASSERT_EQ(in_programs.size(), 1U);
    EXPECT_EQ(in_settings[0].kind, MountKind::Symlink);
    EXPECT_EQ(in_programs[0].kind, MountKind::ShownFile);
    EXPECT_EQ(in_settings[0].source, kJavaTrustStore);
    EXPECT_EQ(in_programs[0].source, kJavaTrustStore);
    EXPECT_EQ(steps_at(plan, kJavaTrustStore).size(), 1U);
}

TEST(PlanSandbox, WithoutAJvmThereIsNoListForOne) {
    EXPECT_TRUE(steps_at(World().planned(), kJavaTrustStore).empty());
}

TEST(PlanSandbox, WithoutATerminalTheAgentGetsASessionOfItsOwn) {
    World world;
    EXPECT_FALSE(world.planned().new_session);
    world.facts.has_terminal = false;
    EXPECT_TRUE(world.planned().new_session);
}

TEST(PlanSandbox, TooManyPortsAreRefused) {
    World world;
    for (std::uint16_t port = 1000; port < 1000 + kSandboxPortsMax; ++port) {
        profiles::Host host;
        host.name = "a.test";
        host.ports = {port};
        world.mission.hosts.push_back(host);
    }
    EXPECT_NE(world.refusal().find("different ports"), std::string::npos);
}

TEST(PlanSandbox, AHomeThatCannotBeMountedOverIsReplaced) {
    for (const char* home : {"/", "/usr/sbin", "/proc", "", "relative"}) {
        World world;
        world.facts.home = home;
        if (std::string_view(home) == "/") world.facts.home = "/";
        EXPECT_EQ(world.planned().home, "/home/agent") << home;
    }
}

TEST(PlanLimits, TheFirstMeansThatCanGiveAllIsTaken) {
    World world;
    world.mission.sandbox.limits.memory_bytes = 1ULL << 30;
    world.mission.sandbox.limits.processes = 64;
    EXPECT_EQ(world.planned().limits.means, LimitMeans::Rlimits);
    world.facts.has_cgroup1 = true;
    world.facts.cgroup1_folders = {{"memory", "/sys/fs/cgroup/memory"}};
    EXPECT_EQ(world.planned().limits.means, LimitMeans::Rlimits);
    world.facts.cgroup1_folders["pids"] = "/sys/fs/cgroup/pids";
    EXPECT_EQ(world.planned().limits.means, LimitMeans::Cgroup1);
    world.facts.has_cgroup2_delegation = true;
    world.facts.cgroup2_path = "/sys/fs/cgroup/user.slice";
    EXPECT_EQ(world.planned().limits.means, LimitMeans::Cgroup2);
}

TEST(PlanLimits, APartOfAProcessorWithoutAGroupIsRefusedUnlessAccepted) {
    World world;
    world.mission.sandbox.limits.cpus_milli = 1500;
    EXPECT_NE(world.refusal().find("cannot be enforced on this machine: cpus"), std::string::npos);
    world.mission.sandbox.limits.missing = profiles::MissingLimits::Accept;
    EXPECT_EQ(world.planned().limits.missing.size(), 1U);
    world.mission.sandbox.limits.cpus_milli = 2000;
    EXPECT_TRUE(world.planned().limits.missing.empty());
}

TEST(SecretPlaces, AreFoundAtTheEndOfAPathAndNowhereElse) {
    EXPECT_TRUE(is_secret_place("/srv/x/.ssh"));
    EXPECT_TRUE(is_secret_place("/srv/x/.config/gcloud"));
    EXPECT_FALSE(is_secret_place("/srv/x/gcloud"));
    EXPECT_FALSE(is_secret_place("/srv/x/my.ssh"));
    EXPECT_FALSE(is_secret_place("/srv/x/.ssh-notes"));
}

TEST(OwnGroups, AreReadInBothFormats) {
    const auto groups = parse_own_groups("4:memory:/a\n3:cpu,cpuacct:/\n1:name=systemd:/s\n0::/user.slice/x.scope\n");
    ASSERT_EQ(groups.size(), 4U);
    EXPECT_EQ(groups[0].controllers, std::vector<std::string>{"memory"});
    EXPECT_EQ(groups[1].controllers.size(), 2U);
    EXPECT_TRUE(groups[3].controllers.empty());
    EXPECT_EQ(groups[3].path, "/user.slice/x.scope");
}

std::vector<std::string> bound_by(const SandboxPlan& plan, const char* reason) {
    std::vector<std::string> targets;
    for (const MountStep& step : plan.mounts) {
        if (step.reason == reason) targets.push_back(step.target);
    }
    return targets;
}

TEST(PlanSandbox, WhereTheAgentDelegatesNoFolderAboveACoveredPlaceCanBeMoved) {
    constexpr const char* kPinned = "holds a place that child missions share: stays in place";
    World world;
    world.grant("/home/alice/project/a/docs", false);
    world.facts.sockets = {"/home/alice/project/run/x/docker.sock", "/home/alice/project/a/docs/deep/y.sock"};
    world.facts.secrets = {"/home/alice/project/b/.aws/"};
    world.later = {"/home/alice/project/.git/hooks/pre-commit"};

    EXPECT_TRUE(bound_by(*world.plan(), kPinned).empty());
    world.mission.delegate = true;
    const SandboxPlan plan = world.plan().value();

    EXPECT_EQ(bound_by(plan, kPinned),
              (std::vector<std::string>{"/home/alice/project/a", "/home/alice/project/b", "/home/alice/project/run",
                                        "/home/alice/project/.git", "/home/alice/project/run/x",
                                        "/home/alice/project/.git/hooks"}));
    // An outer place is bound before what lies inside of it, or it would cover that.
    const auto at = [&](const std::string& target) {
        return std::find_if(plan.mounts.begin(), plan.mounts.end(),
                            [&](const MountStep& step) { return step.target == target; });
    };
    EXPECT_LT(at("/home/alice/project/a"), at("/home/alice/project/a/docs"));
    EXPECT_TRUE(plan.delegate);
    EXPECT_NE(render_plan(plan).find(kDelegateSocket), std::string::npos);
    world.mission.delegate = false;
    world.mission.parent = "01k0000000000000000000000p";
    EXPECT_EQ(bound_by(*world.plan(), kPinned).size(), 6U) << "a child covers the same";
    EXPECT_FALSE(world.plan()->delegate);
}

}  // namespace
}  // namespace sanctum::launcher
