// SPDX-License-Identifier: Apache-2.0
// TOML → flat bytes. Every mistake of an entry is found here, so that readers of compiled entries need not look again.
#include "profiles/catalog/catalog.hpp"

#include "base/limits.hpp"
#include "profiles/catalog/entry_format.hpp"
#include "profiles/catalog/entry_text.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace sanctum::profiles {
namespace {

using namespace flat;

struct Range {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
};

// Gathers the tables and lays them out. Texts are stored once.
class Writer {
public:
    std::uint32_t string(std::string_view text) {
        const auto known = strings_.find(text);
        if (known != strings_.end()) return known->second;
        const auto number = static_cast<std::uint32_t>(order_.size());
        order_.emplace_back(text);
        strings_.emplace(std::string(text), number);
        return number;
    }
    std::uint32_t row(TableId table, std::initializer_list<std::uint32_t> words) {
        std::vector<std::uint32_t>& rows = tables_[table];
        const auto number = static_cast<std::uint32_t>(rows.size() / kWords[table]);
        rows.insert(rows.end(), words);
        return number;
    }
    std::uint32_t rows(TableId table) const {
        return static_cast<std::uint32_t>(tables_[table].size() / kWords[table]);
    }
    Range list(const std::vector<std::string>& texts) {
        const Range range{rows(Lists), static_cast<std::uint32_t>(texts.size())};
        for (const std::string& text : texts) row(Lists, {string(text)});
        return range;
    }
    std::string finish(std::uint32_t name, std::uint32_t placeholder, Range scopes, Range resources) {
        std::size_t at = kHeaderBytes;
        std::array<std::size_t, kTables> offsets{};
        tables_[Strings].assign(order_.size() * 2, 0);
        for (std::size_t t = 0; t < kTables; ++t) {
            offsets[t] = at;
            at += tables_[t].size() * 4;
        }
        for (std::size_t i = 0; i < order_.size(); ++i) {
            tables_[Strings][2 * i] = static_cast<std::uint32_t>(at);
            tables_[Strings][2 * i + 1] = static_cast<std::uint32_t>(order_[i].size());
            at += order_[i].size();
        }
        std::string out(kMagic);
        for (const std::uint32_t word : {kSchema, static_cast<std::uint32_t>(at), name, placeholder, scopes.first,
                                         scopes.count, resources.first, resources.count}) {
            put(out, word);
        }
        for (std::size_t t = 0; t < kTables; ++t) {
            put(out, static_cast<std::uint32_t>(offsets[t]));
            put(out, static_cast<std::uint32_t>(tables_[t].size() / kWords[t]));
        }
        for (const std::vector<std::uint32_t>& table : tables_) {
            for (const std::uint32_t word : table) put(out, word);
        }
        for (const std::string& text : order_) out += text;
        return out;
    }

private:
    static void put(std::string& out, std::uint32_t word) {
        for (int i = 0; i < 4; ++i, word >>= 8U) out.push_back(static_cast<char>(word & 0xffU));
    }

