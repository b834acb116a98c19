// SPDX-License-Identifier: Apache-2.0
// A catalog entry: what one API's hosts, operations, scopes and risks are (formats 5).
//
// Written as TOML, compiled to flat bytes (at build for shipped entries, at first use for the operator's own) that
// are mapped and never parsed at start-up. CompiledEntry is a view over such bytes; every offset is checked once by
// open(), so that a damaged file is an error and never a crash.
#pragma once

#include "base/result.hpp"
#include "profiles/schema/mission.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::profiles {

/// An operation found for a request, with what its template captured.
struct OperationMatch {
    std::string_view id;
    Risk risk = Risk::High;
    bool is_scoped = false;  ///< false: the entry does not say what it needs (then it cannot be allowed by scopes)
    std::vector<std::vector<std::string_view>> any_of;
    std::vector<std::pair<std::string_view, std::string>> resources;  ///< name → value with captures filled in
    std::vector<std::string_view> resource_query;  ///< query parameters that the entry names as resources
    std::vector<std::string_view> redact;          ///< response pointers that carry other credentials
    std::string says;                              ///< the action in words, captures filled in
};

/// One compiled entry. Cheap to move; owns its bytes or mapping.
class CompiledEntry {
public:
    /// Errors: Protocol (not such a file, damaged, or of another schema).
    [[nodiscard]] static Result<CompiledEntry> open(std::string bytes);
    /// Maps a file or memfd. Errors: Io, Protocol.
    [[nodiscard]] static Result<CompiledEntry> map(int fd);

    CompiledEntry(CompiledEntry&&) noexcept;
    CompiledEntry& operator=(CompiledEntry&&) noexcept;
    ~CompiledEntry();

    [[nodiscard]] std::string_view bytes() const;
    [[nodiscard]] std::string_view name() const;
    /// Hosts may be templates (`{bucket}.s3.{region}.amazonaws.com`); resolve_mission() fills them in.
    [[nodiscard]] std::vector<Endpoint> endpoints() const;
    /// Every scope the entry knows, sorted.
    [[nodiscard]] std::vector<std::string_view> scopes() const;
    [[nodiscard]] std::vector<std::string_view> implied_by(std::string_view scope) const;
    /// Names of resources (`repo`, `ref`), sorted.
    [[nodiscard]] std::vector<std::string_view> resource_names() const;
    [[nodiscard]] std::vector<std::string_view> operation_ids() const;
    /// How an agent logs in by itself; absent: the entry has no [login].
    [[nodiscard]] std::optional<Login> login() const;
    /// The placeholder that `present = { X = true }` shows.
    [[nodiscard]] std::string_view placeholder() const;
    /// The most specific operation for method and path below an endpoint; nullopt when the entry knows none. One that
    /// bounds its query is not found for a request with another parameter.
    /// HEAD is looked up as GET when it has no operation of its own. `query` is the raw query string.
    [[nodiscard]] std::optional<OperationMatch> find(std::string_view endpoint, std::string_view method,
                                                     std::string_view path, std::string_view query) const;
    /// The same by id (git operations are not found by path).
    [[nodiscard]] std::optional<OperationMatch> operation(std::string_view id) const;

private:
    struct Bytes;
    explicit CompiledEntry(std::unique_ptr<Bytes> bytes);
    std::unique_ptr<Bytes> bytes_;
};

/// TOML text → flat bytes. Errors: InvalidProfile with place, caret and hint.
[[nodiscard]] Result<std::string> compile_entry(const std::string& file_name, std::string_view toml);

/// The entries of one mission, found by name.
class CatalogSet {
public:
    void add(CompiledEntry entry) { entries_.push_back(std::move(entry)); }
    [[nodiscard]] const CompiledEntry* find(std::string_view name) const;
    [[nodiscard]] const std::vector<CompiledEntry>& entries() const { return entries_; }

private:
    std::vector<CompiledEntry> entries_;
};

}  // namespace sanctum::profiles
