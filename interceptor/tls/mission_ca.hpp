// SPDX-License-Identifier: Apache-2.0
// MissionCa: the certificate authority of one mission. Its key exists in this process only and ends with it; the agent
// trusts its certificate, nobody else does.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "network/openssl_types.hpp"

#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sanctum::interceptor {

class MissionCa {
public:
    /// Makes the CA (EC P-256) and the one key that all leaves share. Valid from an hour before `now` to `ends`; no
    /// certificate of it outlives the mission. Errors: Internal (OpenSSL; no entropy).
    [[nodiscard]] static Result<MissionCa> create(std::string_view mission_id, WallTime now, WallTime ends);

    [[nodiscard]] const std::string& certificate_pem() const { return pem_; }
    [[nodiscard]] EVP_PKEY* leaf_key() const { return leaf_key_.get(); }

    /// The certificate for a DNS name (lower-case, LDH and `_`) or an address literal; minted at first use, kept in
    /// a bounded cache. Borrowed until the next call. Errors: Protocol (not a name), Internal.
    [[nodiscard]] Result<X509*> leaf_for(const std::string& name);

private:
    MissionCa() = default;
    [[nodiscard]] Result<network::CertificatePtr> mint(const std::string& name) const;

    struct Leaf {
        std::string name;
        network::CertificatePtr certificate;
    };
    network::CertificatePtr certificate_;
    network::PrivateKeyPtr key_;
    network::PrivateKeyPtr leaf_key_;
    std::string pem_;
    std::int64_t not_before_ = 0;  ///< Unix seconds
    std::int64_t not_after_ = 0;
    std::list<Leaf> leaves_;       ///< most recently used first
    std::unordered_map<std::string_view, std::list<Leaf>::iterator> by_name_;
};

}  // namespace sanctum::interceptor
