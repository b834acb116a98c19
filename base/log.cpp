// SPDX-License-Identifier: Apache-2.0
// The only file that knows spdlog.
#include "base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

namespace sanctum::log {
namespace {

spdlog::logger& logger() {
    static const auto instance = [] {
        auto made = std::make_shared<spdlog::logger>("sanctum", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_pattern("sanctum: %v");
        made->set_level(spdlog::level::err);
        return made;
    }();
    return *instance;
}

spdlog::level::level_enum level_of(Level level) {
    switch (level) {
        case Level::Quiet: return spdlog::level::off;
        case Level::Error: return spdlog::level::err;
        case Level::Warning: return spdlog::level::warn;
        case Level::Info: return spdlog::level::info;
        case Level::Debug: return spdlog::level::debug;
    }
    return spdlog::level::err;
}

}  // namespace

void open(std::string_view name, Level level) {
    logger().set_pattern(std::string(name) + ": %v");
    logger().set_level(level_of(level));
}

void error(std::string_view text) { logger().error("{}", text); }
void warning(std::string_view text) { logger().warn("{}", text); }
void info(std::string_view text) { logger().info("{}", text); }
void debug(std::string_view text) { logger().debug("{}", text); }

}  // namespace sanctum::log
