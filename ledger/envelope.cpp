// SPDX-License-Identifier: Apache-2.0
#include "ledger/envelope.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "ledger/record_lines.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace sanctum::ledger {
namespace {

struct EnvelopeSignature {
    std::string keyid;
    std::string sig;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("keyid", self.keyid);
        archive("sig", self.sig);
    }
};

struct Envelope {
    std::string payload_type;
    std::string payload;
    std::vector<EnvelopeSignature> signatures;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("payloadType", self.payload_type);
        archive("payload", self.payload);
        archive("signatures", self.signatures);
    }
};

// DSSE's pre-authentication encoding: lengths keep type and payload apart.
std::string signed_message(std::string_view type, std::string_view payload) {
    std::string out = "DSSEv1 " + std::to_string(type.size()) + " ";
    out += type;
    out += " " + std::to_string(payload.size()) + " ";
    out += payload;
    return out;
}

}  // namespace

std::string seal_payload(std::string_view type, std::string_view payload, const SigningKey& key) {
    Envelope envelope{std::string(type), to_base64(payload), {}};
    envelope.signatures.push_back({key.id(), to_base64(key.sign(signed_message(type, payload)))});
    return wire::to_json(envelope);
}

Result<std::string> open_payload(std::string_view what, std::string_view type, std::string_view text,
                                 const VerifyingKey& key) {
    const auto broken = [&](std::string_view how) { return Error{Errc::Protocol, std::string(what).append(how)}; };
    SANCTUM_TRY(const Envelope envelope, wire::from_json<Envelope>(text));
    if (envelope.payload_type != type) return broken(" is of another type");
    std::optional<std::string> payload = from_base64(envelope.payload);
    if (!payload) return broken("'s payload is not base64");
    if (envelope.signatures.size() != 1) return broken(" has not exactly one signature");
    const EnvelopeSignature& by = envelope.signatures.front();
    const std::optional<std::string> signature = from_base64(by.sig);
    if (!signature || by.keyid != key.id() || !key.verify(signed_message(type, *payload), *signature)) {
        return broken("'s signature is not by key " + key.id());
    }
    // One form of the envelope only: a byte that was changed anywhere in it shows.
    if (wire::to_json(envelope) != text) return broken("'s envelope was changed");
    return std::move(*payload);
}

Result<UniqueFd> open_envelopes(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return io_error("open " + path);
    while (::flock(fd.get(), LOCK_EX) != 0) {
        if (errno != EINTR) return io_error("lock " + path);
    }
    return fd;
}

Result<EnvelopesTail> read_envelopes_tail(int fd, const std::string& path) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return io_error("stat " + path);
    const auto size = static_cast<std::uint64_t>(status.st_size);
    std::string end;
    for (std::size_t window = 64 * 1024;; window *= 4) {
        const std::uint64_t begin = size > window ? size - window : 0;
        end.resize(static_cast<std::size_t>(size - begin));
        std::size_t filled = 0;
        while (filled < end.size()) {
            const ssize_t got = ::pread(fd, end.data() + filled, end.size() - filled,
                                        static_cast<off_t>(begin + filled));
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) return io_error("read " + path);
            filled += static_cast<std::size_t>(got);
        }
        const std::size_t newline = end.rfind('\n');
        const std::size_t before = newline == std::string::npos || newline == 0 ? std::string::npos
                                                                                : end.rfind('\n', newline - 1);
        if (begin > 0 && before == std::string::npos) {
            if (window > kReceiptBytesMax) return Error{Errc::Limit, path + ": a line is too long"};
            continue;
        }
        if (newline == std::string::npos) return EnvelopesTail{};
        const std::size_t from = before == std::string::npos ? 0 : before + 1;
        return EnvelopesTail{end.substr(from, newline - from), begin + newline + 1};
    }
}

Status append_envelope(int fd, const std::string& path, const EnvelopesTail& tail, const std::string& envelope) {
    // What a crash left unterminated is no statement, and the next line must not grow onto it.
    if (::ftruncate(fd, static_cast<off_t>(tail.bytes)) != 0) return io_error("repair " + path);
    Status written = write_all(fd, envelope + "\n");
    if (written && ::fdatasync(fd) != 0) written = io_error("fsync");
    if (written) return {};
    if (::ftruncate(fd, static_cast<off_t>(tail.bytes)) != 0) return io_error("repair " + path);
    return std::move(written).error().in(path);
}

}  // namespace sanctum::ledger
