// SPDX-License-Identifier: Apache-2.0
#include "ledger/receipt_file.hpp"

#include "base/digest.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/unique_fd.hpp"
#include "ledger/read_ledger.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::ledger {
namespace {

constexpr std::string_view kPayloadType = "application/vnd.sanctum.receipt+json";

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
std::string signed_message(std::string_view payload) {
    std::string out = "DSSEv1 " + std::to_string(kPayloadType.size()) + " ";
    out += kPayloadType;
    out += " " + std::to_string(payload.size()) + " ";
    out += payload;
    return out;
}

Result<UniqueFd> open_locked(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return io_error("open " + path);
    while (::flock(fd.get(), LOCK_EX) != 0) {
        if (errno != EINTR) return io_error("lock " + path);
    }
    return fd;
}

struct Tail {
    std::string last_line;  // empty: there is none
    std::uint64_t bytes = 0;  // of all terminated lines
};

// The last whole line, read from the end: the file grows with every mission of the machine.
Result<Tail> read_tail(int fd, const std::string& path) {
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
        if (newline == std::string::npos) return Tail{};
        const std::size_t from = before == std::string::npos ? 0 : before + 1;
        return Tail{end.substr(from, newline - from), begin + newline + 1};
    }
}

// The envelope of `mission`, when the chain has one; damaged lines are not this function's business.
Result<std::optional<std::string>> find_envelope(int fd, std::string_view mission, const VerifyingKey& key) {
    LineReader lines(fd, kReceiptBytesMax);
    for (;;) {
        SANCTUM_TRY(std::optional<Line> line, lines.next());
        if (!line || !line->is_terminated) return std::optional<std::string>();
        const Result<OpenedReceipt> opened = open_envelope(line->text, key);
        if (opened && opened->receipt.mission == mission) return std::optional<std::string>(std::move(line->text));
    }
}

Status append_envelope(int fd, const std::string& path, std::uint64_t good_bytes, const std::string& envelope) {
    // What a crash left unterminated is no receipt, and the next line must not grow onto it.
    if (::ftruncate(fd, static_cast<off_t>(good_bytes)) != 0) return io_error("repair " + path);
    Status written = write_all(fd, envelope + "\n");
    if (written && ::fdatasync(fd) != 0) written = io_error("fsync");
    if (written) return {};
    if (::ftruncate(fd, static_cast<off_t>(good_bytes)) != 0) return io_error("repair " + path);
    return std::move(written).error().in(path);
}

}  // namespace

std::string seal_envelope(const Receipt& receipt, const SigningKey& key) {
    const std::string payload = wire::to_json(receipt);
    Envelope envelope{std::string(kPayloadType), to_base64(payload), {}};
    envelope.signatures.push_back({key.id(), to_base64(key.sign(signed_message(payload)))});
    return wire::to_json(envelope);
}

Result<OpenedReceipt> open_envelope(std::string_view text, const VerifyingKey& key) {
    SANCTUM_TRY(const Envelope envelope, wire::from_json<Envelope>(text));
    if (envelope.payload_type != kPayloadType) return Error{Errc::Protocol, "receipt is of another type"};
    std::optional<std::string> payload = from_base64(envelope.payload);
    if (!payload) return Error{Errc::Protocol, "receipt's payload is not base64"};
    if (envelope.signatures.size() != 1) return Error{Errc::Protocol, "receipt has not exactly one signature"};
    const EnvelopeSignature& by = envelope.signatures.front();
    const std::optional<std::string> signature = from_base64(by.sig);
    if (!signature || by.keyid != key.id() || !key.verify(signed_message(*payload), *signature)) {
        return Error{Errc::Protocol, "receipt's signature is not by key " + key.id()};
    }
    // One form of the envelope only: a byte that was changed anywhere in it shows.
    if (wire::to_json(envelope) != text) return Error{Errc::Protocol, "receipt's envelope was changed"};
    SANCTUM_TRY(Receipt receipt, wire::from_json<Receipt>(*payload));
    if (receipt.schema != Receipt().schema) {
        return Error{Errc::Unsupported, "receipt has schema " + receipt.schema + "; read it with a newer Sanctum"};
    }
    return OpenedReceipt{std::move(receipt), std::move(*payload)};
}

Status publish_receipt(Receipt receipt, const SigningKey& key, const std::string& mission_folder,
                       const std::string& receipts_path, Published published) {
    SANCTUM_TRY(const UniqueFd fd, open_locked(receipts_path));
    std::optional<std::string> envelope;
    if (published == Published::Perhaps) {
        SANCTUM_TRY(envelope, find_envelope(fd.get(), receipt.mission, key.verifying_key()));
    }
    if (!envelope) {
        SANCTUM_TRY(const Tail tail, read_tail(fd.get(), receipts_path));
        receipt.previous = tail.last_line.empty() ? wire::Digest{} : sha256(tail.last_line);
        envelope = seal_envelope(receipt, key);
        SANCTUM_CHECK(append_envelope(fd.get(), receipts_path, tail.bytes, *envelope));
    }
    // Where a crash takes its name back, recover() makes it again from the chain, which is on disk.
    return write_file_atomically(mission_folder + "/receipt.json", *envelope + "\n", 0600, AfterCrash::OldOrNew);
}

const std::string* ReceiptChain::find(std::string_view mission) const {
    for (const ChainedReceipt& receipt : receipts) {
        if (receipt.mission == mission) return &receipt.envelope;
    }
    return nullptr;
}

Result<ReceiptChain> read_receipts(const std::string& receipts_path, const VerifyingKey& key) {
    ReceiptChain chain;
    const UniqueFd fd(::open(receipts_path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!fd && errno == ENOENT) return chain;
    if (!fd) return io_error("open " + receipts_path);
    LineReader lines(fd.get(), kReceiptBytesMax);
    wire::Digest previous{};
    for (std::uint64_t number = 1;; ++number) {
        SANCTUM_TRY(std::optional<Line> line, lines.next());
        if (!line) return chain;
        if (!line->is_terminated) {
            chain.torn_bytes = line->text.size();
            return chain;
        }
        Result<OpenedReceipt> opened = open_envelope(line->text, key);
        if (!opened || opened->receipt.previous != previous) {
            chain.bad_line = number;
            chain.why = opened ? "it does not name the receipt before it" : opened.error().what;
            return chain;
        }
        previous = sha256(line->text);
        chain.receipts.push_back({opened->receipt.mission, std::move(line->text)});
    }
}

}  // namespace sanctum::ledger
