// SPDX-License-Identifier: Apache-2.0
#include "interceptor/rewrite/dpop_request.hpp"

#include "base/jose/dpop.hpp"
#include "base/limits.hpp"
#include "interceptor/http/grammar.hpp"
#include "interceptor/services.hpp"

namespace sanctum::interceptor {

Result<DpopFields> prove_request(const RequestHead& head, const HeldLease& lease, const std::string& origin,
                                 const std::string& nonce, WallTime now) {
    SANCTUM_TRY(const dpop::BoundToken bound, dpop::parse_bound_token(lease.secret.reveal()));
    const std::string url = origin + head.path;
    DpopFields made;
    SANCTUM_TRY(made.proof, bound.key.prove({head.method, url, nonce, bound.token.reveal()}, now));
    std::string fields;
    fields.reserve(bound.token.size() + made.proof.size() + 64);
    fields.append("authorization: DPoP ").append(bound.token.reveal()).append("\r\n");
    fields.append("dpop: ").append(made.proof).append("\r\n");
    made.fields = Secret(fields);
    wipe(fields);
    return made;
}

std::string DpopNonces::of(const std::string& origin) const {
    const auto found = nonces_.find(origin);
    return found == nonces_.end() ? std::string() : found->second;
}

bool DpopNonces::learn(const std::string& origin, const ResponseHead& answer) {
    const std::string* field = find_field(answer.fields, "dpop-nonce");
    if (field == nullptr) return false;
    std::optional<std::string> nonce = dpop::read_nonce(*field);
    if (!nonce || of(origin) == *nonce) return false;
    if (nonces_.size() >= kDpopNoncesMax && !nonces_.contains(origin)) nonces_.clear();
    nonces_[origin] = std::move(*nonce);
    return true;
}

bool wants_nonce(const ResponseHead& answer) {
    const std::string* challenge = find_field(answer.fields, "www-authenticate");
    return answer.status == 401 && challenge != nullptr &&
           lower_case(*challenge).find("use_dpop_nonce") != std::string::npos;
}

}  // namespace sanctum::interceptor
