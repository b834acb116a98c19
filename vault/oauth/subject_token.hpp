// SPDX-License-Identifier: Apache-2.0
// SubjectToken: the long-lived token that stands for an account's owner, used by one mission of this machine at a time.
//
// A provider that rotates refresh tokens ends the whole consent when an old one comes a second time (RFC 9700 4.14.2).
// So whoever uses one holds a lock that dies with its process, reads the token only then, and has made the new one
// durable before the lock is free. Before the token is sent, a note of it is durable in the lock's file; one that was
// sent and whose answer nobody has is never sent again, whoever died or whatever broke in between.
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
        /// To be called before the token is sent to where it may be replaced; durable when it returns. Errors: Denied
        /// (it was sent before, and the answer is lost), Io.
        [[nodiscard]] Status sending();
        /// The answer to it: `next` replaces it; empty: it stays, and a lost answer will do no harm from now on.
        /// Durable when it returns. Errors: as ChangingItem::replace, Io.
        [[nodiscard]] Status answered(const Secret& next);
        /// The provider did not take it, or never got it: it may be sent again. Errors: Io.
        [[nodiscard]] Status not_taken();
        /// The next one may go.
        void release() { lock_.reset(); }

    private:
        [[nodiscard]] std::string note(std::string_view word) const;
        [[nodiscard]] Status write_note(std::string_view word);
        UniqueFd lock_;
        Secret token_;
        const ChangingItem* item_;
        bool is_noted_ = false;  ///< sending() has written that it was sent
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

/// What an account's owner is told when sending() or answered() fails.
[[nodiscard]] SourceFailure unusable_now(const std::string& account, const Error& why);

}  // namespace sanctum::vault
