// SPDX-License-Identifier: Apache-2.0
// The ledger thread: takes records from a bounded queue, writes each batch with one write(2), syncs once for all that
// wait, signs heads. All file work happens here; the launcher's thread only moves records into the queue.
#include "ledger/ledger.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/mission_id.hpp"
#include "ledger/chain_file.hpp"
#include "ledger/refusal_counter.hpp"
#include "ledger/seal.hpp"

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace sanctum::ledger {
namespace {

struct Entry {
    LineRecord record;
    WallTime wall;
    BootTime boot;
    std::optional<std::uint64_t> durable;
};

class FileLedger final : public Ledger {
public:
    FileLedger(ChainFile chain, UniqueFd event, std::string receipts_path, std::string boot_id, const Clock& clock)
        : chain_(std::move(chain)),
          event_(std::move(event)),
          receipts_path_(std::move(receipts_path)),
          boot_id_(std::move(boot_id)),
          clock_(clock),
          thread_([this] { run(); }) {}

    ~FileLedger() override { stop_thread(); }

    void append(Record record) override { push(std::move(record), std::nullopt); }
    void append_durable(Record record, std::uint64_t token) override { push(std::move(record), token); }
    void gather() override { is_gathering_ = true; }
    int durable_fd() const override { return event_.get(); }

    std::vector<Durable> poll_durable() override {
        const std::lock_guard lock(mutex_);
        std::uint64_t count = 0;
        while (::read(event_.get(), &count, sizeof count) < 0 && errno == EINTR) {}
        return std::exchange(answered_, {});
    }

    bool flush() override {
        hand_over();
        std::unique_lock lock(mutex_);
        const std::uint64_t wanted = ++flush_asked_;
        wake_.notify_one();
        done_.wait(lock, [&] { return flush_done_ >= wanted; });
        return !has_failed_;
    }

    bool has_failed() const override { return has_failed_; }

    void hand_over() override {
        is_gathering_ = false;
        if (gathered_.empty()) return;
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return queue_.size() < kLedgerQueueRecordsMax || has_failed_; });
        for (Entry& entry : gathered_) {
            if (has_failed_) refuse(std::move(entry));
            else queue_.push_back(std::move(entry));
        }
        gathered_.clear();
        if (is_waiting_) wake_.notify_one();
    }

    Result<Sealed> seal(MissionEnded ended) override {
        SANCTUM_ASSERT(!is_stopping_);  // a ledger is sealed once
        hand_over();
        is_sealing_ = true;
        stop_thread();
        if (!has_failed_) {
            return seal_chain(chain_, std::move(ended), receipts_path_, Published::No, clock_);
        }
        if (!is_disk_full_) return Error{Errc::Io, "ledger: " + failure_};
        return seal_on_full_disk(std::move(ended));
    }

private:
    static LineRecord line_record(Record&& record, const std::string& key, const std::string& boot_id, BootTime now) {
        return std::visit(
            [&](auto&& known) -> LineRecord {
                using T = std::decay_t<decltype(known)>;
                if constexpr (std::is_same_v<T, MissionStarted>) {
                    return StartedLine{std::move(known), key, boot_id, now.ms};
                } else if constexpr (std::is_same_v<T, wire::ExchangeRefused>) {
                    return Refusals{std::move(known), 1, 0};
                } else if constexpr (std::is_same_v<T, ConnectionRefused>) {
                    return RefusedConnections{std::move(known), 1};
                } else {
                    return std::move(known);
                }
            },
            std::move(record));
    }

    void push(Record record, std::optional<std::uint64_t> durable) {
        const WallTime wall = clock_.wall();
        const BootTime boot = clock_.boot();
        Entry entry{line_record(std::move(record), key_id_, boot_id_, boot), wall, boot, durable};
        bound_record(entry.record);
        gathered_.push_back(std::move(entry));
        if (!is_gathering_) hand_over();
        else if (gathered_.size() >= kLedgerGatheredMax) {
            hand_over();
            gather();
        }
    }

    // The thread. Waits for records, a flush, the end of a second of counted refusals, or the next head.
    void run() {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are the launcher's own thread's
        std::vector<Entry> batch;
        std::unique_lock lock(mutex_);
        for (;;) {
            wait_for_work(lock);
            batch.swap(queue_);
            const std::uint64_t flush_wanted = flush_asked_;
            const bool is_flush = flush_wanted > flush_done_;
            const bool is_last = is_stopping_ && batch.empty() && !is_flush;
            const bool must_write = !has_failed_;
            lock.unlock();
            room_.notify_all();
            const Status written = must_write ? write_batch(batch, is_flush, is_last) : Status();
            lock.lock();
            if (!written) fail(written.error());
            answer(batch);
            flush_done_ = flush_wanted;
            done_.notify_all();
            batch.clear();
            if (is_last) return;
        }
    }

    void wait_for_work(std::unique_lock<std::mutex>& lock) {
        const auto has_work = [&] { return !queue_.empty() || flush_asked_ > flush_done_ || is_stopping_; };
        is_waiting_ = true;
        if (has_failed_ || (counter_.is_empty() && chain_.unsigned_records() == 0)) wake_.wait(lock, has_work);
        else if (!counter_.is_empty()) wake_.wait_for(lock, seconds(1), has_work);
        else wake_.wait_until(lock, head_due_, has_work);
        is_waiting_ = false;
    }

    static bool has_durable(const std::vector<Entry>& batch) {
        for (const Entry& entry : batch) {
            if (entry.durable) return true;
        }
        return false;
    }

    [[nodiscard]] bool is_head_due() const {
        return chain_.unsigned_records() > 0 && std::chrono::steady_clock::now() >= head_due_;
    }

    Status write_batch(const std::vector<Entry>& batch, bool is_flush, bool is_last) {
        const bool is_everything_wanted = is_flush || is_last;
        for (const Entry& entry : batch) {
            if (counter_.is_due(entry.boot)) write_counted(entry.wall);
            if (counter_.is_single(entry.record, entry.boot)) add(entry.wall, entry.record);
        }
        if (is_everything_wanted || counter_.is_due(clock_.boot())) write_counted(clock_.wall());
        const bool has_head = is_head_due();
        if (has_head) chain_.add_head(clock_.wall());
        SANCTUM_CHECK(chain_.write());
        // The first record is synced at once though nobody waits for it. The last sync is the seal's.
        const bool is_first = !is_begun_ && chain_.records() > 0;
        const bool has_news = has_head || chain_.has_untold_heads();
        const bool must_sync = is_first || is_flush || has_news || has_durable(batch) || (is_last && !is_sealing_);
        return must_sync ? sync() : Status();
    }

    // Whose ledger it is, before anything that is in it.
    Status sync() {
        if (!is_begun_) {
            SANCTUM_CHECK(sync_path(chain_.folder() + "/mission.json"));
            is_begun_ = true;
        }
        return chain_.sync();
    }

    void write_counted(WallTime at) {
        for (const LineRecord& record : counter_.take()) add(at, record);
    }

    void add(WallTime at, const LineRecord& record) {
        if (chain_.unsigned_records() == 0) head_due_ = std::chrono::steady_clock::now() + kLedgerHeadInterval;
        chain_.add(at, record);
        const bool is_first = std::holds_alternative<StartedLine>(record);
        if (is_first || chain_.unsigned_records() >= kLedgerHeadRecords) chain_.add_head(at);
    }

    // With the mutex held, from here on: what the launcher's thread sees.

    void fail(const Error& error) {
        has_failed_ = true;
        failure_ = error.what;
        is_disk_full_ = error.sys_errno == ENOSPC || error.sys_errno == EDQUOT || error.sys_errno == EFBIG;
        log::error("ledger: " + failure_ + " (from here on nothing is recorded and nothing may be sent)");
        signal();
        room_.notify_all();
    }

    void answer(std::vector<Entry>& batch) {
        bool has_answers = false;
        for (Entry& entry : batch) {
            if (has_failed_) {
                refuse(std::move(entry));
            } else if (entry.durable) {
                answered_.push_back({*entry.durable, true});
                has_answers = true;
            }
        }
        if (has_answers) signal();
    }

    void refuse(Entry entry) {
        if (entry.durable) answered_.push_back({*entry.durable, false});
        const auto* lease = std::get_if<wire::LeaseChanged>(&entry.record);
        if (lease != nullptr && unwritten_leases_.size() < kLedgerLeaseEndsKeptMax) {
            unwritten_leases_.push_back(std::move(entry));
        } else {
            ++records_lost_;
        }
        signal();
    }

    void signal() {
        const std::uint64_t one = 1;
        while (::write(event_.get(), &one, sizeof one) < 0 && errno == EINTR) {}
    }

    void stop_thread() {
        {
            const std::lock_guard lock(mutex_);
            is_stopping_ = true;
            wake_.notify_one();
        }
        if (thread_.joinable()) thread_.join();
    }

    // The reserve makes room; what reached the file before stays, what did not is counted in mission.ended.
    Result<Sealed> seal_on_full_disk(MissionEnded ended) {
        const std::string folder = chain_.folder();
        const std::string mission = chain_.mission();
        chain_.release_reserve();
        SANCTUM_TRY(ChainFile resumed, ChainFile::resume(chain_.release_file(), folder, mission, key_));
        resumed.set_witness(chain_.witness());
        for (const Entry& entry : unwritten_leases_) resumed.add(entry.wall, entry.record);
        ended.records_lost = records_lost_;
        return seal_chain(resumed, std::move(ended), receipts_path_, Published::No, clock_);
    }

    ChainFile chain_;  // the thread's while it runs
    const std::shared_ptr<const SigningKey> key_ = chain_.shared_key();
    const std::string key_id_ = key_->id();
    UniqueFd event_;
    std::string receipts_path_;
    std::string boot_id_;
    const Clock& clock_;
    RefusalCounter counter_;                          // the thread's
    std::chrono::steady_clock::time_point head_due_;  // the thread's
    bool is_begun_ = false;                           // the thread's: mission.json is on disk

    std::vector<Entry> gathered_;  // the launcher's thread's, as is_gathering_
    bool is_gathering_ = false;

    std::mutex mutex_;
    std::condition_variable wake_, room_, done_;
    std::vector<Entry> queue_;
    std::vector<Durable> answered_;
    std::vector<Entry> unwritten_leases_;
    std::uint64_t flush_asked_ = 0, flush_done_ = 0;
    std::uint64_t records_lost_ = 0;
    std::string failure_;
    std::atomic<bool> has_failed_ = false;  // read without the mutex too
    bool is_waiting_ = false, is_stopping_ = false, is_disk_full_ = false;
    bool is_sealing_ = false;  // set before the thread is asked to stop

    std::thread thread_;  // last: it uses everything above
};

