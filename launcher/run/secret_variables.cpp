// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/secret_variables.hpp"

#include "base/files.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

namespace sanctum::launcher {
namespace {

// A name may stand there twice; /proc/PID/environ shows these bytes for as long as the process lives.
void wipe_own_variable(const std::string& name) {
    while (char* value = std::getenv(name.c_str())) {
        wipe({value, std::strlen(value)});
        ::unsetenv(name.c_str());
    }
}

bool is_in_use(const profiles::Account& account, const profiles::Mission& mission) {
    return account.source == "environment" &&
           std::any_of(mission.services.begin(), mission.services.end(),
                       [&](const profiles::Service& service) { return service.account == account.name; });
}

}  // namespace

SecretVariables take_secret_variables(const profiles::OperatorConfig& config,
                                      std::map<std::string, std::string>& environment) {
    SecretVariables taken;
    for (const profiles::Account& account : config.accounts) {
        if (account.source != "environment") continue;
        wipe_own_variable(account.variable);
        const auto found = environment.find(account.variable);
        if (found == environment.end()) continue;
        taken.insert_or_assign(account.variable, Secret(found->second));
        wipe(found->second);
        environment.erase(found);
    }
    return taken;
}

Result<UniqueFd> seal_secret_variables(const SecretVariables& variables, const profiles::Mission& mission,
                                       const profiles::OperatorConfig& config) {
    std::set<std::string> needed;
    for (const profiles::Account& account : config.accounts) {
        if (!is_in_use(account, mission)) continue;
        const auto found = variables.find(account.variable);
        if (found == variables.end() || found->second.is_empty()) {
            return Error{Errc::NotFound, account.place + ": account " + account.name + ": the variable " +
                                             account.variable + " is not set (export it for sanctum-run; the agent "
                                             "does not get it)"};
        }
        needed.insert(account.variable);
    }
    if (needed.empty()) return UniqueFd();
    // Room for all of it at once: what a string leaves behind when it grows would not be wiped.
    std::size_t room = 0;
    for (const std::string& name : needed) room += name.size() + variables.at(name).size() + 2;
    std::string text;
    text.reserve(room);
    for (const std::string& name : needed) {
        text += name;
        text += '=';
        text += variables.at(name).reveal();
        text += '\0';
    }
    Result<UniqueFd> sealed = make_sealed_memfd("variables", text);
    wipe(text);
    return sealed;
}

}  // namespace sanctum::launcher
