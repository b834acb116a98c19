// SPDX-License-Identifier: Apache-2.0
// The open, locked ledger file and the end of its chain: adds records, signs heads, writes and syncs.
//
// Used by the ledger thread while a mission lives and by recovery afterwards; never by two at once (the file's lock).
#pragma once

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "ledger/head_witness.hpp"
#include "ledger/keys.hpp"
#include "ledger/read_ledger.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sanctum::ledger {

class ChainFile {
public:
    /// A new file in an existing folder: O_EXCL, 0600, locked; space is reserved beside it. Not even its name is on
    /// disk before the first sync(). Errors: Io, Limit.
    [[nodiscard]] static Result<ChainFile> create(const std::string& mission_folder, std::string mission,
                                                  std::shared_ptr<const SigningKey> key);

    /// Continues a file that a dead writer left: takes the lock, walks the chain, cuts an unterminated last line
    /// (repaired() counts it). Errors: Cancelled (a live writer holds the lock), Protocol (the chain is broken, with
    /// the record), Io.
    [[nodiscard]] static Result<ChainFile> resume(const std::string& mission_folder, std::string mission,
                                                  std::shared_ptr<const SigningKey> key);

    /// The same for a file that this process holds already, after a failed write.
    [[nodiscard]] static Result<ChainFile> resume(UniqueFd locked, const std::string& mission_folder,
                                                  std::string mission, std::shared_ptr<const SigningKey> key);

    /// Chains one record; it reaches the file with the next write().
    void add(WallTime at, const LineRecord& record);
    /// Chains a signed head over everything added so far.
    void add_head(WallTime at);
    /// One write(2) of all that was added since the last. Errors: Io, Limit (kLedgerBytesMax). Final: after an error
    /// only release_file() and resume() make sense.
    [[nodiscard]] Status write();
    /// On disk: all that was written and, the first time, the names on the way to it. The witness is told of the heads
    /// in it. Errors: Io; final as well.
    [[nodiscard]] Status sync();

    /// Who is told of heads from here on; null: nobody. Outlives this.
    void set_witness(HeadWitness* witness) { witness_ = witness; }
    [[nodiscard]] HeadWitness* witness() const { return witness_; }
    [[nodiscard]] bool has_untold_heads() const { return !untold_.empty(); }

    /// Gives the reserved space back to the file system; seal does it last, a full disk makes it come first.
    void release_reserve();
    [[nodiscard]] UniqueFd release_file() { return std::move(fd_); }

    [[nodiscard]] const ReceiptBuilder& receipt() const { return walk_.receipt; }
    [[nodiscard]] std::uint64_t records() const { return walk_.records; }
    [[nodiscard]] std::uint64_t heads() const { return walk_.heads; }
    [[nodiscard]] std::uint64_t unsigned_records() const { return walk_.records - signed_up_to_; }
    [[nodiscard]] const wire::Digest& head() const { return walk_.head; }
    [[nodiscard]] std::uint64_t repaired() const { return repaired_; }
    [[nodiscard]] bool is_ended() const { return walk_.is_ended; }
    [[nodiscard]] bool is_signed() const { return walk_.is_signed; }
    [[nodiscard]] const std::string& mission() const { return mission_; }
    [[nodiscard]] const std::string& folder() const { return folder_; }
    [[nodiscard]] const SigningKey& key() const { return *key_; }
    [[nodiscard]] std::shared_ptr<const SigningKey> shared_key() const { return key_; }

private:
    ChainFile(UniqueFd fd, std::string folder, std::string mission, std::shared_ptr<const SigningKey> key)
        : fd_(std::move(fd)), folder_(std::move(folder)), mission_(std::move(mission)), key_(std::move(key)) {}

    UniqueFd fd_;
    std::string folder_;
    std::string mission_;
    std::shared_ptr<const SigningKey> key_;
    Walk walk_;
    std::string unwritten_;
    HeadWitness* witness_ = nullptr;
    std::vector<SignedHead> untold_;  ///< signed and not known to be on disk
    std::uint64_t signed_up_to_ = 0;
    std::uint64_t repaired_ = 0;
    bool has_durable_name_ = false;
};

}  // namespace sanctum::ledger
