// SPDX-License-Identifier: Apache-2.0
// How mistakes are shown. A profile may come from a hostile repository, so nothing of it reaches a terminal unfiltered.
#include "profiles/schema/diagnostics.hpp"

#include "base/limits.hpp"
#include "base/nearest.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace sanctum::profiles {
namespace {

constexpr std::size_t kSuggestionsMax = 12;
constexpr std::string_view kReplacement = "?";

std::size_t sequence_size(unsigned char lead) {
    if (lead < 0x80U) return 1;
    if (lead < 0xe0U) return 2;
    return lead < 0xf0U ? 3 : 4;
}

// C0 but tab, DEL, C1, and the characters that reorder or hide text (bidirectional controls, zero-width, BOM).
bool is_harmful(std::string_view character) {
    if (character.size() == 1) {
        const auto byte = static_cast<unsigned char>(character[0]);
        return (byte < 0x20U && byte != '\t') || byte >= 0x7fU;
    }
    if (character.size() == 2) return character[0] == '\xc2' && static_cast<unsigned char>(character[1]) < 0xa0U;
    if (character.size() != 3) return false;
    if (character == "\xef\xbb\xbf" || character == "\xd8\x9c") return true;
    if (character.substr(0, 2) == "\xe2\x80") {
        const auto last = static_cast<unsigned char>(character[2]);
        return (last >= 0x8bU && last <= 0x8fU) || (last >= 0xa8U && last <= 0xaeU);
    }
    return character.substr(0, 2) == "\xe2\x81" && static_cast<unsigned char>(character[2]) >= 0xa0U;
}

template <class Visit>
void for_each_character(std::string_view text, Visit visit) {
    while (!text.empty()) {
        const std::size_t size = std::min(sequence_size(static_cast<unsigned char>(text[0])), text.size());
        visit(text.substr(0, size));
        text.remove_prefix(size);
    }
}

std::string_view line_of(std::string_view text, std::uint32_t line) {
    for (; line > 1; --line) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos) return {};
        text.remove_prefix(end + 1);
    }
    std::string_view found = text.substr(0, text.find('\n'));
    if (found.ends_with('\r')) found.remove_suffix(1);
    return found;
}

// What stands before the value of `key = value`, with the value replaced.
std::string without_value(std::string_view line) {
    const std::size_t equals = line.find('=');
    return std::string(line.substr(0, equals == std::string_view::npos ? 0 : equals + 1)) + " (not shown)";
}

}  // namespace

std::string printable(std::string_view text) {
    const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7f; };
    if (std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
    std::string out;
    for_each_character(text, [&](std::string_view character) {
        out += is_harmful(character) ? kReplacement : character;
    });
    return out;
}

bool is_printable(std::string_view text) {
    bool is_clean = true;
    for_each_character(text, [&](std::string_view character) {
        is_clean = is_clean && !is_harmful(character) && character != "\t";
    });
    return is_clean;
}

std::string suggest(std::string_view word, const std::vector<std::string>& candidates) {
    if (const std::string near = nearest(word, candidates); !near.empty()) {
        return "did you mean `" + printable(near) + "`?";
    }
    if (candidates.empty()) return {};
    std::string out = candidates.size() == 1 ? "known is: " : "known are: ";
    for (std::size_t i = 0; i < candidates.size() && i < kSuggestionsMax; ++i) {
        if (i > 0) out += ", ";
        out += printable(candidates[i]);
    }
    if (candidates.size() > kSuggestionsMax) out += ", …";
    return out;
}

std::uint32_t Diagnostics::add_file(std::string name, std::string_view text) {
    sources_.push_back({std::move(name), std::string(text), false});
    return static_cast<std::uint32_t>(sources_.size() - 1);
}

std::uint32_t Diagnostics::add_flag(std::string text) {
    sources_.push_back({"command line", std::move(text), true});
    return static_cast<std::uint32_t>(sources_.size() - 1);
}

void Diagnostics::error(Place at, std::string text, std::string hint, Show show) {
    mistakes_.push_back({at, std::move(text), std::move(hint), show, Errc::InvalidProfile});
}

void Diagnostics::denied(Place at, std::string text, std::string hint) {
    mistakes_.push_back({at, std::move(text), std::move(hint), Show::Line, Errc::Denied});
}

Error Diagnostics::to_error() const {
    std::vector<Mistake> sorted = mistakes_;
    std::stable_sort(sorted.begin(), sorted.end(), [](const Mistake& a, const Mistake& b) {
        return std::tie(a.at.source, a.at.line, a.at.column) < std::tie(b.at.source, b.at.line, b.at.column);
    });
    Error error{Errc::Denied, {}};
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        if (sorted[i].code == Errc::InvalidProfile) error.code = Errc::InvalidProfile;
        if (i >= kDiagnosticsMax) continue;
        if (i > 0) error.what += "\n";
        error.what += render(sorted[i]);
    }
    if (sorted.size() > kDiagnosticsMax) {
        error.what += "\nand " + std::to_string(sorted.size() - kDiagnosticsMax) + " more mistakes";
    }
    return error;
}

std::string Diagnostics::name_of(Place at) const {
    if (at.source >= sources_.size()) return {};
    const Source& source = sources_[at.source];
    if (source.is_flag) return source.name;
    const std::size_t slash = source.name.rfind('/');
    return printable(source.name.substr(slash == std::string::npos ? 0 : slash + 1)) + ":" + std::to_string(at.line);
}

std::string Diagnostics::render(const Mistake& mistake) const {
    const Place& at = mistake.at;
    const Source unknown;
    const Source& source = at.source < sources_.size() ? sources_[at.source] : unknown;
    std::string out = printable(source.name);
    if (!source.is_flag && at.line > 0) out += ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
    out += ": error: " + printable(mistake.text);
    std::string line(line_of(source.text, at.line));
    if (at.line > 0 && !line.empty() && line.size() <= kDiagnosticLineCharsMax) {
        if (mistake.show == Show::NotTheValue) line = without_value(line);
        // The caret line repeats tabs, so that both lines are indented alike whatever a tab is worth.
        std::string carets;
        std::uint32_t column = 0;
        for_each_character(line, [&](std::string_view character) {
            if (++column < at.column) carets += character == "\t" ? "\t" : " ";
        });
        const std::uint32_t room = column >= at.column ? column - at.column + 1 : 1;
        carets.append(std::clamp<std::uint32_t>(mistake.show == Show::Line ? at.width : 1, 1, room), '^');
        out += "\n    " + printable(line) + "\n    " + carets;
    }
    if (!mistake.hint.empty()) out += "\n    hint: " + printable(mistake.hint);
    return out;
}

}  // namespace sanctum::profiles
