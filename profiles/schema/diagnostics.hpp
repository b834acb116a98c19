// SPDX-License-Identifier: Apache-2.0
// Diagnostics: the mistakes of one or more texts, each shown as `file:line:col: error: …`, line, caret and hint.
//
// Internal to profiles. Collecting instead of stopping at the first lets an author mend a file in one go.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::profiles {

/// A stretch of one line in one of the texts of a Diagnostics. Lines and columns count from 1; 0: unknown.
struct Place {
    std::uint32_t source = 0;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    std::uint32_t width = 1;
};

/// A value with the place where it was written.
template <class T>
struct Placed {
    T value{};
    Place at;
};

/// What may be shown of the line that a mistake is on.
enum class Show : std::uint8_t { Line, NotTheValue };

class Diagnostics {
public:
    /// A file's text. Returns its number for Place::source.
    std::uint32_t add_file(std::string name, std::string_view text);
    /// One flag of the command line; places in it have line 1.
    std::uint32_t add_flag(std::string text);

    /// Adds a mistake. `hint` is what to do about it; empty for none. `Show::NotTheValue` hides what follows the key,
    /// for values that may be secret.
    void error(Place at, std::string text, std::string hint = {}, Show show = Show::Line);
    /// The same for what is correct but above the operator's bounds; the whole is then `Denied` if nothing is worse.
    void denied(Place at, std::string text, std::string hint = {});

    [[nodiscard]] bool empty() const { return mistakes_.empty(); }
    /// All mistakes in the order of the text, joined by newlines. Only when not empty.
    [[nodiscard]] Error to_error() const;
    /// `triage.toml:14`, or `command line`; for explain.
    [[nodiscard]] std::string name_of(Place at) const;

private:
    struct Source {
        std::string name;
        std::string text;
        bool is_flag = false;
    };
    struct Mistake {
        Place at;
        std::string text;
        std::string hint;
        Show show = Show::Line;
        Errc code = Errc::InvalidProfile;
    };
    [[nodiscard]] std::string render(const Mistake& mistake) const;

    std::vector<Source> sources_;
    std::vector<Mistake> mistakes_;
};

/// `text` made safe for a terminal: control characters and direction overrides become `?`, the rest stays.
[[nodiscard]] std::string printable(std::string_view text);

/// True for text without control characters and without characters that change the direction of text.
[[nodiscard]] bool is_printable(std::string_view text);

/// `did you mean `x`?` when a candidate is near, else `one of: a, b, c` (bounded), else empty.
[[nodiscard]] std::string suggest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace sanctum::profiles
