// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/command.hpp"

#include "vault/oauth/scope_check.hpp"
#include "vault/retirement.hpp"

namespace sanctum::vault {

void give_back_by_command(CommandRunner& runner, std::uint32_t index, const std::string& program,
                          const Credential& credential, Completion<RetireOutcome> done) {
    using End = RetireOutcome::End;
    const CommandInput input{credential.handle, &credential.secret};
    runner.run(index, input, [program, done = std::move(done)](const CommandEnd& end) {
        if (end.how == CommandEnd::How::Output) return done({End::Gone, "given back by " + program});
        done({End::NotYet, "not given back: " + command_error(program, end).what});
    });
}

std::unique_ptr<Retirement> retirement_by_command(const std::string& account, const Credential& credential) {
    auto retirement = std::make_unique<Retirement>();
    retirement->provider = "the program of account " + account;
    retirement->request.body = credential.secret.duplicate();
    retirement->account = account;
    retirement->handle = credential.handle;
    return retirement;
}

RetireClass CommandSource::retire_class(const PrintedCredential& printed) const {
    if (commands_.give_back && account_.on_exit != "expire") return RetireClass::Self;
    return printed.expires_in ? RetireClass::Expires : RetireClass::None;
}

Capabilities CommandSource::capabilities() const {
    Capabilities capabilities;
    capabilities.narrows_scopes = account_.provider.asks_scopes;
    capabilities.mints = true;
    capabilities.retire = retire_class({});
    return capabilities;
}

void CommandSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    const std::string scopes = join_scopes(provider_scopes(account_.provider, need.scopes));
    runner_->run(commands_.print, {scopes, nullptr}, [this, need, done = std::move(done)](const CommandEnd& end) {
        take(need, end, done);
    });
}

void CommandSource::take(const SourceNeed& need, const CommandEnd& end, Completion<Fetched> done) {
    const std::string& program = account_.command.front();
    if (end.how != CommandEnd::How::Output) return done(command_error(program, end));
    PrintedCredential printed = read_printed(end.output.reveal());
    if (printed.secret.is_empty()) {
        const bool is_silent = end.output.is_empty();
        SourceFailure failure{SourceFault::Failed, program + ": " + printed.fault, Milliseconds(0)};
        if (is_silent) return done(std::move(failure));
        failure.fault = SourceFault::Protocol;
        return done(that_may_be_out(std::move(failure)));
    }
    std::variant<ScopeReport, SourceFailure> scopes =
        check_scopes(account_, provider_scopes(account_.provider, need.scopes), printed.scopes);
    if (!printed.handle.empty() && !commands_.give_back) {
        printed.fault = "it printed a `handle`, and the account names no program for `revoke`";
    }
    if (!printed.fault.empty()) {
        scopes = SourceFailure{SourceFault::Protocol, program + ": " + printed.fault, Milliseconds(0)};
    }
    Credential credential;
    credential.retire = retire_class(printed);
    credential.secret = std::move(printed.secret);
    credential.handle = std::move(printed.handle);
    if (printed.expires_in) credential.expires = WallTime{clock_.wall().unix_ms + printed.expires_in->count()};
    if (auto* failure = std::get_if<SourceFailure>(&scopes)) {
        // Made for us and of no use: it does not stay.
        return retire(credential, RetireCause::Used,
                      [failure = std::move(*failure), done](const RetireOutcome& outcome) {
                          done(after_clean_up(failure, outcome, true));
                      });
    }
    credential.scopes = std::get<ScopeReport>(std::move(scopes));
    done(std::move(credential));
}

std::unique_ptr<Retirement> CommandSource::retirement(const Credential& credential) const {
    return credential.retire == RetireClass::Self ? retirement_by_command(account_.name, credential) : nullptr;
}

void CommandSource::retire(const Credential& credential, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    using End = RetireOutcome::End;
    switch (credential.retire) {
        case RetireClass::Self:
            return give_back_by_command(*runner_, *commands_.give_back, account_.give_back.front(), credential,
                                        std::move(done));
        case RetireClass::Expires: return done({End::LeftToExpire, "it ends at its own time"});
        default: return done({End::Gone, "our copy is gone; what the program printed may stay valid"});
    }
}

}  // namespace sanctum::vault
