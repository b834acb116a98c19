// SPDX-License-Identifier: Apache-2.0
// Files that somebody runs later, outside: hooks, executing settings of editors and agents, and what git executes from
// its configuration. An agent that may write a workspace could leave work there for its user to run.
//
// Before a run the existing ones are found, so that the launcher can bind them read-only, and remembered. After the run
// new and changed ones are found and, unless the profile only wants a report, held back until `sanctum accept`.
#pragma once

#include "base/result.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace sanctum::runs_later {

/// One line of the list: what it matches and why it is there.
struct Pattern {
    const char* path;    ///< end of a relative path; a final `/` means a folder with everything in it
    const char* reason;
};

/// The whole list.
[[nodiscard]] const std::vector<Pattern>& patterns();

/// Absolute paths of existing places of the list in `workspace`, nested repositories included, sorted. Folders of the
/// list count as one place, so does what git's configurations name, and so does what is held back: nobody changes it
/// before somebody has decided. git's own configuration is not here: it stays writable. Errors: as walk_folder; Limit.
[[nodiscard]] Result<std::vector<std::string>> find_existing(const std::string& workspace);

/// What was there before a run: per relative path a digest, and git configurations whole, to put them back.
struct Snapshot {
    std::string workspace;
    std::map<std::string, std::string> digests;         ///< hex SHA-256; links: of name and content of their target
    std::map<std::string, std::string> configurations;  ///< `.git/config` and the like: content
    std::map<std::string, std::string> closed;          ///< folders that were not walked: their state
    std::set<std::string> named;                        ///< places that git's configurations name, there or not
};

/// Takes the snapshot. Errors: as walk_folder; Io.
[[nodiscard]] Result<Snapshot> remember(const std::string& workspace);

/// One place that is new or changed.
struct Change {
    std::string path;    ///< absolute path of the original
    std::string reason;  ///< of its pattern, or the key of a configuration
    enum class Kind : unsigned char { File, ConfigurationKeys } kind = Kind::File;
    std::vector<std::string> keys;  ///< ConfigurationKeys: `core.hookspath`, …
};

/// What is new or changed.
struct Changes {
    std::vector<Change> found;  ///< by path
    Status whole;               ///< an error: there may be more
};

/// Compares the workspace with a snapshot. FAIL-CLOSED: what cannot be looked at (a file, a folder that its owner may
/// not read, one that lies too deep) counts as changed, and nothing in one place hides another. `whole`: Io, Limit.
[[nodiscard]] Changes find_changes(const Snapshot& before);

/// What hold() did.
struct Held {
    /// One per change: hex SHA-256 over kind, executable bit and content of what is held now (of a link: over where it
    /// points to, and over what it leads to in the workspace). Empty: it is not held, a folder, or cannot be read.
    std::vector<std::string> digests;
    Status whole;  ///< Io: names each change that could not be held back
};

/// Holds changes back: files are renamed to `NAME.sanctum-held` (NAME cut where it would be too long); configuration
/// keys are taken out, the file as the agent left it kept beside as `config.sanctum-held`. Goes on after a failure and
/// names all at the end.
[[nodiscard]] Held hold(const std::vector<Change>& changes, const Snapshot& before);

/// Puts a held place back: `original` is Change::path. Errors: NotFound (nothing is held there), Io.
[[nodiscard]] Status accept(const std::string& original);

/// A place where something is held now.
struct HeldPlace {
    std::string original;  ///< Change::path
    std::string fault;     ///< why it may be another file than the one that was held; empty: it is that one
};

/// Those of `originals` (Change::path) where something is held now, in their order. `digests`: Held::digests, one per
/// original; what is missing counts as empty. FAIL-CLOSED: what has no digest, or cannot be read now, has a fault.
[[nodiscard]] std::vector<HeldPlace> still_held(const std::string& workspace, const std::vector<std::string>& originals,
                                                const std::vector<std::string>& digests);

}  // namespace sanctum::runs_later
