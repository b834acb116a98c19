// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/openbao_api.hpp"

#include "base/limits.hpp"
#include "network/host_name.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/http/json_body.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/oauth/token_answer.hpp"

#include <algorithm>
#include <iterator>

namespace sanctum::vault {
namespace {

constexpr std::string_view kProvider = "OpenBao";

void sort_once(std::vector<std::string>& texts) {
    std::sort(texts.begin(), texts.end());
    texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
}

Milliseconds life_of(const JsonAnswer& answer) {
    const std::int64_t seconds = answer.number("lease_duration").value_or(0);
    return Milliseconds(std::clamp<std::int64_t>(seconds, 0, kProviderLifeSecondsMax) * 1000);
}

bool says(std::string_view body, std::string_view words) { return body.find(words) != std::string_view::npos; }

std::string title_of(const profiles::BaoAccount& bao) {
    constexpr std::size_t scheme = std::string_view("https://").size();
    return std::string(kProvider) + " at " + bao.address.substr(std::min(scheme, bao.address.size()));
}

}  // namespace

HttpRequest BaoApi::request(const std::string& method, const std::string& path, const Secret& token) const {
    HttpRequest request;
    request.method = method;
    request.url = bao().address + "/v1/" + path;
    request.headers = {{"accept", "application/json"}, {"x-vault-request", "true"}};
    if (!bao().bao_namespace.empty()) request.headers.emplace_back("x-vault-namespace", bao().bao_namespace);
    if (method == "POST") request.headers.emplace_back("content-type", "application/json");
    // The server takes it here as well as in X-Vault-Token.
    if (!token.is_empty()) request.authorization = bearer(token);
    return request;
}

HttpRequest BaoApi::look_at_wrapping(const Secret& wrapping) const {
    HttpRequest look = request("POST", "sys/wrapping/lookup", Secret());
    JsonBody body;
    body.text("token", wrapping.reveal());
    look.body = body.take();
    look.repeat = Repeat::Safe;
    return look;
}

HttpRequest BaoApi::unwrap(const Secret& wrapping) const {
    HttpRequest unwrap = request("POST", "sys/wrapping/unwrap", wrapping);
    unwrap.body = Secret("{}");
    return unwrap;
}

HttpRequest BaoApi::log_in(const Secret& secret_id) const {
    HttpRequest log_in = request("POST", "auth/" + bao().auth_mount + "/login", Secret());
    JsonBody body;
    body.text("role_id", bao().role_id);
    body.text("secret_id", secret_id.reveal());
    log_in.body = body.take();
    return log_in;
}

HttpRequest BaoApi::create(const Secret& parent, const BaoChild& child, const SourceNeed& need) const {
    HttpRequest create = request("POST", "auth/token/create", parent);
    const std::string life = std::to_string(std::max<std::int64_t>(child.life.count() / 1000, 1)) + "s";
    const std::string meta = "{\"sanctum_mission\":" + json_text(need.mission) + ",\"sanctum_lease\":" +
                             json_text(need.correlation) + "}";
    JsonBody body;
    body.json("policies", json_list(child.policies));
    body.text("ttl", life);
    body.text("explicit_max_ttl", life);
    body.json("num_uses", std::to_string(child.uses));
    body.json("renewable", "false");
    body.json("no_default_policy", "true");
    body.text("type", "service");
    body.text("display_name", "sanctum-" + need.correlation);
    body.json("meta", meta);
    create.body = body.take();
    return create;
}

HttpRequest BaoApi::read(const Secret& token) const {
    if (bao().parameters.empty()) return request("GET", bao().path, token);
    HttpRequest make = request("POST", bao().path, token);
    JsonBody body;
    for (const auto& [name, value] : bao().parameters) body.text(name, value);
    make.body = body.take();
    return make;
}

// `needs`: what the asking token's policy must allow.
Retirement BaoApi::retirement(const std::string& path, Secret body, const Secret& token,
                              const std::string& needs) const {
    Retirement retirement;
    retirement.provider = kProvider;
    retirement.request = request("POST", path, token);
    retirement.request.body = std::move(body);
    retirement.request.repeat = Repeat::Safe;
    // The revoker ends the last, with what it revokes, or outlives it: when it is unknown, so is all else.
    retirement.also_gone = {{403, "invalid token"}, {400, "invalid accessor"}};
    retirement.when_denied = needs;
    return retirement;
}

Retirement BaoApi::revoke_self(const Secret& token) const {
    return retirement("auth/token/revoke-self", Secret("{}"), token,
                      "the login's policies must allow `update` on auth/token/revoke-self, as `default` does");
}

std::unique_ptr<Retirement> BaoApi::revoke(const Secret& revoker, const std::string& lease, bool all_of_path,
                                           const std::vector<std::string>& accessors) const {
    std::vector<Retirement> steps;
    const auto add = [&](const std::string& path, std::string_view name, const std::string& value,
                         const std::string& capability) {
        JsonBody body;
        if (!name.empty()) body.text(name, value);
        if (path.starts_with("sys/")) body.json("sync", "true");
        steps.push_back(retirement(path, body.take(), revoker,
                                   "the policy " + bao().retire_policy + " must allow " + capability + " on " + path));
    };
    if (!lease.empty()) add("sys/leases/revoke", "lease_id", lease, "`update`");
    if (all_of_path) add("sys/leases/revoke-prefix/" + bao().path, "", "", "`update` and `sudo`");
    for (const std::string& accessor : accessors) add("auth/token/revoke-accessor", "accessor", accessor, "`update`");
    std::unique_ptr<Retirement> first;
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
        step->next = std::move(first);
        first = std::make_unique<Retirement>(std::move(*step));
    }
    return first;
}

