// SPDX-License-Identifier: Apache-2.0
// Compiled by tests with CASE set: 0 must compile, every other must not. See CMakeLists.txt.
#include "base/secret.hpp"
#include "base/wire/archive.hpp"

#include <iostream>
#include <string>

void use(sanctum::Secret secret) {
    const sanctum::Secret other = secret.duplicate();
#if CASE == 0
    if (secret.equals(other)) std::cout << secret.size();
    const sanctum::Secret moved = std::move(secret);
#elif CASE == 1
    std::cout << secret;
#elif CASE == 2
    if (secret == other) std::cout << "equal";
#elif CASE == 3
    const sanctum::Secret copy = secret;
#elif CASE == 4
    const std::string text = secret;
#elif CASE == 5
    const sanctum::Secret made = std::string_view("text");
#elif CASE == 6
    sanctum::wire::JsonWriter writer;
    writer("secret", secret);
#elif CASE == 7
    if (secret < other) std::cout << "less";
#endif
}
