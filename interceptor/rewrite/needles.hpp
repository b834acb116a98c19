// SPDX-License-Identifier: Apache-2.0
// NeedleSet: every form in which a live secret could come back in a response, ready to be searched for.
//
// Forms: raw; base64 and base64url at each of the three alignments (the characters that depend on a neighbour left
// out); hexadecimal of either case, also with blanks between the bytes; percent-encoded (every byte, and only what the
// usual libraries escape, either case); JSON-escaped (\u00XX of every byte, the short escapes, and what the usual
// writers escape besides); escaped for HTML. For basic authentication the pair `username:secret` too; of keys that sign
// each part by itself. A secret re-encoded in any other way is not found, nor is one shorter than kNeedleBytesMin.
#pragma once

#include "base/secret.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::interceptor {

struct HeldLease;

/// Where a search has arrived: either found, or the data ended within a possible needle.
struct Sighting {
    std::size_t begin = 0;
    std::size_t length = 0;  ///< of the whole needle
    bool is_partial = false;
};

/// Immutable. Its memory is wiped at the end.
class NeedleSet {
public:
    explicit NeedleSet(const std::vector<std::shared_ptr<HeldLease>>& leases);
    /// Of one text that was made for one exchange: a signature.
    explicit NeedleSet(std::string_view secret);
    ~NeedleSet();
    NeedleSet(const NeedleSet&) = delete;
    NeedleSet& operator=(const NeedleSet&) = delete;

    [[nodiscard]] bool is_empty() const { return needles_.empty(); }
    /// Made from these leases, in this order?
    [[nodiscard]] bool is_for(const std::vector<std::shared_ptr<HeldLease>>& leases) const;

    /// Appends every place where a needle lies in `data`, or begins and is cut off by its end.
    void find(std::string_view data, std::vector<Sighting>& found) const;

private:
    void add_forms_of(std::string_view secret);
    void finish();
    void add(std::string needle);
    void build_index();
    void verify(std::string_view data, std::size_t sample, std::uint32_t gram, std::vector<Sighting>& found) const;
    void find_in_tail(std::string_view data, std::vector<Sighting>& found) const;

    /// A sampled four-byte gram: which needle it belongs to, at which offset.
    struct Entry {
        std::uint32_t gram;
        std::uint32_t needle;
        std::uint32_t offset;
    };
    std::vector<std::string> needles_;
    std::vector<Entry> entries_;                ///< sorted by gram
    std::vector<std::uint64_t> filter_;         ///< one bit per hashed gram
    std::array<bool, 256> is_first_byte_{};
    std::size_t stride_ = 1;
    std::size_t shortest_ = 0;
    std::vector<std::string> lease_ids_;  ///< ids, not leases: this set must not keep a secret alive
};

}  // namespace sanctum::interceptor
