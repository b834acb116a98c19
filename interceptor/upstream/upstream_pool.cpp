// SPDX-License-Identifier: Apache-2.0
#include "interceptor/upstream/upstream_pool.hpp"

#include "base/limits.hpp"
#include "interceptor/io/tls_stream.hpp"
#include "network/client_certificate.hpp"

#include <algorithm>
#include <limits>

namespace sanctum::interceptor {
namespace {

using profiles::AuthForm;

bool shows_certificate(const HeldLease* lease) { return lease != nullptr && lease->form == AuthForm::Certificate; }

// Host, port and kind, then the lease: none of them holds a `|`.
std::string key_of(const std::string& host, std::uint16_t port, bool is_tls, const HeldLease* lease) {
    const char* kind = shows_certificate(lease) ? "|certified|" : is_tls ? "|tls|" : "|plain|";
    return host + "|" + std::to_string(port) + kind + (lease != nullptr ? lease->id : "");
}

Error certificate_error(std::string what) { return Error{Errc::Denied, std::move(what)}.in("client_certificate"); }

// SECURITY: who is not asked for its key would be served without it, too. Not after this is a token sent.
Status check_shown(SSL* ssl) {
    const std::string_view why = network::why_not_shown(ssl);
    network::forget_certificate(ssl);
    if (why.empty()) return {};
    return certificate_error(std::string(why) + ", and the token is bound to one: name the API's host for mutual TLS "
                             "in the account's `hosts`, or remove `certificate_bound` from its provider");
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
                                                    bool is_tls, const std::shared_ptr<HeldLease>& lease, Pool pool) {
    std::string key = key_of(host, port, is_tls, lease.get());
    // SECURITY: asked again here, so that no mistake further up can send to a host outside the mission's list or
    // without TLS where the operator did not say so.
    if (entry >= entries_.size() || !covers(entries_[entry], host)) {
        co_return Error{Errc::Denied, "upstream_address: the host is not the entry's"};
    }
    if (!is_tls && !entries_[entry].plain_http) {
        co_return Error{Errc::Denied, "upstream_address: plain HTTP is not permitted to this host"};
    }
    if (!is_tls && shows_certificate(lease.get())) {
        co_return certificate_error("without TLS there is no way to show one");
    }
    if (pool == Pool::MayReuse) {
        if (std::unique_ptr<ByteStream> kept = take(key)) co_return Upstream{std::move(kept), true, std::move(key)};
    }
    co_return co_await connect(entry, host, port, is_tls, lease, std::move(key));
}

net::awaitable<Result<Upstream>> UpstreamPool::connect(std::size_t entry, std::string host, std::uint16_t port,
                                                       bool is_tls, std::shared_ptr<HeldLease> lease, std::string key) {
    SANCTUM_CO_TRY(UniqueFd socket, co_await dialler_.dial(entry, labels_of(entries_[entry], host), port));
    if (!is_tls) {
        auto plain = std::make_unique<PlainStream>(loop_, Descriptor(loop_, std::move(socket)));
        co_return Upstream{std::move(plain), false, std::move(key)};
    }
    Result<network::SslPtr> ssl = begin_tls(host, lease.get(), key);
    if (!ssl) co_return std::move(ssl).error();
    auto stream = std::make_unique<TlsStream>(loop_, Descriptor(loop_, std::move(socket)), std::move(*ssl));
    stream->set_deadline(kUpstreamHandshakeTimeout);
    Status verified = co_await stream->handshake(std::numeric_limits<std::size_t>::max());
    if (!verified && shows_certificate(lease.get()) && stream->is_certificate_refused()) {
        co_return certificate_error(verified.error().what + std::string(kCertificateRemedy));
    }
    if (!verified) co_return network::UpstreamTls::explain_failure(stream->ssl(), verified.error());
    if (shows_certificate(lease.get())) {
        Status shown = check_shown(stream->ssl());
        if (!shown) co_return std::move(shown).error();
    }
    stream->clear_deadline();
    co_return Upstream{std::move(stream), false, std::move(key)};
}

Result<network::SslPtr> UpstreamPool::begin_tls(const std::string& host, const HeldLease* lease,
                                                const std::string& key) {
    const bool is_certified = shows_certificate(lease);
    // A session that goes on needs no certificate, so whether one is asked for would not be seen.
    Result<network::SslPtr> ssl = tls_.start(host, is_certified ? std::string() : key);
    if (!ssl) return Error{ssl.error().code, "upstream_certificate: " + ssl.error().what};
    if (!is_certified) return ssl;
    // Dialling takes time, in which the key may have been taken back.
    if (!lease->is_live) return Error{Errc::Cancelled, "credential_unavailable: its lease has ended"};
    const Status shown = network::show_certificate(ssl->get(), lease->certificate);
    if (!shown) return certificate_error(shown.error().what);
    return ssl;
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
