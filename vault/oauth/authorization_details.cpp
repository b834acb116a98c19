// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/authorization_details.hpp"

#include "vault/http/json_body.hpp"

#include <algorithm>

namespace sanctum::vault {
namespace {

using Texts = std::vector<std::string>;

// The name between the first pair of braces; empty: there is none.
std::string placeholder_of(const std::string& text) {
    const std::size_t open = text.find('{');
    const std::size_t close = open == std::string::npos ? open : text.find('}', open);
    return close == std::string::npos ? std::string() : text.substr(open + 1, close - open - 1);
}

std::string filled(std::string text, const std::string& name, const std::string& value) {
    return text.replace(text.find('{'), name.size() + 2, value);
}

Result<Texts> fill(const std::string& text, const SourceNeed& need) {
    const std::string name = placeholder_of(text);
    if (name.empty()) return Texts{text};
    const auto values = need.resources.find(name);
    if (values == need.resources.end() || values->second.empty()) {
        return Error{Errc::NotPermitted, "authorization_details: `" + text + "` needs a resource `" + name +
                                             "`, which this request does not name; give its scope a detail without"};
    }
    Texts out;
    for (const std::string& value : values->second) out.push_back(filled(text, name, value));
    return out;
}

Result<DetailMembers> fill(const profiles::AuthorizationDetail& detail, const SourceNeed& need) {
    DetailMembers members;
    for (const auto& [name, text] : detail.texts) {
        SANCTUM_TRY(const Texts values, fill(text, need));
        if (values.size() != 1) {
            return Error{Errc::NotPermitted, "authorization_details: `" + name + "` is one text, and this request "
                                             "names several resources; make it a list"};
        }
        members.texts[name] = values.front();
    }
    for (const auto& [name, texts] : detail.lists) {
        Texts& list = members.lists[name];
        for (const std::string& text : texts) {
            SANCTUM_TRY(const Texts values, fill(text, need));
            list.insert(list.end(), values.begin(), values.end());
        }
        std::sort(list.begin(), list.end());
        list.erase(std::unique(list.begin(), list.end()), list.end());
    }
    return members;
}

bool is_for(const profiles::AuthorizationDetail& detail, const std::string& scope) {
    return detail.scopes.empty() || std::find(detail.scopes.begin(), detail.scopes.end(), scope) != detail.scopes.end();
}

enum class Match { Other, Less, Same };

// How `received` stands to `asked`: every text the same, and of every list no more.
Match compare(const DetailMembers& asked, const DetailMembers& received) {
    for (const auto& [name, text] : asked.texts) {
        const auto found = received.texts.find(name);
        if (found == received.texts.end() || found->second != text) return Match::Other;
    }
    Match match = Match::Same;
    for (const auto& [name, list] : asked.lists) {
        const auto found = received.lists.find(name);
        // A list that is not there does not bound.
        if (found == received.lists.end()) return Match::Other;
        if (!std::includes(list.begin(), list.end(), found->second.begin(), found->second.end())) return Match::Other;
        if (found->second.size() < list.size()) match = Match::Less;
    }
    return match;
}

}  // namespace

std::string DetailMembers::words() const {
    const auto type = texts.find("type");
    std::string out = type == texts.end() ? std::string() : type->second;
    for (const auto& [name, text] : texts) {
        if (name != "type") out += " " + name + "=" + text;
    }
    for (const auto& [name, list] : lists) {
        out += " " + name + "=";
        for (const std::string& text : list) out += (out.ends_with('=') ? "" : ",") + text;
    }
    return out;
}

std::string DetailMembers::json() const {
    JsonBody body;
    for (const auto& [name, text] : texts) body.text(name, text);
    for (const auto& [name, list] : lists) body.json(name, json_list(list));
    return std::string(body.take().reveal());
}

bool names_resources(const profiles::ProviderAccount& account) {
    const auto is_filled = [](const std::string& text) { return !placeholder_of(text).empty(); };
    for (const profiles::AuthorizationDetail& detail : account.details) {
        for (const auto& [name, text] : detail.texts) {
            if (is_filled(text)) return true;
        }
        for (const auto& [name, list] : detail.lists) {
            if (std::any_of(list.begin(), list.end(), is_filled)) return true;
        }
    }
    return false;
}

Result<std::vector<DetailMembers>> details_for(const profiles::ProviderAccount& account, const SourceNeed& need) {
    std::vector<DetailMembers> out;
    if (account.details.empty()) return out;
    for (const std::string& scope : need.scopes) {
        const bool has_detail = std::any_of(account.details.begin(), account.details.end(),
                                            [&](const auto& detail) { return is_for(detail, scope); });
        if (has_detail) continue;
        // FAIL-CLOSED: what a token without any detail may do is the provider's to say.
        return Error{Errc::NotPermitted, "authorization_details: none is for scope " + scope};
    }
    for (const profiles::AuthorizationDetail& detail : account.details) {
        const bool is_wanted = detail.scopes.empty() ||
                               std::any_of(need.scopes.begin(), need.scopes.end(),
                                           [&](const std::string& scope) { return is_for(detail, scope); });
        if (!is_wanted) continue;
        SANCTUM_TRY(DetailMembers members, fill(detail, need));
        out.push_back(std::move(members));
    }
    return out;
}

Result<std::vector<DetailMembers>> details_to_consent(const profiles::Account& account,
                                                      const std::vector<std::string>& scopes) {
    const std::vector<profiles::AuthorizationDetail>& all = account.provider.details;
    SourceNeed need;
    for (const std::string& scope : scopes) {
        const bool is_named = std::any_of(all.begin(), all.end(), [&](const profiles::AuthorizationDetail& detail) {
            return std::find(detail.scopes.begin(), detail.scopes.end(), scope) != detail.scopes.end();
        });
        if (is_named) need.scopes.push_back(scope);
    }
    for (const auto& [name, patterns] : account.resources) {
        const bool is_literal = std::none_of(patterns.begin(), patterns.end(), [](const std::string& pattern) {
            return pattern.find('*') != std::string::npos;
        });
        if (is_literal) need.resources[name] = patterns;
    }
    Result<std::vector<DetailMembers>> details = details_for(account.provider, need);
    if (details) return details;
    return Error{Errc::InvalidProfile, "account " + account.name + ": " + details.error().what +
                                           "; a consent takes them one by one, as `resources` of the account"};
}

std::string details_json(const std::vector<DetailMembers>& details) {
    std::string out = "[";
    for (const DetailMembers& detail : details) {
        if (out.size() > 1) out += ",";
        out += detail.json();
    }
    return out + "]";
}

std::optional<std::vector<DetailMembers>> take_details(JsonAnswer& json) {
    std::optional<std::vector<JsonAnswer>> objects = json.take_objects("authorization_details");
    if (!objects) return std::nullopt;
    std::vector<DetailMembers> details;
    for (const JsonAnswer& object : *objects) {
        DetailMembers members;
        for (const std::string& name : object.names()) {
            if (auto list = object.texts(name)) {
                std::sort(list->begin(), list->end());
                members.lists[name] = std::move(*list);
            } else if (std::string text = object.text(name); !text.empty()) {
                members.texts[name] = std::move(text);
            }
        }
        details.push_back(std::move(members));
    }
    return details;
}

std::optional<SourceFailure> check_details(const profiles::Account& account, const std::vector<DetailMembers>& asked,
                                           const std::optional<std::vector<DetailMembers>>& received) {
    if (asked.empty()) return std::nullopt;
    const auto failure = [&](SourceFault fault, const std::string& what) {
        return SourceFailure{fault, "account " + account.name + ": authorization_details: " + what, Milliseconds(0)};
    };
    const std::string let = "; write wider = \"accept\" at the account to let Sanctum alone hold it back";
    const bool accepts = account.provider.accepts_wider;
    if (!received && accepts) return std::nullopt;
    if (!received) return failure(SourceFault::ScopeTooWide, "the provider does not say what it granted" + let);
    std::vector<bool> is_granted(asked.size(), false);
    for (const DetailMembers& detail : *received) {
        Match best = Match::Other;
        for (std::size_t i = 0; i < asked.size(); ++i) {
            const Match match = compare(asked[i], detail);
            if (match == Match::Same) is_granted[i] = true;
            best = std::max(best, match);
        }
        if (best != Match::Other || accepts) continue;
        return failure(SourceFault::ScopeTooWide,
                       "the provider gave `" + detail.words() + "`, which nobody asked for" + let);
    }
    const auto missing = std::find(is_granted.begin(), is_granted.end(), false);
    if (missing == is_granted.end()) return std::nullopt;
    const std::string words = asked[static_cast<std::size_t>(missing - is_granted.begin())].words();
    if (accepts) return std::nullopt;
    return failure(SourceFault::ScopeUnavailable, "the provider gave less than `" + words + "`");
}

}  // namespace sanctum::vault
