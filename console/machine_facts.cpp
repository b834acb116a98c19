// SPDX-License-Identifier: Apache-2.0
#include "console/machine_facts.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "console/namespace_trial.hpp"
#include "ledger/keys.hpp"
#include "profiles/schema/operator_config.hpp"

#include <array>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <sstream>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <unistd.h>

namespace sanctum::console {
namespace {

// Every variable by which common clients can be told another CA bundle; an inherited one would beat Sanctum's.
constexpr std::array kCertificateVariables = {
    "SSL_CERT_FILE",       "SSL_CERT_DIR",        "CURL_CA_BUNDLE",    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",            "GIT_SSL_CAINFO",      "NODE_EXTRA_CA_CERTS", "AWS_CA_BUNDLE",
    "HTTPLIB2_CA_CERTS",   "NIX_SSL_CERT_FILE",   "DENO_CERT",         "CODEX_CA_CERTIFICATE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",           "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"};

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string content_of(const std::string& path) {
    Result<std::string> text = read_file(path, kSmallFileBytesMax);
    return text ? std::move(*text) : std::string();
}

std::optional<std::int64_t> number_in(const std::string& path) {
    const std::string text = content_of(path);
    std::int64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    return parsed.ec == std::errc{} ? std::optional(value) : std::nullopt;
}

// `Name:\t2` of a /proc/PID/status.
int status_number(const std::string& status, const std::string& name) {
    const std::size_t at = status.find("\n" + name + ":");
    return at == std::string::npos ? 0 : std::atoi(status.c_str() + at + name.size() + 2);
}

void look_at_container(MachineFacts& facts, const Console& console) {
    facts.container = console.variable("container");
    if (facts.container.empty() && exists("/.dockerenv")) facts.container = "docker";
    if (facts.container.empty() && exists("/run/.containerenv")) facts.container = "podman";
    facts.is_container = !facts.container.empty();
    // Of the parent: this process has taken new privileges from itself already.
    const std::string status = content_of("/proc/" + std::to_string(::getppid()) + "/status");
    facts.seccomp_mode = status_number(status, "Seccomp");
    facts.has_no_new_privileges = status_number(status, "NoNewPrivs") == 1;
    facts.has_masked_proc = content_of("/proc/self/mountinfo").find(" /proc/") != std::string::npos;
}

void look_at_kernel(MachineFacts& facts) {
    utsname name{};
    if (::uname(&name) == 0) facts.kernel_release = name.release;
    facts.max_user_namespaces = number_in("/proc/sys/user/max_user_namespaces");
    facts.unprivileged_userns_clone = number_in("/proc/sys/kernel/unprivileged_userns_clone");
    facts.apparmor_restricts_userns = number_in("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    seccomp_notif_sizes sizes{};
    facts.has_seccomp_notify = ::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0;
    const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi > 0) facts.landlock_abi = static_cast<std::uint32_t>(abi);
    else facts.landlock_why = errno == EOPNOTSUPP ? "switched off at boot" : "not in this kernel";
}

void look_at_cgroups(MachineFacts& facts) {
    const std::string root = "/sys/fs/cgroup";
    facts.has_cgroup2 = exists(root + "/cgroup.controllers");
    facts.has_cgroup1 = ::access((root + "/memory").c_str(), W_OK) == 0 && ::geteuid() == 0;
    const std::string own = content_of("/proc/self/cgroup");
    const std::size_t at = own.find("0::");
    if (!facts.has_cgroup2 || at == std::string::npos) return;
    const std::string folder = root + own.substr(at + 3, own.find('\n', at) - at - 3);
    if (::access((folder + "/cgroup.procs").c_str(), W_OK) != 0) return;
    std::istringstream controllers(content_of(folder + "/cgroup.controllers"));
    for (std::string controller; controllers >> controller;) facts.cgroup2_delegated.push_back(controller);
}

std::string filesystem_name(long type) {
    switch (static_cast<unsigned long>(type)) {
        case TMPFS_MAGIC: return "tmpfs";
        case RAMFS_MAGIC: return "ramfs";
        case OVERLAYFS_SUPER_MAGIC: return "overlay";
        case NFS_SUPER_MAGIC: return "nfs";
        default: return "disk";
    }
}

// The folder itself, or the nearest one above that exists.
std::string existing_part(std::string path) {
    while (!path.empty() && !exists(path)) path.erase(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    return path.empty() ? "/" : path;
}

void look_at_state(MachineFacts& facts, const Console& console) {
    facts.state_folder = console.places.state;
    const std::string folder = existing_part(console.places.state);
    facts.state_is_writable = ::access(folder.c_str(), W_OK) == 0;
    struct statfs status {};
    if (::statfs(folder.c_str(), &status) != 0) return;
    facts.state_filesystem = filesystem_name(status.f_type);
    facts.state_free_bytes = static_cast<std::uint64_t>(status.f_bavail) * static_cast<std::uint64_t>(status.f_bsize);
}

void look_at_key(MachineFacts& facts, const Places& places) {
    struct stat status {};
    facts.has_ledger_key = ::lstat(places.ledger_key().c_str(), &status) == 0;
    const bool has_public = exists(places.ledger_public_key());
    if (facts.has_ledger_key && (status.st_mode & 077U) != 0) facts.ledger_key_fault = "others may read it";
    if (facts.has_ledger_key != has_public) facts.ledger_key_fault = "one half of the pair is missing";
    const Status is_there_or_new =
        ledger::check_pair_is_not_lost(places.ledger_key(), places.ledger_public_key(), places.receipts());
    if (!is_there_or_new) facts.ledger_key_fault = is_there_or_new.error().what;
    if (!has_public) return;
    const Result<ledger::VerifyingKey> key = ledger::VerifyingKey::load(places.ledger_public_key());
    if (!key) facts.ledger_key_fault = key.error().what;
}

void look_at_configuration(MachineFacts& facts, const Places& places) {
    facts.configuration = places.configuration;
    facts.has_configuration = exists(places.configuration);
    facts.store = places.store();
    facts.has_store = exists(facts.store);
    const auto config = profiles::load_operator_config(places.configuration, profiles::Missing::IsEmpty);
    if (!config) {
        facts.configuration_fault = config.error().what;
        return;
    }
    facts.unlock = config->unlock;
    for (const profiles::Account& account : config->accounts) {
        if (account.source == "login") facts.login_catalogs.push_back(account.catalog);
    }
    std::sort(facts.login_catalogs.begin(), facts.login_catalogs.end());
    static constexpr std::string_view kKeyFile = "key-file:";
    if (facts.unlock.starts_with(kKeyFile)) {
        facts.can_read_key_file = ::access(facts.unlock.c_str() + kKeyFile.size(), R_OK) == 0;
    }
}

void look_at_folders(MachineFacts& facts, const Places& places) {
    const std::string config = places.configuration.substr(0, places.configuration.rfind('/'));
    for (const std::string& folder : {config, places.trusted_profiles, places.own_catalog, places.data, places.state}) {
        struct stat status {};
        if (::stat(folder.c_str(), &status) != 0) continue;
        const bool is_strangers = status.st_uid != ::geteuid() && status.st_uid != 0;
        if (is_strangers || (status.st_mode & 022U) != 0) facts.writable_by_others.push_back(folder);
    }
}

void look_at_installation(MachineFacts& facts, const Console& console) {
    const Places& places = console.places;
    for (const std::string& path : {places.launcher(), places.interceptor(), places.vault()}) {
        if (::access(path.c_str(), X_OK) != 0) facts.missing_programs.push_back(path);
    }
    facts.has_catalog = exists(console.places.shipped + "/catalog");
    struct stat status {};
    if (::stat("/proc/self/exe", &status) == 0) facts.program_unix_ms = std::int64_t{status.st_mtim.tv_sec} * 1000;
}

}  // namespace

MachineFacts gather_machine_facts(const Console& console) {
    MachineFacts facts;
    facts.uid = ::geteuid();
    facts.unix_ms = console.clock.wall().unix_ms;
    look_at_kernel(facts);
    facts.trial = try_namespaces();
    look_at_container(facts, console);
    look_at_cgroups(facts);
    for (const char* name : kCertificateVariables) {
        if (!console.variable(name).empty()) facts.certificate_variables.emplace_back(name);
    }
    look_at_state(facts, console);
    look_at_key(facts, console.places);
    look_at_configuration(facts, console.places);
    look_at_folders(facts, console.places);
    look_at_installation(facts, console);
    return facts;
}

}  // namespace sanctum::console
