// SPDX-License-Identifier: Apache-2.0
// A loop that runs one coroutine to its end, for tests with real sockets.
#pragma once

#include "interceptor/io/loop.hpp"
#include "interceptor/io/tls_stream.hpp"
#include "tests/support/loopback.hpp"

#include <memory>

namespace sanctum::loopback {

[[nodiscard]] std::unique_ptr<interceptor::Loop> make_loop();

/// Runs `work` and everything it started until all is done.
void run(interceptor::Loop& loop, interceptor::net::awaitable<void> work);

}  // namespace sanctum::loopback
