// SPDX-License-Identifier: Apache-2.0
// UpstreamPool: verified connections to upstream hosts, kept open between exchanges and never shared between
// credentials.
#pragma once

#include "interceptor/io/socket_stream.hpp"
#include "interceptor/services.hpp"
#include "interceptor/upstream/dial_client.hpp"
#include "network/upstream_tls.hpp"

#include <functional>
#include <list>
#include <string>

namespace sanctum::interceptor {

class UpstreamPool final : public Upstreams {
public:
    /// `is_live` says whether connections of a lease may still be kept (empty id: no lease, always kept).
    using IsLive = std::function<bool(const std::string& lease)>;
    UpstreamPool(Loop& loop, const std::vector<profiles::DialEntry>& entries, DialClient& dialler,
                 network::UpstreamTls& tls, IsLive is_live);

    net::awaitable<Result<Upstream>> open(std::size_t entry, const std::string& host, std::uint16_t port, bool is_tls,
                                          const std::shared_ptr<HeldLease>& lease, Pool pool) override;
    void park(Upstream upstream) override;

    /// Closes idle connections and forgets sessions that belong to a lease.
    void drop_lease(const std::string& lease);
    void close();
    [[nodiscard]] std::size_t idle() const { return parked_.size(); }

private:
    struct Parked {
        std::string key;
        std::unique_ptr<ByteStream> stream;
    };
    [[nodiscard]] std::unique_ptr<ByteStream> take(const std::string& key);
    [[nodiscard]] net::awaitable<Result<Upstream>> connect(std::size_t entry, std::string host, std::uint16_t port,
                                                           bool is_tls, std::shared_ptr<HeldLease> lease,
                                                           std::string key);
    [[nodiscard]] Result<network::SslPtr> begin_tls(const std::string& host, const HeldLease* lease,
                                                    const std::string& key);

    Loop& loop_;
    const std::vector<profiles::DialEntry>& entries_;
    DialClient& dialler_;
    network::UpstreamTls& tls_;
    IsLive is_live_;
    std::list<Parked> parked_;  ///< most recently parked first
    bool is_closed_ = false;
};

}  // namespace sanctum::interceptor
