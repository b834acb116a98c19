// SPDX-License-Identifier: Apache-2.0
#include "interceptor/policy/revoked_services.hpp"

#include <utility>

namespace sanctum::interceptor {

RevokedServices::Watch::Watch(RevokedServices& services, int service, std::function<void()> stop)
    : services_(services), number_(++services.counted_) {
    services_.under_way_.emplace(number_, UnderWay{service, std::move(stop)});
}

RevokedServices::Watch::~Watch() { services_.under_way_.erase(number_); }

void RevokedServices::revoke(int service) {
    if (!revoked_.insert(service).second) return;
    for (const auto& [number, exchange] : under_way_) {
        if (exchange.service == service) exchange.stop();
    }
}

}  // namespace sanctum::interceptor
