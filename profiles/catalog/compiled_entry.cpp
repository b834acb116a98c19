// SPDX-License-Identifier: Apache-2.0
// Reading a compiled entry. open() proves every offset and number once; after that nothing can point outside.
#include "profiles/catalog/catalog.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "profiles/catalog/entry_format.hpp"
#include "profiles/policy/patterns.hpp"
#include "profiles/policy/query.hpp"
#include "profiles/schema/diagnostics.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <sys/mman.h>
#include <sys/stat.h>

namespace sanctum::profiles {

using namespace flat;

struct CompiledEntry::Bytes {
    std::string owned;
    void* mapping = nullptr;
    std::string_view view;
    std::array<std::uint32_t, kTables> offset{};
    std::array<std::uint32_t, kTables> count{};

    Bytes() = default;
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;
    ~Bytes() {
        if (mapping != nullptr) ::munmap(mapping, view.size());
    }

    [[nodiscard]] std::uint32_t word(std::size_t byte) const {
        std::array<unsigned char, 4> raw{};
        std::memcpy(raw.data(), view.data() + byte, raw.size());
        return static_cast<std::uint32_t>(raw[0]) | static_cast<std::uint32_t>(raw[1]) << 8U |
               static_cast<std::uint32_t>(raw[2]) << 16U | static_cast<std::uint32_t>(raw[3]) << 24U;
    }
    [[nodiscard]] std::uint32_t head(std::uint32_t index) const { return word(kMagic.size() + 4 * std::size_t{index}); }
    [[nodiscard]] std::uint32_t at(TableId table, std::uint32_t row, std::uint32_t column) const {
        return word(offset[table] + 4 * (std::size_t{row} * kWords[table] + column));
    }
    [[nodiscard]] std::string_view text(std::uint32_t string) const {
        return view.substr(at(Strings, string, 0), at(Strings, string, 1));
    }
    [[nodiscard]] std::vector<std::string_view> texts(std::uint32_t first, std::uint32_t size) const {
        std::vector<std::string_view> out;
        out.reserve(size);
        for (std::uint32_t i = 0; i < size; ++i) out.push_back(text(at(Lists, first + i, 0)));
        return out;
    }
};

namespace {

// The request's path cut once; captures are looked up by segment number.
struct CutPath {
    std::array<std::string_view, kPathSegmentsMax> segments;
    std::uint32_t count = 0;

    /// Behind the first `from` segments, with slashes between and escapes resolved.
    [[nodiscard]] std::string rest_from(std::uint32_t from) const {
        std::string out;
        for (std::uint32_t i = from; i < count; ++i) {
            if (i > from) out.push_back('/');
            out += decode_segment(segments[i]);
        }
        return out;
    }

    [[nodiscard]] static bool cut(std::string_view path, CutPath& out) {
        if (!path.starts_with('/')) return false;
        path.remove_prefix(1);
        for (;;) {
            if (out.count == out.segments.size()) return false;
            const std::size_t slash = path.find('/');
            out.segments[out.count++] = path.substr(0, slash);
            if (slash == std::string_view::npos) return true;
            path.remove_prefix(slash + 1);
        }
    }
};

// Checks a file word by word. Any doubt is an error; the caller says which file.
template <class Bytes>
class Prover {
public:
    explicit Prover(Bytes& bytes) : b_(bytes) {}

