// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/session_policy.hpp"

#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "profiles/policy/patterns.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace sanctum::vault {
namespace {

using Texts = std::vector<std::string>;

/// Of S3, about a bucket and not about an object in it.
constexpr std::array<std::string_view, 4> kBucketActions = {"s3:ListBucket", "s3:ListBucketVersions",
                                                            "s3:ListBucketMultipartUploads", "s3:GetBucketLocation"};
/// Of these, what may be limited by `s3:prefix`.
constexpr std::array<std::string_view, 2> kListActions = {"s3:ListBucket", "s3:ListBucketVersions"};

template <std::size_t n>
bool is_one_of_actions(std::string_view action, const std::array<std::string_view, n>& actions) {
    return std::find(actions.begin(), actions.end(), action) != actions.end();
}

bool is_action(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == 0 || colon == std::string_view::npos || colon + 1 == text.size()) return false;
    const auto is_lower = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon), is_lower) &&
           std::all_of(text.begin() + static_cast<std::ptrdiff_t>(colon) + 1, text.end(), is_letter);
}

Texts segments_of(std::string_view pattern) {
    Texts out;
    while (true) {
        const std::size_t slash = pattern.find('/');
        out.emplace_back(pattern.substr(0, slash));
        if (slash == std::string_view::npos) return out;
        pattern.remove_prefix(slash + 1);
    }
}

std::string join_segments(const Texts& segments) {
    std::string out;
    for (const std::string& segment : segments) out += (out.empty() ? "" : "/") + segment;
    return out;
}

// What both cover is a pattern again, since `**` stands only at an end.
std::optional<std::string> common_pattern(const std::string& left, const std::string& right) {
    const Texts a = segments_of(left);
    const Texts b = segments_of(right);
    Texts out;
    for (std::size_t i = 0;; ++i) {
        if (i == a.size() || i == b.size()) {
            if (a.size() != b.size()) return std::nullopt;
            return join_segments(out);
        }
        if (a[i] == "**" || b[i] == "**") {
            const Texts& sharper = a[i] == "**" ? b : a;
            out.insert(out.end(), sharper.begin() + static_cast<std::ptrdiff_t>(i), sharper.end());
            return join_segments(out);
        }
        if (a[i] != "*" && b[i] != "*" && profiles::decode_segment(a[i]) != profiles::decode_segment(b[i])) {
            return std::nullopt;
        }
        out.push_back(a[i] == "*" ? b[i] : a[i]);
    }
}

// A pattern of ours as IAM writes it: stars stand for anything, and what IAM reads in a text is written as a variable.
Result<std::string> in_iam(const std::string& pattern) {
    std::string out;
    for (const std::string& segment : segments_of(pattern)) {
        if (!out.empty()) out.push_back('/');
        if (segment == "*" || segment == "**") {
            out.push_back('*');
            continue;
        }
        for (const char c : profiles::decode_segment(segment)) {
            if (c < 0x20 || c == 0x7f) {
                return Error{Errc::NotPermitted, "`" + pattern + "` has a character that a session policy cannot hold; "
                                                 "bound a folder above it"};
            }
            const bool is_special = c == '*' || c == '?' || c == '$';
            if (is_special) out.append("${").push_back(c);
            else out.push_back(c);
            if (is_special) out.push_back('}');
        }
    }
    return out;
}

