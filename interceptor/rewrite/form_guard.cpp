// SPDX-License-Identifier: Apache-2.0
// Servers differ in how they read a form, so this reads more into it than any of them: `;` separates fields as well, a
// delimiter counts wherever it stands, and brackets around a name are left out.
#include "interceptor/rewrite/form_guard.hpp"

#include "base/limits.hpp"
#include "interceptor/http/grammar.hpp"

#include <algorithm>

namespace sanctum::interceptor {
namespace {

constexpr std::string_view kMethodWord = "method";
constexpr std::string_view kHttpMethodWord = "httpmethod";  // Salesforce
constexpr std::size_t kBoundaryBytesMax = 70;  // RFC 2046, section 5.1.1

Error unwatchable(const std::string& why) {
    return Error{Errc::Denied, "a form could name another method than the one that was decided on: " + why};
}

bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char); }

// A comma makes a list of it, of which some servers take the first and some the last.
bool is_list(std::string_view content_type) {
    bool is_quoted = false;
    for (const char c : content_type) {
        if (c == '"') is_quoted = !is_quoted;
        if (c == ',' && !is_quoted) return true;
    }
    return is_quoted;
}

// RFC 9110 8.3.1. Whatever else stands there is read as a form by some: PHP ends the type at a blank or comma.
Result<std::string> type_of(std::string_view content_type) {
    const std::string type = lower_case(trim(content_type.substr(0, content_type.find(';'))));
    if (type.empty()) return type;
    const std::size_t slash = type.find('/');
    const bool is_plain = slash != std::string::npos && is_token(std::string_view(type).substr(0, slash)) &&
                          is_token(std::string_view(type).substr(slash + 1));
    if (!is_plain || is_list(content_type)) return unwatchable("its content-type is not one type");
    return type;
}

bool is_boundary_char(char c) {
    return is_digit(c) || (lower_case(c) >= 'a' && lower_case(c) <= 'z') ||
           std::string_view("'()+_,-./:=?").find(c) != std::string_view::npos;
}

Result<std::string> boundary_of(std::string_view content_type) {
    constexpr std::string_view word = "boundary=";
    const std::string lower = lower_case(content_type);
    const std::size_t at = lower.find("boundary");
    if (at == std::string::npos || at != lower.find(word) || lower.find("boundary", at + 1) != std::string::npos) {
        return unwatchable("it has not exactly one boundary");
    }
    std::string_view rest = content_type.substr(at + word.size());
    const bool is_quoted = rest.starts_with('"');
    if (is_quoted) rest.remove_prefix(1);
    const std::string_view boundary = rest.substr(0, rest.find_first_of(is_quoted ? "\"" : "; \t"));
    const bool is_plain = !boundary.empty() && boundary.size() <= kBoundaryBytesMax &&
                          std::all_of(boundary.begin(), boundary.end(), is_boundary_char);
    if (!is_plain) return unwatchable("its boundary is not a plain word");
    return std::string(boundary);
}

/// Does the head of a part give it a name that stands for the method?
bool names_method(std::string_view part_head) {
    std::string text = lower_case(percent_decode(part_head).value_or(std::string(part_head)));
    std::erase(text, '\\');
    for (std::size_t at = text.find(kMethodWord); at != std::string::npos; at = text.find(kMethodWord, at + 1)) {
        if (at < 2 || (text[at - 1] != '_' && text[at - 1] != '.')) continue;
        const bool is_begin = std::string_view("=\"'[] \t").find(text[at - 2]) != std::string_view::npos;
        const std::size_t behind = at + kMethodWord.size();
        const bool is_end = behind == text.size() || !(is_token_char(text[behind])) || text[behind] == '\'';
        if (is_begin && is_end) return true;
    }
    return false;
}

}  // namespace

bool is_method_field(std::string_view name) {
    const auto begin = std::min(name.find_first_not_of(" []"), name.size());
    name.remove_prefix(begin);
    while (name.ends_with(']')) name.remove_suffix(1);
    const bool is_prefixed = name.starts_with('_') || name.starts_with('.');  // PHP reads a dot as an underscore
    if (!is_prefixed) return false;
    return equals_ignoring_case(name.substr(1), kMethodWord) || equals_ignoring_case(name.substr(1), kHttpMethodWord);
}

