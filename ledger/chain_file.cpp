// SPDX-License-Identifier: Apache-2.0
#include "ledger/chain_file.hpp"

#include "base/digest.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::ledger {
namespace {

std::string ledger_path(const std::string& folder) { return folder + "/ledger.jsonl"; }
std::string reserve_path(const std::string& folder) { return folder + "/reserve"; }

Status make_reserve(const std::string& folder) {
    const std::string path = reserve_path(folder);
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return io_error("create " + path);
    const int failed = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(kLedgerReserveBytes));
    if (failed == 0) return {};
    ::unlink(path.c_str());
    Error error = io_error("reserve space in " + folder, failed);
    const bool is_disk = failed == ENOSPC || failed == EDQUOT;
    if (is_disk || failed == EFBIG) error.code = Errc::Limit;
    if (is_disk) error.what += " (the disk is full: make room)";
    else if (failed == EFBIG) error.what += " (larger files are forbidden: raise `ulimit -f`)";
    return error;
}

Status lock(int fd, const std::string& path) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return {};
    if (errno == EWOULDBLOCK) return Error{Errc::Cancelled, path + ": its mission is still running"};
    return io_error("lock " + path);
}

}  // namespace

Result<ChainFile> ChainFile::create(const std::string& mission_folder, std::string mission,
                                    std::shared_ptr<const SigningKey> key) {
    const std::string path = ledger_path(mission_folder);
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return io_error("create " + path);
    // Waits: a reaper that looks at the new, empty file is done with it at once.
    while (::flock(fd.get(), LOCK_EX) != 0) {
        if (errno != EINTR) return io_error("lock " + path);
    }
    // FAIL-CLOSED: a reaper that held the lock first has removed the empty file; records in it would be nowhere.
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0 || status.st_nlink == 0) {
        return Error{Errc::Cancelled, path + ": was removed by `sanctum reap` while it was being made; start again"};
    }
    SANCTUM_CHECK(make_reserve(mission_folder));
    return ChainFile(std::move(fd), mission_folder, std::move(mission), std::move(key));
}

Result<ChainFile> ChainFile::resume(const std::string& mission_folder, std::string mission,
                                    std::shared_ptr<const SigningKey> key) {
    const std::string path = ledger_path(mission_folder);
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        Error error = io_error(path);
        if (error.sys_errno == ENOENT) error.code = Errc::NotFound;
        return error;
    }
    SANCTUM_CHECK(lock(fd.get(), path));
    return resume(std::move(fd), mission_folder, std::move(mission), std::move(key));
}

Result<ChainFile> ChainFile::resume(UniqueFd locked, const std::string& mission_folder, std::string mission,
                                    std::shared_ptr<const SigningKey> key) {
    const std::string path = ledger_path(mission_folder);
    struct stat status {};
    if (::fstat(locked.get(), &status) != 0) return io_error("stat " + path);
    if (!S_ISREG(status.st_mode)) return Error{Errc::Protocol, path + ": not a regular file"};
    ChainFile chain(std::move(locked), mission_folder, std::move(mission), std::move(key));
    SANCTUM_TRY(chain.walk_, walk_ledger(chain.fd_.get(), chain.mission_, chain.key_->verifying_key()));
    const Walk& walk = chain.walk_;
    if (walk.bad) {
        return Error{Errc::Protocol, path + ": record " + std::to_string(walk.bad->record) + ": " + walk.bad->why};
    }
    if (walk.torn_bytes > 0) {
        if (::ftruncate(chain.fd_.get(), static_cast<off_t>(walk.bytes)) != 0) return io_error("repair " + path);
        chain.repaired_ = 1;
    }
    chain.signed_up_to_ = walk.is_signed ? walk.records : 0;
    return chain;
}

void ChainFile::add(WallTime at, const LineRecord& record) {
    const std::size_t begin = unwritten_.size();
    append_line(unwritten_, LineHead{walk_.records, at.unix_ms, mission_, walk_.head}, record);
    walk_.head = sha256(std::string_view(unwritten_).substr(begin));
    unwritten_ += '\n';
    walk_.receipt.add(mission_, at.unix_ms, record);
    walk_.is_signed = std::holds_alternative<HeadSigned>(record);
    walk_.heads += walk_.is_signed ? 1 : 0;
    if (std::holds_alternative<MissionEnded>(record)) walk_.is_ended = true;
    ++walk_.records;
}

void ChainFile::add_head(WallTime at) {
    SANCTUM_ASSERT(walk_.records > 0);
    HeadSigned head{walk_.records - 1, walk_.head, {}};
    head.signature = to_base64(key_->sign(head_message(mission_, head.head_seq, head.head)));
    add(at, head);
    signed_up_to_ = walk_.records;
    if (witness_ != nullptr) untold_.push_back({1, mission_, head.head_seq, head.head, head.signature, key_->id()});
}

Status ChainFile::write() {
    if (walk_.bytes + unwritten_.size() > kLedgerBytesMax) {
        return Error{Errc::Limit, "ledger " + ledger_path(folder_) + " has reached its largest size"};
    }
    const Status written = write_all(fd_.get(), unwritten_);
    if (!written) {
        // A full disk may have taken a part. Cut back to the last batch, so that a seal finds whole records only;
        // where even that fails, resume() cuts the torn line.
        if (::ftruncate(fd_.get(), static_cast<off_t>(walk_.bytes)) != 0) errno = 0;
        return Error(written.error()).in(ledger_path(folder_));
    }
    walk_.bytes += unwritten_.size();
    unwritten_.clear();
    return {};
}

Status ChainFile::sync() {
    if (!has_durable_name_) {
        SANCTUM_CHECK(sync_path(folder_));
        SANCTUM_CHECK(sync_path(folder_.substr(0, folder_.rfind('/'))));
        has_durable_name_ = true;
    }
    if (::fdatasync(fd_.get()) != 0) return io_error("fsync " + ledger_path(folder_));
    for (const SignedHead& head : untold_) witness_->tell(head);
    untold_.clear();
    return {};
}

void ChainFile::release_reserve() { ::unlink(reserve_path(folder_).c_str()); }

}  // namespace sanctum::ledger
