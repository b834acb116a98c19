// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/subject_token.hpp"

#include "base/digest.hpp"
#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "vault/mission_lock.hpp"

#include <array>
#include <unistd.h>

namespace sanctum::vault {
namespace {

// One line in the lock's file, always of this length: a word, and the SHA-256 of the token that it is about.
constexpr std::size_t kNoteBytes = 4 + 1 + 64 + 1;
constexpr std::string_view kSent = "sent";  // and no answer came by then
constexpr std::string_view kStays = "kept";  // an answer came without another one: this provider does not rotate it
constexpr std::string_view kFree = "free";

}  // namespace

std::string SubjectToken::Use::note(std::string_view word) const {
    return std::string(word) + " " + wire::to_hex(sha256(token_.reveal())) + "\n";
}

Status SubjectToken::Use::write_note(std::string_view word) {
    const std::string text = note(word);
    SANCTUM_ASSERT(text.size() == kNoteBytes);
    const ssize_t written = ::pwrite(lock_.get(), text.data(), text.size(), 0);
    if (written < 0 || static_cast<std::size_t>(written) != text.size() || ::fdatasync(lock_.get()) != 0) {
        return io_error("write " + item_->lock_path());
    }
    is_noted_ = word == kSent;
    return {};
}

Status SubjectToken::Use::sending() {
    std::array<char, kNoteBytes> bytes{};
    const ssize_t size = ::pread(lock_.get(), bytes.data(), bytes.size(), 0);
    if (size < 0) return io_error("read " + item_->lock_path());
    const std::string_view found(bytes.data(), static_cast<std::size_t>(size));
    if (found == note(kStays)) return {};
    // SECURITY: the provider may have replaced it. Seen a second time, it would end the whole consent.
    if (found == note(kSent)) return Error{Errc::Denied, "its refresh token was sent, and the answer was lost"};
    return write_note(kSent);
}

Status SubjectToken::Use::answered(const Secret& next) {
    if (!next.is_empty()) return item_->replace(next);
    return is_noted_ ? write_note(kStays) : Status();
}

Status SubjectToken::Use::not_taken() { return is_noted_ ? write_note(kFree) : Status(); }

SourceFailure unusable_now(const std::string& account, const Error& why) {
    std::string what = "account " + account + ": " + why.what;
    if (why.code != Errc::Denied) return {SourceFault::Failed, std::move(what), Milliseconds(0)};
    what += " (a mission was killed just then, or the connection broke); the provider may have replaced it, and would "
            "end the whole consent if the old one came again, so it is not used any more: run `sanctum connect ";
    what += account + "`";
    return {SourceFault::ConsentLost, std::move(what), Milliseconds(0)};
}

void SubjectToken::use(Completion<Result<Use>> done) {
    try_lock(clock_.boot().plus(Milliseconds(kSubjectLockTimeout)), std::move(done));
}

void SubjectToken::try_lock(BootTime give_up, Completion<Result<Use>> done) {
    Result<UniqueFd> lock = lock_file(item_.lock_path(), Wait::No);
    if (lock) {
        Result<Secret> token = item_.read();
        if (!token) return done(std::move(token).error());
        return done(Use(std::move(*lock), std::move(*token), item_));
    }
    if (lock.error().code != Errc::Timeout) return done(std::move(lock).error());
    if (clock_.boot() >= give_up) {
        // Nothing was asked: it is no lost answer.
        return done(Error{Errc::Io, "another mission has used the account's token all the time"});
    }
    const auto again = [self = shared_from_this(), give_up, done = std::move(done)] { self->try_lock(give_up, done); };
    loop_.call_at(clock_.boot().plus(Milliseconds(kSubjectLockPause)), again);
}

}  // namespace sanctum::vault
