// SPDX-License-Identifier: Apache-2.0
// What `sanctum connect` writes down beside the sealed store: which account was connected, when, and with which scopes.
//
// SECURITY: no secret is in it, and nothing is decided by it. It is not sealed, so that it can be read while the store
// is locked: whoever may write the store's folder may write something else here, and whoever shows it has to say so.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::profiles {

struct ConsentRecord {
    std::int64_t v = 1;
    std::string account;
    std::string provider;   ///< `provider corp`, `tenant acme`
    std::string client_id;
    std::string item;       ///< of the store: where the refresh token is
    std::string flow;       ///< device | browser
    std::int64_t connected_unix_ms = 0;
    std::vector<std::string> asked;                    ///< in the provider's words, sorted
    std::optional<std::vector<std::string>> received;  ///< null: the provider did not say
    /// Of an agent's login: what its files may show (login_files); placeholders and claims, no token. Null: no login.
    std::optional<std::map<std::string, std::string>> shown;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("v", self.v);
        archive("account", self.account);
        archive("provider", self.provider);
        archive("client_id", self.client_id);
        archive("item", self.item);
        archive("flow", self.flow);
        archive("connected_unix_ms", self.connected_unix_ms);
        archive("asked", self.asked);
        archive("received", self.received);
        archive("shown", self.shown);
    }
};

/// `consents/ACCOUNT.json` in the folder of the store.
[[nodiscard]] std::string consent_record_path(const std::string& store, const std::string& account);

/// Replaces the record (0600, its folder 0700). Errors: Io.
[[nodiscard]] Status write_consent_record(const std::string& store, const ConsentRecord& record);

/// Errors: NotFound; NotPermitted (another user could have written it); Protocol; Unsupported (newer); Limit; Io.
[[nodiscard]] Result<ConsentRecord> read_consent_record(const std::string& store, const std::string& account);

}  // namespace sanctum::profiles
