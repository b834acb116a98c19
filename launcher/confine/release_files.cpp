// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/release_files.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "launcher/confine/java_trust_store.hpp"
#include "launcher/plan/fixed_places.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <memory>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

struct Packed {
    std::string authority;
    std::string subject_hash;
    std::string policy;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("authority", self.authority);
        archive("subject_hash", self.subject_hash);
        archive("policy", self.policy);
    }
};

Status write_new(const std::string& path, const std::string& content) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444));
    if (!file) return io_error("create " + path);
    SANCTUM_CHECK(write_all(file.get(), content));
    return {};
}

// The old one is unlinked and not written to: what it is may be the choice of an earlier agent's.
Status place_home_file(const std::string& home, const HomeFile& file) {
    const std::string path = home + "/" + file.path;
    SANCTUM_CHECK(make_folders(path.substr(0, path.rfind('/')), 0700));
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return io_error("replace " + path);
    const UniqueFd opened(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!opened) return io_error("create " + path);
    return write_all(opened.get(), file.text);
}

Status append_to(const std::string& path, const std::string& content) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return io_error("open " + path);
    return write_all(file.get(), content);
}

/// The certificate without its PEM frame is base64 of its bytes, which is what the policy takes.
std::string browser_policy(const std::string& authority_pem) {
    std::string base64;
    for (std::size_t at = 0; at < authority_pem.size();) {
        const std::size_t end = std::min(authority_pem.find('\n', at), authority_pem.size());
        const std::string_view line = std::string_view(authority_pem).substr(at, end - at);
        if (!line.starts_with("-----")) base64 += line;
        at = end + 1;
    }
    return "{\"CACertificates\":[\"" + base64 + "\"]}\n";
}

bool has_java_trust_store(const SandboxPlan& plan) {
    return std::any_of(plan.mounts.begin(), plan.mounts.end(),
                       [](const MountStep& step) { return step.target == kJavaTrustStore; });
}

}  // namespace

Result<ReleaseFiles> make_release_files(const std::string& ca_pem, const std::string& policy_json) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bytes(
        BIO_new_mem_buf(ca_pem.data(), static_cast<int>(ca_pem.size())), &BIO_free);
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        PEM_read_bio_X509(bytes.get(), nullptr, nullptr, nullptr), &X509_free);
    if (!certificate) return Error{Errc::Protocol, "the mission's authority is not a PEM certificate"};
    char hash[9];
    std::snprintf(hash, sizeof hash, "%08lx", X509_subject_name_hash(certificate.get()) & 0xffffffffUL);
    return ReleaseFiles{ca_pem, hash, policy_json};
}

Result<UniqueFd> pack_release_files(const ReleaseFiles& files) {
    const std::string packed = wire::to_binary(Packed{files.authority, files.subject_hash, files.policy});
    if (packed.size() > kReleaseBytesMax) {
        return Error{Errc::Limit, "the mission's rules are too large for the sandbox"};
    }
    return make_sealed_memfd("sanctum-release", packed);
}

Result<ReleaseFiles> read_release_files(int memfd) {
    SANCTUM_TRY(const std::string bytes, read_sealed_memfd(memfd, kReleaseBytesMax));
    SANCTUM_TRY(Packed packed, wire::from_binary<Packed>(bytes));
    return ReleaseFiles{std::move(packed.authority), std::move(packed.subject_hash), std::move(packed.policy)};
}

Status place_release_files(const ReleaseFiles& files, const SandboxPlan& plan) {
    const std::string hashed = std::string(kTrustFolder) + "/" + files.subject_hash + ".0";
    SANCTUM_CHECK(append_to(kTrustBundle, "\n" + files.authority));
    SANCTUM_CHECK(write_new(kMissionAuthority, files.authority));
    if (::symlink(kMissionAuthority, hashed.c_str()) != 0) return io_error("create " + hashed);
    for (const char* place : kBrowserPolicies) {
        SANCTUM_CHECK(append_to(place, browser_policy(files.authority)));
    }
    if (has_java_trust_store(plan)) {
        SANCTUM_TRY(const std::string roots, read_file(kTrustBundle, kTrustBundleBytesMax));
        SANCTUM_TRY(const std::string store, make_java_trust_store(roots));
        SANCTUM_CHECK(append_to(kJavaTrustStore, store));
    }
    for (const HomeFile& file : plan.home_files) {
        SANCTUM_CHECK(place_home_file(plan.home, file));
    }
    return write_new(kPolicyFile, files.policy);
}

}  // namespace sanctum::launcher
