// SPDX-License-Identifier: Apache-2.0
#include "console/absent_mission.hpp"

#include "console/missions.hpp"

#include <algorithm>

namespace sanctum::console {

std::string AbsentMission::fate() const {
    if (pruned) return "pruned on " + pruned->pruned + ": its records are gone, its receipt is in the chain";
    return "missing: its receipt is in the chain, its folder is gone and no `sanctum prune` removed it";
}

Result<AbsentMission> find_absent_mission(const Places& places, const std::string& word) {
    SANCTUM_TRY(const ledger::VerifyingKey key, ledger::VerifyingKey::load(places.ledger_public_key()));
    SANCTUM_TRY(const ledger::ReceiptChain chain, ledger::read_receipts(places.receipts(), key));
    SANCTUM_TRY(const std::vector<std::string> ids, list_missions(places));
    std::vector<const ledger::ChainedReceipt*> found;
    for (const ledger::ChainedReceipt& line : chain.receipts) {
        const bool is_meant = word == "last" || (!word.empty() && line.mission.starts_with(word));
        if (is_meant && !std::binary_search(ids.begin(), ids.end(), line.mission)) found.push_back(&line);
    }
    if (found.empty()) return Error{Errc::NotFound, "no receipt of a mission '" + word + "'"};
    // A ULID begins with its time.
    const auto [first, last] = std::minmax_element(
        found.begin(), found.end(), [](const auto* a, const auto* b) { return a->mission < b->mission; });
    if (word != "last" && found.size() > 1) {
        return Error{Errc::Limit, "'" + word + "' is the beginning of " + std::to_string(found.size()) +
                                      " missions, such as " + (*first)->mission + " and " + (*last)->mission};
    }
    SANCTUM_TRY(ledger::OpenedReceipt opened, ledger::open_envelope((*last)->envelope, key));
    SANCTUM_TRY(const ledger::PrunedMissions pruned, ledger::read_pruned(places.pruned(), key));
    AbsentMission absent{std::move(opened.receipt), std::nullopt};
    if (const ledger::Pruned* line = pruned.find((*last)->mission, (*last)->envelope)) absent.pruned = *line;
    return absent;
}

Error error_of_absent(const Places& places, const std::string& word, Error error) {
    if (error.code != Errc::NotFound) return error;
    const Result<AbsentMission> absent = find_absent_mission(places, word);
    if (!absent) return absent.error().code == Errc::NotFound ? error : absent.error();
    const std::string& id = absent->receipt.mission;
    const std::string next = absent->pruned ? " (sanctum show " + id + " prints it)" : " (see sanctum audit verify)";
    return Error{Errc::NotFound, "mission " + id + (absent->pruned ? " was " : " is ") + absent->fate() + next};
}

}  // namespace sanctum::console
