// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/local.hpp"

namespace sanctum::vault {

void LocalSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    Credential credential;
    credential.secret = Secret(value_.reveal());
    credential.scopes.asked = need.scopes;
    done(std::move(credential));
}

void LocalSource::retire(const Credential& /*credential*/, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    done({RetireOutcome::End::Gone, "our copy is gone; the stored credential itself stays valid"});
}

}  // namespace sanctum::vault
