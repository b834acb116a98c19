// SPDX-License-Identifier: Apache-2.0
// Numbers that were used once, kept as ranges: counted numbers arrive nearly in order, so a long run stays small.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>

namespace sanctum::launcher {

class UsedNumbers {
public:
    /// Marks `number` as used. False when it was already.
    [[nodiscard]] bool use(std::uint64_t number) {
        auto next = last_by_first_.upper_bound(number);
        if (next != last_by_first_.begin()) {
            const auto before = std::prev(next);
            if (before->second >= number) return false;
            if (before->second + 1 == number) {
                before->second = number;
                if (next != last_by_first_.end() && next->first == number + 1) {
                    before->second = next->second;
                    last_by_first_.erase(next);
                }
                return true;
            }
        }
        if (next != last_by_first_.end() && next->first == number + 1) {
            const std::uint64_t last = next->second;
            last_by_first_.erase(next);
            last_by_first_[number] = last;
            return true;
        }
        last_by_first_[number] = number;
        return true;
    }
    [[nodiscard]] std::size_t ranges() const { return last_by_first_.size(); }

private:
    std::map<std::uint64_t, std::uint64_t> last_by_first_;
};

}  // namespace sanctum::launcher