Result<Texts> all_in_iam(const ResourceBounds& bounds, const std::string& resource) {
    const auto found = bounds.find(resource);
    if (found == bounds.end()) return Texts{"*"};
    Texts out;
    for (const std::string& pattern : found->second) {
        SANCTUM_TRY(std::string text, in_iam(pattern));
        out.push_back(std::move(text));
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

void append_list(std::string& json, const Texts& texts) {
    json.push_back('[');
    for (const std::string& text : texts) {
        if (json.back() != '[') json.push_back(',');
        wire::append_json_string(json, text);
    }
    json.push_back(']');
}

// Collects statements; those that could allow nothing are left out.
class PolicyText {
public:
    explicit PolicyText(std::string_view partition) : arn_("arn:" + std::string(partition) + ":s3:::") {}

    Status add(const Texts& actions, const ResourceBounds& bounds) {
        Texts objects;
        Texts buckets;
        Texts lists;
        for (const std::string& action : actions) {
            if (!action.starts_with("s3:")) continue;
            const bool is_list = is_one_of_actions(action, kListActions) && bounds.contains("prefix");
            if (is_list) lists.push_back(action);
            else if (is_one_of_actions(action, kBucketActions)) buckets.push_back(action);
            else objects.push_back(action);
        }
        SANCTUM_TRY(const Texts names, all_in_iam(bounds, "bucket"));
        SANCTUM_TRY(const Texts keys, all_in_iam(bounds, "key"));
        Texts of_buckets;
        Texts of_objects;
        for (const std::string& name : names) {
            of_buckets.push_back(arn_ + name);
            for (const std::string& key : keys) of_objects.push_back(arn_ + name + "/" + key);
        }
        append(objects, of_objects, {});
        append(buckets, of_buckets, {});
        if (lists.empty()) return {};
        SANCTUM_TRY(const Texts prefixes, all_in_iam(bounds, "prefix"));
        if (!prefixes.empty()) append(lists, of_buckets, prefixes);
        return {};
    }

    void add_of_other_services(const Texts& actions) {
        Texts others;
        for (const std::string& action : actions) {
            if (!action.starts_with("s3:")) others.push_back(action);
        }
        append(others, {"*"}, {});
    }

    [[nodiscard]] bool is_empty() const { return statements_.empty(); }
    [[nodiscard]] std::string text() const {
        return R"({"Version":"2012-10-17","Statement":[)" + statements_ + "]}";
    }

private:
    void append(const Texts& actions, const Texts& resources, const Texts& prefixes) {
        if (actions.empty() || resources.empty()) return;
        if (!statements_.empty()) statements_.push_back(',');
        statements_ += R"({"Effect":"Allow","Action":)";
        append_list(statements_, actions);
        statements_ += R"(,"Resource":)";
        append_list(statements_, resources);
        if (!prefixes.empty()) {
            statements_ += R"(,"Condition":{"StringLike":{"s3:prefix":)";
            append_list(statements_, prefixes);
            statements_ += "}}";
        }
        statements_.push_back('}');
    }

    std::string arn_;
    std::string statements_;
};

}  // namespace

std::vector<std::string> common_patterns(const std::vector<std::string>& left, const std::vector<std::string>& right) {
    Texts out;
    for (const std::string& a : left) {
        for (const std::string& b : right) {
            if (auto common = common_pattern(a, b)) out.push_back(std::move(*common));
        }
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

std::vector<ResourceBounds> bounds_of(const profiles::Mission& mission, std::string_view account) {
    std::vector<ResourceBounds> out;
    for (const profiles::Service& service : mission.services) {
        if (service.account != account) continue;
        ResourceBounds bounds = service.resources;
        for (const auto& [name, patterns] : service.account_resources) {
            const auto [at, is_only_the_accounts] = bounds.try_emplace(name, patterns);
            if (!is_only_the_accounts) at->second = common_patterns(at->second, patterns);
        }
        out.push_back(std::move(bounds));
    }
    return out;
}

Result<std::string> session_policy(std::string_view partition, const std::vector<std::string>& actions,
                                   const std::vector<ResourceBounds>& bounds) {
    for (const std::string& action : actions) {
        if (is_action(action)) continue;
        return Error{Errc::NotPermitted, "scope " + action + " is no action of IAM; say with scope_names what it is "
                                         "called there (as in \"s3:GetObject\")"};
    }
    PolicyText policy(partition);
    for (const ResourceBounds& of_service : bounds) {
        SANCTUM_CHECK(policy.add(actions, of_service));
    }
    policy.add_of_other_services(actions);
    if (policy.is_empty()) {
        return Error{Errc::NotPermitted, "profile and account have no resource in common: there is nothing to allow"};
    }
    std::string text = policy.text();
    if (text.size() <= kSessionPolicyCharsMax) return text;
    return Error{Errc::Limit, "the session policy has " + std::to_string(text.size()) + " characters, and AWS takes " +
                                  std::to_string(kSessionPolicyCharsMax) +
                                  "; bound fewer resources in the profile (a folder, as in \"in/**\")"};
}

}  // namespace sanctum::vault