std::variant<std::vector<std::string>, SourceFailure> BaoApi::policies_for(
    const std::vector<std::string>& scopes) const {
    std::vector<std::string> policies = bao().policies;
    for (const std::string& scope : scopes) {
        const auto named = account_.provider.scope_names.find(scope);
        if (named != account_.provider.scope_names.end()) policies.push_back(named->second);
        else if (bao().policies.empty()) {
            return failure(SourceFault::Misconfigured,
                           "scope " + scope + " has no policy; name one with scope_names");
        }
    }
    for (std::string& policy : policies) policy = network::to_lower(policy);  // as the server keeps them
    sort_once(policies);
    if (policies.empty()) return failure(SourceFault::Misconfigured, "this need has no policy; name one with policies");
    if (std::find(policies.begin(), policies.end(), "root") != policies.end()) {
        return failure(SourceFault::Misconfigured, "no mission gets the policy root");
    }
    return policies;
}

SourceFailure BaoApi::failure(SourceFault fault, const std::string& what) const {
    return {fault, "account " + account_.name + ": " + title_of(bao()) + ": " + what, Milliseconds(0)};
}

SourceFailure BaoApi::failure_of_error(const Error& error) const {
    return failure_of(error, TokenQuestion{title_of(bao()), account_.name, "", SourceFault::SubjectExpired});
}

// What a status other than 200 means. The server's own words are compared with, and never repeated.
SourceFailure BaoApi::refusal(BaoStep step, const HttpResponse& response) const {
    const std::string_view body = response.body.reveal();
    const int status = response.status;
    const std::string shown = "status " + std::to_string(status);
    if (status == 400) return bad_request(step, body);
    if (status == 403) return denied(step, body);
    if (status == 404) return not_found(step, body);
    if (status == 429) {
        SourceFailure limited = failure(SourceFault::RateLimited, shown + ": asked too often");
        limited.retry_after = retry_after_of(response, WallTime{0});
        return limited;
    }
    if (status == 502 || status == 504) return failure(SourceFault::NoAnswer, shown + ": a gateway lost the answer");
    if (status == 503) {
        return failure(SourceFault::Unavailable,
                       says(body, "sealed") ? shown + ": the server is sealed; unseal it" : shown);
    }
    if (status >= 500 || status == 412) return failure(SourceFault::Unavailable, shown);
    if (status >= 300 && status < 400) {
        return failure(SourceFault::Misconfigured,
                       shown + ": a redirect, as a standby gives; `address` must be the active server's");
    }
    return failure(SourceFault::Failed, shown);
}

