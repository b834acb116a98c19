// SPDX-License-Identifier: Apache-2.0
#include "network/resolver.hpp"

#include "base/limits.hpp"

#include <ares.h>
#include <array>
#include <netdb.h>
#include <sys/time.h>

namespace sanctum::network {

struct Resolver::State {
    ares_channel channel = nullptr;
    ~State() {
        if (channel != nullptr) ares_destroy(channel);
    }
};

namespace {

struct Lookup {
    Resolver::Answer answer;
};

Error failure_of(int status) {
    switch (status) {
        case ARES_ENOTFOUND:
        case ARES_ENODATA: return {Errc::NotFound, "the name has no address"};
        case ARES_ETIMEOUT: return {Errc::Timeout, "the name server did not answer"};
        default: return {Errc::Io, std::string("name look-up: ") + ares_strerror(status)};
    }
}

// c-ares calls this once per look-up; ARES_EDESTRUCTION when the channel goes.
void on_answer(void* argument, int status, int, ares_addrinfo* info) {
    const std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(argument));
    const std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> answers(info, &ares_freeaddrinfo);
    if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) return;
    if (status != ARES_SUCCESS || !answers) return lookup->answer(failure_of(status));
    std::vector<Address> addresses;
    for (const ares_addrinfo_node* node = answers->nodes; node != nullptr; node = node->ai_next) {
        const std::optional<Address> address = Address::from(*node->ai_addr);
        if (address && addresses.size() < kDialAddressesMax) addresses.push_back(*address);
    }
    lookup->answer(std::move(addresses));
}

}  // namespace

Result<std::unique_ptr<Resolver>> Resolver::create(const std::string& server) {
    static const int library = ares_library_init(ARES_LIB_INIT_ALL);
    if (library != ARES_SUCCESS) return Error{Errc::Internal, std::string("c-ares: ") + ares_strerror(library)};
    std::array<char, 2> dns_only = {'b', '\0'};
    ares_options options{};
    options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
    options.timeout = static_cast<int>(kResolveTimeout.count());
    options.tries = kResolveTries;
    options.lookups = dns_only.data();
    auto state = std::make_unique<State>();
    const int made = ares_init_options(&state->channel, &options,
                                       ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS);
    if (made != ARES_SUCCESS) return Error{Errc::Internal, std::string("c-ares: ") + ares_strerror(made)};
    if (!server.empty()) {
        const std::optional<SocketAddress> endpoint = SocketAddress::parse(server);
        if (!endpoint) return Error{Errc::Protocol, "upstream.resolver: " + server + " is not address:port"};
        if (ares_set_servers_ports_csv(state->channel, endpoint->text().c_str()) != ARES_SUCCESS) {
            return Error{Errc::Internal, "c-ares: cannot use " + server};
        }
    }
    return std::unique_ptr<Resolver>(new Resolver(std::move(state)));
}

Resolver::Resolver(std::unique_ptr<State> state) : state_(std::move(state)) {}
Resolver::~Resolver() = default;

void Resolver::resolve(const std::string& name, Answer answer) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = ARES_AI_NOSORT;
    auto lookup = std::make_unique<Lookup>(Lookup{std::move(answer)});
    ares_getaddrinfo(state_->channel, name.c_str(), nullptr, &hints, &on_answer, lookup.release());
}

void Resolver::add_descriptors(std::vector<pollfd>& wait) const {
    std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
    const auto bits = static_cast<unsigned>(ares_getsock(state_->channel, sockets.data(), ARES_GETSOCK_MAXNUM));
    for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
        unsigned events = 0;
        if ((bits & (1U << i)) != 0) events |= POLLIN;
        if ((bits & (1U << (i + ARES_GETSOCK_MAXNUM))) != 0) events |= POLLOUT;
        if (events != 0) wait.push_back({sockets[i], static_cast<short>(events), 0});
    }
}

std::chrono::milliseconds Resolver::timeout(std::chrono::milliseconds max) const {
    timeval longest{max.count() / 1000, (max.count() % 1000) * 1000};
    timeval room{};
    const timeval* until = ares_timeout(state_->channel, &longest, &room);
    return std::chrono::milliseconds(until->tv_sec * 1000 + (until->tv_usec + 999) / 1000);
}

void Resolver::process(std::span<const pollfd> reported) {
    for (const pollfd& one : reported) {
        if (one.revents == 0) continue;
        const bool can_write = (one.revents & POLLOUT) != 0;
        const bool can_read = (one.revents & (POLLIN | POLLERR | POLLHUP)) != 0;
        ares_process_fd(state_->channel, can_read ? one.fd : ARES_SOCKET_BAD, can_write ? one.fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(state_->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

}  // namespace sanctum::network
