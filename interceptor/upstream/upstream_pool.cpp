// SPDX-License-Identifier: Apache-2.0
#include "interceptor/upstream/upstream_pool.hpp"

#include "base/limits.hpp"
#include "interceptor/io/tls_stream.hpp"

#include <algorithm>
#include <limits>

namespace sanctum::interceptor {
namespace {

// Host, port and kind, then the lease: none of them holds a `|`.
std::string key_of(const std::string& host, std::uint16_t port, bool is_tls, const std::string& lease) {
    return host + "|" + std::to_string(port) + (is_tls ? "|tls|" : "|plain|") + lease;
}

std::string lease_of(const std::string& key) { return key.substr(key.rfind('|') + 1); }

// What a leading `*.` of the entry stands for.
std::string labels_of(const profiles::DialEntry& entry, const std::string& host) {
    return entry.name.starts_with("*.") ? host.substr(0, host.size() - (entry.name.size() - 1)) : std::string();
}

bool covers(const profiles::DialEntry& entry, const std::string& host) {
    return profiles::find_dial_entry({entry}, host).has_value();
}

bool is_quiet(const ByteStream& stream) {
    // Every stream that is parked was made here.
    return static_cast<const SocketStream&>(stream).is_quiet();
}

}  // namespace

UpstreamPool::UpstreamPool(Loop& loop, const std::vector<profiles::DialEntry>& entries, DialClient& dialler,
                           network::UpstreamTls& tls, IsLive is_live)
    : loop_(loop), entries_(entries), dialler_(dialler), tls_(tls), is_live_(std::move(is_live)) {}

net::awaitable<Result<Upstream>> UpstreamPool::open(std::size_t entry, const std::string& host, std::uint16_t port,
                                                    bool is_tls, const std::string& lease, Pool pool) {
    std::string key = key_of(host, port, is_tls, lease);
    // SECURITY: asked again here, so that no mistake further up can send to a host outside the mission's list or
    // without TLS where the operator did not say so.
    if (entry >= entries_.size() || !covers(entries_[entry], host)) {
        co_return Error{Errc::Denied, "upstream_address: the host is not the entry's"};
    }
    if (!is_tls && !entries_[entry].plain_http) {
        co_return Error{Errc::Denied, "upstream_address: plain HTTP is not permitted to this host"};
    }
    if (pool == Pool::MayReuse) {
        if (std::unique_ptr<ByteStream> kept = take(key)) co_return Upstream{std::move(kept), true, std::move(key)};
    }
    co_return co_await connect(entry, host, port, is_tls, std::move(key));
}

net::awaitable<Result<Upstream>> UpstreamPool::connect(std::size_t entry, std::string host, std::uint16_t port,
                                                       bool is_tls, std::string key) {
    SANCTUM_CO_TRY(UniqueFd socket, co_await dialler_.dial(entry, labels_of(entries_[entry], host), port));
    if (!is_tls) {
        auto plain = std::make_unique<PlainStream>(loop_, Descriptor(loop_, std::move(socket)));
        co_return Upstream{std::move(plain), false, std::move(key)};
    }
    Result<network::SslPtr> ssl = tls_.start(host, key);
    if (!ssl) co_return Error{ssl.error().code, "upstream_certificate: " + ssl.error().what};
    auto stream = std::make_unique<TlsStream>(loop_, Descriptor(loop_, std::move(socket)), std::move(*ssl));
    stream->set_deadline(kUpstreamHandshakeTimeout);
    const Status verified = co_await stream->handshake(std::numeric_limits<std::size_t>::max());
    if (!verified) co_return network::UpstreamTls::explain_failure(stream->ssl(), verified.error());
    stream->clear_deadline();
    co_return Upstream{std::move(stream), false, std::move(key)};
}

std::unique_ptr<ByteStream> UpstreamPool::take(const std::string& key) {
    for (auto place = parked_.begin(); place != parked_.end();) {
        if (place->key != key) {
            ++place;
            continue;
        }
        std::unique_ptr<ByteStream> stream = std::move(place->stream);
        place = parked_.erase(place);
        // SECURITY: bytes on an idle connection belong to no request of ours; a closed one is of no use.
        if (!is_quiet(*stream)) continue;
        stream->clear_deadline();
        return stream;
    }
    return nullptr;
}

void UpstreamPool::park(Upstream upstream) {
    const std::string lease = lease_of(upstream.pool_key);
    if (is_closed_ || !upstream.stream) return;
    if (!lease.empty() && !is_live_(lease)) return;
    upstream.stream->set_deadline(kUpstreamIdleTime);
    parked_.push_front({std::move(upstream.pool_key), std::move(upstream.stream)});
    if (parked_.size() > kUpstreamIdleMax) parked_.pop_back();
}

void UpstreamPool::drop_lease(const std::string& lease) {
    if (lease.empty()) return;
    const std::string ending = "|" + lease;
    std::erase_if(parked_, [&](const Parked& parked) { return parked.key.ends_with(ending); });
    tls_.forget_sessions(ending);
}

void UpstreamPool::close() {
    is_closed_ = true;
    parked_.clear();
}

}  // namespace sanctum::interceptor
