// SPDX-License-Identifier: Apache-2.0
// The note of a consent, which lies beside the store without a seal: no crash; what is read writes back the same, and
// whatever it says, the files that an agent gets of it stay one JSON object with the members of the catalog.
#include "base/wire/archive.hpp"
#include "launcher/plan/login_files.hpp"
#include "profiles/schema/consent_record.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace sanctum;

constexpr const char* kFile =
    R"({"token":"{access_token}","who":"{email}","scopes":{scopes},"until":{expires_unix_ms}})";

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto record = wire::from_json<profiles::ConsentRecord>(text);
    if (!record.has_value()) return 0;
    const std::string written = wire::to_json(*record);
    const auto again = wire::from_json<profiles::ConsentRecord>(written);
    require(again.has_value() && wire::to_json(*again) == written);
    if (!record->shown) return 0;
    profiles::Login login;
    login.files = {{".agent/login.json", kFile}};
    const WallTime now{1'700'000'000'000};
    const auto files = launcher::login_files(login, *record->shown, record->asked, now, now);
    require(files.size() == 1);
    const auto read = wire::JsonText::parse(files.front().text);
    require(read.has_value());
    const auto members = read->root().members();
    require(members.has_value() && members->size() == 4);
    return 0;
}
