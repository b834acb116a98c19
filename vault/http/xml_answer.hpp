// SPDX-License-Identifier: Apache-2.0
// A provider's answer in XML: elements and texts, read strictly; nothing that XML has besides is accepted.
#pragma once

#include "base/result.hpp"
#include "vault/http/http_client.hpp"

#include <map>
#include <string>
#include <string_view>

namespace sanctum::vault {

/// Move-only; its texts are wiped with it.
class XmlAnswer {
public:
    /// Errors: Protocol (no XML by its content type; anything but one tree of elements with texts and the five named
    /// entities; two elements of one path; deeper than kXmlDepthMax). Nothing of the answer is in the sentence.
    [[nodiscard]] static Result<XmlAnswer> parse(const HttpResponse& response);

    /// The text of the element at `path`, as in `ErrorResponse/Error/Code`; empty when absent.
    [[nodiscard]] std::string text(std::string_view path) const;
    [[nodiscard]] bool has(std::string_view path) const { return texts_.contains(path); }
    /// The text as a secret; what the answer held is wiped.
    [[nodiscard]] Secret take_secret(std::string_view path);

private:
    friend class XmlReader;
    std::map<std::string, Secret, std::less<>> texts_;  ///< of elements without children, by path
};

}  // namespace sanctum::vault
