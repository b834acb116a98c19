// SPDX-License-Identifier: Apache-2.0
#include "ledger/pruned.hpp"

#include "base/digest.hpp"
#include "base/limits.hpp"
#include "ledger/read_ledger.hpp"

#include <cerrno>
#include <fcntl.h>

namespace sanctum::ledger {
namespace {

constexpr std::string_view kPayloadType = "application/vnd.sanctum.pruned+json";

Result<Pruned> parse(std::string_view line, const VerifyingKey& key) {
    SANCTUM_TRY(const std::string payload, open_payload("line", kPayloadType, line, key));
    SANCTUM_TRY(Pruned pruned, wire::from_json<Pruned>(payload));
    if (pruned.schema != Pruned().schema) {
        return Error{Errc::Unsupported, "it has schema " + pruned.schema + "; read it with a newer Sanctum"};
    }
    return pruned;
}

}  // namespace

const Pruned* PrunedMissions::find(const std::string& mission, std::string_view receipt_line) const {
    const auto found = missions.find(mission);
    return found != missions.end() && found->second.receipt == sha256(receipt_line) ? &found->second : nullptr;
}

Result<PrunedMissions> read_pruned(const std::string& path, const VerifyingKey& key) {
    PrunedMissions all;
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!fd && errno == ENOENT) return all;
    if (!fd) return io_error("open " + path);
    LineReader lines(fd.get(), kReceiptBytesMax);
    for (std::uint64_t number = 1;; ++number) {
        SANCTUM_TRY(const std::optional<Line> line, lines.next());
        if (!line || !line->is_terminated) return all;
        Result<Pruned> pruned = parse(line->text, key);
        if (!pruned) {
            all.bad_line = number;
            all.why = pruned.error().what;
            return all;
        }
        std::string mission = pruned->mission;
        all.missions.insert_or_assign(std::move(mission), std::move(*pruned));
    }
}

Status append_pruned(int fd, const std::string& path, const Pruned& pruned, const SigningKey& key) {
    SANCTUM_TRY(const EnvelopesTail tail, read_envelopes_tail(fd, path));
    return append_envelope(fd, path, tail, seal_payload(kPayloadType, wire::to_json(pruned), key));
}

}  // namespace sanctum::ledger
