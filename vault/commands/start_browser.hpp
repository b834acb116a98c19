// SPDX-License-Identifier: Apache-2.0
// Starting the person's browser at an address that no other user of the machine may learn.
#pragma once

#include <string>

namespace sanctum::vault {

/// True when there is something to start: $BROWSER names a program by its path, or there is a graphical session with
/// xdg-open; never as root.
[[nodiscard]] bool has_browser();

/// A browser that was asked to open an address; what led it there is removed with this.
///
/// SECURITY: every user sees the arguments of every process. Whoever knew the address could consent with an account of
/// their own, whose token would then be stored as ours. So the browser gets the name of a private file that leads on.
class StartedBrowser {
public:
    /// Starts it; failures do not matter, since the address is printed as well.
    explicit StartedBrowser(const std::string& url);
    ~StartedBrowser();
    StartedBrowser(const StartedBrowser&) = delete;
    StartedBrowser& operator=(const StartedBrowser&) = delete;
    [[nodiscard]] bool is_started() const { return is_started_; }

private:
    std::string file_;
    bool is_started_ = false;
};

}  // namespace sanctum::vault