    [[nodiscard]] bool prove() {
        return prove_header() && prove_strings() && prove_lists() && prove_endpoints() && prove_operations() &&
               prove_groups();
    }

private:
    [[nodiscard]] bool prove_header() {
        if (b_.view.size() < kHeaderBytes || !b_.view.starts_with(kMagic)) return false;
        if (b_.head(HeadSchema) != kSchema || b_.head(HeadBytes) != b_.view.size()) return false;
        for (std::uint32_t t = 0; t < kTables; ++t) {
            const std::uint64_t offset = b_.head(HeadTables + 2 * t);
            const std::uint64_t count = b_.head(HeadTables + 2 * t + 1);
            if (offset < kHeaderBytes || offset % 4 != 0) return false;
            if (offset + count * kWords[t] * 4 > b_.view.size()) return false;
            b_.offset[t] = static_cast<std::uint32_t>(offset);
            b_.count[t] = static_cast<std::uint32_t>(count);
        }
        return true;
    }
    [[nodiscard]] bool prove_strings() const {
        for (std::uint32_t i = 0; i < b_.count[Strings]; ++i) {
            const std::uint64_t end = std::uint64_t{b_.at(Strings, i, 0)} + b_.at(Strings, i, 1);
            if (end > b_.view.size()) return false;
        }
        return is_string(b_.head(HeadName)) && is_string(b_.head(HeadPlaceholder));
    }
    [[nodiscard]] bool prove_lists() const {
        for (std::uint32_t i = 0; i < b_.count[Lists]; ++i) {
            if (!is_string(b_.at(Lists, i, 0))) return false;
        }
        for (std::uint32_t i = 0; i < b_.count[Sets]; ++i) {
            if (!is_range(Lists, b_.at(Sets, i, 0), b_.at(Sets, i, 1))) return false;
        }
        for (std::uint32_t i = 0; i < b_.count[Implied]; ++i) {
            if (!is_string(b_.at(Implied, i, 0))) return false;
            if (!is_range(Lists, b_.at(Implied, i, 1), b_.at(Implied, i, 2))) return false;
        }
        for (std::uint32_t i = 0; i < b_.count[Logins]; ++i) {
            if (!is_string(b_.at(Logins, i, 0))) return false;
            if (!is_range(Lists, b_.at(Logins, i, 1), b_.at(Logins, i, 2))) return false;
        }
        for (std::uint32_t i = 0; i < b_.count[Segments]; ++i) {
            if (b_.at(Segments, i, 0) > Capture || !is_string(b_.at(Segments, i, 1))) return false;
        }
        for (std::uint32_t i = 0; i < b_.count[Values]; ++i) {
            if (!is_string(b_.at(Values, i, 0))) return false;
            if (!is_range(Parts, b_.at(Values, i, 1), b_.at(Values, i, 2))) return false;
        }
        return is_range(Lists, b_.head(HeadScopes), b_.head(HeadScopesCount)) &&
               is_range(Lists, b_.head(HeadResources), b_.head(HeadResourcesCount));
    }
    [[nodiscard]] bool prove_endpoints() const {
        for (std::uint32_t i = 0; i < b_.count[Endpoints]; ++i) {
            const auto word = [&](EndpointWord column) { return b_.at(Endpoints, i, column); };
            for (const EndpointWord column : {EndpointName, EndpointFormName, EndpointUsername, EndpointSuffix}) {
                if (!is_string(word(column))) return false;
            }
            if (word(EndpointKindWord) > static_cast<std::uint32_t>(EndpointKind::Git)) return false;
            if (word(EndpointForm) > static_cast<std::uint32_t>(AuthForm::Sigv4)) return false;
            if (!is_range(Lists, word(EndpointHosts), word(EndpointHostsCount))) return false;
            if (!is_range(Lists, word(EndpointStrip), word(EndpointStripCount))) return false;
            if (!is_range(Lists, word(EndpointAmzHeaders), word(EndpointAmzHeadersCount))) return false;
        }
        return true;
    }
    [[nodiscard]] bool prove_operations() const {
        for (std::uint32_t i = 0; i < b_.count[Operations]; ++i) {
            const auto word = [&](OperationWord column) { return b_.at(Operations, i, column); };
            if (!is_string(word(OperationId)) || !is_string(word(OperationMethod))) return false;
            if (word(OperationEndpoint) >= b_.count[Endpoints]) return false;
            if (word(OperationSegmentsCount) > kPathSegmentsMax) return false;
            if (!is_range(Segments, word(OperationSegments), word(OperationSegmentsCount))) return false;
            if (word(OperationHasRest) > UsedRest || word(OperationIsScoped) > 1) return false;
            if (word(OperationBoundsQuery) > 1) return false;
            if (!is_range(Lists, word(OperationNeeds), word(OperationNeedsCount))) return false;
            if (!is_range(Lists, word(OperationTakes), word(OperationTakesCount))) return false;
            if (word(OperationRisk) > static_cast<std::uint32_t>(Risk::Critical)) return false;
            if (!is_range(Sets, word(OperationSets), word(OperationSetsCount))) return false;
            if (!is_range(Values, word(OperationValues), word(OperationValuesCount))) return false;
            if (!is_range(Lists, word(OperationQuery), word(OperationQueryCount))) return false;
            if (!is_range(Lists, word(OperationRedact), word(OperationRedactCount))) return false;
            if (!prove_parts(i, word(OperationSays), word(OperationSaysCount))) return false;
            for (std::uint32_t v = 0; v < word(OperationValuesCount); ++v) {
                const std::uint32_t row = word(OperationValues) + v;
                if (!prove_parts(i, b_.at(Values, row, 1), b_.at(Values, row, 2))) return false;
            }
        }
        return true;
    }
    [[nodiscard]] bool prove_parts(std::uint32_t operation, std::uint32_t first, std::uint32_t count) const {
        if (!is_range(Parts, first, count)) return false;
        for (std::uint32_t p = first; p < first + count; ++p) {
            const std::uint32_t kind = b_.at(Parts, p, 0);
            const std::uint32_t value = b_.at(Parts, p, 1);
            if (kind > Rest) return false;
            if (kind == Rest) {
                const bool is_behind = value == b_.at(Operations, operation, OperationSegmentsCount);
                if (!is_behind || b_.at(Operations, operation, OperationHasRest) == NoRest) return false;
                continue;
            }
            if (kind == Captured ? value >= b_.at(Operations, operation, OperationSegmentsCount) : !is_string(value)) {
                return false;
            }
        }
        return true;
    }
    [[nodiscard]] bool prove_groups() const {
        for (std::uint32_t i = 0; i < b_.count[Groups]; ++i) {
            if (b_.at(Groups, i, 0) >= b_.count[Endpoints] || !is_string(b_.at(Groups, i, 1))) return false;
            if (!is_range(Operations, b_.at(Groups, i, 2), b_.at(Groups, i, 3))) return false;
        }
        return true;
    }
    [[nodiscard]] bool is_string(std::uint32_t string) const { return string < b_.count[Strings]; }
    [[nodiscard]] bool is_range(TableId table, std::uint32_t first, std::uint32_t count) const {
        return std::uint64_t{first} + count <= b_.count[table];
    }

