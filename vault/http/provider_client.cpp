// SPDX-License-Identifier: Apache-2.0
#include "vault/http/provider_client.hpp"

#include "base/limits.hpp"
#include "network/client_certificate.hpp"
#include "network/host_name.hpp"
#include "vault/http/http_date.hpp"
#include "vault/http/retry.hpp"

#include <algorithm>
#include <csignal>
#include <sys/random.h>

namespace sanctum::vault {
namespace {

unsigned random_number() {
    unsigned number = 0;
    // Only jitter: without it clients come back together, which is no fault of this request.
    if (::getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number)) return 0;
    return number;
}

}  // namespace

/// One request from send() to its answer.
struct ProviderClient::Flight {
    HttpRequest request;
    Completion<Result<HttpResponse>> done;
    RequestPlace place;
    std::uint32_t entry = 0;
    BootTime deadline;
    std::optional<Error> refused;       ///< at send(); told by the next tick()
    int tries = 0;
    bool was_sent = false;              ///< in an earlier try
    std::optional<BootTime> next_try;   ///< absent: one is under way
    std::uint64_t dial = 0;             ///< 0: none under way
    std::unique_ptr<Exchange> exchange;

    [[nodiscard]] bool has_sent() const { return was_sent || (exchange && exchange->has_sent()); }
};

Result<std::unique_ptr<ProviderClient>> ProviderClient::start(const std::vector<ProviderHost>& hosts,
                                                              const profiles::UpstreamConfig& config,
                                                              const network::RootCertificates& roots, PollLoop& loop,
                                                              const Clock& clock) {
    Entries entries;
    std::vector<profiles::DialEntry> dial_entries;
    for (const ProviderHost& host : hosts) {
        if (!network::is_host_name(host.name) || host.port == 0) {
            return Error{Errc::InvalidProfile, "provider " + host.name + ": not a host name and a port"};
        }
        if (!entries.try_emplace({host.name, host.port}, static_cast<std::uint32_t>(dial_entries.size())).second) {
            continue;
        }
        profiles::DialEntry entry;
        entry.name = host.name;
        entry.ports = {host.port};
        dial_entries.push_back(std::move(entry));
    }
    SANCTUM_TRY(network::DialTable table, network::DialTable::create(std::move(dial_entries), config));
    SANCTUM_TRY(network::DiallerProcess dialler, network::fork_dialler(std::move(table), config.resolver));
    // A provider that closes early is an error of write(2), not this process's end.
    ::signal(SIGPIPE, SIG_IGN);
    network::initialise_openssl();
    SANCTUM_TRY(auto tls, network::UpstreamTls::create(config.ca_pem, roots, config.pinned));
    return std::unique_ptr<ProviderClient>(
        new ProviderClient(std::move(entries), std::move(dialler), std::move(tls), loop, clock));
}

ProviderClient::ProviderClient(Entries entries, network::DiallerProcess dialler,
                               std::unique_ptr<network::UpstreamTls> tls, PollLoop& loop, const Clock& clock)
    : entries_(std::move(entries)), loop_(loop), clock_(clock), tls_(std::move(tls)),
      dial_port_(loop, std::move(dialler)) {}

ProviderClient::~ProviderClient() = default;

void ProviderClient::send(HttpRequest request, Completion<Result<HttpResponse>> done) {
    auto flight = std::make_unique<Flight>();
    flight->request = std::move(request);
    flight->done = std::move(done);
    flight->next_try = clock_.boot();
    flight->deadline = clock_.boot().plus(kProviderTimeout);
    if (Status admitted = admit(*flight); !admitted) flight->refused = std::move(admitted).error();
    flights_.emplace(++last_, std::move(flight));
}

Status ProviderClient::admit(Flight& flight) const {
    SANCTUM_TRY(flight.place, place_of(flight.request.url));
    const auto entry = entries_.find({flight.place.host, flight.place.port});
    if (entry == entries_.end()) {
        return Error{Errc::Denied, flight.place.authority() + " is no provider of the operator's configuration"};
    }
    flight.entry = entry->second;
    return {};
}

void ProviderClient::tick() {
    std::vector<std::uint64_t> ids;  // an answer may bring new requests, or the end of others
    for (const auto& [id, flight] : flights_) ids.push_back(id);
    for (const std::uint64_t id : ids) {
        Flight* const flight = find(id);
        if (flight == nullptr) continue;
        if (flight->refused) finish(id, std::move(*flight->refused));
        else if (clock_.boot() >= flight->deadline) give_up(id, *flight);
        else if (flight->next_try && clock_.boot() >= *flight->next_try && has_room()) begin_try(id, *flight);
    }
}

std::optional<BootTime> ProviderClient::next_tick() const {
    std::optional<BootTime> next;
    const bool can_begin = has_room();
    for (const auto& [id, flight] : flights_) {
        BootTime due = flight->deadline;
        if (flight->next_try && can_begin) due = std::min(due, *flight->next_try);
        if (flight->refused) due = clock_.boot();
        next = next ? std::min(*next, due) : due;
    }
    return next;
}

