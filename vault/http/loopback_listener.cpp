// SPDX-License-Identifier: Apache-2.0
#include "vault/http/loopback_listener.hpp"

#include "base/digest.hpp"
#include "base/limits.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <optional>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// What is decoded never has control characters: nothing that OAuth sends has them.
std::optional<std::string> decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char byte = text[i] == '+' ? ' ' : text[i];
        if (byte == '%') {
            const int high = i + 2 < text.size() ? digit_of(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? digit_of(text[i + 2]) : -1;
            if (high < 0 || low < 0) return std::nullopt;
            byte = static_cast<char>(high * 16 + low);
            i += 2;
        }
        const auto number = static_cast<unsigned char>(byte);
        if (number < 0x20 || number == 0x7f) return std::nullopt;
        out.push_back(byte);
    }
    return out;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

// The value of the one `host` field; empty when there is none or another.
std::string_view host_of(std::string_view fields) {
    std::string_view host;
    while (!fields.empty()) {
        const std::size_t end = fields.find("\r\n");
        const std::string_view line = fields.substr(0, end);
        fields.remove_prefix(end == std::string_view::npos ? fields.size() : end + 2);
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || !equals_ignoring_case(line.substr(0, colon), "host")) continue;
        if (!host.empty()) return {};
        host = line.substr(colon + 1);
        while (host.starts_with(' ')) host.remove_prefix(1);
        while (host.ends_with(' ')) host.remove_suffix(1);
    }
    return host;
}

// `policy`: the Content-Security-Policy, under which nothing runs but what it names.
std::string page_bytes(const LoopbackPage& page, const std::string& script, const std::string& policy) {
    const std::string body = "<!doctype html><meta charset=utf-8><title>Sanctum</title><p>" + page.sentence + "</p>" +
                             script + "\n";
    return "HTTP/1.1 " + std::to_string(page.status) +
           " Sanctum\r\ncontent-type: text/html; charset=utf-8\r\ncache-control: no-store\r\n"
           "referrer-policy: no-referrer\r\ncontent-security-policy: " + policy +
           "\r\nx-content-type-options: nosniff\r\nconnection: close\r\ncontent-length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string plain_page(const LoopbackPage& page) { return page_bytes(page, "", "default-src 'none'"); }

// A browser keeps the fragment to itself; this page sends it to us as the query.
std::string fragment_page() {
    static constexpr std::string_view kScript =
        "if (location.hash.length > 1) location.replace('/callback?' + location.hash.slice(1));";
    const Digest digest = sha256(kScript);
    std::string hash(sodium_base64_encoded_len(digest.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
    ::sodium_bin2base64(hash.data(), hash.size(), digest.data(), digest.size(), sodium_base64_VARIANT_ORIGINAL);
    hash.pop_back();
    return page_bytes({200, "One moment."}, "<script>" + std::string(kScript) + "</script>",
                      "default-src 'none'; script-src 'sha256-" + hash + "'");
}

Result<UniqueFd> listen_on(std::uint16_t port) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return io_error("listener on 127.0.0.1");
    const int again = 1;  // a fixed port is to be had again while old connections of it fade
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &again, sizeof again);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const std::string place = "listener on 127.0.0.1:" + std::to_string(port);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return io_error(place);
    if (::listen(socket.get(), static_cast<int>(kLoopbackClientsMax)) != 0) return io_error(place);
    return socket;
}

}  // namespace

Result<LoopbackQuery> LoopbackQuery::parse(std::string_view text) {
    LoopbackQuery query;
    while (!text.empty()) {
        const std::size_t end = text.find('&');
        const std::string_view pair = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (pair.empty()) continue;
        const std::size_t equals = pair.find('=');
        const std::optional<std::string> name = decode(pair.substr(0, equals));
        std::optional<std::string> value =
            decode(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1));
        if (!name || !value) return Error{Errc::Protocol, "a parameter is badly coded"};
        const bool is_new = query.parameters_.emplace(*name, Secret(*value)).second;
        wipe(*value);
        if (!is_new) return Error{Errc::Protocol, "a parameter comes twice"};
    }
    return query;
}

std::string_view LoopbackQuery::text(std::string_view name) const {
    const auto found = parameters_.find(name);
    return found == parameters_.end() ? std::string_view() : found->second.reveal();
}

