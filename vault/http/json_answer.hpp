// SPDX-License-Identifier: Apache-2.0
// JSON from outside, a provider's answer or a program's output: one object, read strictly; the only file of the vault
// that knows the JSON library.
#pragma once

#include "base/result.hpp"
#include "vault/http/http_client.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::vault {

/// Move-only; its texts are wiped with it.
class JsonAnswer {
public:
    /// Errors: Protocol (not JSON by its content type or its text, not one object, a member twice, nested deeper
    /// than kJsonDepthMax). Nothing of the answer is in the sentence.
    [[nodiscard]] static Result<JsonAnswer> parse(const HttpResponse& response);
    /// The same for a text of another kind, which the sentence calls `what` ("the key file").
    [[nodiscard]] static Result<JsonAnswer> parse_text(std::string_view text, const std::string& what);
    JsonAnswer(JsonAnswer&& other) noexcept;
    JsonAnswer& operator=(JsonAnswer&& other) noexcept;
    ~JsonAnswer();

    /// Members of the top object. A member of another kind is as good as absent.
    [[nodiscard]] bool has(std::string_view name) const;
    [[nodiscard]] std::string text(std::string_view name) const;
    /// A whole number, or the text of one; absent too where 64 bits do not hold it.
    [[nodiscard]] std::optional<std::int64_t> number(std::string_view name) const;
    /// The member as JSON text; empty when there is none. The caller knows that it is no secret.
    [[nodiscard]] std::string json_text_of(std::string_view name) const;
    /// Each member's name, in order of the letters.
    [[nodiscard]] std::vector<std::string> names() const;
    /// True or false; absent: there is no such member.
    [[nodiscard]] std::optional<bool> boolean(std::string_view name) const;
    /// The texts of a list; absent: there is no such list, or something else than text is in it.
    [[nodiscard]] std::optional<std::vector<std::string>> texts(std::string_view name) const;
    /// The text as a secret; what the answer held is wiped.
    [[nodiscard]] Secret take_secret(std::string_view name);
    /// The object `name`, taken out of this one; an empty one when there is none.
    [[nodiscard]] JsonAnswer take_object(std::string_view name);
    /// The objects of the list `name`, taken out; absent: there is no such list, or something else is in it.
    [[nodiscard]] std::optional<std::vector<JsonAnswer>> take_objects(std::string_view name);
    /// The texts of the list `name`; elements of another kind are left out.
    [[nodiscard]] std::vector<std::string> text_elements(std::string_view name) const;
    /// `name: value` of each text member of the object `name`.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> texts_of(std::string_view name) const;

private:
    struct State;
    explicit JsonAnswer(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sanctum::vault
