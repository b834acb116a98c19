// SPDX-License-Identifier: Apache-2.0
// Result and Error: how every fallible function of Sanctum answers. No exceptions on the data path.
//
// Two-statement macros pass errors on; the statement-expression form is not used because GCC 12 fails on it next to
// co_await. The surface follows std::expected so that a later switch is a using-declaration.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace sanctum {

/// What the caller can do about an error. The sentence in Error::what carries the detail.
enum class Errc {
    InvalidProfile,  ///< the operator or the profile's author must change a file
    Unsupported,     ///< this machine or build cannot do it
    NotPermitted,    ///< the kernel or a policy of the machine refused
    NotFound,        ///< the named thing does not exist
    Denied,          ///< Sanctum's own policy refused
    Limit,           ///< a bound of base/limits.hpp was reached
    Timeout,         ///< a deadline passed
    Cancelled,       ///< the other side or the mission ended
    Protocol,        ///< bytes from outside broke their format
    Io,              ///< a system call failed; Error::sys_errno says how
    Internal,        ///< an adapter caught something that should not happen
};

/// One failure: class, sentence (lower case, no full stop, `where: what (hint)`), and errno where a call failed.
struct Error {
    Errc code = Errc::Internal;
    std::string what;
    int sys_errno = 0;

    /// Prepends the place: `Error{..., "port 0 is not a port"}.in("network.allow[2]")`.
    [[nodiscard]] Error in(std::string_view where) && {
        what.insert(0, ": ").insert(0, where);
        return std::move(*this);
    }
};

/// Builds an Io error from the current errno: `open /x: No such file or directory`.
[[nodiscard]] Error io_error(std::string_view what);

/// The same for an errno value taken earlier.
[[nodiscard]] Error io_error(std::string_view what, int sys_errno);

/// Called by SANCTUM_ASSERT: prints the broken invariant and aborts in every build type.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

/// A value or an Error. Move-only values are fine; reading the wrong side aborts.
template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] T& value() & { return *checked(std::get_if<0>(&state_)); }
    [[nodiscard]] const T& value() const& { return *checked(std::get_if<0>(&state_)); }
    [[nodiscard]] T&& value() && { return std::move(*checked(std::get_if<0>(&state_))); }
    [[nodiscard]] T& operator*() & { return value(); }
    [[nodiscard]] const T& operator*() const& { return value(); }
    [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }
    [[nodiscard]] T* operator->() { return &value(); }
    [[nodiscard]] const T* operator->() const { return &value(); }
    [[nodiscard]] Error& error() & { return *checked(std::get_if<1>(&state_)); }
    [[nodiscard]] const Error& error() const& { return *checked(std::get_if<1>(&state_)); }
    [[nodiscard]] Error&& error() && { return std::move(*checked(std::get_if<1>(&state_))); }

private:
    template <class Side>
    static Side* checked(Side* side) {
        if (side == nullptr) assertion_failed("the side of a Result that is read", __FILE__, __LINE__);
        return side;
    }

    std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : failed_(true), error_(std::move(error)) {}

    [[nodiscard]] bool has_value() const noexcept { return !failed_; }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] Error& error() & { return error_; }
    [[nodiscard]] const Error& error() const& { return error_; }
    [[nodiscard]] Error&& error() && { return std::move(error_); }

private:
    bool failed_ = false;
    Error error_;
};

using Status = Result<void>;

}  // namespace sanctum

#define SANCTUM_CONCAT_INNER(a, b) a##b
#define SANCTUM_CONCAT(a, b) SANCTUM_CONCAT_INNER(a, b)

/// SANCTUM_TRY(const Profile profile, load_profile(path)); declares, or returns the error.
#define SANCTUM_TRY(declaration, expression) \
    SANCTUM_TRY_INNER(declaration, expression, SANCTUM_CONCAT(sanctum_result_, __LINE__), return)

/// The same inside a coroutine.
#define SANCTUM_CO_TRY(declaration, expression) \
    SANCTUM_TRY_INNER(declaration, expression, SANCTUM_CONCAT(sanctum_result_, __LINE__), co_return)

#define SANCTUM_TRY_INNER(declaration, expression, result, leave) \
    auto result = expression;                                      \
    if (!result.has_value()) leave std::move(result).error();      \
    declaration = std::move(result).value()

/// SANCTUM_CHECK(log.close()); for Status: goes on, or returns the error.
#define SANCTUM_CHECK(expression) \
    SANCTUM_CHECK_INNER(expression, SANCTUM_CONCAT(sanctum_status_, __LINE__), return)

/// The same inside a coroutine.
#define SANCTUM_CO_CHECK(expression) \
    SANCTUM_CHECK_INNER(expression, SANCTUM_CONCAT(sanctum_status_, __LINE__), co_return)

#define SANCTUM_CHECK_INNER(expression, status, leave) \
    auto status = expression;                           \
    if (!status.has_value()) leave std::move(status).error()

/// A broken invariant ends the process, in release builds too.
#define SANCTUM_ASSERT(expression) \
    ((expression) ? static_cast<void>(0) : ::sanctum::assertion_failed(#expression, __FILE__, __LINE__))
