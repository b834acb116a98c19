// SPDX-License-Identifier: Apache-2.0
#include "base/result.hpp"

#include <cerrno>
#include <cstring>

namespace sanctum {

Error io_error(std::string_view what) { return io_error(what, errno); }

Error io_error(std::string_view what, int sys_errno) {
    return Error{Errc::Io, std::string(what) + ": " + std::strerror(sys_errno), sys_errno};
}

void assertion_failed(const char* expression, const char* file, int line) {
    std::fprintf(stderr, "sanctum: broken invariant at %s:%d: %s\n", file, line, expression);
    std::abort();
}

}  // namespace sanctum