std::variant<LoopbackQuery, LoopbackPage> read_loopback_request(std::string_view head, const LoopbackPlace& place) {
    const std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    const std::string_view fields = end == std::string_view::npos ? std::string_view() : head.substr(end + 2);
    const std::size_t first = line.find(' ');
    const std::size_t second = line.rfind(' ');
    if (first == std::string_view::npos || second <= first || !line.substr(second + 1).starts_with("HTTP/1.")) {
        return LoopbackPage{400, "This is no request."};
    }
    if (line.substr(0, first) != "GET") return LoopbackPage{405, "Nothing is to be sent here."};
    // A page of another name that resolves to this machine is kept out (DNS rebinding).
    const bool is_for_us = host_of(fields) == place.host + ":" + std::to_string(place.port);
    if (!is_for_us) return LoopbackPage{421, "Nobody of this name is here."};
    const std::string_view target = line.substr(first + 1, second - first - 1);
    const std::size_t mark = target.find('?');
    if (target.substr(0, mark) != place.path) return LoopbackPage{404, "There is nothing here."};
    Result<LoopbackQuery> query =
        LoopbackQuery::parse(mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1));
    if (!query) return LoopbackPage{400, "This answer is not understood."};
    return std::move(*query);
}

Result<std::unique_ptr<LoopbackListener>> LoopbackListener::open(LoopbackPlace place, AnswerIn where, PollLoop& loop,
                                                                 Judge judge) {
    SANCTUM_TRY(UniqueFd socket, listen_on(place.port));
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return io_error("getsockname");
    place.port = ntohs(address.sin_port);
    return std::unique_ptr<LoopbackListener>(
        new LoopbackListener(std::move(socket), std::move(place), where, loop, std::move(judge)));
}

LoopbackListener::LoopbackListener(UniqueFd socket, LoopbackPlace place, AnswerIn where, PollLoop& loop, Judge judge)
    : socket_(std::move(socket)), place_(std::move(place)), where_(where), loop_(loop), judge_(std::move(judge)) {
    loop_.watch(socket_.get(), [this] { accept_visitors(); });
}

LoopbackListener::~LoopbackListener() {
    if (socket_) loop_.forget(socket_.get());
    while (!visitors_.empty()) drop(visitors_.front().socket.get());
}

std::string LoopbackListener::redirect_uri() const {
    return "http://" + place_.host + ":" + std::to_string(place_.port) + place_.path;
}

void LoopbackListener::accept_visitors() {
    UniqueFd socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    if (visitors_.size() >= kLoopbackClientsMax) drop(visitors_.front().socket.get());
    const int fd = socket.get();
    visitors_.push_back({std::move(socket), {}});
    visitors_.back().received.reserve(kLoopbackRequestBytesMax);  // never moved: it may hold a code
    loop_.watch(fd, [this, fd] { serve(fd); });
}

void LoopbackListener::serve(int fd) {
    const auto found = std::find_if(visitors_.begin(), visitors_.end(),
                                    [fd](const Visitor& visitor) { return visitor.socket.get() == fd; });
    if (found == visitors_.end()) return;
    std::array<char, 4096> bytes{};
    const std::size_t room = kLoopbackRequestBytesMax - found->received.size();
    const ssize_t size = ::recv(fd, bytes.data(), std::min(bytes.size(), room), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return drop(fd);
    found->received.append(bytes.data(), static_cast<std::size_t>(size));
    wipe(bytes);
    const std::size_t end = found->received.find("\r\n\r\n");
    if (end != std::string::npos) answer(*found, std::string_view(found->received).substr(0, end));
    else if (found->received.size() < kLoopbackRequestBytesMax) return;
    drop(fd);
}

std::string LoopbackListener::answer_of(std::string_view head) {
    std::variant<LoopbackQuery, LoopbackPage> request = read_loopback_request(head, place_);
    if (const auto* refusal = std::get_if<LoopbackPage>(&request)) return plain_page(*refusal);
    if (is_done_) return plain_page({410, "The answer is here already."});
    const auto& query = std::get<LoopbackQuery>(request);
    if (where_ == AnswerIn::Fragment && query.is_empty()) return fragment_page();
    return plain_page(judge_(query, is_done_));
}

void LoopbackListener::answer(Visitor& visitor, std::string_view head) {
    const std::string bytes = answer_of(head);
    // A few hundred bytes into an empty socket: they fit, or there is nobody to read them.
    if (::send(visitor.socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return;
    ::shutdown(visitor.socket.get(), SHUT_WR);
    if (!is_done_ || !socket_) return;
    loop_.forget(socket_.get());
    socket_.reset();
}

void LoopbackListener::drop(int fd) {
    loop_.forget(fd);
    visitors_.remove_if([fd](Visitor& visitor) {
        if (visitor.socket.get() != fd) return false;
        wipe(visitor.received);
        return true;
    });
}

}  // namespace sanctum::vault
