// SPDX-License-Identifier: Apache-2.0
#include "ledger/seal.hpp"

namespace sanctum::ledger {

Result<Sealed> seal_chain(ChainFile& chain, MissionEnded ended, const std::string& receipts_path,
                          Published published, const Clock& clock) {
    chain.release_reserve();
    HeadWitness* const witness = chain.witness();
    if (!chain.is_ended()) {
        ended.repaired += chain.repaired();
        if (witness != nullptr) ended.witness = WitnessCount{witness->settle(), chain.heads()};
        LineRecord record = std::move(ended);
        bound_record(record);
        chain.add(clock.wall(), record);
    }
    if (!chain.is_signed()) chain.add_head(clock.wall());
    SANCTUM_CHECK(chain.write());
    SANCTUM_CHECK(chain.sync());
    Receipt receipt = chain.receipt().build();
    receipt.head = {chain.records() - 1, chain.head()};
    Sealed sealed{chain.folder() + "/ledger.jsonl", chain.folder() + "/receipt.json", chain.head()};
    if (witness != nullptr) {
        receipt.witness = WitnessCount{witness->settle(), chain.heads()};
        sealed.witness = receipt.witness;
        sealed.witness_fault = witness->fault();
    }
    SANCTUM_CHECK(publish_receipt(std::move(receipt), chain.key(), chain.folder(), receipts_path, published));
    return sealed;
}

}  // namespace sanctum::ledger
