// SPDX-License-Identifier: Apache-2.0
#include "base/runs_later/git_configuration.hpp"

#include <algorithm>
#include <cctype>
#include <tuple>

namespace sanctum::runs_later {
namespace {

/// Section, and name or `*`. A subsection never matters.
struct ExecutingKey {
    std::string_view section;
    std::string_view name;
};

constexpr ExecutingKey kExecuting[] = {
    {"alias", "*"},
    {"browser", "*"},
    {"core", "alternaterefscommand"},
    {"core", "askpass"},
    {"core", "attributesfile"},
    {"core", "editor"},
    {"core", "fsmonitor"},
    {"core", "gitproxy"},
    {"core", "hookspath"},
    {"core", "pager"},
    {"core", "sshcommand"},
    {"core", "worktree"},
    {"credential", "helper"},
    {"diff", "command"},
    {"diff", "external"},
    {"diff", "textconv"},
    {"diff", "tool"},
    {"difftool", "*"},
    {"extensions", "worktreeconfig"},
    {"filter", "*"},
    {"gc", "recentobjectshook"},
    {"delta", "*"},
    {"gpg", "allowedsignersfile"},
    {"gpg", "program"},
    {"gpg", "defaultkeycommand"},
    {"gui", "*"},
    {"guitool", "*"},
    {"hook", "*"},
    {"http", "curloptresolve"},
    {"http", "proxy"},
    {"http", "sslverify"},
    {"http", "sslcainfo"},
    {"http", "sslcapath"},
    {"http", "cookiefile"},
    {"imap", "tunnel"},
    {"include", "path"},
    {"includeif", "path"},
    {"init", "templatedir"},
    {"instaweb", "*"},
    {"interactive", "difffilter"},
    {"lfs", "clean"},  // git-lfs: of an extension
    {"lfs", "path"},   // of a transfer program
    {"lfs", "smudge"},
    {"man", "*"},
    {"merge", "driver"},
    {"merge", "tool"},
    {"mergetool", "*"},
    {"pager", "*"},
    {"protocol", "allow"},
    {"push", "pushoption"},
    {"receive", "procreceiverefs"},
    {"remote", "proxy"},
    {"remote", "push"},
    {"remote", "pushurl"},
    {"remote", "receivepack"},
    {"remote", "uploadpack"},
    {"remote", "vcs"},
    {"sendemail", "*"},
    {"sequence", "editor"},
    {"submodule", "update"},
    {"svn", "authorsprog"},
    {"tar", "command"},
    {"trailer", "cmd"},
    {"trailer", "command"},
    {"uploadpack", "packobjectshook"},
    {"url", "insteadof"},
    {"url", "pushinsteadof"},
    {"web", "browser"},
};

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

// git's own notion: form feeds and vertical tabs are none.
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool is_name_character(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-'; }

/// One pass over the bytes.
class Reader {
public:
    explicit Reader(std::string_view text) : text_(text) {
        if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;  // git skips a byte-order mark
    }

    Result<std::vector<GitVariable>> read() {
        for (;;) {
            skip_blanks();
            if (at_ >= text_.size()) return std::move(variables_);
            if (text_[at_] == '#' || text_[at_] == ';') {
                skip_line();
            } else if (text_[at_] == '[') {
                SANCTUM_CHECK(read_section());
            } else {
                SANCTUM_CHECK(read_variable());
            }
        }
    }

private:
    Error mistake(const char* what) const {
        return Error{Errc::Protocol, "git configuration, byte " + std::to_string(at_) + ": " + what};
    }

    char peek() const { return at_ < text_.size() ? text_[at_] : '\n'; }

    void skip_blanks() {
        while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
    }

    void skip_line() {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    }

    Status read_section() {
        ++at_;
        const std::size_t start = at_;
        while (is_name_character(peek()) || peek() == '.') ++at_;
        std::string name = lower(text_.substr(start, at_ - start));
        if (name.empty()) return mistake("a section without a name");
        subsection_.clear();
        if (const std::size_t dot = name.find('.'); dot != std::string::npos) {
            subsection_ = name.substr(dot + 1);
            name.resize(dot);
        }
        while (peek() == ' ' || peek() == '\t') ++at_;
        if (peek() == '"') {
            SANCTUM_CHECK(read_subsection());
        }
        if (at_ >= text_.size() || text_[at_] != ']') return mistake("a section without its end");
        ++at_;
        section_ = std::move(name);
        return {};
    }

    Status read_subsection() {
        subsection_.clear();
        for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
            if (text_[at_] == '\n') return mistake("a line end in a subsection");
            if (text_[at_] == '\\' && ++at_ >= text_.size()) break;
            subsection_ += text_[at_];
        }
        if (at_ >= text_.size()) return mistake("a subsection without its end");
        ++at_;
        return {};
    }

    Status read_variable() {
        if (section_.empty()) return mistake("a variable outside every section");
        GitVariable variable{section_, subsection_, {}, {}, at_, at_};
        const bool begins_well = std::isalpha(static_cast<unsigned char>(peek())) != 0;
        if (!begins_well) return mistake("a name that does not begin with a letter");
        const std::size_t start = at_;
        while (is_name_character(peek()) && at_ < text_.size()) ++at_;
        variable.name = lower(text_.substr(start, at_ - start));
        while (peek() == ' ' || peek() == '\t') ++at_;
        if (at_ < text_.size() && text_[at_] == '=') {
            ++at_;
            SANCTUM_CHECK(read_value(variable.value));
        } else if (peek() != '\n' && peek() != '\r' && peek() != '#' && peek() != ';') {
            return mistake("a name followed by something else than =");
        } else {
            skip_line();
            variable.value = "true";
        }
        variable.end = at_;
        variables_.push_back(std::move(variable));
        return {};
    }

    /// Up to the end of the line; quotes, escapes, comments and continued lines as git reads them. Blanks at the end go
    /// only where they stand bare: one that is quoted or escaped is the value's.
    Status read_value(std::string& value) {
        bool is_quoted = false;
        std::size_t size = 0;  // up to the last byte that is no bare blank
        for (; at_ < text_.size(); ++at_) {
            const char c = text_[at_];
            if (c == '\n') break;
            if (!is_quoted && is_blank(c)) {
                if (!value.empty()) value += c;
                continue;
            }
            if (!is_quoted && (c == '#' || c == ';')) {
                skip_line();
                break;
            }
            if (c == '"') {
                is_quoted = !is_quoted;
            } else if (c == '\\') {
                SANCTUM_CHECK(read_escape(value));
            } else {
                value += c;
            }
            size = value.size();
        }
        if (is_quoted) return mistake("a quote without its end");
        value.resize(size);
        return {};
    }

    Status read_escape(std::string& value) {
        ++at_;
        if (at_ < text_.size() && text_[at_] == '\r') ++at_;
        if (at_ >= text_.size()) return mistake("a backslash at the end");
        switch (text_[at_]) {
            case '\n': return {};
            case 'n': value += '\n'; return {};
            case 't': value += '\t'; return {};
            case 'b': value += '\b'; return {};
            case '"':
            case '\\': value += text_[at_]; return {};
            default: return mistake("an unknown escape");
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::string section_;
    std::string subsection_;
    std::vector<GitVariable> variables_;
};

auto identity_of(const GitVariable& variable) {
    return std::tie(variable.section, variable.subsection, variable.name, variable.value);
}

bool has(const std::vector<GitVariable>& variables, const GitVariable& wanted) {
    return std::any_of(variables.begin(), variables.end(),
                       [&](const GitVariable& variable) { return identity_of(variable) == identity_of(wanted); });
}

// A new remote is a name of the agent's; another place for one that was there takes its user's next push there.
bool is_url_of_known_remote(const GitVariable& variable, const std::vector<GitVariable>& those) {
    if (variable.section != "remote" || variable.name != "url") return false;
    return std::any_of(those.begin(), those.end(), [&](const GitVariable& other) {
        return other.section == "remote" && other.name == "url" && other.subsection == variable.subsection;
    });
}

std::vector<GitVariable> executing_without(const std::vector<GitVariable>& these,
                                           const std::vector<GitVariable>& those) {
    std::vector<GitVariable> found;
    for (const GitVariable& variable : these) {
        const bool matters = is_executing(variable) || is_url_of_known_remote(variable, those);
        if (matters && !has(those, variable)) found.push_back(variable);
    }
    return found;
}

std::string quote(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '\n') out += "\\n";
        else out += c;
    }
    return out + "\"";
}

}  // namespace

std::string GitVariable::key() const {
    return section + "." + (subsection.empty() ? "" : subsection + ".") + name;
}

Result<std::vector<GitVariable>> parse_git_configuration(std::string_view text) { return Reader(text).read(); }

bool is_executing(const GitVariable& variable) {
    return std::any_of(std::begin(kExecuting), std::end(kExecuting), [&](const ExecutingKey& key) {
        return key.section == variable.section && (key.name == "*" || key.name == variable.name);
    });
}

Result<std::vector<GitVariable>> new_executing_variables(std::string_view before, std::string_view after) {
    SANCTUM_TRY(const std::vector<GitVariable> old, parse_git_configuration(before));
    SANCTUM_TRY(const std::vector<GitVariable> current, parse_git_configuration(after));
    return executing_without(current, old);
}

Result<std::string> without_new_executing_variables(std::string_view before, std::string_view after) {
    SANCTUM_TRY(const std::vector<GitVariable> old, parse_git_configuration(before));
    SANCTUM_TRY(const std::vector<GitVariable> current, parse_git_configuration(after));
    std::string text;
    std::size_t kept = 0;
    for (const GitVariable& variable : executing_without(current, old)) {
        text += after.substr(kept, variable.begin - kept);
        kept = variable.end;
    }
    text += after.substr(kept);
    const std::vector<GitVariable> gone = executing_without(old, current);
    // An empty line besides: a backslash at the end of the last one would take in what follows.
    if (!gone.empty() && !text.empty()) text += text.back() == '\n' ? "\n" : "\n\n";
    for (const GitVariable& variable : gone) {
        const std::string below = variable.subsection.empty() ? "" : " " + quote(variable.subsection);
        text += "[" + variable.section + below + "]\n\t" + variable.name + " = " + quote(variable.value) + "\n";
    }
    // FAIL-CLOSED: read once more; whoever calls trusts nothing of a file that does not come out as it should.
    SANCTUM_TRY(const std::vector<GitVariable> made, parse_git_configuration(text));
    if (!executing_without(made, old).empty() || !executing_without(old, made).empty()) {
        return Error{Errc::Protocol, "git's configuration cannot be put back in part"};
    }
    return text;
}

}  // namespace sanctum::runs_later
