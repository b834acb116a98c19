// SPDX-License-Identifier: Apache-2.0
#include "interceptor/dns/address_pool.hpp"

namespace sanctum::interceptor {

std::uint32_t AddressPool::address_of(const std::string& name) {
    if (const auto found = by_name_.find(name); found != by_name_.end()) {
        places_.splice(places_.begin(), places_, found->second);
        return places_.front().address;
    }
    if (places_.size() >= names_max_) make_room();
    places_.push_front({name, next_free(), 0});
    by_name_.emplace(places_.front().name, places_.begin());
    by_address_.emplace(places_.front().address, places_.begin());
    return places_.front().address;
}

std::optional<std::string> AddressPool::name_of(std::uint32_t address) {
    const auto found = by_address_.find(address);
    if (found == by_address_.end()) return std::nullopt;
    places_.splice(places_.begin(), places_, found->second);
    return places_.front().name;
}

void AddressPool::hold(std::uint32_t address) {
    if (const auto found = by_address_.find(address); found != by_address_.end()) ++found->second->holds;
}

void AddressPool::release(std::uint32_t address) {
    const auto found = by_address_.find(address);
    if (found != by_address_.end() && found->second->holds > 0) --found->second->holds;
}

std::uint32_t AddressPool::next_free() {
    for (;;) {
        const std::uint32_t candidate = next_;
        next_ = next_ == kLast ? kFirst : next_ + 1;
        // Addresses that look like a network or broadcast address make some programs suspicious.
        const std::uint32_t last_byte = candidate & 0xffU;
        if (last_byte != 0 && last_byte != 255 && !by_address_.contains(candidate)) return candidate;
    }
}

// Takes the place of the name that was used longest ago. Connections are far fewer than places, so there is one.
void AddressPool::make_room() {
    for (auto place = std::prev(places_.end());; --place) {
        if (place->holds == 0) {
            by_name_.erase(place->name);
            by_address_.erase(place->address);
            places_.erase(place);
            return;
        }
        if (place == places_.begin()) return;
    }
}

}  // namespace sanctum::interceptor
