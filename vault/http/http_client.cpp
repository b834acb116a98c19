// SPDX-License-Identifier: Apache-2.0
#include "vault/http/http_client.hpp"

namespace sanctum::vault {

std::string_view HttpResponse::header(std::string_view name) const {
    const auto found = headers.find(std::string(name));
    return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

Secret bearer(const Secret& token) {
    std::string value = "Bearer ";
    value.reserve(value.size() + token.size());
    value += token.reveal();
    Secret out(value);
    wipe(value);
    return out;
}

}  // namespace sanctum::vault
