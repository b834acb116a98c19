// SPDX-License-Identifier: Apache-2.0
// One item of the sealed store that changes while missions run: a refresh token that every use replaces.
#pragma once

#include "base/result.hpp"
#include "vault/store.hpp"

#include <memory>
#include <string>

namespace sanctum::vault {

/// Reads the item afresh each time: another mission may have replaced it. Keeps the store's data key.
class ChangingItem {
public:
    ChangingItem(std::string store, std::shared_ptr<const LockedBytes> data_key, std::string name)
        : store_(std::move(store)), data_key_(std::move(data_key)), name_(std::move(name)) {}

    /// Errors: as load_store and open_store; NotFound (the item was removed meanwhile).
    [[nodiscard]] Result<Secret> read() const;
    /// Durable when it returns. Errors: as change_store; NotFound.
    [[nodiscard]] Status replace(const Secret& value) const;
    /// The file whose lock makes its holder the only user of the item on this machine.
    [[nodiscard]] std::string lock_path() const { return store_ + "." + name_ + ".lock"; }

private:
    std::string store_;
    std::shared_ptr<const LockedBytes> data_key_;
    std::string name_;
};

}  // namespace sanctum::vault
