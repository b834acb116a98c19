// SPDX-License-Identifier: Apache-2.0
#include "loop_runs.hpp"

#include <gtest/gtest.h>

namespace sanctum::loopback {

std::unique_ptr<interceptor::Loop> make_loop() {
    network::initialise_openssl();
    auto loop = interceptor::Loop::create();
    EXPECT_TRUE(loop.has_value());
    return std::move(*loop);
}

void run(interceptor::Loop& loop, interceptor::net::awaitable<void> work) {
    loop.spawn(std::move(work));
    loop.run();
}

}  // namespace sanctum::loopback