    std::map<std::string, std::uint32_t, std::less<>> strings_;
    std::vector<std::string> order_;
    std::array<std::vector<std::uint32_t>, kTables> tables_;
};

struct CutTemplate {
    std::vector<std::string> segments;
    bool has_rest = false;
};

CutTemplate cut_template(std::string_view path) {
    CutTemplate out;
    if (path.empty()) return out;
    path.remove_prefix(1);
    for (;;) {
        const std::size_t slash = path.find('/');
        const std::string_view segment = path.substr(0, slash);
        if (segment == "**") out.has_rest = true;
        else out.segments.emplace_back(segment);
        if (slash == std::string_view::npos) return out;
        path.remove_prefix(slash + 1);
    }
}

// `{**}` in a value or a sentence.
constexpr std::string_view kRestBraces = "{**}";

bool is_capture(std::string_view segment) { return segment == "*" || segment.starts_with('{'); }

// `{owner}/{repo}` → parts; the entry's text was checked, so every name is a capture or a query parameter.
Range write_parts(Writer& writer, std::string_view text, const CutTemplate& path) {
    const Range range{writer.rows(Parts), 0};
    while (!text.empty()) {
        const std::size_t open = std::min(text.find('{'), text.size());
        if (open > 0) writer.row(Parts, {Text, writer.string(text.substr(0, open))});
        text.remove_prefix(open);
        if (text.empty()) break;
        const std::size_t close = text.find('}');
        const std::string_view braces = text.substr(0, close + 1);
        if (braces == kRestBraces) {
            writer.row(Parts, {flat::Rest, static_cast<std::uint32_t>(path.segments.size())});
        } else if (braces.starts_with("{?")) {
            writer.row(Parts, {flat::Query, writer.string(braces.substr(2, braces.size() - 3))});
        } else {
            const auto at = std::find(path.segments.begin(), path.segments.end(), braces);
            // Git resources (`{repo}`, `{ref}`) have no template; classify() fills them in.
            if (at == path.segments.end()) writer.row(Parts, {Text, writer.string(braces)});
            else writer.row(Parts, {Captured, static_cast<std::uint32_t>(at - path.segments.begin())});
        }
        text.remove_prefix(close + 1);
    }
    return {range.first, writer.rows(Parts) - range.first};
}

// More specific first: fixed length before open ends, then literal before capture from the left.
bool is_more_specific(const OperationText& a, const OperationText& b) {
    const CutTemplate x = cut_template(a.path);
    const CutTemplate y = cut_template(b.path);
    if (x.has_rest != y.has_rest) return !x.has_rest;
    if (x.segments.size() != y.segments.size()) return x.segments.size() > y.segments.size();
    for (std::size_t i = 0; i < x.segments.size(); ++i) {
        if (is_capture(x.segments[i]) != is_capture(y.segments[i])) return !is_capture(x.segments[i]);
    }
    return a.needs.size() > b.needs.size();
}

void write_endpoint(Writer& writer, const EndpointText& endpoint) {
    const Range hosts = writer.list(endpoint.hosts);
    const Range strip = writer.list(endpoint.strip);
    const Range amz_headers = writer.list(endpoint.amz_headers);
    writer.row(Endpoints,
               {writer.string(endpoint.name), hosts.first, hosts.count, static_cast<std::uint32_t>(endpoint.kind),
                static_cast<std::uint32_t>(endpoint.form), writer.string(endpoint.form_name),
                writer.string(endpoint.username), strip.first, strip.count, writer.string(endpoint.repo_suffix),
                amz_headers.first, amz_headers.count});
}

Range write_segments(Writer& writer, const CutTemplate& path) {
    const Range range{writer.rows(Segments), static_cast<std::uint32_t>(path.segments.size())};
    for (const std::string& segment : path.segments) {
        writer.row(Segments, {is_capture(segment) ? Capture : Literal, writer.string(segment)});
    }
    return range;
}

Range write_sets(Writer& writer, const OperationText& operation) {
    if (!operation.any_of) return {writer.rows(Sets), 0};
    std::vector<Range> lists;
    for (const std::vector<std::string>& set : *operation.any_of) lists.push_back(writer.list(set));
    const Range range{writer.rows(Sets), static_cast<std::uint32_t>(lists.size())};
    for (const Range& list : lists) writer.row(Sets, {list.first, list.count});
    return range;
}

Range write_values(Writer& writer, const OperationText& operation, const CutTemplate& path) {
    std::vector<std::pair<std::uint32_t, Range>> values;
    for (const auto& [name, text] : operation.resources) {
        values.emplace_back(writer.string(name), write_parts(writer, text, path));
    }
    const Range range{writer.rows(Values), static_cast<std::uint32_t>(values.size())};
    for (const auto& [name, parts] : values) writer.row(Values, {name, parts.first, parts.count});
    return range;
}

std::uint32_t rest_of(const OperationText& operation, const CutTemplate& path) {
    if (!path.has_rest) return NoRest;
    const auto uses_it = [](const auto& resource) { return resource.second.find(kRestBraces) != std::string::npos; };
    return std::any_of(operation.resources.begin(), operation.resources.end(), uses_it) ? UsedRest : AnyRest;
}

void write_operation(Writer& writer, const OperationText& operation, std::uint32_t endpoint) {
    const CutTemplate path = cut_template(operation.path);
    const Range segments = write_segments(writer, path);
    const Range sets = write_sets(writer, operation);
    const Range values = write_values(writer, operation, path);
    const Range query = writer.list(operation.query);
    const Range redact = writer.list(operation.redact);
    const Range says = write_parts(writer, operation.says, path);
    const Range needs = writer.list(operation.needs);
    const Range takes = writer.list(operation.takes);
    writer.row(Operations, {writer.string(operation.id), endpoint, writer.string(operation.method), segments.first,
                            segments.count, rest_of(operation, path), static_cast<std::uint32_t>(operation.risk),
                            operation.any_of ? 1U : 0U, sets.first, sets.count, values.first, values.count, query.first,
                            query.count, redact.first, redact.count, says.first, says.count,
                            operation.bounds_query ? 1U : 0U, needs.first, needs.count, takes.first, takes.count});
}

// Everything that the entry says a scope stands for, followed to the end.
std::vector<std::string> closure(const std::map<std::string, std::vector<std::string>>& implies,
                                 const std::string& scope) {
    std::set<std::string> seen;
    std::vector<std::string> open = {scope};
    while (!open.empty()) {
        const std::string next = open.back();
        open.pop_back();
        const auto found = implies.find(next);
        if (found == implies.end()) continue;
        for (const std::string& implied : found->second) {
            if (implied != scope && seen.insert(implied).second) open.push_back(implied);
        }
    }
    return {seen.begin(), seen.end()};
}

std::uint32_t endpoint_index(const EntryText& entry, const std::string& name) {
    const auto found = std::find_if(entry.endpoints.begin(), entry.endpoints.end(),
                                    [&](const EndpointText& endpoint) { return endpoint.name == name; });
    return static_cast<std::uint32_t>(found - entry.endpoints.begin());
}

void write_operations(Writer& writer, EntryText& entry) {
    std::stable_sort(entry.operations.begin(), entry.operations.end(),
                     [&](const OperationText& a, const OperationText& b) {
                         const auto x = std::tuple(endpoint_index(entry, a.endpoint), a.method);
                         const auto y = std::tuple(endpoint_index(entry, b.endpoint), b.method);
                         return x != y ? x < y : is_more_specific(a, b);
                     });
    for (const OperationText& operation : entry.operations) {
        write_operation(writer, operation, endpoint_index(entry, operation.endpoint));
    }
    for (std::size_t first = 0; first < entry.operations.size();) {
        const OperationText& head = entry.operations[first];
        std::size_t end = first;
        while (end < entry.operations.size() && entry.operations[end].endpoint == head.endpoint &&
               entry.operations[end].method == head.method) {
            ++end;
        }
        // Git operations have no method: they are found by id, not by path.
        if (!head.method.empty()) {
            writer.row(Groups, {endpoint_index(entry, head.endpoint), writer.string(head.method),
                                static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(end - first)});
        }
        first = end;
    }
}

// Lists under keys; CompiledEntry::login() is the inverse.
void write_login(Writer& writer, const Login& login) {
    const auto write = [&](std::string_view key, const std::vector<std::string>& texts) {
        const Range range = writer.list(texts);
        writer.row(Logins, {writer.string(key), range.first, range.count});
    };
    write("one", {login.operation, login.token_endpoint, login.revocation_endpoint, login.authorization_endpoint,
                  login.redirect, login.client_id, login.body, login.revocation_body});
    write("scopes", login.scopes);
    write("parameters", login.parameters);
    write("sends", login.sends);
    write("keeps", login.keeps);
    write("claims", login.claims);
    std::vector<std::string> tokens;
    for (const auto& [name, beginning] : login.tokens) tokens.insert(tokens.end(), {name, beginning});
    write("tokens", tokens);
    std::vector<std::string> files;
    for (const LoginFile& file : login.files) files.insert(files.end(), {file.path, file.text});
    write("files", files);
}

}  // namespace

Result<std::string> compile_entry(const std::string& file_name, std::string_view toml) {
    SANCTUM_TRY(EntryText entry, read_entry(file_name, toml));
    Writer writer;
    const std::uint32_t name = writer.string(entry.name);
    const std::uint32_t placeholder = writer.string(entry.placeholder);
    for (const EndpointText& endpoint : entry.endpoints) write_endpoint(writer, endpoint);
    write_operations(writer, entry);
    for (const auto& [scope, list] : entry.implies) {
        const Range range = writer.list(closure(entry.implies, scope));
        writer.row(Implied, {writer.string(scope), range.first, range.count});
    }
    if (entry.login) write_login(writer, *entry.login);
    const Range scopes = writer.list(entry.scopes);
    const Range resources = writer.list(entry.resource_names);
    return writer.finish(name, placeholder, scopes, resources);
}

}  // namespace sanctum::profiles