SourceFailure BaoApi::bad_request(BaoStep step, std::string_view body) const {
    const std::string item = "item `" + account_.item + "`";
    if (step == BaoStep::LogIn) {
        return failure(SourceFault::SubjectExpired,
                       "status 400: role_id is wrong, or the secret id (" + item +
                           ") is wrong, has run out or is used up; store a new one");
    }
    if (step == BaoStep::Unwrap) {
        return failure(SourceFault::SubjectExpired,
                       "status 400: the wrapping token (" + item +
                           ") has run out or was used. If no mission of yours used it, somebody else did: destroy "
                           "what it held, and store a new one");
    }
    if (says(body, "subset of parent")) {
        return failure(SourceFault::Misconfigured,
                       "status 400: who logs in lacks a policy that its children are to have; give it those of "
                       "`policies`, `scope_names` and `retire_policy`");
    }
    if (says(body, "batch token")) {
        return failure(SourceFault::Misconfigured,
                       "status 400: who logs in has a batch token, which makes no children");
    }
    return failure(SourceFault::Failed, "status 400");
}

SourceFailure BaoApi::denied(BaoStep step, std::string_view body) const {
    const bool is_dead = says(body, "invalid token") || says(body, "bad token");
    const std::string item = "item `" + account_.item + "`";
    switch (step) {
        case BaoStep::LogIn:
            return failure(SourceFault::SubjectExpired, "status 403: the login is refused; store a new secret id in " +
                                                            item + ", and check what binds it (CIDR, namespace)");
        case BaoStep::Unwrap:
            return failure(SourceFault::SubjectExpired, "status 403: the wrapping token (" + item +
                                                            ") is not known; store a new one");
        case BaoStep::Create:
            if (is_dead && bao().login == "token") {
                return failure(SourceFault::SubjectExpired,
                               "status 403: the token (" + item + ") has run out or was revoked; store a new one");
            }
            return failure(SourceFault::Misconfigured,
                           "status 403: permission denied; a policy of who logs in must allow `update` on "
                           "auth/token/create (or its token has run out)");
        case BaoStep::Read: break;
    }
    if (is_dead) return failure(SourceFault::Failed, "status 403: the child token is not known any more");
    return failure(SourceFault::Misconfigured, "status 403: permission denied; a policy of the child token must allow "
                                               "`read` on " + bao().path);
}

SourceFailure BaoApi::not_found(BaoStep step, std::string_view body) const {
    if (step == BaoStep::LogIn) {
        return failure(SourceFault::Misconfigured, "status 404: nobody logs in at auth/" + bao().auth_mount +
                                                       "; check auth_mount and namespace");
    }
    if (step != BaoStep::Read) {
        return failure(SourceFault::Misconfigured, "status 404: no such API; check address and namespace");
    }
    if (says(body, "no handler for route") || says(body, "unsupported path")) {
        return failure(SourceFault::Misconfigured, "status 404: no engine serves " + bao().path +
                                                       "; check mount, path and namespace");
    }
    return failure(SourceFault::Misconfigured,
                   "status 404: there is no secret at " + bao().path + ", or its latest version is deleted");
}

std::optional<SourceFailure> BaoApi::check_wrapping(const HttpResponse& response) const {
    if (response.status != 200) return refusal(BaoStep::Unwrap, response);
    Result<JsonAnswer> json = JsonAnswer::parse(response);
    if (!json) return failure(SourceFault::Protocol, json.error().what);
    std::string path = json->take_object("data").text("creation_path");
    const std::string own = bao().bao_namespace + "/";
    if (own.size() > 1 && path.starts_with(own)) path.erase(0, own.size());
    const bool fits = bao().login == "token"
                          ? path.starts_with("auth/token/create")
                          : path.starts_with("auth/" + bao().auth_mount + "/role/") && path.ends_with("/secret-id");
    if (fits) return std::nullopt;
    return failure(SourceFault::Misconfigured, "the wrapping token (item `" + account_.item +
                                                   "`) holds something else than what logs in; if nobody stored the "
                                                   "wrong one by mistake, somebody put it there");
}

