// SPDX-License-Identifier: Apache-2.0
// What the journal holds for the reaper: no crash of what is no sealed box, and none of what is one, whoever sealed it;
// what is read seals and reads back the same.
#include "base/wire/archive.hpp"
#include "vault/retirement.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sodium.h>
#include <string>
#include <string_view>

namespace {

using namespace sanctum;
using namespace sanctum::vault;

void require(bool holds) {
    if (!holds) std::abort();
}

struct Reaper {
    ReaperKey key;
    std::string public_key;

    static const Reaper& instance() {
        static const Reaper& reaper = *[] {
            std::string folder = std::filesystem::temp_directory_path() / "retirement-fuzz-XXXXXX";
            require(::mkdtemp(folder.data()) != nullptr);
            auto key = ReaperKey::open(folder);
            require(key.has_value());
            std::ifstream file(folder + "/reaper.key", std::ios::binary);
            const std::string secret((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
            require(secret.size() == crypto_box_SECRETKEYBYTES);
            std::string open(crypto_box_PUBLICKEYBYTES, '\0');
            ::crypto_scalarmult_base(reinterpret_cast<unsigned char*>(open.data()),
                                     reinterpret_cast<const unsigned char*>(secret.data()));
            std::filesystem::remove_all(folder);
            return new Reaper{*std::move(key), std::move(open)};
        }();
        return reaper;
    }

    [[nodiscard]] std::string seal(std::string_view plain) const {
        std::string sealed(plain.size() + crypto_box_SEALBYTES, '\0');
        require(::crypto_box_seal(reinterpret_cast<unsigned char*>(sealed.data()),
                                  reinterpret_cast<const unsigned char*>(plain.data()), plain.size(),
                                  reinterpret_cast<const unsigned char*>(public_key.data())) == 0);
        return wire::to_hex(sealed);
    }
};

bool is_same(const Retirement& one, const Retirement& other) {
    const HttpRequest& a = one.request;
    const HttpRequest& b = other.request;
    return one.provider == other.provider && a.method == b.method && a.url == b.url && a.headers == b.headers &&
           a.authorization.equals(b.authorization) && a.body.equals(b.body) && one.account == other.account &&
           one.handle == other.handle && one.leaves == other.leaves && one.also_gone.size() == other.also_gone.size() &&
           one.unknown_is_gone == other.unknown_is_gone && one.when_denied == other.when_denied &&
           (one.next == nullptr) == (other.next == nullptr) && (!one.next || is_same(*one.next, *other.next));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const Reaper& reaper = Reaper::instance();
    require(!reaper.key.unseal(std::string(bytes)).has_value());
    const auto read = reaper.key.unseal(reaper.seal(bytes));
    if (!read.has_value()) return 0;
    const auto again = reaper.key.unseal(reaper.key.seal().seal(*read));
    require(again.has_value() && is_same(*read, *again));
    return 0;
}
