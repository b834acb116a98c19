// SPDX-License-Identifier: Apache-2.0
// The search samples four bytes every `stride_` bytes: with a shortest needle of m bytes, any needle that lies in the
// data covers at least one sample at distance m-3, so nothing is missed, and a body without hits is skimmed.
#include "interceptor/rewrite/needles.hpp"

#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "interceptor/http/grammar.hpp"
#include "interceptor/services.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace sanctum::interceptor {
namespace {

constexpr std::size_t kGramBytes = 4;
constexpr std::size_t kFilterBits = std::size_t{1} << 16U;

std::uint32_t gram_at(const char* bytes) {
    std::uint32_t gram = 0;
    std::memcpy(&gram, bytes, kGramBytes);
    return gram;
}

std::size_t filter_bit(std::uint32_t gram) { return (gram * 0x9E3779B1U) >> 16U; }

/// Base64 of `text` as it lies `offset` (0-2) bytes behind a group's begin; without characters that share bits with
/// what stands before or behind.
std::string base64_core(std::string_view text, std::size_t offset, std::string_view alphabet) {
    const std::string padded = std::string(offset, '\0') + std::string(text);
    std::string out;
    for (std::size_t i = 0; i + 2 < padded.size() + 2; i += 3) {
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            const auto byte = i + k < padded.size() ? static_cast<unsigned char>(padded[i + k]) : 0U;
            group = (group << 8U) | byte;
        }
        for (unsigned shift = 24; shift > 0; shift -= 6) out.push_back(alphabet[(group >> (shift - 6)) & 63U]);
    }
    const std::size_t first = offset == 0 ? 0 : offset + 1;
    const std::size_t last = padded.size() * 8 / 6;
    return last > first ? out.substr(first, last - first) : std::string();
}

std::string upper_case_hex(std::string text) {
    for (char& c : text) {
        if (c >= 'a' && c <= 'f') c = static_cast<char>(c - 'a' + 'A');
    }
    return text;
}

std::string escape_each_byte(std::string_view text, std::string_view prefix, bool is_upper) {
    std::string out;
    for (const char c : text) {
        const std::string hex = wire::to_hex(std::string_view(&c, 1));
        out.append(prefix).append(is_upper ? upper_case_hex(hex) : hex);
    }
    return out;
}

/// How URL libraries differ: what they leave as it is besides letters and digits, and whether a blank becomes `+`.
struct PercentStyle {
    std::string_view kept;
    bool has_plus_for_blank;
};
constexpr std::array<PercentStyle, 9> kPercentStyles{{
    {"-._~", false},                   // RFC 3986, 2.3
    {"-._~", true},                    // Go, Python's quote_plus
    {"-._~/", false},                  // Python's quote
    {"-._~!'()*", false},              // encodeURIComponent
    {"-._~!'()*;/?:@&=+$,#", false},   // encodeURI
    {"-._*", true},                    // HTML forms, Java
    {"-._", true},                     // PHP
    {"-._", false},
    {"-._*+/@", false},                // JavaScript's escape
}};

std::string escape_percent(std::string_view text, const PercentStyle& style, bool is_upper) {
    std::string out;
    for (const char c : text) {
        const bool is_letter_or_digit = is_digit(c) || (lower_case(c) >= 'a' && lower_case(c) <= 'z');
        if (c == ' ' && style.has_plus_for_blank) out.push_back('+');
        else if (is_letter_or_digit || style.kept.find(c) != std::string_view::npos) out.push_back(c);
        else out += escape_each_byte(std::string_view(&c, 1), "%", is_upper);
    }
    return out;
}

/// What JSON writers escape although they need not: as \u00XX, and the slash.
struct JsonStyle {
    std::string_view escaped;
    bool has_escaped_slash;
};
constexpr std::array<JsonStyle, 6> kJsonStyles{{
    {"", false},
    {"", true},
    {"<>&", false},        // Go, Rails
    {"<>&'=", false},      // Gson
    {"<>&'+`\"", false},   // .NET
    {"<>&'\"", true},      // PHP's JSON_HEX_*
}};

