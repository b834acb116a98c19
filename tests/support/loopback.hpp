// SPDX-License-Identifier: Apache-2.0
// What tests with real sockets share: connections on loopback, certificates with chosen defects, and the server side
// of TLS that shows them.
#pragma once

#include "base/unique_fd.hpp"
#include "network/openssl_types.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sanctum::loopback {

/// Two connected TCP sockets on 127.0.0.1, non-blocking.
[[nodiscard]] std::pair<UniqueFd, UniqueFd> tcp_pair();

/// A listening socket on 127.0.0.1, port 0, non-blocking; its port.
struct Listener {
    UniqueFd fd;
    std::uint16_t port = 0;
};
[[nodiscard]] Listener listener();

/// What a certificate shall be; the defaults are a good one for www.example.test.
struct Wanted {
    std::string common_name = "www.example.test";
    std::vector<std::string> dns_names = {"www.example.test"};  ///< bytes as given, NUL too
    std::vector<std::string> addresses = {};
    std::int64_t valid_from_s = -3600;
    std::int64_t valid_to_s = 3600;
    std::string key = "ec";  ///< ec | rsa512 | rsa1024 | rsa2048
    std::string digest = "sha256";
    std::string extended_usage = "serverAuth";
    bool is_ca = false;
};

struct Identity {
    network::CertificatePtr certificate;
    network::PrivateKeyPtr key;
    [[nodiscard]] std::string pem() const;
};

/// A certificate signed by `issuer`, or by itself.
[[nodiscard]] Identity make_identity(const Wanted& wanted, const Identity* issuer);
[[nodiscard]] Identity make_authority(const std::string& name);

/// A stapled response by `issuer` that says "revoked" or "good" about `leaf`, DER.
enum class Staple { Good, Revoked };
[[nodiscard]] std::string make_staple(const Identity& leaf, const Identity& issuer, Staple what);

/// Server-side SSL that shows `identity`, whatever its defects.
[[nodiscard]] network::SslPtr start_server(const Identity& identity, const std::string& staple = {});

}  // namespace sanctum::loopback
