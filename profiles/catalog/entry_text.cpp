// SPDX-License-Identifier: Apache-2.0
// Reads and checks the TOML of a catalog entry (formats 5).
#include "profiles/catalog/entry_text.hpp"

#include "base/limits.hpp"
#include "profiles/catalog/login_text.hpp"
#include "profiles/policy/patterns.hpp"
#include "profiles/schema/toml_reader.hpp"
#include "profiles/schema/values.hpp"
#include "profiles/schema/words.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace sanctum::profiles {
namespace {

// What classify() tells apart below a git endpoint. The last two are added to `git.push` where they apply.
constexpr std::array<std::string_view, 6> kGitOperations = {"git.fetch",      "git.push",         "git.push:delete",
                                                            "git.push:force", "git.lfs:download", "git.lfs:upload"};
constexpr std::string_view kDefaultPlaceholder = "held-by-sanctum";
constexpr std::string_view kRegionBraces = "{region}";

bool is_header_name(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
}

bool is_scope(std::string_view text) {
    // RFC 6749, 3.3: printable ASCII without space, quote and backslash.
    return !text.empty() && text.size() <= kNameCharsMax * 2 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

bool is_json_pointer(std::string_view text) {
    if (!text.starts_with('/')) return false;
    for (std::size_t at = text.find('~'); at != std::string_view::npos; at = text.find('~', at + 1)) {
        const bool is_escape = at + 1 < text.size() && (text[at + 1] == '0' || text[at + 1] == '1');
        if (!is_escape) return false;
    }
    return true;
}

class EntryReader {
public:
    EntryReader(const TomlValue& tree, Place top, Diagnostics& diagnostics)
        : diagnostics_(diagnostics), top_(tree, top, "the entry", diagnostics) {}

    EntryText read() {
        check_schema(top_);
        if (const auto name = top_.text("name", Need::Required, "my-api")) {
            entry_.name = accept(parse_name_text(name->value, "an entry"), name->at);
        }
        const auto placeholder = top_.text("placeholder", Need::Optional, kDefaultPlaceholder);
        entry_.placeholder = placeholder ? placeholder->value : std::string(kDefaultPlaceholder);
        const std::vector<const TomlValue*> endpoints = top_.tables("endpoint");
        if (endpoints.empty()) {
            diagnostics_.error(top_.at(), "the entry has no [[endpoint]]", "it says where requests go and how");
        }
        for (const TomlValue* endpoint : endpoints) read_endpoint(*endpoint);
        check_forms();
        read_operations();
        read_implies();
        check_host_resources();
        read_login(top_, entry_);
        top_.finish();
        entry_.scopes.assign(scopes_.begin(), scopes_.end());
        entry_.resource_names.assign(resources_.begin(), resources_.end());
        return std::move(entry_);
    }

private:
    template <class T>
    T accept(Parsed<T> parsed, Place at) {
        if (Fault* fault = std::get_if<Fault>(&parsed)) {
            diagnostics_.error(at, std::move(fault->text), std::move(fault->hint));
            return {};
        }
        return std::get<T>(std::move(parsed));
    }

    void read_endpoint(const TomlValue& table) {
        TableReader reader(table, table.at, "[[endpoint]]", diagnostics_);
        EndpointText endpoint;
        if (const auto name = reader.text("name", Need::Required, "api")) {
            endpoint.name = accept(parse_name_text(name->value, "an endpoint"), name->at);
            const bool is_repeat = std::any_of(entry_.endpoints.begin(), entry_.endpoints.end(),
                                               [&](const EndpointText& known) { return known.name == endpoint.name; });
            if (is_repeat) diagnostics_.error(name->at, "a second endpoint `" + endpoint.name + "`", "rename one");
        }
        read_auth(reader, endpoint);
        if (const auto hosts = reader.texts("hosts", Need::Optional, R"(["api.example.org"])")) {
            for (const auto& host : hosts->value) endpoint.hosts.push_back(read_host(host, endpoint));
        }
        if (const auto kind = reader.word<EndpointKind>("kind", {EndpointKind::Http, EndpointKind::Git})) {
            endpoint.kind = kind->value;
        }
        if (const auto strip = reader.texts("strip", Need::Optional, R"(["authorization"])")) {
            for (const auto& header : strip->value) endpoint.strip.push_back(header_name(header));
        }
        if (const auto suffix = reader.text("repo_suffix", Need::Optional, ".git")) {
            endpoint.repo_suffix = suffix->value;
            if (endpoint.kind != EndpointKind::Git) {
                diagnostics_.error(suffix->at, "`repo_suffix` belongs to kind = \"git\"", "remove it");
            }
        }
        read_amz_headers(reader, endpoint);
        reader.finish();
        entry_.endpoints.push_back(std::move(endpoint));
    }

    // A host may leave its region to the account, and begin with what the first segment of every path stands for: only
    // where requests are signed, since a signature is of no use to whoever gets it.
    std::string read_host(const Placed<std::string>& written, const EndpointText& endpoint) {
        std::string plain = written.value;
        if (endpoint.form == AuthForm::Sigv4) {
            const std::size_t region = plain.find(kRegionBraces);
            if (region != std::string::npos) plain.replace(region, kRegionBraces.size(), "region");
            if (plain.starts_with('{') && plain.find("}.") != std::string::npos) {
                host_resources_.push_back({plain.substr(1, plain.find('}') - 1), written.at});
                plain.replace(0, plain.find('}') + 1, "resource");
            }
        }
        const std::string name = accept(parse_host(plain, Wildcard::Refused), written.at);
        if (!name.empty() && !hosts_.insert(written.value).second) {
            diagnostics_.error(written.at, "host `" + written.value + "` belongs to two endpoints", "remove one");
        }
        return written.value;
    }

    void read_amz_headers(TableReader& reader, EndpointText& endpoint) {
        const auto headers = reader.texts("amz_headers", Need::Optional, R"(["x-amz-meta-*"])");
        if (!headers) return;
        if (endpoint.form != AuthForm::Sigv4) {
            diagnostics_.error(headers->at, "`amz_headers` belongs to form `sigv4`", "remove it");
        }
        for (const auto& header : headers->value) {
            const std::string_view name = header.value.ends_with('*')
                                              ? std::string_view(header.value).substr(0, header.value.size() - 1)
                                              : std::string_view(header.value);
            if (!name.starts_with("x-amz-") || name.size() == 6 || !is_header_name(name)) {
                diagnostics_.error(header.at, "`" + header.value + "` is no header of AWS",
                                   "in lower case, as in x-amz-storage-class or x-amz-meta-*");
            }
            endpoint.amz_headers.push_back(header.value);
        }
    }

    // SECURITY: a key pair that signs in one place would leave as it is in another.
    void check_forms() {
        const auto has = [&](bool is_signed) {
            return std::any_of(entry_.endpoints.begin(), entry_.endpoints.end(), [&](const EndpointText& endpoint) {
                return endpoint.form != AuthForm::None && (endpoint.form == AuthForm::Sigv4) == is_signed;
            });
        };
        if (!has(true) || !has(false)) return;
        diagnostics_.error(top_.at(), "form `sigv4` and other forms are in one entry", "write an entry for each");
    }

    void check_host_resources() {
        for (const auto& resource : host_resources_) {
            if (resource.value != host_resources_.front().value) {
                diagnostics_.error(resource.at, "hosts name two resources, `" + host_resources_.front().value +
                                                    "` and `" + resource.value + "`",
                                   "name one");
            }
            if (resources_.contains(resource.value)) continue;
            diagnostics_.error(resource.at, "no operation has a resource `" + resource.value + "`",
                               suggest(resource.value, {resources_.begin(), resources_.end()}));
        }
    }

    std::string header_name(const Placed<std::string>& written) {
        if (!is_header_name(written.value)) {
            diagnostics_.error(written.at, "`" + written.value + "` is not a header name",
                               "in lower case, as in x-api-key");
        }
        return written.value;
    }

    void read_auth(TableReader& endpoint_reader, EndpointText& endpoint) {
        const TomlMember* auth = endpoint_reader.table("auth", R"({ form = "bearer" })");
        if (auth == nullptr) return;
        TableReader reader(auth->value, auth->at, "auth", diagnostics_);
        const auto form = reader.text("form", Need::Required, "bearer");
        const auto name = reader.text("name", Need::Optional, "x-api-key");
        const auto username = reader.text("username", Need::Optional, "git");
        reader.finish();
        if (!form) return;
        // Whether a bearer token is bound to something is the business of who issues it, not of the API.
        const bool is_known = parse_name(form->value, endpoint.form) && endpoint.form != AuthForm::Dpop &&
                              endpoint.form != AuthForm::Certificate;
        if (!is_known) {
            endpoint.form = AuthForm::None;
            diagnostics_.error(form->at, "`form` cannot be `" + form->value + "`",
                               suggest(form->value, {"none", "bearer", "basic", "header", "query", "sigv4"}));
            return;
        }
        const bool is_signed = endpoint.form == AuthForm::Sigv4;
        const bool needs_name = endpoint.form == AuthForm::Header || endpoint.form == AuthForm::Query || is_signed;
        if (needs_name && !name) {
            diagnostics_.error(form->at, "form `" + form->value + "` needs `name`",
                               is_signed ? "the service that is signed for: name = \"s3\"" : "name = \"x-api-key\"");
        }
        if (!needs_name && name) {
            diagnostics_.error(name->at, "form `" + form->value + "` takes no `name`", "remove it");
        }
        if (endpoint.form != AuthForm::Basic && username) {
            diagnostics_.error(username->at, "form `" + form->value + "` takes no `username`", "remove it");
        }
        if (needs_name && name) {
            endpoint.form_name = endpoint.form == AuthForm::Query ? name->value : header_name(*name);
        }
        if (username) endpoint.username = username->value;
    }

    void read_operations() {
        const TomlMember* member = top_.take("operation");
        if (member == nullptr) return;
        if (!member->value.is_array_of_tables()) {
            report_kind(diagnostics_, member->value, "operation", "written as [[operation]]", {});
            return;
        }
        if (member->value.elements.size() > kCatalogOperationsMax) {
            diagnostics_.error(member->at, "more than " + std::to_string(kCatalogOperationsMax) + " operations");
            return;
        }
        for (const TomlValue& table : member->value.elements) read_operation(table);
    }

    void read_operation(const TomlValue& table) {
        TableReader reader(table, table.at, "[[operation]]", diagnostics_);
        OperationText operation;
        const auto id = reader.text("id", Need::Required, "issues/create");
        if (id) operation.id = id->value;
        if (id && !ids_.insert(id->value).second) {
            diagnostics_.error(id->at, "a second operation `" + id->value + "`", "ids are used in rules; rename one");
        }
        if (id && !is_scope(id->value)) {
            diagnostics_.error(id->at, "`" + id->value + "` is not an id", "printable, no spaces");
        }
        const EndpointText* endpoint = read_endpoint_name(reader, operation);
        read_request(reader, operation, endpoint, id ? id->at : table.at);
        read_any_of(reader, operation);
        read_resources(reader, operation);
        if (const auto risk = reader.word<Risk>("risk", {Risk::Low, Risk::Medium, Risk::High, Risk::Critical})) {
            operation.risk = risk->value;
        } else if (table.find("risk") == nullptr) {
            diagnostics_.error(table.at, "[[operation]] needs `risk`", "low, medium, high or critical");
        }
        if (const auto says = reader.text("says", Need::Required, "Create an issue in {repo}")) {
            operation.says = says->value;
            check_braces(*says, operation, endpoint);
        }
        read_redact(reader, operation, endpoint);
        reader.finish();
        entry_.operations.push_back(std::move(operation));
    }

    void read_redact(TableReader& reader, OperationText& operation, const EndpointText* endpoint) {
        const auto redact = reader.texts("redact", Need::Optional, R"(["/token"])");
        if (!redact) return;
        const bool is_git = endpoint != nullptr && endpoint->kind == EndpointKind::Git;
        if (is_git && !operation.id.starts_with("git.lfs:")) {
            diagnostics_.error(redact->at, "this git operation takes no `redact`",
                               "its answers are no JSON; remove it");
        }
        for (const auto& pointer : redact->value) {
            if (!is_json_pointer(pointer.value)) {
                diagnostics_.error(pointer.at, "`" + pointer.value + "` is not a JSON pointer",
                                   "it begins with a slash; a tilde in a name is ~0, a slash ~1 (RFC 6901); * alone is "
                                   "every element or member");
            }
            operation.redact.push_back(pointer.value);
        }
    }

    const EndpointText* read_endpoint_name(TableReader& reader, OperationText& operation) {
        const auto name = reader.text("endpoint", Need::Required, "api");
        if (!name) return nullptr;
        operation.endpoint = name->value;
        std::vector<std::string> known;
        for (const EndpointText& endpoint : entry_.endpoints) {
            if (endpoint.name == name->value) return &endpoint;
            known.push_back(endpoint.name);
        }
        diagnostics_.error(name->at, "there is no endpoint `" + name->value + "`", suggest(name->value, known));
        return nullptr;
    }

    void read_request(TableReader& reader, OperationText& operation, const EndpointText* endpoint, Place at) {
        const bool is_git = endpoint != nullptr && endpoint->kind == EndpointKind::Git;
        const auto method = reader.text("method", is_git ? Need::Optional : Need::Required, "GET");
        const auto path = reader.text("path", is_git ? Need::Optional : Need::Required, "/items/{id}");
        if (is_git) {
            if (method || path) {
                diagnostics_.error(method ? method->at : path->at, "git operations have no method and no path",
                                   "remove both");
            }
            if (std::find(kGitOperations.begin(), kGitOperations.end(), operation.id) == kGitOperations.end()) {
                diagnostics_.error(at, "git has no operation `" + operation.id + "`",
                                   suggest(operation.id, {kGitOperations.begin(), kGitOperations.end()}));
            }
            return;
        }
        if (!method || !path) return;
        const RequestPattern pattern = accept(parse_request_pattern(method->value + " " + path->value), path->at);
        operation.method = pattern.method;
        operation.path = pattern.path;
        read_query(reader, operation);
        if (pattern.path.empty() || endpoint == nullptr) return;
        const std::string shape = shape_of(pattern.path) + "?" + joined(operation.needs);
        if (!shapes_.insert(operation.endpoint + " " + pattern.method + " " + shape).second) {
            diagnostics_.error(path->at, "another operation has the same method and path",
                               "an operation must be the only one");
        }
    }

    static std::string joined(const std::vector<std::string>& names) {
        std::string out;
        for (const std::string& name : names) out += (out.empty() ? "" : "&") + name;
        return out;
    }

    static std::string shape_of(const std::string& path) {
        std::string out;
        for (std::size_t i = 0; i < path.size(); ++i) {
            if (path[i] == '{') {
                i = path.find('}', i);
                out += '*';
            } else {
                out += path[i];
            }
        }
        return out;
    }

    // Without `query`, parameters do not matter; with it, an unknown one makes the request another operation.
    void read_query(TableReader& reader, OperationText& operation) {
        const TomlMember* member = reader.table("query", R"({ takes = ["page"] })");
        if (member == nullptr) return;
        operation.bounds_query = true;
        TableReader query(member->value, member->at, "query", diagnostics_);
        const auto read = [&](std::string_view key, std::vector<std::string>& names) {
            const auto texts = query.texts(key, Need::Optional, R"(["page"])");
            if (!texts) return;
            for (const auto& name : texts->value) names.push_back(name.value);
            std::sort(names.begin(), names.end());
        };
        read("needs", operation.needs);
        read("takes", operation.takes);
        query.finish();
    }

    void read_any_of(TableReader& reader, OperationText& operation) {
        const TomlMember* member = reader.take("any_of");
        if (member == nullptr) return;
        operation.any_of.emplace();
        const auto report = [&](const TomlValue& value) {
            report_kind(diagnostics_, value, "any_of", "a list of lists of scopes", R"([["issues:write"]])");
        };
        if (member->value.kind != TomlKind::Array) return report(member->value);
        if (member->value.elements.empty()) {
            diagnostics_.error(member->value.at, "an empty `any_of` can never be satisfied",
                               "[[]] when nothing is needed; leave it out when it is not known");
        }
        for (const TomlValue& set : member->value.elements) {
            if (set.kind != TomlKind::Array) {
                report(set);
                continue;
            }
            std::vector<std::string> scopes;
            for (const auto& scope : read_texts(set, "any_of", {}, diagnostics_)) {
                note_scope(scope);
                scopes.push_back(scope.value);
            }
            std::sort(scopes.begin(), scopes.end());
            operation.any_of->push_back(std::move(scopes));
        }
    }

    void note_scope(const Placed<std::string>& scope) {
        if (!is_scope(scope.value)) {
            diagnostics_.error(scope.at, "`" + scope.value + "` is not a scope", "printable, no spaces");
        }
        scopes_.insert(scope.value);
    }

    void read_resources(TableReader& reader, OperationText& operation) {
        const TomlMember* member = reader.table("resources", R"({ repo = "{owner}/{repo}" })");
        if (member == nullptr) return;
        for (const TomlMember& resource : member->value.members) {
            if (resource.value.kind != TomlKind::String || resource.value.text.empty()) {
                report_kind(diagnostics_, resource.value, resource.key, "text", R"("{owner}/{repo}")");
                continue;
            }
            accept(parse_name_text(resource.key, "a resource"), resource.at);
            operation.resources[resource.key] = resource.value.text;
            resources_.insert(resource.key);
            collect_query(operation, resource.value.text);
        }
        std::sort(operation.query.begin(), operation.query.end());
        operation.query.erase(std::unique(operation.query.begin(), operation.query.end()), operation.query.end());
        const EndpointText* endpoint = find_endpoint(operation.endpoint);
        for (const TomlMember& resource : member->value.members) {
            if (resource.value.kind == TomlKind::String) {
                check_braces({resource.value.text, resource.value.at}, operation, endpoint);
            }
        }
    }

    const EndpointText* find_endpoint(const std::string& name) const {
        for (const EndpointText& endpoint : entry_.endpoints) {
            if (endpoint.name == name) return &endpoint;
        }
        return nullptr;
    }

    static void collect_query(OperationText& operation, std::string_view text) {
        for (std::size_t at = text.find("{?"); at != std::string_view::npos; at = text.find("{?", at + 2)) {
            const std::size_t end = text.find('}', at);
            if (end != std::string_view::npos) operation.query.emplace_back(text.substr(at + 2, end - at - 2));
        }
    }

    // Every `{name}` must stand for something: a capture of the path, `{?name}`, or what git operations have.
    void check_braces(const Placed<std::string>& written, const OperationText& operation,
                      const EndpointText* endpoint) {
        const std::string& text = written.value;
        const bool is_git = endpoint != nullptr && endpoint->kind == EndpointKind::Git;
        for (std::size_t at = text.find_first_of("{}"); at != std::string::npos; at = text.find_first_of("{}", at)) {
            const std::size_t end = text.find('}', at);
            if (text[at] == '}' || end == std::string::npos) {
                diagnostics_.error(written.at, "a brace is not closed or not opened", "as in {owner}/{repo}");
                return;
            }
            const std::string braces = text.substr(at, end + 1 - at);
            const bool is_query = braces.starts_with("{?") && braces.size() > 3;
            const bool is_captured = ("/" + operation.path + "/").find("/" + braces + "/") != std::string::npos;
            const bool is_rest = braces == "{**}" && operation.path.ends_with("/**");
            const bool is_git_word = is_git && (braces == "{repo}" || braces == "{ref}");
            if (!is_query && !is_captured && !is_rest && !is_git_word) {
                diagnostics_.error(written.at, "`" + braces + "` is not in the path",
                                   "use a name of the path, or {?name} for a parameter");
                return;
            }
            at = end + 1;
        }
    }

    void read_implies() {
        const TomlMember* member = top_.table("implies", {});
        if (member == nullptr) return;
        for (const TomlMember& scope : member->value.members) {
            note_scope({scope.key, scope.at});
            if (scope.value.kind != TomlKind::Array) {
                report_kind(diagnostics_, scope.value, scope.key, "a list of scopes", R"(["issues:read"])");
                continue;
            }
            for (const auto& implied : read_texts(scope.value, scope.key, {}, diagnostics_)) {
                note_scope(implied);
                entry_.implies[scope.key].push_back(implied.value);
            }
        }
    }

    Diagnostics& diagnostics_;
    TableReader top_;
    EntryText entry_;
    std::set<std::string> hosts_;
    std::vector<Placed<std::string>> host_resources_;
    std::set<std::string> ids_;
    std::set<std::string> shapes_;
    std::set<std::string> scopes_;
    std::set<std::string> resources_;
};

}  // namespace

Result<EntryText> read_entry(const std::string& file_name, std::string_view toml) {
    if (toml.size() > kCatalogTextBytesMax) {
        return Error{Errc::Limit, file_name + ": larger than " + format_size(kCatalogTextBytesMax)};
    }
    Diagnostics diagnostics;
    const std::uint32_t source = diagnostics.add_file(file_name, toml);
    const std::optional<TomlValue> tree = parse_toml(toml, source, diagnostics);
    if (!tree) return diagnostics.to_error();
    EntryText entry = EntryReader(*tree, {.source = source, .line = 1, .column = 1}, diagnostics).read();
    if (!diagnostics.empty()) return diagnostics.to_error();
    return entry;
}

}  // namespace sanctum::profiles
