// SPDX-License-Identifier: Apache-2.0
// Somebody outside this machine's reach who is told of every signed head: what was told cannot be rewritten unnoticed,
// not even by the owner of the ledger's key.
#pragma once

#include "base/wire/archive.hpp"

#include <cstdint>
#include <string>

namespace sanctum::ledger {

/// A head as the witness gets it, one JSON object.
struct SignedHead {
    int v = 1;
    std::string mission;
    std::uint64_t head_seq = 0;
    wire::Digest head{};
    std::string signature;  ///< base64
    std::string key;        ///< SigningKey::id()
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("v", self.v);
        archive("mission", self.mission);
        archive("head_seq", self.head_seq);
        archive("head", self.head);
        archive("signature", self.signature);
        archive("key", self.key);
    }
};

/// Of the heads that a ledger has (`of`), those that the witness has taken (`told`).
struct WitnessCount {
    std::uint64_t told = 0;
    std::uint64_t of = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("told", self.told);
        archive("of", self.of);
    }
};

/// Where heads go. Used by the ledger's thread and, when that has ended, by whoever seals; never by two at once.
class HeadWitness {
public:
    virtual ~HeadWitness() = default;
    /// Hands a head over that is on disk; never waits. What cannot be handed over counts as not told.
    virtual void tell(const SignedHead& head) = 0;
    /// Waits, within a bound, for the answers that are missing, and says how many heads were taken since the start.
    [[nodiscard]] virtual std::uint64_t settle() = 0;
    /// Why a head was not told, the last one; empty when none was missed.
    [[nodiscard]] virtual std::string fault() const = 0;
};

}  // namespace sanctum::ledger
