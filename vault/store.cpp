// SPDX-License-Identifier: Apache-2.0
#include "vault/store.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/unique_fd.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

constexpr std::size_t kKeyFileBytes = 32;

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

// A file that decides about credentials belongs to us (or root), and nobody else may write it; a key nobody else reads.
// Never NotPermitted: that is a locked store, which unlocking helps.
Status check_ownership(int fd, const std::string& path, mode_t forbidden) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return io_error(path);
    if (!S_ISREG(status.st_mode)) return Error{Errc::Unsupported, path + ": not a regular file"};
    if (status.st_uid != ::geteuid() && status.st_uid != 0) {
        return Error{Errc::Unsupported, path + ": belongs to another user (chown it or name another file)"};
    }
    if ((status.st_mode & forbidden) != 0) {
        return Error{Errc::Unsupported, path + ": open to others (chmod 600 " + path + ")"};
    }
    return {};
}

Result<UniqueFd> open_existing(const std::string& path, mode_t forbidden) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd && errno == ENOENT) return Error{Errc::NotFound, path + ": no such file"};
    if (!fd) return io_error(path);
    SANCTUM_CHECK(check_ownership(fd.get(), path, forbidden));
    return fd;
}

// Writers of one store take turns. The lock file stays: removing it would let two of them hold different files.
Result<UniqueFd> lock_store(const std::string& path) {
    const std::string lock = path + ".lock";
    UniqueFd fd(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return io_error(lock);
    while (::flock(fd.get(), LOCK_EX) != 0) {
        if (errno != EINTR) return io_error("lock " + lock);
    }
    return fd;
}

// The file that parse_store took apart.
std::string file_bytes(const SealedBytes& sealed) { return sealed.prefix + sealed.nonce + sealed.sealed; }

// Whether the store at `path` may be written to `copy`, which is not the store.
Status check_copy(const std::string& path, const std::string& copy, Existing existing) {
    struct stat ours {};
    struct stat theirs {};
    if (::stat(path.c_str(), &ours) != 0) return io_error(path);
    if (::lstat(copy.c_str(), &theirs) == 0) {
        if (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino) {
            return Error{Errc::Denied, copy + ": this is the store itself; name another file"};
        }
        if (existing == Existing::Refuse || !S_ISREG(theirs.st_mode)) {
            return Error{Errc::Denied, copy + ": is there already; it is not overwritten (name a new file" +
                                           (S_ISREG(theirs.st_mode) ? ", or add --replace)" : ")")};
        }
    }
    const std::string folder = folder_of(copy);
    if (::access((folder + "/.").c_str(), W_OK | X_OK) != 0) return io_error(copy + ": folder " + folder);
    return {};
}

}  // namespace

Result<SealedBytes> load_store(const std::string& path) {
    Result<UniqueFd> fd = open_existing(path, S_IWGRP | S_IWOTH);
    if (!fd && fd.error().code == Errc::NotFound) {
        return Error{Errc::NotFound, path + ": there is no store yet (make one with `sanctum vault init`)"};
    }
    if (!fd) return std::move(fd).error();
    Result<std::string> bytes = read_all(fd->get(), kStoreFileBytesMax);
    if (!bytes) return std::move(bytes).error().in(path);
    Result<SealedBytes> sealed = parse_store(*bytes);
    if (sealed) return sealed;
    Error error = std::move(sealed).error().in(path);
    if (error.code == Errc::Protocol) {
        error.what += "; nothing was changed: put a copy back, or move the file away and make a new store";
    }
    return error;
}

