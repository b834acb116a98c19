// SPDX-License-Identifier: Apache-2.0
#include "vault/http/json_answer.hpp"

#include "base/wire/json_depth.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <set>
#include <utility>

namespace sanctum::vault {

struct JsonAnswer::State {
    nlohmann::json json;
};

namespace {

using nlohmann::json;

// `application/json`, `application/problem+json; charset=utf-8`; the rest of the field does not matter.
bool is_json_type(std::string_view field) {
    const std::string_view type = field.substr(0, field.find(';'));
    std::string lower;
    for (const char c : type) {
        if (c != ' ' && c != '\t') lower.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
    }
    return lower == "application/json" || (lower.starts_with("application/") && lower.ends_with("+json"));
}

// Two members of one name are two answers; which of them counts is nobody's to guess.
class Members {
public:
    bool take(json::parse_event_t event, const json& value) {
        if (event == json::parse_event_t::object_start) seen_.emplace_back();
        if (event == json::parse_event_t::object_end) seen_.pop_back();
        if (event == json::parse_event_t::key && !seen_.back().insert(value.get<std::string>()).second) twice_ = true;
        return true;
    }
    [[nodiscard]] bool has_twice() const { return twice_; }

private:
    std::vector<std::set<std::string>> seen_;
    bool twice_ = false;
};

void wipe_texts(json& value) {
    if (value.is_string()) wipe(value.get_ref<std::string&>());
    if (!value.is_structured()) return;
    for (json& element : value) wipe_texts(element);
}

}  // namespace

JsonAnswer::JsonAnswer(std::unique_ptr<State> state) : state_(std::move(state)) {}
JsonAnswer::JsonAnswer(JsonAnswer&& other) noexcept = default;
JsonAnswer& JsonAnswer::operator=(JsonAnswer&& other) noexcept = default;
JsonAnswer::~JsonAnswer() {
    if (state_) wipe_texts(state_->json);
}

Result<JsonAnswer> JsonAnswer::parse(const HttpResponse& response) {
    if (!is_json_type(response.header("content-type"))) {
        return Error{Errc::Protocol, "status " + std::to_string(response.status) + ", and the answer is not JSON"};
    }
    return parse_text(response.body.reveal(), "the answer");
}

Result<JsonAnswer> JsonAnswer::parse_text(std::string_view text, const std::string& what) {
    if (wire::is_too_deep(text)) return Error{Errc::Protocol, what + " is JSON nested too deeply"};
    Members members;
    auto state = std::make_unique<State>();
    state->json = json::parse(
        text.begin(), text.end(),
        [&](int /*depth*/, json::parse_event_t event, json& value) { return members.take(event, value); },
        /*allow_exceptions=*/false);
    JsonAnswer answer(std::move(state));
    if (answer.state_->json.is_discarded()) return Error{Errc::Protocol, what + " is broken JSON"};
    if (!answer.state_->json.is_object()) return Error{Errc::Protocol, what + " is no JSON object"};
    if (members.has_twice()) return Error{Errc::Protocol, what + " has a member twice"};
    return answer;
}

bool JsonAnswer::has(std::string_view name) const {
    const auto found = state_->json.find(name);
    return found != state_->json.end() && !found->is_null();
}

std::string JsonAnswer::text(std::string_view name) const {
    const auto found = state_->json.find(name);
    return found != state_->json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::int64_t> JsonAnswer::number(std::string_view name) const {
    const auto found = state_->json.find(name);
    if (found == state_->json.end()) return std::nullopt;
    if (found->is_number_unsigned() && !std::in_range<std::int64_t>(found->get<std::uint64_t>())) return std::nullopt;
    if (found->is_number_integer()) return found->get<std::int64_t>();
    if (!found->is_string()) return std::nullopt;
    const auto& text = found->get_ref<const std::string&>();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string JsonAnswer::json_text_of(std::string_view name) const {
    const auto found = state_->json.find(name);
    if (found == state_->json.end()) return {};
    return found->dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
}

std::vector<std::string> JsonAnswer::names() const {
    std::vector<std::string> names;
    for (const auto& [name, value] : state_->json.items()) names.push_back(name);
    return names;
}

std::optional<bool> JsonAnswer::boolean(std::string_view name) const {
    const auto found = state_->json.find(name);
    if (found == state_->json.end() || !found->is_boolean()) return std::nullopt;
    return found->get<bool>();
}

std::optional<std::vector<std::string>> JsonAnswer::texts(std::string_view name) const {
    const auto found = state_->json.find(name);
    if (found == state_->json.end() || !found->is_array()) return std::nullopt;
    std::vector<std::string> texts;
    for (const json& element : *found) {
        if (!element.is_string()) return std::nullopt;
        texts.push_back(element.get<std::string>());
    }
    return texts;
}

Secret JsonAnswer::take_secret(std::string_view name) {
    const auto found = state_->json.find(name);
    if (found == state_->json.end() || !found->is_string()) return {};
    auto& text = found->get_ref<std::string&>();
    Secret secret(text);
    wipe(text);
    return secret;
}

JsonAnswer JsonAnswer::take_object(std::string_view name) {
    auto state = std::make_unique<State>();
    state->json = json::object();
    const auto found = state_->json.find(name);
    if (found != state_->json.end() && found->is_object()) state->json.swap(*found);
    return JsonAnswer(std::move(state));
}

std::optional<std::vector<JsonAnswer>> JsonAnswer::take_objects(std::string_view name) {
    const auto found = state_->json.find(name);
    if (found == state_->json.end() || !found->is_array()) return std::nullopt;
    for (const json& element : *found) {
        if (!element.is_object()) return std::nullopt;
    }
    std::vector<JsonAnswer> objects;
    for (json& element : *found) {
        auto state = std::make_unique<State>();
        state->json = json::object();
        state->json.swap(element);
        objects.push_back(JsonAnswer(std::move(state)));
    }
    return objects;
}

std::vector<std::string> JsonAnswer::text_elements(std::string_view name) const {
    std::vector<std::string> out;
    const auto found = state_->json.find(name);
    if (found == state_->json.end() || !found->is_array()) return out;
    for (const json& element : *found) {
        if (element.is_string()) out.push_back(element.get<std::string>());
    }
    return out;
}

std::vector<std::pair<std::string, std::string>> JsonAnswer::texts_of(std::string_view name) const {
    std::vector<std::pair<std::string, std::string>> texts;
    const auto found = state_->json.find(name);
    if (found == state_->json.end() || !found->is_object()) return texts;
    for (const auto& [key, value] : found->items()) {
        if (value.is_string()) texts.emplace_back(key, value.get<std::string>());
    }
    return texts;
}

}  // namespace sanctum::vault