Result<FormGuard> FormGuard::create(const RequestHead& head, const profiles::Endpoint* endpoint) {
    FormGuard guard;
    const bool is_credentialed = endpoint != nullptr && endpoint->form != profiles::AuthForm::None;
    if (!is_credentialed || head.method != "POST" || !head.has_body()) return guard;
    const auto is_type = [](const Field& field) { return field.name == "content-type"; };
    const auto type = std::find_if(head.fields.begin(), head.fields.end(), is_type);
    std::string name;
    if (type != head.fields.end()) {
        const bool is_alone = std::count_if(type, head.fields.end(), is_type) == 1;
        if (!is_alone) return unwatchable("it has more than one content-type");
        SANCTUM_TRY(name, type_of(type->value));
    }
    const bool is_multipart = name.starts_with("multipart/");
    // A POST without a type is read as a form as well.
    if (!name.empty() && !is_multipart && name != "application/x-www-form-urlencoded") return guard;
    if (const std::string* coding = find_field(head.fields, "content-encoding"); coding != nullptr) {
        if (!name.empty() && !equals_ignoring_case(trim(*coding), "identity")) return unwatchable("it is encoded");
    }
    guard.kind_ = is_multipart ? Kind::Parts : Kind::Pairs;
    if (is_multipart) {
        SANCTUM_TRY(const std::string boundary, boundary_of(type->value));
        guard.delimiter_ = "--" + boundary;
    }
    return guard;
}

bool FormGuard::passes(std::string_view bytes) {
    switch (kind_) {
        case Kind::Pairs: return passes_pairs(bytes);
        case Kind::Parts: return passes_parts(bytes);
        case Kind::None: break;
    }
    return true;
}

bool FormGuard::passes_pairs(std::string_view bytes) {
    for (const char c : bytes) {
        const bool is_separator = c == '&' || c == ';';
        if (is_separator || (c == '=' && !is_in_value_)) {
            if (!is_in_value_ && is_method_field(name_)) return false;
            is_in_value_ = !is_separator;
            name_.clear();
            escape_.clear();
            is_past_name_ = false;
        } else if (!is_in_value_) {
            take_name_byte(c);
        }
    }
    return true;
}

void FormGuard::take_name_byte(char c) {
    constexpr std::size_t longest = 1 + kHttpMethodWord.size();
    if (c == '%' || !escape_.empty()) {
        escape_.push_back(c);
        if (escape_.size() < 3) return;
        const auto decoded = percent_decode(escape_);
        c = decoded ? decoded->front() : '\0';
        escape_.clear();
    } else if (c == '+') {
        c = ' ';
    }
    // PHP ends a name there.
    if (c == '\0') is_past_name_ = true;
    if (is_past_name_ || c == ']' || (name_.empty() && (c == ' ' || c == '['))) return;
    if (name_.size() <= longest) name_.push_back(c);
}

bool FormGuard::passes_parts(std::string_view bytes) {
    std::size_t seen = is_in_part_head_ ? window_.size() : 0;  // no end of a head lies wholly before this place
    window_.append(bytes);
    while (true) {
        if (!is_in_part_head_) {
            const std::size_t at = window_.find(delimiter_);
            if (at == std::string::npos) {
                const std::size_t kept = std::min(window_.size(), delimiter_.size() - 1);
                window_.erase(0, window_.size() - kept);
                return true;
            }
            window_.erase(0, at + delimiter_.size());
            is_in_part_head_ = true;
            seen = 0;
        }
        const std::size_t from = seen - std::min<std::size_t>(seen, 3);
        const std::size_t end = std::min(window_.find("\r\n\r\n", from), window_.find("\n\n", from));
        // A head without its end is no part to anybody; its last bytes are still to come.
        if (end == std::string::npos) return window_.size() <= kPartHeadBytesMax;
        if (names_method(std::string_view(window_).substr(0, end))) return false;
        window_.erase(0, end);
        is_in_part_head_ = false;
    }
}

}  // namespace sanctum::interceptor