ProviderClient::Flight* ProviderClient::find(std::uint64_t id) {
    const auto found = flights_.find(id);
    return found == flights_.end() ? nullptr : found->second.get();
}

bool ProviderClient::has_room() const {
    const auto under_way = std::count_if(flights_.begin(), flights_.end(),
                                         [](const auto& entry) { return !entry.second->next_try.has_value(); });
    return static_cast<std::size_t>(under_way) < kProviderConnectionsMax;
}

void ProviderClient::begin_try(std::uint64_t id, Flight& flight) {
    flight.next_try.reset();
    ++flight.tries;
    Result<std::uint64_t> dial = dial_port_.dial(flight.entry, flight.place.port, [this, id](Result<UniqueFd> socket) {
        take_connection(id, std::move(socket));
    });
    if (!dial) return end_try(id, flight, {TryEnd::NotReached, std::move(dial).error()});
    flight.dial = *dial;
}

void ProviderClient::take_connection(std::uint64_t id, Result<UniqueFd> socket) {
    Flight* const flight = find(id);
    if (flight == nullptr) return;
    flight->dial = 0;
    if (!socket) {
        const TryEnd end = socket.error().code == Errc::Denied ? TryEnd::Refused : TryEnd::NotReached;
        return end_try(id, *flight, {end, std::move(socket).error()});
    }
    Result<network::SslPtr> ssl = begin_tls(*flight);
    if (!ssl) return end_try(id, *flight, {TryEnd::Refused, std::move(ssl).error()});
    Result<WipedBytes> bytes = request_bytes(flight->request, flight->place);
    if (!bytes) return end_try(id, *flight, {TryEnd::Refused, std::move(bytes).error()});
    flight->exchange = std::make_unique<Exchange>(loop_, std::move(*socket), std::move(*ssl), std::move(*bytes),
                                                  [this, id](ExchangeEnd end) { take_end(id, std::move(end)); });
}

Result<network::SslPtr> ProviderClient::begin_tls(const Flight& flight) {
    const network::ClientCertificate* const certificate = flight.request.certificate;
    // A session that goes on needs no certificate, so whether one is asked for would not be seen.
    const std::string session_key = certificate == nullptr ? flight.place.authority() : std::string();
    SANCTUM_TRY(network::SslPtr ssl, tls_->start(flight.place.host, session_key));
    if (certificate != nullptr) {
        SANCTUM_CHECK(network::show_certificate(ssl.get(), *certificate));
    }
    return ssl;
}

void ProviderClient::take_end(std::uint64_t id, ExchangeEnd end) {
    Flight* const flight = find(id);
    if (flight == nullptr) return;
    flight->was_sent = flight->has_sent();
    flight->exchange.reset();
    if (end.answer) {
        const auto date = parse_http_date(end.answer->header("date"));
        if (date) end.answer->clock_offset = Milliseconds(date->unix_ms - clock_.wall().unix_ms);
    }
    end_try(id, *flight, std::move(end));
}

void ProviderClient::end_try(std::uint64_t id, Flight& flight, ExchangeEnd end) {
    const TriesSoFar so_far{flight.request.repeat, flight.tries,
                            Milliseconds(flight.deadline.ms - clock_.boot().ms), random_number()};
    const HttpResponse* const response = end.answer ? &*end.answer : nullptr;
    if (const auto wait = wait_before_retry(end.end, response, so_far, clock_.wall())) {
        flight.next_try = clock_.boot().plus(*wait);
        return;
    }
    if (end.answer) return finish(id, std::move(end.answer));
    Error why = std::move(end.answer).error().in(flight.place.authority());
    if (end.end == TryEnd::NotShown && !flight.request.unasked_remedy.empty()) {
        why.what.append("; ").append(flight.request.unasked_remedy);
    }
    // An earlier try did reach the provider.
    if (why.code == Errc::Io && flight.was_sent) why.code = Errc::Cancelled;
    finish(id, std::move(why));
}

void ProviderClient::give_up(std::uint64_t id, const Flight& flight) {
    if (flight.dial != 0) dial_port_.forget(flight.dial);
    Error why{Errc::Timeout, "no whole answer in time"};
    if (!flight.has_sent()) why = Error{Errc::Io, "no connection in time"};
    finish(id, std::move(why).in(flight.place.authority()));
}

void ProviderClient::finish(std::uint64_t id, Result<HttpResponse> answer) {
    // Taken out first: `done` may send again.
    const auto node = flights_.extract(id);
    node.mapped()->exchange.reset();
    node.mapped()->done(std::move(answer));
}

ProviderHost provider_host(const std::string& url) {
    std::string authority = url.substr(std::string_view("https://").size());
    authority.resize(std::min(authority.find('/'), authority.size()));
    const std::size_t colon = authority.rfind(':');
    if (colon == std::string::npos) return {authority, 443};
    return {authority.substr(0, colon), static_cast<std::uint16_t>(std::stoi(authority.substr(colon + 1)))};
}

}  // namespace sanctum::vault