std::variant<Secret, SourceFailure> BaoApi::take_unwrapped(const HttpResponse& response) const {
    if (response.status != 200) return refusal(BaoStep::Unwrap, response);
    Result<JsonAnswer> json = JsonAnswer::parse(response);
    if (!json) return failure(SourceFault::Protocol, json.error().what);
    const bool is_token = bao().login == "token";
    Secret held = json->take_object(is_token ? "auth" : "data").take_secret(is_token ? "client_token" : "secret_id");
    if (held.is_empty()) return failure(SourceFault::Protocol, "what was unwrapped holds nothing that logs in");
    return held;
}

std::variant<BaoToken, SourceFailure> BaoApi::take_token(BaoStep step, const HttpResponse& response) const {
    if (response.status != 200) return refusal(step, response);
    Result<JsonAnswer> json = JsonAnswer::parse(response);
    if (!json) return that_may_be_out(failure(SourceFault::Protocol, json.error().what));
    JsonAnswer auth = json->take_object("auth");
    BaoToken token;
    token.value = auth.take_secret("client_token");
    token.accessor = auth.text("accessor");
    token.life = life_of(auth);
    for (const std::string_view list : {"policies", "token_policies", "identity_policies"}) {
        const std::vector<std::string> more = auth.text_elements(list);
        token.policies.insert(token.policies.end(), more.begin(), more.end());
    }
    sort_once(token.policies);
    if (token.value.is_empty() || token.accessor.empty()) {
        return that_may_be_out(failure(SourceFault::Protocol,
                                       "the answer holds no token, or none that can be revoked by its accessor"));
    }
    return token;
}

std::variant<BaoSecret, SourceFailure> BaoApi::take_secret(const HttpResponse& response) const {
    if (response.status != 200) return refusal(BaoStep::Read, response);
    Result<JsonAnswer> json = JsonAnswer::parse(response);
    if (!json) return failure(SourceFault::Protocol, json.error().what);
    BaoSecret secret;
    secret.lease = json->text("lease_id");
    secret.life = life_of(*json);
    JsonAnswer data = json->take_object("data");
    if (bao().engine == "kv") data = data.take_object("data");
    else if (secret.lease.empty()) {
        return failure(SourceFault::Misconfigured,
                       bao().path + " gives a secret without a lease, which cannot be given back");
    }
    secret.value = data.take_secret(bao().field);
    if (!bao().username_field.empty()) secret.username = data.text(bao().username_field);
    const bool has_all = bao().username_field.empty() || !secret.username.empty();
    if (secret.value.is_empty() || !has_all) {
        return failure(SourceFault::Misconfigured,
                       "the secret at " + bao().path + " has no text `" +
                           (secret.value.is_empty() ? bao().field : bao().username_field) + "`");
    }
    return secret;
}

std::optional<SourceFailure> BaoApi::check_policies(const std::vector<std::string>& asked,
                                                    const BaoToken& token) const {
    std::vector<std::string> excess;
    std::set_difference(token.policies.begin(), token.policies.end(), asked.begin(), asked.end(),
                        std::back_inserter(excess));
    if (!excess.empty()) {
        return failure(SourceFault::ScopeTooWide,
                       "the child token has " + join_scopes(excess) +
                           " as well, which nobody asked for; what a parent's entity and groups have, every child has: "
                           "take it from them");
    }
    if (token.policies == asked) return std::nullopt;
    return failure(SourceFault::ScopeUnavailable, "the child token has not all of " + join_scopes(asked));
}

}  // namespace sanctum::vault