std::string escape_for_json(std::string_view text, const JsonStyle& style, bool is_upper) {
    std::string out;
    for (const char c : text) {
        if (style.escaped.find(c) != std::string_view::npos) {
            out += escape_each_byte(std::string_view(&c, 1), "\\u00", is_upper);
        } else if (c == '\t') {
            out += "\\t";
        } else {
            if (c == '"' || c == '\\' || (c == '/' && style.has_escaped_slash)) out.push_back('\\');
            out.push_back(c);
        }
    }
    return out;
}

/// HTML's reserved characters, and what some template engines add to them.
using HtmlStyle = std::array<std::pair<char, std::string_view>, 8>;
constexpr std::array<HtmlStyle, 8> kHtmlStyles{{
    {{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}}},
    {{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}}},
    {{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}}},
    {{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&#34;"}, {'\'', "&#39;"}, {'+', "&#43;"}}},    // Go
    {{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#x27;"}}},                   // Python
    {{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#x27;"}, {'+', "&#x2B;"}}},  // .NET
    {{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#x27;"}, {'`', "&#x60;"},
      {'=', "&#x3D;"}}},                                                                            // Handlebars
    {{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}, {'`', "&#x60;"},
      {'=', "&#x3D;"}, {'/', "&#x2F;"}}},                                                           // Mustache
}};

std::string escape_for_html(std::string_view text, const HtmlStyle& style) {
    std::string out;
    for (const char c : text) {
        const auto is_this = [c](const auto& escape) { return escape.first == c; };
        const auto* const found = std::find_if(style.begin(), style.end(), is_this);
        if (found != style.end()) out += found->second;
        else out.push_back(c);
    }
    return out;
}

template <class Use>
void for_each_word(std::string_view text, Use&& use) {
    while (!text.empty()) {
        const std::string_view word = text.substr(0, text.find(' '));
        use(word);
        text.remove_prefix(std::min(word.size() + 1, text.size()));
    }
}

/// `41 57 53`, as AWS shows the bytes of what it would have signed.
std::string spaced_hex(std::string_view text) {
    std::string spaced = escape_each_byte(text, " ", false);
    return spaced.substr(std::min<std::size_t>(1, spaced.size()));
}

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

NeedleSet::NeedleSet(const std::vector<std::shared_ptr<HeldLease>>& leases) {
    for (const auto& lease : leases) {
        lease_ids_.push_back(lease->id);
        if (lease->form == profiles::AuthForm::Sigv4 || lease->form == profiles::AuthForm::Dpop) {
            // What of it leaves is one part; the key that signs never does.
            for_each_word(lease->secret.reveal(), [this](std::string_view part) { add_forms_of(part); });
            continue;
        }
        add_forms_of(lease->secret.reveal());
        if (lease->username.empty()) continue;
        std::string pair = lease->username + ":" + std::string(lease->secret.reveal());
        add_forms_of(pair);
        wipe(pair);
    }
    finish();
}

NeedleSet::NeedleSet(std::string_view secret) {
    add_forms_of(secret);
    finish();
}

void NeedleSet::finish() {
    std::sort(needles_.begin(), needles_.end());
    needles_.erase(std::unique(needles_.begin(), needles_.end()), needles_.end());
    build_index();
}

NeedleSet::~NeedleSet() {
    for (std::string& needle : needles_) wipe(needle);
}

bool NeedleSet::is_for(const std::vector<std::shared_ptr<HeldLease>>& leases) const {
    const auto is_same = [](const std::shared_ptr<HeldLease>& lease, const std::string& id) { return lease->id == id; };
    return std::equal(leases.begin(), leases.end(), lease_ids_.begin(), lease_ids_.end(), is_same);
}

void NeedleSet::add(std::string needle) {
    if (needle.size() >= kNeedleBytesMin) needles_.push_back(std::move(needle));
}

void NeedleSet::add_forms_of(std::string_view secret) {
    if (secret.size() < kNeedleBytesMin) return;
    add(std::string(secret));
    for (std::size_t offset = 0; offset < 3; ++offset) {
        add(base64_core(secret, offset, kBase64));
        add(base64_core(secret, offset, kBase64Url));
    }
    const std::string hex = wire::to_hex(secret);
    add(hex);
    add(upper_case_hex(hex));
    const std::string spaced = spaced_hex(secret);
    add(spaced);
    add(upper_case_hex(spaced));
    for (const HtmlStyle& style : kHtmlStyles) add(escape_for_html(secret, style));
    for (const bool is_upper : {false, true}) {
        for (const PercentStyle& style : kPercentStyles) add(escape_percent(secret, style, is_upper));
        for (const JsonStyle& style : kJsonStyles) add(escape_for_json(secret, style, is_upper));
        add(escape_each_byte(secret, "%", is_upper));
        add(escape_each_byte(secret, "\\u00", is_upper));
        add(escape_each_byte(secret, "\\x", is_upper));
    }
}

void NeedleSet::build_index() {
    if (needles_.empty()) return;
    const auto is_shorter = [](const std::string& a, const std::string& b) { return a.size() < b.size(); };
    shortest_ = std::min_element(needles_.begin(), needles_.end(), is_shorter)->size();
    stride_ = shortest_ - kGramBytes + 1;
    filter_.assign(kFilterBits / 64, 0);
    for (std::uint32_t needle = 0; needle < needles_.size(); ++needle) {
        is_first_byte_[static_cast<unsigned char>(needles_[needle].front())] = true;
        for (std::uint32_t offset = 0; offset < stride_; ++offset) {
            const std::uint32_t gram = gram_at(needles_[needle].data() + offset);
            entries_.push_back({gram, needle, offset});
            filter_[filter_bit(gram) / 64] |= std::uint64_t{1} << (filter_bit(gram) % 64);
        }
    }
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.gram < b.gram; });
}

void NeedleSet::find(std::string_view data, std::vector<Sighting>& found) const {
    if (needles_.empty()) return;
    for (std::size_t sample = 0; sample + kGramBytes <= data.size(); sample += stride_) {
        const std::uint32_t gram = gram_at(data.data() + sample);
        const std::size_t bit = filter_bit(gram);
        if ((filter_[bit / 64] >> (bit % 64) & 1U) != 0) verify(data, sample, gram, found);
    }
    find_in_tail(data, found);
}

void NeedleSet::verify(std::string_view data, std::size_t sample, std::uint32_t gram,
                       std::vector<Sighting>& found) const {
    const auto is_before = [](const Entry& entry, std::uint32_t value) { return entry.gram < value; };
    auto entry = std::lower_bound(entries_.begin(), entries_.end(), gram, is_before);
    for (; entry != entries_.end() && entry->gram == gram; ++entry) {
        if (entry->offset > sample) continue;
        const std::size_t begin = sample - entry->offset;
        const std::string& needle = needles_[entry->needle];
        const std::string_view seen = data.substr(begin, needle.size());
        if (std::string_view(needle).substr(0, seen.size()) != seen) continue;
        found.push_back({begin, needle.size(), seen.size() < needle.size()});
    }
}

/// A needle that begins within the last bytes may not have reached a sample yet.
void NeedleSet::find_in_tail(std::string_view data, std::vector<Sighting>& found) const {
    const std::size_t length = std::min(data.size(), shortest_ - 1);
    for (std::size_t begin = data.size() - length; begin < data.size(); ++begin) {
        if (!is_first_byte_[static_cast<unsigned char>(data[begin])]) continue;
        const std::string_view tail = data.substr(begin);
        for (const std::string& needle : needles_) {
            if (std::string_view(needle).substr(0, tail.size()) != tail) continue;
            found.push_back({begin, needle.size(), true});
            break;
        }
    }
}

}  // namespace sanctum::interceptor
