// SPDX-License-Identifier: Apache-2.0
// `file`: a secret that something else on this machine keeps in a file and may replace at any time.
//
// The file is read by CommandRunner's helper, never by this process, and for every lease anew. When it changes, the
// leases with the old content end, and the next need gets the new one.
#pragma once

#include "vault/sources/command_runner.hpp"
#include "vault/sources/source.hpp"

#include <memory>
#include <string>

namespace sanctum::vault {

class FileSource final : public Source {
public:
    /// `index`: the file's place in the runner's table. `file`: its path, for errors.
    FileSource(std::shared_ptr<CommandRunner> runner, std::uint32_t index, std::string file);

    [[nodiscard]] Capabilities capabilities() const override { return {}; }
    /// The content without one newline at its end. A file that others may read, or could have written, is refused.
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    [[nodiscard]] bool is_current(const Credential& credential) const override;
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;

private:
    std::shared_ptr<CommandRunner> runner_;
    std::uint32_t index_;
    std::string file_;
    std::uint64_t changes_ = 0;  ///< counted; the handle of a credential says after which it was read
};

}  // namespace sanctum::vault
