// SPDX-License-Identifier: Apache-2.0
#include "launcher/plan/root_places.hpp"

#include <algorithm>

namespace sanctum::launcher {
namespace {

constexpr RootPlace kFolders[] = {
    {"/usr", "programs and libraries"},
    {"/bin", "programs"},
    {"/sbin", "programs"},
    {"/lib", "libraries"},
    {"/lib32", "libraries"},
    {"/lib64", "the dynamic loader"},
    {"/libx32", "libraries"},
    {"/opt", "programs outside the distribution"},
};

constexpr RootPlace kSettings[] = {
    {"/etc/alternatives", "which of several programs a name stands for"},
    {"/etc/bash.bashrc", "interactive shells"},
    {"/etc/chromium.d", "Chromium's settings"},
    {"/etc/crypto-policies", "OpenSSL's and GnuTLS's settings refer to it"},
    {"/etc/debian_version", "what system this is"},
    {"/etc/fonts", "font configuration"},
    {"/etc/gai.conf", "order of addresses"},
    {"/etc/gitconfig", "git's settings of the machine"},
    {"/etc/gnutls", "GnuTLS's settings"},
    {"/etc/host.conf", "resolver"},
    {"/etc/inputrc", "line editing"},
    {"/etc/java-11-openjdk", "Java's settings"},
    {"/etc/java-17-openjdk", "Java's settings"},
    {"/etc/java-21-openjdk", "Java's settings"},
    {"/etc/java-25-openjdk", "Java's settings"},
    {"/etc/ld.so.cache", "where libraries lie"},
    {"/etc/ld.so.conf", "where libraries lie"},
    {"/etc/ld.so.conf.d", "where libraries lie"},
    {"/etc/locale.alias", "languages"},
    {"/etc/localtime", "time zone"},
    {"/etc/lsb-release", "what system this is"},
    {"/etc/magic", "file types"},
    {"/etc/mime.types", "file types"},
    {"/etc/mono", "Mono's settings"},
    {"/etc/nanorc", "editor"},
    {"/etc/os-release", "what system this is"},
    {"/etc/perl", "Perl's settings"},
    {"/etc/php", "PHP's settings and extensions"},
    {"/etc/profile", "login shells"},
    {"/etc/protocols", "names of protocols"},
    {"/etc/python3", "Python's settings"},
    {"/etc/redhat-release", "what system this is"},
    {"/etc/services", "names of ports"},
    {"/etc/shells", "which programs are shells"},
    {"/etc/ssl/openssl.cnf", "OpenSSL's settings"},
    {"/etc/terminfo", "terminals"},
    {"/etc/timezone", "time zone"},
    {"/etc/vim", "editor"},
    {"/etc/xattr.conf", "which attributes cp copies"},
};

constexpr RootPlace kDevices[] = {
    {"/dev/null", "sink"},           {"/dev/zero", "zeroes"},
    {"/dev/full", "a full disk"},    {"/dev/random", "random numbers"},
    {"/dev/urandom", "random numbers"}, {"/dev/tty", "the caller's terminal"},
};

constexpr RootPlace kHidden[] = {
    {"/proc/acpi", "hardware"},
    {"/proc/kcore", "the kernel's memory"},
    {"/proc/key-users", "keyrings are not namespaced"},
    {"/proc/keys", "keyrings are not namespaced"},
    {"/proc/kmsg", "the kernel's log"},
    {"/proc/latency_stats", "other processes' waiting"},
    {"/proc/sched_debug", "other processes' scheduling"},
    {"/proc/scsi", "hardware"},
    {"/proc/sysrq-trigger", "commands to the kernel"},
    {"/proc/timer_list", "other processes' timers"},
};

constexpr RootPlace kReadOnly[] = {
    {"/proc/sys", "the kernel's settings"},
    {"/proc/irq", "the kernel's settings"},
    {"/proc/bus", "hardware"},
    {"/proc/fs", "file systems' settings"},
};

constexpr RootPlace kSecrets[] = {
    {".ssh", "keys"},
    {".aws", "cloud credentials"},
    {".azure", "cloud credentials"},
    {".config/gcloud", "cloud credentials"},
    {".config/doctl", "cloud credentials"},
    {".config/hcloud", "cloud credentials"},
    {".kube", "cluster credentials"},
    {".docker", "registry credentials"},
    {".config/containers/auth.json", "registry credentials"},
    {".config/gh", "forge credentials"},
    {".config/glab-cli", "forge credentials"},
    {".config/hub", "forge credentials"},
    {".git-credentials", "forge credentials"},
    {".config/git/credentials", "forge credentials"},
    {".netrc", "passwords"},
    {".pgpass", "passwords"},
    {".my.cnf", "passwords"},
    {".pypirc", "registry credentials"},
    {".cargo/credentials", "registry credentials"},
    {".cargo/credentials.toml", "registry credentials"},
    {".gem/credentials", "registry credentials"},
    {".terraform.d/credentials.tfrc.json", "cloud credentials"},
    {".vault-token", "vault token"},
    {".gnupg", "keys"},
    {".password-store", "passwords"},
    {".local/share/keyrings", "passwords"},
    {".config/op", "passwords"},
    {".config/sops", "keys"},
    {".mozilla", "browser sessions"},
    {".config/google-chrome", "browser sessions"},
    {".config/chromium", "browser sessions"},
};

}  // namespace

std::span<const RootPlace> system_folders() { return kFolders; }
std::span<const RootPlace> system_settings() { return kSettings; }
std::span<const RootPlace> device_nodes() { return kDevices; }
std::span<const RootPlace> hidden_in_proc() { return kHidden; }
std::span<const RootPlace> read_only_in_proc() { return kReadOnly; }
std::span<const RootPlace> secret_places() { return kSecrets; }

bool is_secret_place(std::string_view path) {
    return std::any_of(std::begin(kSecrets), std::end(kSecrets), [path](const RootPlace& secret) {
        return path.size() > secret.path.size() && path.ends_with(secret.path) &&
               path[path.size() - secret.path.size() - 1] == '/';
    });
}

}  // namespace sanctum::launcher
