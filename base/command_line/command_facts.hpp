// SPDX-License-Identifier: Apache-2.0
// A program's command line as plain data: what completions and manual pages are made from.
#pragma once

#include <string>
#include <vector>

namespace sanctum {

/// An option or flag.
struct OptionFacts {
    std::vector<std::string> names;    ///< `--all`, `-a`
    std::string value;                 ///< what its value is called, such as FILE; empty: a flag
    std::vector<std::string> choices;  ///< when only these words are values
    std::string what;
    bool repeats = false;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("names", self.names);
        archive("value", self.value);
        archive("choices", self.choices);
        archive("what", self.what);
        archive("repeats", self.repeats);
    }
};

/// A word by its position.
struct ArgumentFacts {
    std::string name;
    std::string what;
    std::vector<std::string> choices;
    bool is_required = false;
    bool repeats = false;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("name", self.name);
        archive("what", self.what);
        archive("choices", self.choices);
        archive("is_required", self.is_required);
        archive("repeats", self.repeats);
    }
};

/// A program, or a command of one.
struct CommandFacts {
    std::string name;
    std::string what;
    std::string footer;  ///< examples and what else stands at the end of its --help
    std::vector<OptionFacts> options;
    std::vector<ArgumentFacts> arguments;
    std::vector<CommandFacts> commands;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("name", self.name);
        archive("what", self.what);
        archive("footer", self.footer);
        archive("options", self.options);
        archive("arguments", self.arguments);
        archive("commands", self.commands);
    }
};

/// The one argument with which our programs print their CommandFacts as JSON, for `sanctum completion` and `manual`.
inline constexpr const char* kDescribeOption = "--describe-command-line";

}  // namespace sanctum
