// SPDX-License-Identifier: Apache-2.0
// The strict reader judges whether the body is JSON that can be read in one way only; then one walk per pointer finds
// where the values lie, which the reader does not tell. The walk only sees text that was accepted, and still checks
// every step: a disagreement is an error.
#include "interceptor/rewrite/redact.hpp"

#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "interceptor/http/grammar.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

namespace sanctum::interceptor {
namespace {

using Names = std::span<const std::string>;

constexpr std::string_view kEvery = "*";

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// RFC 6901, section 4: ~1 is a slash, ~0 a tilde.
std::vector<std::string> names_of(std::string_view pointer) {
    std::vector<std::string> names;
    for (std::size_t at = 0; at < pointer.size(); ++at) {
        if (pointer[at] == '/') {
            names.emplace_back();
        } else if (pointer[at] == '~' && at + 1 < pointer.size()) {
            names.back() += pointer[++at] == '1' ? '/' : '~';
        } else {
            names.back() += pointer[at];
        }
    }
    return names;
}

/// Finds what one pointer names. Depth of recursion is the pointer's, never the text's.
class Walk {
public:
    explicit Walk(std::string& text) : text_(text) {}

    Result<std::size_t> run(Names names) {
        skip_spaces();
        SANCTUM_CHECK(visit(names));
        skip_spaces();
        if (at_ != text_.size()) return lost();
        return starred_;
    }

private:
    Status visit(Names names) {
        if (names.empty()) return star_value();
        if (peek() == '{') return visit_object(names);
        if (peek() == '[') return visit_array(names);
        return skip_value();
    }

    Status visit_object(Names names) {
        return each_element('{', '}', [&](std::size_t) -> Status {
            const std::size_t begin = at_;
            SANCTUM_CHECK(skip_string());
            const bool is_named = names.front() == kEvery || string_at(begin) == names.front();
            skip_spaces();
            SANCTUM_CHECK(take(':'));
            skip_spaces();
            return is_named ? visit(names.subspan(1)) : skip_value();
        });
    }

    Status visit_array(Names names) {
        const std::optional<std::uint64_t> wanted = parse_decimal(names.front());
        const bool is_every = names.front() == kEvery;
        return each_element('[', ']', [&](std::size_t index) -> Status {
            return is_every || (wanted && index == *wanted) ? visit(names.subspan(1)) : skip_value();
        });
    }

    template <class Use>
    Status each_element(char open, char close, Use use) {
        SANCTUM_CHECK(take(open));
        skip_spaces();
        if (peek() == close) return take(close);
        for (std::size_t index = 0;; ++index) {
            skip_spaces();
            SANCTUM_CHECK(use(index));
            skip_spaces();
            if (peek() == close) return take(close);
            SANCTUM_CHECK(take(','));
        }
    }

    Status star_value() {
        const std::size_t begin = at_;
        SANCTUM_CHECK(skip_value());
        const std::size_t length = at_ - begin;
        const std::string_view value = std::string_view(text_).substr(begin, length);
        if (value == "null" || value == R"("")") return {};
        if (length == 1) {
            text_[begin] = '0';
        } else {
            std::fill_n(text_.begin() + static_cast<std::ptrdiff_t>(begin), length, '*');
            text_[begin] = text_[at_ - 1] = '"';
        }
        ++starred_;
        return {};
    }

    /// Past one value of any kind.
    Status skip_value() {
        std::size_t depth = 0;
        do {
            skip_spaces();
            const char c = peek();
            if (c == '"') {
                SANCTUM_CHECK(skip_string());
            } else if (c == '{' || c == '[') {
                ++depth;
                ++at_;
            } else if (c == '}' || c == ']') {
                if (depth == 0) return lost();
                --depth;
                ++at_;
            } else if (depth > 0 && (c == ',' || c == ':')) {
                ++at_;
            } else {
                SANCTUM_CHECK(skip_literal());
            }
        } while (depth > 0);
        return {};
    }

    Status skip_string() {
        SANCTUM_CHECK(take('"'));
        while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2U : 1U;
        return take('"');
    }

    /// A number, true, false or null.
    Status skip_literal() {
        const std::size_t begin = at_;
        at_ = std::min(text_.find_first_of(",:]}{[\" \t\n\r", at_), text_.size());
        return at_ == begin ? Status(lost()) : Status();
    }

    void skip_spaces() {
        while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    }
    [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    Status take(char c) {
        if (at_ >= text_.size() || text_[at_] != c) return lost();
        ++at_;
        return {};
    }

    /// The string between `begin` and here, its escapes resolved.
    [[nodiscard]] std::string string_at(std::size_t begin) const {
        const std::string_view quoted = std::string_view(text_).substr(begin, at_ - begin);
        if (quoted.find('\\') == std::string_view::npos) return std::string(quoted.substr(1, quoted.size() - 2));
        const Result<wire::JsonText> parsed = wire::JsonText::parse(quoted);
        return parsed ? parsed->root().text().value_or("") : std::string();
    }

    static Error lost() { return Error{Errc::Protocol, "the answer's JSON could not be followed"}; }

    std::string& text_;
    std::size_t at_ = 0;
    std::size_t starred_ = 0;
};

bool is_json_type(std::string_view content_type) {
    const std::string type = lower_case(trim(content_type.substr(0, content_type.find(';'))));
    return type == "application/json" || (type.starts_with("application/") && type.ends_with("+json"));
}

}  // namespace

Status check_redactable(const ResponseHead& head) {
    if (head.framing == Framing::None) return {};
    bool is_json = false;
    for (const Field& field : head.fields) {
        const bool is_identity = equals_ignoring_case(trim(field.value), "identity");
        if (field.name == "content-encoding" && !is_identity) {
            return Error{Errc::Protocol, "the answer has to be redacted and is encoded (" + field.value + ")"};
        }
        if (field.name != "content-type") continue;
        is_json = is_json_type(field.value);
        if (!is_json) break;
    }
    if (head.status == 206) return Error{Errc::Protocol, "the answer has to be redacted and is only a part"};
    if (head.framing == Framing::Length && head.content_length > kRedactedBodyBytesMax) {
        return Error{Errc::Limit, "the answer has to be redacted and is too large"};
    }
    const bool is_empty = head.framing == Framing::Length && head.content_length == 0;
    if (!is_json && !is_empty) return Error{Errc::Protocol, "the answer has to be redacted and is not JSON"};
    return {};
}

Result<std::size_t> redact(std::string& body, const std::vector<std::string>& pointers) {
    if (body.empty()) return std::size_t{0};
    const Result<wire::JsonText> judged = wire::JsonText::parse(body);
    if (!judged) return Error{Errc::Protocol, "the answer has to be redacted and is " + judged.error().what};
    std::size_t starred = 0;
    for (const std::string& pointer : pointers) {
        if (!pointer.starts_with('/')) return Error{Errc::Protocol, "the catalog's pointer is none: " + pointer};
        SANCTUM_TRY(const std::size_t found, Walk(body).run(names_of(pointer)));
        starred += found;
    }
    return starred;
}

}  // namespace sanctum::interceptor