Status create_store(const std::string& path, const NewStoreKeys& keys) {
    SANCTUM_ASSERT(keys.passphrase || keys.key);
    SANCTUM_CHECK(make_folders(folder_of(path), 0700));
    SANCTUM_TRY(const UniqueFd lock, lock_store(path));
    if (::access(path.c_str(), F_OK) == 0 || errno != ENOENT) {
        return Error{Errc::Denied, path + ": a store is there already; it is not overwritten"};
    }
    StoreHeader header;
    header.id = wire::to_hex(random_bytes(16));
    const LockedBytes data_key = make_key();
    if (keys.passphrase) {
        SANCTUM_TRY(KeySlot slot, make_passphrase_slot(header.id, data_key, keys.passphrase->reveal(), keys.cost));
        header.slots.push_back(std::move(slot));
    }
    if (keys.key) header.slots.push_back(make_key_slot(header.id, data_key, *keys.key));
    SANCTUM_TRY(const std::string bytes, seal_store(header, {}, data_key));
    return write_file_atomically(path, bytes, 0600);
}

Status change_store(const std::string& path, const LockedBytes& data_key,
                    const std::function<Result<Change>(StoredItems&)>& change) {
    SANCTUM_TRY(const UniqueFd lock, lock_store(path));
    SANCTUM_TRY(const SealedBytes sealed, load_store(path));
    Result<StoredItems> items = open_store(sealed, data_key);
    if (!items) return std::move(items).error().in(path);
    SANCTUM_TRY(const Change wanted, change(*items));
    if (wanted == Change::Leave) return {};
    SANCTUM_TRY(const std::string bytes, seal_store(sealed.header, *items, data_key));
    return write_file_atomically(path, bytes, 0600);
}

Status back_up_store(const std::string& path, const std::string& copy, Existing existing, Change wanted) {
    SANCTUM_TRY(const SealedBytes sealed, load_store(path));
    SANCTUM_CHECK(check_copy(path, copy, existing));
    return wanted == Change::Leave ? Status() : write_file_atomically(copy, file_bytes(sealed), 0600);
}

Result<std::string> restore_store(const std::string& path, const SealedBytes& sealed, Existing existing,
                                  WallTime now) {
    SANCTUM_CHECK(make_folders(folder_of(path), 0700));
    SANCTUM_TRY(const UniqueFd lock, lock_store(path));
    std::string kept;
    if (::access(path.c_str(), F_OK) == 0 || errno != ENOENT) {
        if (existing == Existing::Refuse) {
            return Error{Errc::Denied, path + ": a store is there already; nothing was changed (--replace puts the "
                                              "backup in its place and keeps it beside)"};
        }
        kept = path + ".before-" + format_rfc3339(now);
        // A second name first, so that no moment is without a store.
        if (::link(path.c_str(), kept.c_str()) != 0) return io_error("keep the old store as " + kept);
    }
    const Status written = write_file_atomically(path, file_bytes(sealed), 0600);
    if (!written) {
        // While nothing is replaced, a second name of the store would outlive what is removed from it.
        struct stat here {};
        struct stat before {};
        const bool is_the_same = !kept.empty() && ::lstat(path.c_str(), &here) == 0 &&
                                 ::lstat(kept.c_str(), &before) == 0 && here.st_dev == before.st_dev &&
                                 here.st_ino == before.st_ino;
        if (is_the_same) ::unlink(kept.c_str());
        return written.error();
    }
    return kept;
}

Result<LockedBytes> load_key_file(const std::string& path) {
    SANCTUM_TRY(const UniqueFd fd, open_existing(path, S_IRWXG | S_IRWXO));
    LockedBytes key(kKeyFileBytes + 1);
    const ssize_t size = ::pread(fd.get(), key.data(), key.size(), 0);
    if (size < 0) return io_error("read " + path);
    if (static_cast<std::size_t>(size) != kKeyFileBytes) {
        return Error{Errc::Protocol, path + ": not a key file (a key file is exactly 32 bytes)"};
    }
    key.shrink(kKeyFileBytes);
    return key;
}

Result<LockedBytes> create_key_file(const std::string& path) {
    SANCTUM_CHECK(make_folders(folder_of(path), 0700));
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return io_error("create " + path);
    LockedBytes key = make_key();
    Status written = write_all(fd.get(), key.reveal());
    if (written && ::fsync(fd.get()) != 0) written = io_error("fsync");
    if (!written) {
        ::unlink(path.c_str());
        return std::move(written).error().in(path);
    }
    return key;
}

}  // namespace sanctum::vault
