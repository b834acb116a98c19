// SPDX-License-Identifier: Apache-2.0
#include "base/wire/archive.hpp"

#include "base/wire/json_depth.hpp"

#include <nlohmann/json.hpp>

#include <set>

namespace sanctum::wire {
namespace {

using Json = nlohmann::json;

const Json& tree_of(const void* node) { return *static_cast<const Json*>(node); }

// Length of the valid UTF-8 sequence at the start of `text`, 0 when there is none (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF).
std::size_t utf8_sequence_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0U) == 0x80U; };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (!continues(1) || !continues(2)) return 0;
        if (lead == 0xe0 && byte(1) < 0xa0) return 0;
        if (lead == 0xed && byte(1) > 0x9f) return 0;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (!continues(1) || !continues(2) || !continues(3)) return 0;
        if (lead == 0xf0 && byte(1) < 0x90) return 0;
        if (lead == 0xf4 && byte(1) > 0x8f) return 0;
        return 4;
    }
    return 0;
}

// Refuses what the library would accept silently: duplicate keys.
class StrictKeys {
public:
    bool operator()(Json::parse_event_t event, Json& parsed) {
        if (event == Json::parse_event_t::object_start) keys_.emplace_back();
        if (event == Json::parse_event_t::object_end && !keys_.empty()) keys_.pop_back();
        if (event == Json::parse_event_t::key && !keys_.empty()) {
            const bool is_new = keys_.back().insert(parsed.get<std::string>()).second;
            if (!is_new) repeated_ = true;
        }
        return true;
    }
    [[nodiscard]] bool is_clean() const { return !repeated_; }

private:
    std::vector<std::set<std::string>> keys_;
    bool repeated_ = false;
};

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    static constexpr char kHex[] = "0123456789abcdef";
    out.push_back('"');
    std::size_t i = 0;
    while (i < text.size()) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(static_cast<char>(c));
            ++i;
        } else if (c < 0x20 || c == 0x7f) {
            out += "\\u00";
            out.push_back(kHex[c >> 4U]);
            out.push_back(kHex[c & 15U]);
            ++i;
        } else if (c < 0x80) {
            out.push_back(static_cast<char>(c));
            ++i;
        } else if (const std::size_t length = utf8_sequence_length(text.substr(i)); length > 0) {
            out.append(text.substr(i, length));
            i += length;
        } else {
            out += "\xef\xbf\xbd";
            ++i;
        }
    }
    out.push_back('"');
}

std::string to_hex(std::string_view bytes) {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        out.push_back(kHex[static_cast<unsigned char>(c) >> 4U]);
        out.push_back(kHex[static_cast<unsigned char>(c) & 15U]);
    }
    return out;
}

std::string to_hex(const Digest& digest) {
    return to_hex(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

std::optional<std::string> from_hex(std::string_view hex) {
    const auto value_of = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        return -1;
    };
    if (hex.size() % 2 != 0) return std::nullopt;
    std::string out;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const int high = value_of(hex[i]);
        const int low = value_of(hex[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out.push_back(static_cast<char>(high * 16 + low));
    }
    return out;
}

bool JsonNode::is_null() const { return tree_of(node_).is_null(); }

std::optional<JsonNode> JsonNode::member(std::string_view name) const {
    const Json& tree = tree_of(node_);
    if (!tree.is_object()) return std::nullopt;
    const auto found = tree.find(std::string(name));
    if (found == tree.end()) return std::nullopt;
    return JsonNode(&*found);
}

std::optional<std::vector<JsonNode>> JsonNode::elements() const {
    const Json& tree = tree_of(node_);
    if (!tree.is_array()) return std::nullopt;
    std::vector<JsonNode> out;
    for (const Json& element : tree) out.emplace_back(&element);
    return out;
}

std::optional<std::vector<std::pair<std::string, JsonNode>>> JsonNode::members() const {
    const Json& tree = tree_of(node_);
    if (!tree.is_object()) return std::nullopt;
    std::vector<std::pair<std::string, JsonNode>> out;
    for (const auto& [key, value] : tree.items()) out.emplace_back(key, JsonNode(&value));
    return out;
}

std::optional<std::string> JsonNode::text() const {
    const Json& tree = tree_of(node_);
    if (!tree.is_string()) return std::nullopt;
    return tree.get<std::string>();
}

std::optional<bool> JsonNode::boolean() const {
    const Json& tree = tree_of(node_);
    if (!tree.is_boolean()) return std::nullopt;
    return tree.get<bool>();
}

std::optional<std::int64_t> JsonNode::integer() const {
    const Json& tree = tree_of(node_);
    if (!tree.is_number_integer()) return std::nullopt;
    if (tree.is_number_unsigned() && !std::in_range<std::int64_t>(tree.get<std::uint64_t>())) return std::nullopt;
    return tree.get<std::int64_t>();
}

std::optional<std::uint64_t> JsonNode::natural() const {
    const Json& tree = tree_of(node_);
    if (!tree.is_number_unsigned()) return std::nullopt;
    return tree.get<std::uint64_t>();
}

struct JsonText::Tree {
    Json json;
};

JsonText::JsonText(std::unique_ptr<Tree> tree) : tree_(std::move(tree)) {}
JsonText::JsonText(JsonText&&) noexcept = default;
JsonText& JsonText::operator=(JsonText&&) noexcept = default;
JsonText::~JsonText() = default;

Result<JsonText> JsonText::parse(std::string_view text) {
    if (is_too_deep(text)) return Error{Errc::Protocol, "JSON nested too deeply"};
    StrictKeys strict;
    auto tree = std::make_unique<Tree>();
    tree->json = Json::parse(
        text, [&](int, Json::parse_event_t event, Json& parsed) { return strict(event, parsed); },
        /*allow_exceptions=*/false);
    if (tree->json.is_discarded()) return Error{Errc::Protocol, "not valid JSON"};
    if (!strict.is_clean()) return Error{Errc::Protocol, "JSON with a repeated key"};
    return JsonText(std::move(tree));
}

JsonNode JsonText::root() const { return JsonNode(&tree_->json); }

}  // namespace sanctum::wire
