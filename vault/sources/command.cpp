// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/command.hpp"

#include "base/limits.hpp"

#include <cstring>

namespace sanctum::vault {

Capabilities CommandSource::capabilities() const {
    Capabilities capabilities;
    capabilities.mints = true;
    return capabilities;
}

void CommandSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    runner_->run(index_, [program = program_, scopes = need.scopes, done = std::move(done)](CommandEnd end) {
        if (end.how != CommandEnd::How::Output) return done(command_error(program, end));
        std::string_view output = end.output.reveal();
        if (output.ends_with('\n')) output.remove_suffix(1);
        if (output.empty()) return done(Error{Errc::Protocol, program + " printed nothing"});
        Credential credential;
        credential.secret = Secret(output);
        credential.scopes.asked = scopes;
        done(std::move(credential));
    });
}

void CommandSource::retire(const Credential& /*credential*/, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    done({RetireOutcome::End::Gone, "our copy is gone; what the program printed may stay valid"});
}

Error command_error(const std::string& program, const CommandEnd& end) {
    switch (end.how) {
        case CommandEnd::How::NotStarted:
            return Error{end.number == ENOENT ? Errc::NotFound : Errc::NotPermitted,
                         program + ": cannot be started: " + std::strerror(end.number), end.number};
        case CommandEnd::How::ExitStatus:
            return Error{Errc::Io, program + " ended with exit status " + std::to_string(end.number)};
        case CommandEnd::How::Signal:
            return Error{Errc::Io, program + " was ended by signal " + std::to_string(end.number)};
        case CommandEnd::How::TooLong:
            return Error{Errc::Limit, program + " printed more than " + std::to_string(kCommandOutputBytesMax) +
                                          " bytes"};
        case CommandEnd::How::TimedOut:
            return Error{Errc::Timeout, program + " did not end within " + std::to_string(kCommandTimeout.count()) +
                                            " seconds and was killed"};
        case CommandEnd::How::Lost: return Error{Errc::Cancelled, "the process that runs " + program + " is gone"};
        case CommandEnd::How::Output: break;
    }
    return Error{Errc::Internal, program + ": no answer"};
}

}  // namespace sanctum::vault
