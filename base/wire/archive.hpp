// SPDX-License-Identifier: Apache-2.0
// Archives: one list of fields per struct, written and read as JSON text or as fixed-layout binary.
//
// A struct takes part by one static function template that names its fields in order:
//
//     template <class Self, class Archive> static void fields(Self& self, Archive& archive) {
//         archive("exchange", self.exchange);
//     }
//
// Binary is for what happens per exchange, JSON for set-up and control. Readers are strict: a missing member, a wrong
// type, a trailing byte or an enumerator out of range makes the whole read fail. Not a general serialisation library:
// only the types below exist.
#pragma once

#include "base/result.hpp"

#include <array>
#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace sanctum::wire {

/// A struct with a `fields` function.
template <class T>
concept Described = requires(T& value, struct AnyArchive& archive) { T::fields(value, archive); };

/// SHA-256 or any other 32 bytes; hex in JSON.
using Digest = std::array<std::uint8_t, 32>;

/// Appends a JSON string literal (quotes included). Control characters, quotes and backslashes are escaped, bytes
/// that are not valid UTF-8 become U+FFFD, so the result is always valid JSON.
void append_json_string(std::string& out, std::string_view text);

/// Lower-case hexadecimal.
[[nodiscard]] std::string to_hex(std::string_view bytes);
[[nodiscard]] std::string to_hex(const Digest& digest);

/// The inverse of to_hex; nullopt for odd length or a character outside 0-9a-f.
[[nodiscard]] std::optional<std::string> from_hex(std::string_view hex);

/// Writes little-endian integers, u32-prefixed strings and sequences.
class BinaryWriter {
public:
    template <class T>
    void operator()(std::string_view, const T& value) { put(value); }
    [[nodiscard]] std::string take() { return std::move(out_); }

    template <class T>
        requires(std::integral<T> || std::is_enum_v<T>)
    void put(T value) {
        using Wide = std::uint64_t;
        auto bits = static_cast<Wide>(value);
        for (std::size_t i = 0; i < sizeof(T); ++i, bits >>= 8U) out_.push_back(static_cast<char>(bits & 0xffU));
    }
    void put(const std::string& value) {
        put(static_cast<std::uint32_t>(value.size()));
        out_ += value;
    }
    void put(const Digest& value) { out_.append(reinterpret_cast<const char*>(value.data()), value.size()); }
    template <class T>
    void put(const std::vector<T>& values) {
        put(static_cast<std::uint32_t>(values.size()));
        for (const T& value : values) put(value);
    }
    template <class T>
    void put(const std::optional<T>& value) {
        put(static_cast<std::uint8_t>(value.has_value()));
        if (value) put(*value);
    }
    template <class V>
    void put(const std::map<std::string, V>& values) {
        put(static_cast<std::uint32_t>(values.size()));
        for (const auto& [key, value] : values) {
            put(key);
            put(value);
        }
    }
    template <class T>
        requires Described<T>
    void put(const T& value) { T::fields(value, *this); }

private:
    std::string out_;
};

/// Reads what BinaryWriter wrote. After a fault every further read gives defaults; ask finish().
class BinaryReader {
public:
    explicit BinaryReader(std::string_view in) : in_(in) {}

    template <class T>
    void operator()(std::string_view, T& value) { get(value); }

    /// True when nothing failed and every byte was used.
    [[nodiscard]] bool finish() const { return !failed_ && in_.empty(); }

