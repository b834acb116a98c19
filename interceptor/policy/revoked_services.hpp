// SPDX-License-Identifier: Apache-2.0
// The services that the operator took back while the mission runs, and the exchanges that have to stop for it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>

namespace sanctum::interceptor {

/// Single thread. What was revoked stays so.
class RevokedServices {
public:
    /// An exchange under way; told once when its service is revoked. Must not outlive its RevokedServices.
    class Watch {
    public:
        /// `service`: index in the mission; below 0: none, never told. `stop` must not destroy a Watch.
        Watch(RevokedServices& services, int service, std::function<void()> stop);
        ~Watch();
        Watch(const Watch&) = delete;
        Watch& operator=(const Watch&) = delete;

    private:
        RevokedServices& services_;
        std::uint64_t number_;
    };

    [[nodiscard]] bool contains(int service) const { return revoked_.contains(service); }
    /// From here on contains() is true; stops what is under way.
    void revoke(int service);

private:
    struct UnderWay {
        int service;
        std::function<void()> stop;
    };
    std::set<int> revoked_;
    std::map<std::uint64_t, UnderWay> under_way_;
    std::uint64_t counted_ = 0;
};

}  // namespace sanctum::interceptor
