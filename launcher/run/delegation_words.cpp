// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/delegation_words.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>

namespace sanctum::launcher {
namespace {

constexpr std::size_t kRequestDescriptors = 4;  // the memfd and 0 to 2
// Handles of the kernel's that look like files; magic.h (older headers have not all of them).
constexpr long kNamespaceHandles = 0x6e736673;
constexpr long kProcessHandles = 0x50494446;

// A text that becomes an argument or a variable.
bool is_word(const std::string& text) { return text.find('\0') == std::string::npos; }

Error malformed(const std::string& what) { return Error{Errc::Protocol, "the request for a child mission: " + what}; }

void take_descriptors(msghdr& message, std::vector<UniqueFd>& into) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            into.emplace_back(fd);
        }
    }
}

}  // namespace

Status send_child_datagram(int socket, std::string_view text, std::span<const int> descriptors) {
    SANCTUM_ASSERT(descriptors.size() <= kRequestDescriptors);
    iovec bytes{const_cast<char*>(text.data()), text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kRequestDescriptors)> control{};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
        std::memcpy(CMSG_DATA(part), descriptors.data(), sizeof(int) * descriptors.size());
    }
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == static_cast<ssize_t>(text.size()) ? Status() : Status(io_error("send"));
}

Result<std::optional<ChildDatagram>> receive_child_datagram(int socket) {
    std::string text(kChildWordBytesMax, '\0');
    iovec bytes{text.data(), text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kRequestDescriptors)> control{};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t size = 0;
    do size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    if (size < 0 && errno == EAGAIN) return std::optional<ChildDatagram>();
    if (size < 0 && errno != ECONNRESET) return io_error("receive");
    ChildDatagram datagram;
    if (size > 0) take_descriptors(message, datagram.descriptors);
    // An empty datagram cannot be told from the end, and is nothing that anybody sends.
    if (size <= 0) return Error{Errc::Cancelled, "the other side is gone"};
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return malformed("larger than one may be");
    text.resize(static_cast<std::size_t>(size));
    datagram.text = std::move(text);
    return std::optional(std::move(datagram));
}

Result<ChildRequest> parse_child_request(std::string_view text) {
    Result<ChildRequest> request = wire::from_json<ChildRequest>(text);
    if (!request) return malformed(request.error().what);
    if (request->v != 1) return malformed("another version than 1 (run the sanctum-run of the outer mission)");
    if (request->command.empty() || request->command.front().empty()) return malformed("no command");
    if (request->profile.size() > kSmallFileBytesMax) return malformed("its profile is too long");
    if (request->profile_name.size() > kTextCharsMax) return malformed("its profile's name is too long");
    const std::string& folder = request->working_directory;
    bool is_plain = folder.starts_with('/') && folder.size() <= kTextCharsMax;
    for (const char* strange : {"/../", "/./", "//"}) {
        is_plain = is_plain && (folder == "/" || (folder + "/").find(strange) == std::string::npos);
    }
    if (!is_plain) {
        return malformed("its working directory is not an absolute path");
    }
    const bool are_words = std::all_of(request->command.begin(), request->command.end(), is_word) && is_word(folder) &&
                           std::all_of(request->variables.begin(), request->variables.end(), [](const auto& variable) {
                               return is_word(variable.first) && is_word(variable.second);
                           });
    if (!are_words) return malformed("a zero byte in an argument or variable");
    return request;
}

Result<int> parse_child_signal(std::string_view text) {
    constexpr std::array<int, 6> kPassedOn{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    SANCTUM_TRY(const ChildSignal word, wire::from_json<ChildSignal>(text));
    const auto found = std::find(kPassedOn.begin(), kPassedOn.end(), word.signal);
    if (word.v == 1 && found != kPassedOn.end()) return *found;
    return Error{Errc::Protocol, "the client passes on what is no signal for a child"};
}

Status check_handed_over(int fd, int number) {
    const auto refused = [&](const std::string& what) {
        return Error{Errc::Denied, "descriptor " + std::to_string(number) + " is " + what +
                                       ", which a child mission cannot be given (redirect it, e.g. `| cat`)"};
    };
    struct stat status {};
    struct statfs system {};
    if (::fstat(fd, &status) != 0 || ::fstatfs(fd, &system) != 0) {
        return io_error("descriptor " + std::to_string(number));
    }
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) return io_error("descriptor " + std::to_string(number));
    if ((flags & O_PATH) != 0) return refused("a place and no file");
    if (S_ISSOCK(status.st_mode)) return refused("a socket");
    if (S_ISDIR(status.st_mode)) return refused("a folder");
    const bool is_kernels = system.f_type == kNamespaceHandles || system.f_type == kProcessHandles;
    const bool is_stream = S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode);
    if (is_kernels || !is_stream) return refused("a handle of the kernel's");
    return {};
}

}  // namespace sanctum::launcher
