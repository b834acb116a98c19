// SPDX-License-Identifier: Apache-2.0
#include "provider_double.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace sanctum::vault::test {
namespace {

bool is_whole(const std::string& request) {
    const std::size_t head = request.find("\r\n\r\n");
    if (head == std::string::npos) return false;
    const std::size_t length = request.find("Content-Length: ");
    const std::size_t body = length < head ? std::stoul(request.substr(length + 16)) : 0;
    return request.size() >= head + 4 + body;
}

std::string read_request(SSL* ssl) {
    std::string request;
    std::array<char, 4096> buffer{};
    while (!is_whole(request)) {
        const int size = SSL_read(ssl, buffer.data(), buffer.size());
        if (size <= 0) break;
        request.append(buffer.data(), static_cast<std::size_t>(size));
    }
    return request;
}

}  // namespace

ProviderDouble::ProviderDouble(const loopback::Identity& identity, std::vector<Turn> turns,
                               const loopback::Identity* client_authority)
    : identity_(identity), turns_(std::move(turns)), client_authority_(client_authority),
      listener_(loopback::listener()) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    over_read_ = UniqueFd(ends[0]);
    over_ = UniqueFd(ends[1]);
}

ProviderDouble::~ProviderDouble() {
    over_.reset();
    if (thread_.joinable()) thread_.join();
}

void ProviderDouble::start() {
    thread_ = std::thread([this] { serve(); });
}

std::vector<std::string> ProviderDouble::requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
}

void ProviderDouble::serve() {
    for (;;) {
        std::array<pollfd, 2> waits = {pollfd{listener_.fd.get(), POLLIN, 0}, pollfd{over_read_.get(), POLLIN, 0}};
        ::poll(waits.data(), waits.size(), -1);
        if (waits[1].revents != 0) return;
        UniqueFd socket(::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!socket) continue;
        const Turn& turn = turns_[std::min<std::size_t>(connections_++, turns_.size() - 1)];
        const timeval patience{10, 0};  // a client that says nothing does not keep the test
        ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        serve_connection(std::move(socket), turn);
    }
}

void ProviderDouble::serve_connection(UniqueFd socket, const Turn& turn) {
    network::SslPtr ssl = loopback::start_server(identity_);
    if (client_authority_ != nullptr) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl.get())), client_authority_->certificate.get());
        SSL_set_verify(ssl.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    SSL_set_fd(ssl.get(), socket.get());
    if (SSL_accept(ssl.get()) != 1) return;
    std::string request = read_request(ssl.get());
    {
        const std::lock_guard lock(mutex_);
        if (!request.empty()) requests_.push_back(std::move(request));
    }
    if (!turn.answer.empty()) SSL_write(ssl.get(), turn.answer.data(), static_cast<int>(turn.answer.size()));
    if (turn.then == Turn::Then::Close) SSL_shutdown(ssl.get());
    if (turn.then == Turn::Then::Hold) held_.emplace_back(std::move(socket), std::move(ssl));
}

}  // namespace sanctum::vault::test
