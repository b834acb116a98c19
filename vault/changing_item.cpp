// SPDX-License-Identifier: Apache-2.0
#include "vault/changing_item.hpp"

namespace sanctum::vault {
namespace {

Error removed(const std::string& store, const std::string& name) {
    return {Errc::NotFound, store + ": item `" + name + "` is not there any more"};
}

}  // namespace

Result<Secret> ChangingItem::read() const {
    SANCTUM_TRY(const SealedBytes sealed, load_store(store_));
    Result<StoredItems> items = open_store(sealed, *data_key_);
    if (!items) return std::move(items).error().in(store_);
    const auto found = items->find(name_);
    if (found == items->end()) return removed(store_, name_);
    return Secret(found->second.value.reveal());
}

Status ChangingItem::replace(const Secret& value) const {
    return change_store(store_, *data_key_, [&](StoredItems& items) -> Result<Change> {
        const auto found = items.find(name_);
        if (found == items.end()) return removed(store_, name_);
        found->second.value = LockedBytes(value.reveal());
        return Change::Write;
    });
}

}  // namespace sanctum::vault
