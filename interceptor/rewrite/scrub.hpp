// SPDX-License-Identifier: Apache-2.0
// scrub: removes live secrets from what the agent receives, across any chunk borders, without delaying anything that
// cannot be the begin of one. A secret is replaced by as many `*`, so lengths stay what they were announced as.
#pragma once

#include "interceptor/rewrite/needles.hpp"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::interceptor {

class Scrubber {
public:
    /// `own`: what this exchange alone has to hide besides; nullptr: nothing.
    explicit Scrubber(std::shared_ptr<const NeedleSet> needles, std::shared_ptr<const NeedleSet> own = nullptr)
        : needles_(std::move(needles)), own_(std::move(own)) {}
    ~Scrubber();
    Scrubber(const Scrubber&) = delete;
    Scrubber& operator=(const Scrubber&) = delete;

    /// Takes the next piece of one stream (stars are written into it) and returns what may leave now: a view into
    /// `piece` or into this object, valid until the next call. At most the longest needle less one byte is held back,
    /// and only while the data ends in what could become a needle.
    [[nodiscard]] std::string_view push(std::span<char> piece);
    /// The stream is over: returns what was held back.
    [[nodiscard]] std::string_view finish();
    /// A text that stands alone (a serialised head, a header value); independent of the stream.
    void scrub_whole(std::string& text);

    /// Secrets removed so far.
    [[nodiscard]] std::uint64_t hits() const { return hits_; }

private:
    /// Stars every whole needle in `data` and returns how much of it may leave.
    [[nodiscard]] std::size_t scrub(std::span<char> data);

    [[nodiscard]] bool has_needles() const;
    void find(std::string_view data);

    std::shared_ptr<const NeedleSet> needles_;
    std::shared_ptr<const NeedleSet> own_;
    std::string held_;   ///< possible begin of a needle
    std::string joined_; ///< held_ and the piece behind it
    std::vector<Sighting> found_;
    std::uint64_t hits_ = 0;
};

}  // namespace sanctum::interceptor
