// SPDX-License-Identifier: Apache-2.0
#include "network/dialler.hpp"

#include "base/limits.hpp"
#include "network/host_name.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace sanctum::network {
namespace {

using TimePoint = std::chrono::steady_clock::time_point;

TimePoint now() { return std::chrono::steady_clock::now(); }

socklen_t fill(const SocketAddress& to, sockaddr_storage& storage) {
    if (to.address.is_v4()) {
        sockaddr_in four{};
        four.sin_family = AF_INET;
        four.sin_port = htons(to.port);
        std::memcpy(&four.sin_addr, to.address.bytes.data() + 12, 4);
        std::memcpy(&storage, &four, sizeof(four));
        return sizeof(four);
    }
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(to.port);
    std::memcpy(&six.sin6_addr, to.address.bytes.data(), 16);
    std::memcpy(&storage, &six, sizeof(six));
    return sizeof(six);
}

// A socket whose connection is under way or made. Errors: Io.
Result<UniqueFd> begin_connect(const SocketAddress& to) {
    sockaddr_storage storage{};
    const socklen_t size = fill(to, storage);
    UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return io_error("socket");
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0 && errno != EINPROGRESS) {
        return io_error(to.text());
    }
    return fd;
}

bool is_labels(std::string_view labels) { return is_host_name(std::string(labels) + ".example"); }

std::chrono::milliseconds until(TimePoint time) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - now());
    return std::max(left, std::chrono::milliseconds{0});
}

}  // namespace

Result<DialTable> DialTable::create(std::vector<profiles::DialEntry> entries, const profiles::UpstreamConfig& config) {
    DialTable table;
    table.entries = std::move(entries);
    for (const std::string& text : config.allow_addresses) {
        const std::optional<Prefix> prefix = Prefix::parse(text);
        if (!prefix) return Error{Errc::InvalidProfile, "upstream.allow_addresses: " + text + " is not address/bits"};
        table.allowed.push_back(*prefix);
    }
    for (const auto& [host, text] : config.addresses) {
        const std::optional<SocketAddress> address = SocketAddress::parse(text);
        if (!address) {
            return Error{Errc::InvalidProfile, "upstream.host." + host + ": " + text + " is not address:port"};
        }
        table.named.emplace(host, *address);
    }
    return table;
}

Result<std::string> dialled_host(const DialTable& table, const wire::Dial& dial) {
    if (dial.entry >= table.entries.size()) return Error{Errc::Protocol, "dial: no such host entry"};
    const profiles::DialEntry& entry = table.entries[dial.entry];
    if (std::find(entry.ports.begin(), entry.ports.end(), dial.port) == entry.ports.end()) {
        return Error{Errc::Protocol, "dial: a port that the host entry has not"};
    }
    const bool is_wildcard = entry.name.starts_with("*.");
    if (is_wildcard != !dial.labels.empty()) return Error{Errc::Protocol, "dial: labels do not fit the host entry"};
    if (!is_wildcard) return entry.name;
    if (!is_labels(dial.labels)) return Error{Errc::Protocol, "dial: not labels of a host name"};
    std::string host = dial.labels + entry.name.substr(1);
    if (!is_host_name(host)) return Error{Errc::Protocol, "dial: not a host name"};
    return host;
}

Result<std::vector<Address>> judge_addresses(const std::vector<Address>& found, std::span<const Prefix> allowed) {
    std::vector<Address> six;
    std::vector<Address> four;
    std::string refused;
    for (const Address& address : found) {
        const std::optional<std::string> why = judge_address(address, allowed);
        if (why && refused.empty()) refused = *why;
        if (!why) (address.is_v4() ? four : six).push_back(address);
    }
    std::vector<Address> in_turn;
    for (std::size_t i = 0; i < std::max(six.size(), four.size()); ++i) {
        if (i < six.size()) in_turn.push_back(six[i]);
        if (i < four.size()) in_turn.push_back(four[i]);
    }
    if (in_turn.empty()) return Error{Errc::Denied, refused.empty() ? "the name has no address" : refused};
    return in_turn;
}

struct Dialler::Dialling {
    struct Attempt {
        UniqueFd fd;
        SocketAddress to;
    };
    std::uint64_t id = 0;
    std::uint16_t port = 0;
    TimePoint deadline;
    TimePoint next_attempt = TimePoint::max();
    std::vector<SocketAddress> addresses;
    std::size_t next = 0;
    std::vector<Attempt> attempts;
    std::string last_error;
    bool is_answered = false;
};

Dialler::Dialler(DialTable table, std::unique_ptr<Resolver> resolver, wire::Channel channel)
    : table_(std::move(table)), resolver_(std::move(resolver)), channel_(std::move(channel)) {}

Dialler::~Dialler() = default;