    Bytes& b_;
};

template <class Bytes>
std::string fill(const Bytes& b, std::uint32_t first, std::uint32_t count, const CutPath& path,
                 std::string_view query) {
    std::string out;
    for (std::uint32_t p = first; p < first + count; ++p) {
        const std::uint32_t value = b.at(Parts, p, 1);
        switch (b.at(Parts, p, 0)) {
            case Text: out += b.text(value); break;
            case Rest: out += path.rest_from(value); break;
            case Captured: out += value < path.count ? decode_segment(path.segments[value]) : std::string(); break;
            // FAIL-CLOSED: a parameter that is absent or given twice names no resource; an empty value matches nothing.
            default: {
                const std::optional<std::string> parameter = single_parameter(query, b.text(value));
                if (!parameter || parameter->empty()) return {};
                out += *parameter;
            }
        }
    }
    return out;
}

template <class Bytes>
OperationMatch describe(const Bytes& b, std::uint32_t row, const CutPath& path, std::string_view query) {
    const auto word = [&](OperationWord column) { return b.at(Operations, row, column); };
    OperationMatch match;
    match.id = b.text(word(OperationId));
    match.risk = static_cast<Risk>(word(OperationRisk));
    match.is_scoped = word(OperationIsScoped) == 1;
    match.any_of.reserve(word(OperationSetsCount));
    for (std::uint32_t s = 0; s < word(OperationSetsCount); ++s) {
        const std::uint32_t set = word(OperationSets) + s;
        match.any_of.push_back(b.texts(b.at(Sets, set, 0), b.at(Sets, set, 1)));
    }
    for (std::uint32_t v = 0; v < word(OperationValuesCount); ++v) {
        const std::uint32_t value = word(OperationValues) + v;
        match.resources.emplace_back(b.text(b.at(Values, value, 0)),
                                     fill(b, b.at(Values, value, 1), b.at(Values, value, 2), path, query));
    }
    match.resource_query = b.texts(word(OperationQuery), word(OperationQueryCount));
    match.redact = b.texts(word(OperationRedact), word(OperationRedactCount));
    // The captures are the agent's words; what a human reads must not be able to move the cursor.
    match.says = printable(fill(b, word(OperationSays), word(OperationSaysCount), path, query));
    return match;
}

template <class Bytes>
bool covers_operation(const Bytes& b, std::uint32_t row, const CutPath& path) {
    const std::uint32_t count = b.at(Operations, row, OperationSegmentsCount);
    const std::uint32_t rest = b.at(Operations, row, OperationHasRest);
    if (rest == NoRest ? path.count != count : path.count <= count) return false;
    if (rest == UsedRest && path.segments[count].empty()) return false;
    const std::uint32_t first = b.at(Operations, row, OperationSegments);
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string_view actual = path.segments[i];
        if (b.at(Segments, first + i, 0) == Capture) {
            if (actual.empty()) return false;
            continue;
        }
        const std::string_view wanted = b.text(b.at(Segments, first + i, 1));
        if (wanted == actual) continue;
        if (actual.find('%') == std::string_view::npos || decode_segment(actual) != wanted) return false;
    }
    return true;
}

// FAIL-CLOSED: a parameter that the operation does not name may make it another one (`?acl`).
template <class Bytes>
bool covers_query(const Bytes& b, std::uint32_t row, std::string_view query) {
    if (b.at(Operations, row, OperationBoundsQuery) == 0) return true;
    const auto needs = b.texts(b.at(Operations, row, OperationNeeds), b.at(Operations, row, OperationNeedsCount));
    const auto takes = b.texts(b.at(Operations, row, OperationTakes), b.at(Operations, row, OperationTakesCount));
    const auto has = [](const auto& names, std::string_view name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    const auto parameters = parse_query(query);
    const bool is_known = std::all_of(parameters.begin(), parameters.end(), [&](const auto& parameter) {
        return has(needs, parameter.first) || has(takes, parameter.first);
    });
    return is_known && std::all_of(needs.begin(), needs.end(), [&](std::string_view name) {
        return std::count_if(parameters.begin(), parameters.end(),
                             [&](const auto& parameter) { return parameter.first == name; }) == 1;
    });
}

template <class Bytes>
std::optional<std::uint32_t> find_row(const Bytes& b, std::string_view endpoint, std::string_view method,
                                      const CutPath& path, std::string_view query) {
    for (std::uint32_t g = 0; g < b.count[Groups]; ++g) {
        if (b.text(b.at(Groups, g, 1)) != method) continue;
        if (b.text(b.at(Endpoints, b.at(Groups, g, 0), EndpointName)) != endpoint) continue;
        const std::uint32_t first = b.at(Groups, g, 2);
        for (std::uint32_t row = first; row < first + b.at(Groups, g, 3); ++row) {
            if (covers_operation(b, row, path) && covers_query(b, row, query)) return row;
        }
    }
    return std::nullopt;
}

Error damaged() {
    return Error{Errc::Protocol, "not a compiled catalog entry of this version, or damaged (build or install again)"};
}

}  // namespace

CompiledEntry::CompiledEntry(std::unique_ptr<Bytes> bytes) : bytes_(std::move(bytes)) {}
CompiledEntry::CompiledEntry(CompiledEntry&&) noexcept = default;
CompiledEntry& CompiledEntry::operator=(CompiledEntry&&) noexcept = default;
CompiledEntry::~CompiledEntry() = default;

Result<CompiledEntry> CompiledEntry::open(std::string bytes) {
    auto held = std::make_unique<Bytes>();
    held->owned = std::move(bytes);
    held->view = held->owned;
    if (!Prover<Bytes>(*held).prove()) return damaged();
    return CompiledEntry(std::move(held));
}

Result<CompiledEntry> CompiledEntry::map(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return io_error("stat catalog entry");
    if (status.st_size <= 0 || static_cast<std::uint64_t>(status.st_size) > kMemfdBytesMax) return damaged();
    const auto size = static_cast<std::size_t>(status.st_size);
    void* mapping = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapping == MAP_FAILED) return io_error("map catalog entry");
    auto held = std::make_unique<Bytes>();
    held->mapping = mapping;
    held->view = {static_cast<const char*>(mapping), size};
    if (!Prover<Bytes>(*held).prove()) return damaged();
    return CompiledEntry(std::move(held));
}

