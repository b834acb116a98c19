// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/file.hpp"

#include "vault/sources/printed_credential.hpp"

namespace sanctum::vault {

FileSource::FileSource(std::shared_ptr<CommandRunner> runner, std::uint32_t index, std::string file)
    : runner_(std::move(runner)), index_(index), file_(std::move(file)) {
    runner_->on_change(index_, [this] { ++changes_; });
}

void FileSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    runner_->run(index_, [this, scopes = need.scopes, done = std::move(done)](const CommandEnd& end) {
        if (end.how != CommandEnd::How::Output) return done(command_error(file_, end));
        std::string_view content = end.output.reveal();
        if (content.ends_with('\n')) content.remove_suffix(1);
        if (content.empty()) return done(SourceFailure{SourceFault::Failed, file_ + ": is empty", Milliseconds(0)});
        Credential credential;
        credential.secret = Secret(content);
        credential.scopes.asked = scopes;
        credential.handle = std::to_string(changes_);
        done(std::move(credential));
    });
}

bool FileSource::is_current(const Credential& credential) const {
    return credential.handle == std::to_string(changes_);
}

void FileSource::retire(const Credential& /*credential*/, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    done({RetireOutcome::End::Gone, "our copy is gone; what the file held may stay valid"});
}

}  // namespace sanctum::vault
