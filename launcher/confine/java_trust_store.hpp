// SPDX-License-Identifier: Apache-2.0
// The trust store of Java run times, made from the PEM bundle that everybody else reads; no JVM is needed for it.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace sanctum::launcher {

/// A key store in the format "JKS", version 2, with every certificate of `pem_bundle` as a trusted entry. Each JVM
/// reads it whatever its default type is; the integrity check is made with the password `changeit`, which every cacerts
/// file has. The entries' date is 0, so the same bundle always gives the same bytes.
/// Text between the certificates is passed over. Errors: Protocol (a block without its end, or that is not base64).
/// See: the class comment of sun.security.provider.JavaKeyStore.
[[nodiscard]] Result<std::string> make_java_trust_store(std::string_view pem_bundle);

}  // namespace sanctum::launcher
