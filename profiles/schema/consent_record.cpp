// SPDX-License-Identifier: Apache-2.0
#include "profiles/schema/consent_record.hpp"

#include "base/files.hpp"
#include "base/wire/archive.hpp"
#include "profiles/schema/owned_file.hpp"

namespace sanctum::profiles {

std::string consent_record_path(const std::string& store, const std::string& account) {
    return store.substr(0, store.rfind('/') + 1) + "consents/" + account + ".json";
}

Status write_consent_record(const std::string& store, const ConsentRecord& record) {
    const std::string path = consent_record_path(store, record.account);
    SANCTUM_CHECK(make_folders(path.substr(0, path.rfind('/')), 0700));
    return write_file_atomically(path, wire::to_json(record) + "\n", 0600);
}

Result<ConsentRecord> read_consent_record(const std::string& store, const std::string& account) {
    const std::string path = consent_record_path(store, account);
    SANCTUM_TRY(const std::string text, read_owned_file(path, Secrecy::Ordinary));
    Result<ConsentRecord> record = wire::from_json<ConsentRecord>(text);
    if (!record) return std::move(record).error().in(path);
    if (record->v != 1) return Error{Errc::Unsupported, path + ": a newer Sanctum wrote it"};
    if (record->account != account) return Error{Errc::Protocol, path + ": it is the record of another account"};
    return record;
}

}  // namespace sanctum::profiles
