// SPDX-License-Identifier: Apache-2.0
// The allow list of the agent's root: which places of every machine it sees, and why. One list, in one file.
#pragma once

#include <span>
#include <string_view>

namespace sanctum::launcher {

/// A place of the machine by its absolute path.
struct RootPlace {
    std::string_view path;
    const char* reason;
};

/// Folders shown whole and read-only (or as the symbolic link that the machine has there).
[[nodiscard]] std::span<const RootPlace> system_folders();

/// Files and folders of /etc, read-only. Those that Sanctum writes itself (passwd, hosts, resolv.conf, …) are not here.
[[nodiscard]] std::span<const RootPlace> system_settings();

/// Device nodes.
[[nodiscard]] std::span<const RootPlace> device_nodes();

/// Parts of the fresh /proc that tell about the whole machine: hidden.
[[nodiscard]] std::span<const RootPlace> hidden_in_proc();

/// Parts of the fresh /proc that set something for the whole machine: read-only.
[[nodiscard]] std::span<const RootPlace> read_only_in_proc();

/// Names of files and folders that hold secrets wherever they lie: masked below a granted place unless granted by name.
/// `config/x` stands for that path at the end of a longer one.
[[nodiscard]] std::span<const RootPlace> secret_places();

/// True when `path` (absolute) ends in one of secret_places().
[[nodiscard]] bool is_secret_place(std::string_view path);

}  // namespace sanctum::launcher
