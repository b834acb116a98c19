// SPDX-License-Identifier: Apache-2.0
#include "vault/http/xml_answer.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace sanctum::vault {
namespace {

Error broken_xml(const char* why) { return Error{Errc::Protocol, std::string("the answer is broken XML: ") + why}; }

bool is_xml_type(std::string_view field) {
    std::string lower;
    for (const char c : field.substr(0, field.find(';'))) {
        if (c != ' ' && c != '\t') lower.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
    }
    return lower == "text/xml" || lower == "application/xml";
}

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == ':';
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

struct NamedEntity {
    std::string_view name;
    char stands_for;
};
constexpr std::array<NamedEntity, 5> kEntities{
    {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};

}  // namespace

// Walks the text once; what is open is a path.
class XmlReader {
public:
    explicit XmlReader(std::string_view text) : rest_(text) {
        if (!rest_.starts_with("<?xml")) return;
        const std::size_t end = rest_.find("?>");
        if (end != std::string_view::npos) rest_.remove_prefix(end + 2);
    }
    ~XmlReader() { wipe(text_); }
    XmlReader(const XmlReader&) = delete;
    XmlReader& operator=(const XmlReader&) = delete;

    Result<XmlAnswer> read() {
        text_.reserve(rest_.size());  // never grown: no copy of a secret stays behind
        while (!rest_.empty()) {
            SANCTUM_CHECK(take_next());
        }
        if (!open_.empty() || !has_root_) return broken_xml("it ends within an element");
        return std::move(answer_);
    }

private:
    struct Element {
        std::size_t path_size;  ///< of the path above it
        bool has_children = false;
    };

    std::string_view take_name() {
        std::size_t size = 0;
        while (size < rest_.size() && is_name_char(rest_[size])) ++size;
        const std::string_view name = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return name;
    }

    Status take_next() {
        if (rest_.starts_with("</")) return close();
        return rest_.starts_with('<') ? open() : take_text();
    }

    Status open() {
        rest_.remove_prefix(1);
        const std::string_view name = take_name();
        const std::size_t end = rest_.find('>');
        if (name.empty() || end == std::string_view::npos) return broken_xml("something that is no element");
        const std::string_view attributes = rest_.substr(0, end);
        if (attributes.find('<') != std::string_view::npos) return broken_xml("an element that does not end");
        if (open_.empty() && has_root_) return broken_xml("two roots");
        if (open_.size() >= kXmlDepthMax) return broken_xml("it is nested too deep");
        if (!open_.empty()) open_.back().has_children = true;
        has_root_ = true;
        open_.push_back({path_.size()});
        if (!path_.empty()) path_.push_back('/');
        path_ += name;
        if (!seen_.insert(path_).second) return broken_xml("an element is there twice");
        rest_.remove_prefix(end + 1);
        forget_text();
        if (attributes.ends_with('/')) leave();
        return {};
    }

    Status close() {
        rest_.remove_prefix(2);
        const std::string_view name = take_name();
        const std::string_view open_name = std::string_view(path_).substr(path_.rfind('/') + 1);
        if (open_.empty() || name != open_name || !rest_.starts_with('>')) return broken_xml("an end without a begin");
        rest_.remove_prefix(1);
        leave();
        return {};
    }

    void leave() {
        const Element element = open_.back();
        if (!element.has_children) answer_.texts_.try_emplace(path_, text_);
        forget_text();
        path_.resize(element.path_size);
        open_.pop_back();
    }

    Status take_text() {
        const bool is_inside = !open_.empty();
        if (rest_.front() != '&') {
            if (!is_inside && !is_blank(rest_.front())) return broken_xml("a text outside of its root");
            text_.push_back(rest_.front());
            rest_.remove_prefix(1);
            return {};
        }
        const auto found = std::find_if(kEntities.begin(), kEntities.end(),
                                        [&](const NamedEntity& entity) { return rest_.starts_with(entity.name); });
        if (found == kEntities.end() || !is_inside) return broken_xml("an entity that is not one of five");
        text_.push_back(found->stands_for);
        rest_.remove_prefix(found->name.size());
        return {};
    }

    void forget_text() {
        wipe(text_);
        text_.clear();
    }

    std::string_view rest_;
    std::string path_;
    std::string text_;
    std::vector<Element> open_;
    std::set<std::string> seen_;  ///< paths
    bool has_root_ = false;
    XmlAnswer answer_;
};

Result<XmlAnswer> XmlAnswer::parse(const HttpResponse& response) {
    if (!is_xml_type(response.header("content-type"))) {
        return Error{Errc::Protocol, "status " + std::to_string(response.status) + ", and the answer is not XML"};
    }
    return XmlReader(response.body.reveal()).read();
}

std::string XmlAnswer::text(std::string_view path) const {
    const auto found = texts_.find(path);
    return found == texts_.end() ? std::string() : std::string(found->second.reveal());
}

Secret XmlAnswer::take_secret(std::string_view path) {
    const auto found = texts_.find(path);
    return found == texts_.end() ? Secret() : std::move(found->second);
}

}  // namespace sanctum::vault
