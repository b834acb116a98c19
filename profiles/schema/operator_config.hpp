// SPDX-License-Identifier: Apache-2.0
// The operator's configuration (formats 3): what a profile can only stay below, and where secrets lie.
#pragma once

#include "base/result.hpp"
#include "profiles/schema/mission.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::profiles {

/// An account as the vault needs it. `options` holds the keys of its source (`item`, `command`, …), secrets by name.
struct Account {
    std::string name;
    std::string catalog;
    std::vector<std::string> hosts;
    std::vector<std::uint16_t> ports;  ///< of `hosts`; empty: 443
    std::string base_path;
    std::string source;                ///< local | command
    std::string item;                  ///< local: name in the store
    std::vector<std::string> command;  ///< command: argv, absolute program
    std::string username;
    std::string on_exit;                            ///< expire | revoke
    std::optional<std::vector<std::string>> grant;  ///< absent: unbounded
    std::map<std::string, std::vector<std::string>> resources;
    std::string place;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("name", self.name);
        archive("catalog", self.catalog);
        archive("hosts", self.hosts);
        archive("ports", self.ports);
        archive("base_path", self.base_path);
        archive("source", self.source);
        archive("item", self.item);
        archive("command", self.command);
        archive("username", self.username);
        archive("on_exit", self.on_exit);
        archive("grant", self.grant);
        archive("resources", self.resources);
        archive("place", self.place);
    }
};

/// Goes to the vault as the memfd `accounts`.
struct VaultConfig {
    std::string store;  ///< path of store.sealed
    std::string
        unlock;  ///< `key-file:PATH`, `passphrase`, `keyring`, `credential:NAME`; empty: try keyring, then passphrase
    std::vector<Account> accounts;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("store", self.store);
        archive("unlock", self.unlock);
        archive("accounts", self.accounts);
    }
};

/// Goes to the interceptor as the memfd `upstream`.
struct UpstreamConfig {
    std::string resolver;                      ///< `address:port`; empty: the machine's resolv.conf
    std::vector<std::string> allow_addresses;  ///< CIDR; otherwise only public addresses
    std::string ca_pem;                        ///< content of ca_file, added to the system's roots
    std::vector<std::string> plain_http;
    std::map<std::string, std::string> addresses;  ///< host → `address:port`, permits exactly this
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("resolver", self.resolver);
        archive("allow_addresses", self.allow_addresses);
        archive("ca_pem", self.ca_pem);
        archive("plain_http", self.plain_http);
        archive("addresses", self.addresses);
    }
};

struct Approver {
    std::string name;
    std::uint32_t uid = 0;
    std::vector<std::string> channels;
};

/// Upper bounds for every profile.
struct Bounds {
    std::optional<std::int64_t> ttl_ms;
    std::optional<Verdict> low, medium, high, critical;  ///< the mildest verdict allowed per risk
};

struct OperatorConfig {
    std::string path;  ///< empty when no file exists: then nothing but plain hosts can be used
    std::string unlock;
    Bounds bounds;
    std::vector<Account> accounts;
    std::vector<Approver> approvers;
    UpstreamConfig upstream;
    std::string ca_file;  ///< where upstream.ca_pem was read; empty: none
    std::int64_t keep_ms = 0;
    std::string witness;  ///< absolute path of the command that is told of signed heads; empty: none
};

/// Reads and checks a configuration file; a missing file gives an empty configuration unless `Missing::IsAnError`.
/// Reads upstream.ca_file too. Errors: InvalidProfile with `file:line:col`, source line, caret and hint; Io.
enum class Missing { IsEmpty, IsAnError };
[[nodiscard]] Result<OperatorConfig> load_operator_config(const std::string& path, Missing missing);

}  // namespace sanctum::profiles