std::string read_boot_id() {
    const Result<std::string> text = read_file("/proc/sys/kernel/random/boot_id", kSmallFileBytesMax);
    return text ? text->substr(0, text->find('\n')) : std::string();
}

// SECURITY: the folder is ours alone, whoever made it: the launcher a moment ago, or this call.
Status make_mission_folder(const std::string& folder) {
    const std::size_t slash = folder.rfind('/');
    if (slash != std::string::npos && slash > 0) {
        SANCTUM_CHECK(make_folders(folder.substr(0, slash), 0700));
    }
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return io_error("create folder " + folder);
    struct stat status {};
    if (::lstat(folder.c_str(), &status) != 0) return io_error("stat " + folder);
    const bool is_ours = S_ISDIR(status.st_mode) && status.st_uid == ::geteuid() && (status.st_mode & 077U) == 0;
    if (!is_ours) return Error{Errc::NotPermitted, folder + ": not a folder of this user alone (chmod 700)"};
    return {};
}

}  // namespace

Result<std::unique_ptr<Ledger>> Ledger::create(const std::string& mission_folder, const std::string& mission_id,
                                               const std::string& mission_json, const std::string& receipts_path,
                                               SigningKey key, const Clock& clock, HeadWitness* witness) {
    if (!is_ulid(mission_id)) return Error{Errc::Protocol, "ledger: '" + mission_id + "' is not a mission id"};
    SANCTUM_CHECK(make_mission_folder(mission_folder));
    auto shared_key = std::make_shared<const SigningKey>(std::move(key));
    SANCTUM_TRY(ChainFile chain, ChainFile::create(mission_folder, mission_id, std::move(shared_key)));
    chain.set_witness(witness);
    SANCTUM_CHECK(write_file_atomically(mission_folder + "/mission.json", mission_json, 0600, AfterCrash::Anything));
    UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event) return io_error("eventfd");
    return std::unique_ptr<Ledger>(std::make_unique<FileLedger>(std::move(chain), std::move(event), receipts_path,
                                                                read_boot_id(), clock));
}

}  // namespace sanctum::ledger
