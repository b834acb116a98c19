// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/subject_token.hpp"

#include "base/limits.hpp"
#include "vault/mission_lock.hpp"

namespace sanctum::vault {

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