std::string_view CompiledEntry::bytes() const { return bytes_->view; }
std::string_view CompiledEntry::name() const { return bytes_->text(bytes_->head(HeadName)); }
std::string_view CompiledEntry::placeholder() const { return bytes_->text(bytes_->head(HeadPlaceholder)); }

std::vector<Endpoint> CompiledEntry::endpoints() const {
    const auto owned = [](const std::vector<std::string_view>& texts) {
        return std::vector<std::string>(texts.begin(), texts.end());
    };
    std::vector<Endpoint> out;
    for (std::uint32_t i = 0; i < bytes_->count[Endpoints]; ++i) {
        const auto word = [&](EndpointWord column) { return bytes_->at(Endpoints, i, column); };
        Endpoint endpoint;
        endpoint.name = bytes_->text(word(EndpointName));
        endpoint.hosts = owned(bytes_->texts(word(EndpointHosts), word(EndpointHostsCount)));
        endpoint.kind = static_cast<EndpointKind>(word(EndpointKindWord));
        endpoint.form = static_cast<AuthForm>(word(EndpointForm));
        endpoint.form_name = bytes_->text(word(EndpointFormName));
        endpoint.username = bytes_->text(word(EndpointUsername));
        endpoint.strip = owned(bytes_->texts(word(EndpointStrip), word(EndpointStripCount)));
        endpoint.repo_suffix = bytes_->text(word(EndpointSuffix));
        endpoint.amz_headers = owned(bytes_->texts(word(EndpointAmzHeaders), word(EndpointAmzHeadersCount)));
        endpoint.ports = {443};
        out.push_back(std::move(endpoint));
    }
    return out;
}

