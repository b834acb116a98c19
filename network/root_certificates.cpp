// SPDX-License-Identifier: Apache-2.0
#include "network/root_certificates.hpp"

#include <algorithm>
#include <array>
#include <dirent.h>
#include <memory>
#include <string_view>
#include <unistd.h>

namespace sanctum::network {
namespace {

constexpr std::array<const char*, 2> kFolders = {"/etc/ssl/certs", "/etc/pki/tls/certs"};
constexpr std::array<const char*, 4> kBundles = {"/etc/ssl/certs/ca-certificates.crt",
                                                 "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
                                                 "/etc/ssl/ca-bundle.pem"};
// What the links of the folders above point into.
constexpr std::array<const char*, 6> kReadable = {"/etc/ssl", "/etc/pki", "/etc/ca-certificates",
                                                  "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
                                                  "/usr/share/pki"};

// `4a6481c9.0`: the form c_rehash and openssl-rehash(1) give.
bool is_hash_link(std::string_view name) {
    return name.size() == 10 && name.ends_with(".0") &&
           name.find_first_not_of("0123456789abcdef") == name.size() - 2;
}

bool is_hashed(const char* folder) {
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder), &::closedir);
    if (!listing) return false;
    while (const dirent* entry = ::readdir(listing.get())) {
        if (is_hash_link(entry->d_name)) return true;
    }
    return false;
}

}  // namespace

RootCertificates find_root_certificates() {
    RootCertificates found;
    const auto folder = std::find_if(kFolders.begin(), kFolders.end(), &is_hashed);
    if (folder != kFolders.end()) {
        found.hashed_folder = *folder;
    } else {
        const auto bundle = std::find_if(kBundles.begin(), kBundles.end(),
                                         [](const char* path) { return ::access(path, R_OK) == 0; });
        if (bundle != kBundles.end()) found.bundle = *bundle;
    }
    for (const char* path : kReadable) {
        if (::access(path, R_OK) == 0) found.readable.emplace_back(path);
    }
    return found;
}

}  // namespace sanctum::network