Status Dialler::run() {
    std::vector<pollfd> wait;
    for (;;) {
        wait.assign(1, {channel_.fd(), POLLIN, 0});
        resolver_->add_descriptors(wait);
        const std::size_t resolver_end = wait.size();
        auto pause = resolver_->timeout(kDialTimeout);
        for (const auto& [id, dialling] : diallings_) {
            for (const Dialling::Attempt& attempt : dialling->attempts) wait.push_back({attempt.fd.get(), POLLOUT, 0});
            pause = std::min(pause, until(std::min(dialling->deadline, dialling->next_attempt)));
        }
        if (::poll(wait.data(), wait.size(), static_cast<int>(pause.count())) < 0 && errno != EINTR) {
            return io_error("dialler: poll");
        }
        resolver_->process(std::span(wait).subspan(1, resolver_end - 1));
        for (const auto& [id, dialling] : diallings_) {
            if (!dialling->is_answered) progress(*dialling);
        }
        std::erase_if(diallings_, [](const auto& one) { return one.second->is_answered; });
        if (wait[0].revents != 0) {
            const Status taken = take_requests();
            if (!taken && taken.error().code == Errc::Cancelled) return {};
            SANCTUM_CHECK(taken);
        }
        SANCTUM_CHECK(broken_);
    }
}

Status Dialler::take_requests() {
    for (;;) {
        SANCTUM_TRY(const std::optional<wire::Packet> packet, channel_.receive());
        if (!packet) return {};
        SANCTUM_TRY(const wire::Dial dial, packet->as<wire::Dial>());
        if (diallings_.contains(dial.dial)) return Error{Errc::Protocol, "dial: an id that is under way"};
        begin(dial);
    }
}

void Dialler::begin(const wire::Dial& dial) {
    auto made = std::make_unique<Dialling>();
    Dialling& dialling = *made;
    dialling.id = dial.dial;
    dialling.port = dial.port;
    dialling.deadline = now() + kDialTimeout;
    const Result<std::string> host = dialled_host(table_, dial);
    if (!host) return answer(dialling, -1, "upstream_address", host.error().what);
    if (diallings_.size() >= kDialsMax) return answer(dialling, -1, "upstream_unreachable", "too many dials under way");
    diallings_.emplace(dial.dial, std::move(made));

    if (const auto named = table_.named.find(*host); named != table_.named.end()) {
        if (const auto why = judge_named_address(named->second.address)) {
            return answer(dialling, -1, "upstream_address", *why);
        }
        dialling.addresses.push_back(named->second);
        return start_next_attempt(dialling);
    }
    resolver_->resolve(*host, [this, id = dial.dial](Result<std::vector<Address>> found) {
        on_resolved(id, std::move(found));
    });
}

void Dialler::on_resolved(std::uint64_t dial, Result<std::vector<Address>> found) {
    const auto place = diallings_.find(dial);
    if (place == diallings_.end() || place->second->is_answered) return;
    Dialling& dialling = *place->second;
    if (!found) return answer(dialling, -1, "upstream_unreachable", found.error().what);
    const Result<std::vector<Address>> judged = judge_addresses(*found, table_.allowed);
    if (!judged) return answer(dialling, -1, "upstream_address", judged.error().what);
    for (const Address& address : *judged) dialling.addresses.push_back({address, dialling.port});
    start_next_attempt(dialling);
}

// Begins connecting to the next address; addresses that fail at once are skipped.
void Dialler::start_next_attempt(Dialling& dialling) {
    dialling.next_attempt = TimePoint::max();
    while (dialling.next < dialling.addresses.size()) {
        const SocketAddress to = dialling.addresses[dialling.next++];
        Result<UniqueFd> fd = begin_connect(to);
        if (!fd) {
            dialling.last_error = fd.error().what;
            continue;
        }
        dialling.attempts.push_back({std::move(*fd), to});
        if (dialling.next < dialling.addresses.size()) dialling.next_attempt = now() + kConnectAttemptDelay;
        return;
    }
    if (dialling.attempts.empty()) answer(dialling, -1, "upstream_unreachable", dialling.last_error);
}

void Dialler::progress(Dialling& dialling) {
    bool has_failed = false;
    for (Dialling::Attempt& attempt : dialling.attempts) {
        pollfd ready{attempt.fd.get(), POLLOUT, 0};
        if (::poll(&ready, 1, 0) != 1) continue;
        int error = 0;
        socklen_t size = sizeof(error);
        if (::getsockopt(attempt.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
        if (error == 0) return answer(dialling, attempt.fd.get(), "", attempt.to.text());
        dialling.last_error = io_error(attempt.to.text(), error).what;
        attempt.fd.reset();
        has_failed = true;
    }
    std::erase_if(dialling.attempts, [](const Dialling::Attempt& attempt) { return !attempt.fd.is_open(); });
    if (now() >= dialling.deadline) {
        const bool has_addresses = !dialling.addresses.empty();
        return answer(dialling, -1, "upstream_unreachable",
                      has_addresses ? "no connection in time" : "the name look-up took too long");
    }
    if (has_failed || now() >= dialling.next_attempt) start_next_attempt(dialling);
}

void Dialler::answer(Dialling& dialling, int fd, const std::string& reason, const std::string& detail) {
    dialling.is_answered = true;
    const wire::Dialled dialled{dialling.id, reason, detail};
    const std::span<const int> descriptors = fd >= 0 ? std::span<const int>(&fd, 1) : std::span<const int>{};
    const Status sent = channel_.send(dialled, descriptors);
    if (!sent) broken_ = sent;
}

}  // namespace sanctum::network
