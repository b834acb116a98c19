// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/discovery.hpp"

#include "vault/http/json_answer.hpp"
#include "vault/oauth/resource_metadata.hpp"

namespace sanctum::vault {
namespace {

struct Asking {
    ProviderTalk& talk;
    const profiles::UpstreamConfig& upstream;
};

Result<HttpResponse> get(const Asking& asking, const std::string& url) {
    SANCTUM_CHECK(asking.talk.reach({provider_host(url)}, asking.upstream));
    HttpRequest request;
    request.method = "GET";
    request.url = url;
    request.headers = {{"accept", "application/json"}};
    request.repeat = Repeat::Safe;
    return ask_provider(asking.talk, std::move(request));
}

// Not there, or the page that some servers show for whatever is not there.
bool is_there(const HttpResponse& response) { return response.status == 200 && JsonAnswer::parse(response); }

Result<ResourceMetadata> ask_resource(const Asking& asking, const std::string& resource) {
    SANCTUM_TRY(HttpResponse response, get(asking, resource_metadata_url(resource)));
    if (is_there(response)) return read_resource_metadata(response, resource);
    SANCTUM_TRY(response, get(asking, resource));
    const std::string told = challenged_metadata_url(response);
    if (told.empty()) {
        return Error{Errc::Denied, resource + " has no metadata, and does not say where it is: write `issuer` instead "
                                              "of `resource`"};
    }
    SANCTUM_TRY(response, get(asking, told));
    return read_resource_metadata(response, resource);
}

Result<ServerMetadata> ask_issuer(const Asking& asking, const std::string& issuer) {
    for (const std::string& url : metadata_urls(issuer)) {
        SANCTUM_TRY(const HttpResponse response, get(asking, url));
        if (is_there(response)) return read_server_metadata(response, issuer);
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
