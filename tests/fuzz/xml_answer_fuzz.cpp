// SPDX-License-Identifier: Apache-2.0
// A provider's answer in XML: no crash; what was read can be asked for.
#include "vault/http/xml_answer.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    sanctum::vault::HttpResponse response;
    response.headers = {{"content-type", "text/xml"}};
    response.body = sanctum::Secret(std::string_view(reinterpret_cast<const char*>(data), size));
    auto xml = sanctum::vault::XmlAnswer::parse(response);
    if (!xml) return 0;
    const std::string path = "AssumeRoleResponse/AssumeRoleResult/Credentials/SessionToken";
    const std::string text = xml->text(path);
    if (xml->take_secret(path).reveal() != text || !xml->text(path).empty()) std::abort();
    return 0;
}
