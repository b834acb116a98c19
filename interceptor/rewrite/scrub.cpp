// SPDX-License-Identifier: Apache-2.0
#include "interceptor/rewrite/scrub.hpp"

#include <algorithm>

namespace sanctum::interceptor {

Scrubber::~Scrubber() {
    wipe(held_);
    wipe(joined_);
}

bool Scrubber::has_needles() const {
    return (needles_ != nullptr && !needles_->is_empty()) || (own_ != nullptr && !own_->is_empty());
}

void Scrubber::find(std::string_view data) {
    found_.clear();
    for (const NeedleSet* set : {needles_.get(), own_.get()}) {
        if (set != nullptr) set->find(data, found_);
    }
}

std::size_t Scrubber::scrub(std::span<char> data) {
    find(std::string_view(data.data(), data.size()));
    if (found_.empty()) return data.size();
    std::size_t may_leave = data.size();
    for (const Sighting& sighting : found_) {
        if (sighting.is_partial) may_leave = std::min(may_leave, sighting.begin);
    }
    // What stays here is looked at again with more behind it, so a needle that reaches into it stays whole.
    std::sort(found_.begin(), found_.end(), [](const Sighting& a, const Sighting& b) { return a.begin > b.begin; });
    bool has_moved = true;
    while (has_moved) {
        has_moved = false;
        for (const Sighting& sighting : found_) {
            if (sighting.is_partial || sighting.begin >= may_leave) continue;
            if (sighting.begin + sighting.length <= may_leave) continue;
            may_leave = sighting.begin;
            has_moved = true;
        }
    }
    std::size_t starred_from = data.size();
    for (const Sighting& sighting : found_) {
        if (sighting.is_partial || sighting.begin >= may_leave) continue;
        std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(sighting.begin), sighting.length, '*');
        // Overlapping forms of one secret count once; sightings come in falling order of their begin.
        if (sighting.begin + sighting.length <= starred_from) ++hits_;
        starred_from = sighting.begin;
    }
    return may_leave;
}

std::string_view Scrubber::push(std::span<char> piece) {
    if (!has_needles()) return {piece.data(), piece.size()};
    if (held_.empty()) {
        const std::size_t may_leave = scrub(piece);
        held_.assign(piece.data() + may_leave, piece.size() - may_leave);
        return {piece.data(), may_leave};
    }
    joined_ = held_;
    joined_.append(piece.data(), piece.size());
    const std::size_t may_leave = scrub(joined_);
    held_.assign(joined_, may_leave, std::string::npos);
    return std::string_view(joined_).substr(0, may_leave);
}

std::string_view Scrubber::finish() {
    joined_ = std::move(held_);
    held_.clear();
    scrub_whole(joined_);
    return joined_;
}

void Scrubber::scrub_whole(std::string& text) {
    if (!has_needles() || text.empty()) return;
    find(text);
    std::erase_if(found_, [](const Sighting& sighting) { return sighting.is_partial; });
    std::sort(found_.begin(), found_.end(), [](const Sighting& a, const Sighting& b) { return a.begin < b.begin; });
    std::size_t starred_to = 0;
    for (const Sighting& sighting : found_) {
        std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(sighting.begin), sighting.length, '*');
        if (sighting.begin >= starred_to) ++hits_;
        starred_to = std::max(starred_to, sighting.begin + sighting.length);
    }
}

}  // namespace sanctum::interceptor
