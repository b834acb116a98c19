// SPDX-License-Identifier: Apache-2.0
// SubjectToken: the long-lived token that stands for an account's owner, used by one mission of this machine at a time.
//
// A provider that rotates refresh tokens ends the whole consent when an old one comes a second time (RFC 9700 4.14.2).
// So whoever uses one holds a lock that dies with its process, reads the token only then, and has made the new one
// durable before the lock is free.
#pragma once

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "vault/poll_loop.hpp"
#include "vault/sources/source.hpp"
#include "vault/changing_item.hpp"

#include <memory>

namespace sanctum::vault {

/// Shared by what waits for it; `loop` and `clock` must outlive it.
class SubjectToken : public std::enable_shared_from_this<SubjectToken> {
public:
    /// The token while it is ours alone.
    class Use {
    public:
        Use(UniqueFd lock, Secret token, const ChangingItem& item)
            : lock_(std::move(lock)), token_(std::move(token)), item_(&item) {}
        [[nodiscard]] const Secret& token() const { return token_; }
        /// Errors: as ChangingItem::replace.
        [[nodiscard]] Status replace(const Secret& next) { return item_->replace(next); }
        /// The next one may go.
        void release() { lock_.reset(); }

    private:
        UniqueFd lock_;
        Secret token_;
        const ChangingItem* item_;
    };

    SubjectToken(ChangingItem item, PollLoop& loop, const Clock& clock)
        : item_(std::move(item)), loop_(loop), clock_(clock) {}

    /// Waits for the lock, kSubjectLockTimeout at most. Errors: Timeout (another mission holds it all the time), and
    /// those of ChangingItem::read.
    void use(Completion<Result<Use>> done);

private:
    void try_lock(BootTime give_up, Completion<Result<Use>> done);

    ChangingItem item_;
    PollLoop& loop_;
    const Clock& clock_;
};

}  // namespace sanctum::vault
