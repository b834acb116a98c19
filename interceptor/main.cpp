// SPDX-License-Identifier: Apache-2.0
// sanctum-interceptor: started by sanctum-run only, with its channel on the descriptor that --mission-fd names.
#include "base/build_id.hpp"
#include "base/confinement/self_confinement.hpp"
#include "base/log.hpp"
#include "interceptor/interceptor.hpp"
#include "network/openssl_memory.hpp"

#include <charconv>
#include <cstdio>
#include <string_view>

namespace {

sanctum::log::Level level_named(std::string_view name) {
    using sanctum::log::Level;
    if (name == "quiet") return Level::Quiet;
    if (name == "warning") return Level::Warning;
    if (name == "info") return Level::Info;
    if (name == "debug") return Level::Debug;
    return Level::Error;
}

}  // namespace

int main(int count, char** arguments) {
    if (!sanctum::become_undumpable()) return 1;
    if (const sanctum::Status status = sanctum::network::wipe_what_openssl_frees(); !status) {
        std::fprintf(stderr, "sanctum-interceptor: %s\n", status.error().what.c_str());
        return 1;
    }
    int mission_fd = -1;
    sanctum::log::Level level = sanctum::log::Level::Error;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string_view name = arguments[i];
        const std::string_view value = arguments[i + 1];
        if (name == "--mission-fd") std::from_chars(value.data(), value.data() + value.size(), mission_fd);
        if (name == "--log") level = level_named(value);
    }
    if (mission_fd < 3) {
        std::fprintf(stderr, "sanctum-interceptor %s is started by sanctum-run\n", sanctum::version());
        return 2;
    }
    sanctum::log::open("sanctum-interceptor", level);
    return sanctum::interceptor::run_interceptor(sanctum::UniqueFd(mission_fd));
}