std::optional<Login> CompiledEntry::login() const {
    if (bytes_->count[Logins] == 0) return std::nullopt;
    const auto list = [&](std::string_view key) {
        std::vector<std::string> out;
        for (std::uint32_t i = 0; i < bytes_->count[Logins]; ++i) {
            if (bytes_->text(bytes_->at(Logins, i, 0)) != key) continue;
            const auto texts = bytes_->texts(bytes_->at(Logins, i, 1), bytes_->at(Logins, i, 2));
            out.assign(texts.begin(), texts.end());
        }
        return out;
    };
    Login login;
    std::vector<std::string> one = list("one");
    one.resize(8);
    login.operation = std::move(one[0]);
    login.token_endpoint = std::move(one[1]);
    login.revocation_endpoint = std::move(one[2]);
    login.authorization_endpoint = std::move(one[3]);
    login.redirect = std::move(one[4]);
    login.client_id = std::move(one[5]);
    login.body = std::move(one[6]);
    login.revocation_body = std::move(one[7]);
    login.scopes = list("scopes");
    login.parameters = list("parameters");
    login.sends = list("sends");
    login.keeps = list("keeps");
    login.claims = list("claims");
    const std::vector<std::string> tokens = list("tokens");
    for (std::size_t i = 0; i + 1 < tokens.size(); i += 2) login.tokens[tokens[i]] = tokens[i + 1];
    std::vector<std::string> files = list("files");
    for (std::size_t i = 0; i + 1 < files.size(); i += 2) login.files.push_back({files[i], files[i + 1]});
    return login;
}

std::vector<std::string_view> CompiledEntry::scopes() const {
    return bytes_->texts(bytes_->head(HeadScopes), bytes_->head(HeadScopesCount));
}

std::vector<std::string_view> CompiledEntry::implied_by(std::string_view scope) const {
    for (std::uint32_t i = 0; i < bytes_->count[Implied]; ++i) {
        if (bytes_->text(bytes_->at(Implied, i, 0)) != scope) continue;
        return bytes_->texts(bytes_->at(Implied, i, 1), bytes_->at(Implied, i, 2));
    }
    return {};
}

std::vector<std::string_view> CompiledEntry::resource_names() const {
    return bytes_->texts(bytes_->head(HeadResources), bytes_->head(HeadResourcesCount));
}

std::vector<std::string_view> CompiledEntry::operation_ids() const {
    std::vector<std::string_view> out;
    for (std::uint32_t i = 0; i < bytes_->count[Operations]; ++i) {
        out.push_back(bytes_->text(bytes_->at(Operations, i, OperationId)));
    }
    std::sort(out.begin(), out.end());
    return out;
}

std::optional<OperationMatch> CompiledEntry::find(std::string_view endpoint, std::string_view method,
                                                  std::string_view path, std::string_view query) const {
    CutPath cut;
    if (!CutPath::cut(path, cut)) return std::nullopt;
    std::optional<std::uint32_t> row = find_row(*bytes_, endpoint, method, cut, query);
    if (!row && method == "HEAD") row = find_row(*bytes_, endpoint, "GET", cut, query);
    if (!row) row = find_row(*bytes_, endpoint, "*", cut, query);
    if (!row) return std::nullopt;
    return describe(*bytes_, *row, cut, query);
}

std::optional<OperationMatch> CompiledEntry::operation(std::string_view id) const {
    for (std::uint32_t i = 0; i < bytes_->count[Operations]; ++i) {
        if (bytes_->text(bytes_->at(Operations, i, OperationId)) == id) return describe(*bytes_, i, {}, {});
    }
    return std::nullopt;
}

const CompiledEntry* CatalogSet::find(std::string_view name) const {
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const CompiledEntry& entry) { return entry.name() == name; });
    return found == entries_.end() ? nullptr : &*found;
}

}  // namespace sanctum::profiles