    template <class T>
        requires(std::integral<T> || std::is_enum_v<T>)
    void get(T& value) {
        const std::string_view bytes = take(sizeof(T));
        std::uint64_t bits = 0;
        for (std::size_t i = bytes.size(); i-- > 0;) bits = (bits << 8U) | static_cast<std::uint8_t>(bytes[i]);
        if constexpr (std::same_as<T, bool>) {
            if (bits > 1) failed_ = true;
            value = bits == 1;
        } else {
            value = static_cast<T>(bits);
            if constexpr (requires { is_known(value); }) {
                if (!is_known(value)) failed_ = true;
            }
        }
    }
    void get(std::string& value) { value = std::string(take(count(1))); }
    void get(Digest& value) {
        const std::string_view bytes = take(value.size());
        for (std::size_t i = 0; i < bytes.size(); ++i) value[i] = static_cast<std::uint8_t>(bytes[i]);
    }
    template <class T>
    void get(std::vector<T>& values) {
        const std::size_t size = count(1);
        values.clear();
        for (std::size_t i = 0; i < size && !failed_; ++i) get(values.emplace_back());
    }
    template <class T>
    void get(std::optional<T>& value) {
        bool is_set = false;
        get(is_set);
        value.reset();
        if (is_set) get(value.emplace());
    }
    template <class V>
    void get(std::map<std::string, V>& values) {
        const std::size_t size = count(1);
        values.clear();
        for (std::size_t i = 0; i < size && !failed_; ++i) {
            std::string key;
            get(key);
            get(values[std::move(key)]);
        }
    }
    template <class T>
        requires Described<T>
    void get(T& value) { T::fields(value, *this); }

private:
    std::string_view take(std::size_t size) {
        if (failed_ || size > in_.size()) {
            failed_ = true;
            return {};
        }
        const std::string_view bytes = in_.substr(0, size);
        in_.remove_prefix(size);
        return bytes;
    }
    // A length prefix can never promise more elements than there are bytes left: no attacker-chosen allocation.
    std::size_t count(std::size_t element_bytes_min) {
        std::uint32_t size = 0;
        get(size);
        if (failed_ || size * element_bytes_min > in_.size()) {
            failed_ = true;
            return 0;
        }
        return size;
    }

    std::string_view in_;
    bool failed_ = false;
};

/// Writes compact JSON. Enumerators are written by `name_of(E)`, found by argument-dependent look-up.
class JsonWriter {
public:
    JsonWriter() { out_ = "{"; }
    template <class T>
    void operator()(std::string_view name, const T& value) {
        if (out_.back() != '{') out_.push_back(',');
        append_json_string(out_, name);
        out_.push_back(':');
        put(value);
    }
    /// The finished object.
    [[nodiscard]] std::string take() {
        out_.push_back('}');
        return std::move(out_);
    }

    void put(bool value) { out_ += value ? "true" : "false"; }
    template <class T>
        requires(std::integral<T> && !std::same_as<T, bool>)
    void put(T value) { out_ += std::to_string(value); }
    template <class T>
        requires std::is_enum_v<T>
    void put(T value) { append_json_string(out_, name_of(value)); }
    void put(const std::string& value) { append_json_string(out_, value); }
    void put(const Digest& value) { append_json_string(out_, to_hex(value)); }
    template <class T>
    void put(const std::vector<T>& values) {
        out_.push_back('[');
        for (const T& value : values) {
            if (out_.back() != '[') out_.push_back(',');
            put(value);
        }
        out_.push_back(']');
    }
    template <class T>
    void put(const std::optional<T>& value) {
        if (value) put(*value);
        else out_ += "null";
    }
    template <class V>
    void put(const std::map<std::string, V>& values) {
        out_.push_back('{');
        for (const auto& [key, value] : values) {
            if (out_.back() != '{') out_.push_back(',');
            append_json_string(out_, key);
            out_.push_back(':');
            put(value);
        }
        out_.push_back('}');
    }
    template <class T>
        requires Described<T>
    void put(const T& value) {
        out_.push_back('{');
        T::fields(value, *this);
        out_.push_back('}');
    }

private:
    std::string out_;
};

/// A borrowed place in a parsed JSON text; hides the JSON library from every header.
class JsonNode {
public:
    explicit JsonNode(const void* node) : node_(node) {}
    [[nodiscard]] bool is_null() const;
    [[nodiscard]] std::optional<JsonNode> member(std::string_view name) const;  ///< object only
    [[nodiscard]] std::optional<std::vector<JsonNode>> elements() const;       ///< array only
    [[nodiscard]] std::optional<std::vector<std::pair<std::string, JsonNode>>> members() const;
    [[nodiscard]] std::optional<std::string> text() const;
    [[nodiscard]] std::optional<bool> boolean() const;
    [[nodiscard]] std::optional<std::int64_t> integer() const;
    [[nodiscard]] std::optional<std::uint64_t> natural() const;

private:
    const void* node_;
};

/// Owns a parsed JSON text. Duplicate keys, trailing data and nesting deeper than kJsonDepthMax are errors.
class JsonText {
public:
    [[nodiscard]] static Result<JsonText> parse(std::string_view text);
    JsonText(JsonText&&) noexcept;
    JsonText& operator=(JsonText&&) noexcept;
    ~JsonText();
    [[nodiscard]] JsonNode root() const;

private:
    struct Tree;
    explicit JsonText(std::unique_ptr<Tree> tree);
    std::unique_ptr<Tree> tree_;
};

