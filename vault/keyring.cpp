// SPDX-License-Identifier: Apache-2.0
// Raw system calls: libkeyutils would be one more library in the process that holds everything.
#include "vault/keyring.hpp"

#include <cerrno>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

using Serial = long;
constexpr std::size_t kKeyBytes = 32;

std::string description_of(const std::string& store_id) { return "sanctum-store:" + store_id; }

Error keyring_error(std::string_view what) {
    Error error = io_error(what);
    if (error.sys_errno == ENOKEY || error.sys_errno == EKEYEXPIRED || error.sys_errno == EKEYREVOKED) {
        error.code = Errc::NotFound;
        error.what = "the store's key is not in the user keyring";
    } else if (error.sys_errno == EPERM || error.sys_errno == EACCES || error.sys_errno == ENOSYS) {
        error.code = Errc::NotPermitted;
        error.what += " (containers often forbid keyrings; use a key file)";
    }
    return error;
}

Result<Serial> search(const std::string& store_id) {
    const Serial key = ::syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user",
                                 description_of(store_id).c_str(), 0);
    if (key < 0) return keyring_error("search the user keyring");
    return key;
}

}  // namespace

Status keep_in_keyring(const std::string& store_id, const LockedBytes& data_key, std::chrono::seconds life) {
    const Serial key = ::syscall(SYS_add_key, "user", description_of(store_id).c_str(), data_key.data(),
                                 data_key.size(), KEY_SPEC_USER_KEYRING);
    if (key < 0) return keyring_error("add a key to the user keyring");
    if (::syscall(SYS_keyctl, KEYCTL_SET_TIMEOUT, key, static_cast<unsigned int>(life.count())) < 0) {
        const Error error = keyring_error("set the key's time");
        // FAIL-CLOSED: a key without an end is not left behind.
        ::syscall(SYS_keyctl, KEYCTL_INVALIDATE, key);
        return error;
    }
    return {};
}

Result<LockedBytes> find_in_keyring(const std::string& store_id) {
    SANCTUM_TRY(const Serial key, search(store_id));
    LockedBytes data_key(kKeyBytes + 1);
    const long size = ::syscall(SYS_keyctl, KEYCTL_READ, key, data_key.data(), data_key.size());
    if (size < 0) return keyring_error("read the store's key from the user keyring");
    if (static_cast<std::size_t>(size) != kKeyBytes) {
        return Error{Errc::NotFound, "the key in the user keyring is not a store's key"};
    }
    data_key.shrink(kKeyBytes);
    return data_key;
}

Status remove_from_keyring(const std::string& store_id) {
    SANCTUM_TRY(const Serial key, search(store_id));
    if (::syscall(SYS_keyctl, KEYCTL_INVALIDATE, key) < 0) return keyring_error("remove the store's key");
    return {};
}

}  // namespace sanctum::vault
