// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/discovery.hpp"

#include "vault/oauth/confined_lookup.hpp"
#include "vault/oauth/resource_metadata.hpp"

namespace sanctum::vault {
namespace {

struct Asking {
    ProviderTalk& talk;
    const profiles::UpstreamConfig& upstream;

    [[nodiscard]] Result<LookupAnswer> operator()(Lookup::For what, const std::string& url,
                                                  const std::string& about) const {
        return look_up(talk, upstream, {what, url, about});
    }
};

Result<ResourceMetadata> ask_resource(const Asking& look_for, const std::string& resource) {
    using For = Lookup::For;
    SANCTUM_TRY(LookupAnswer answer, look_for(For::Resource, resource_metadata_url(resource), resource));
    if (answer.is_there) return std::move(answer.resource);
    SANCTUM_TRY(answer, look_for(For::Challenge, resource, resource));
    if (!answer.is_there) {
        return Error{Errc::Denied, resource + " has no metadata, and does not say where it is: write `issuer` instead "
                                              "of `resource`"};
    }
    const std::string named = answer.named;
    SANCTUM_TRY(answer, look_for(For::Resource, named, resource));
    if (answer.is_there) return std::move(answer.resource);
    return Error{Errc::Protocol, resource + " says that its metadata is at " + named + ", and there is none"};
}

Result<ServerMetadata> ask_issuer(const Asking& look_for, const std::string& issuer) {
    for (const std::string& url : metadata_urls(issuer)) {
        SANCTUM_TRY(LookupAnswer answer, look_for(Lookup::For::Issuer, url, issuer));
        if (answer.is_there) return std::move(answer.server);
    }
    return ServerMetadata{};
}

}  // namespace

Result<Discovered> discover(ProviderTalk& talk, const profiles::UpstreamConfig& upstream,
                            profiles::IdentityClient client) {
    const Asking asking{talk, upstream};
    const std::string title = client.title();
    Discovered found;
    if (!client.resource.empty()) {
        Result<ResourceMetadata> resource = ask_resource(asking, client.resource);
        if (!resource) return std::move(resource).error().in(title);
        Result<std::string> issuer = choose_issuer(*resource, client.issuer);
        if (!issuer) return std::move(issuer).error().in(title);
        client.issuer = std::move(*issuer);
    }
    if (!client.issuer.empty()) {
        Result<ServerMetadata> metadata = ask_issuer(asking, client.issuer);
        if (!metadata) return std::move(metadata).error().in(title);
        found.metadata = std::move(*metadata);
    }
    Result<profiles::IdentityClient> complete = complete_client(std::move(client), found.metadata);
    if (!complete) return std::move(complete).error().in(title);
    found.client = std::move(*complete);
    return found;
}

}  // namespace sanctum::vault