/// Reads an object of described fields from a JsonNode. Unknown members are ignored, missing ones fail, except
/// optional fields, which may be absent or null. `fault()` names the first place that failed.
class JsonReader {
public:
    explicit JsonReader(JsonNode node) : node_(node) {}

    template <class T>
    void operator()(std::string_view name, T& value) {
        if (!fault_.empty()) return;
        const std::optional<JsonNode> member = node_.member(name);
        if constexpr (requires { value.reset(); value.emplace(); }) {
            value.reset();
            if (!member || member->is_null()) return;
            if (!get(*member, value.emplace())) fault_ = name;
        } else if (!member || !get(*member, value)) {
            fault_ = name;
        }
    }
    [[nodiscard]] const std::string& fault() const { return fault_; }

private:
    bool get(JsonNode node, bool& value) { return assign(node.boolean(), value); }
    template <class T>
        requires(std::integral<T> && !std::same_as<T, bool>)
    bool get(JsonNode node, T& value) {
        if constexpr (std::is_signed_v<T>) {
            const std::optional<std::int64_t> number = node.integer();
            if (!number || !std::in_range<T>(*number)) return false;
            value = static_cast<T>(*number);
        } else {
            const std::optional<std::uint64_t> number = node.natural();
            if (!number || !std::in_range<T>(*number)) return false;
            value = static_cast<T>(*number);
        }
        return true;
    }
    template <class T>
        requires std::is_enum_v<T>
    bool get(JsonNode node, T& value) {
        const std::optional<std::string> name = node.text();
        return name && parse_name(*name, value);
    }
    bool get(JsonNode node, std::string& value) { return assign(node.text(), value); }
    bool get(JsonNode node, Digest& value) {
        const std::optional<std::string> hex = node.text();
        const std::optional<std::string> bytes = hex ? from_hex(*hex) : std::nullopt;
        if (!bytes || bytes->size() != value.size()) return false;
        for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<std::uint8_t>((*bytes)[i]);
        return true;
    }
    template <class T>
    bool get(JsonNode node, std::vector<T>& values) {
        const auto elements = node.elements();
        if (!elements) return false;
        values.clear();
        for (const JsonNode& element : *elements) {
            T value{};
            if (!get(element, value)) return false;
            values.push_back(std::move(value));
        }
        return true;
    }
    template <class T>
    bool get(JsonNode node, std::optional<T>& value) {
        value.reset();
        return node.is_null() || get(node, value.emplace());
    }
    template <class V>
    bool get(JsonNode node, std::map<std::string, V>& values) {
        const auto members = node.members();
        if (!members) return false;
        values.clear();
        for (const auto& [key, member] : *members) {
            if (!get(member, values[key])) return false;
        }
        return true;
    }
    template <class T>
        requires Described<T>
    bool get(JsonNode node, T& value) {
        JsonReader inner(node);
        T::fields(value, inner);
        return inner.fault_.empty();
    }
    template <class T>
    static bool assign(std::optional<T> from, T& to) {
        if (!from) return false;
        to = std::move(*from);
        return true;
    }

    JsonNode node_;
    std::string fault_;
};

/// Compact JSON text of a described struct.
template <class T>
[[nodiscard]] std::string to_json(const T& value) {
    JsonWriter writer;
    T::fields(value, writer);
    return writer.take();
}

/// The inverse of to_json. Errors: Protocol (not JSON; or a member missing or of the wrong type, named).
template <class T>
[[nodiscard]] Result<T> from_json(std::string_view text) {
    SANCTUM_TRY(const JsonText parsed, JsonText::parse(text));
    JsonReader reader(parsed.root());
    T value{};
    T::fields(value, reader);
    if (!reader.fault().empty()) {
        return Error{Errc::Protocol, "json member " + reader.fault() + " is missing or of the wrong type"};
    }
    return value;
}

/// Fixed-layout bytes of a described struct.
template <class T>
[[nodiscard]] std::string to_binary(const T& value) {
    BinaryWriter writer;
    T::fields(value, writer);
    return writer.take();
}

/// The inverse of to_binary. Errors: Protocol (short, long, or a value out of range).
template <class T>
[[nodiscard]] Result<T> from_binary(std::string_view bytes) {
    BinaryReader reader(bytes);
    T value{};
    T::fields(value, reader);
    if (!reader.finish()) return Error{Errc::Protocol, "binary message does not match its layout"};
    return value;
}

}  // namespace sanctum::wire
