// SPDX-License-Identifier: Apache-2.0
#include "vault/commands/store_context.hpp"

#include "base/limits.hpp"
#include "base/places.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/unlock.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sys/signalfd.h>

namespace sanctum::vault {

Result<StoreContext> StoreContext::choose(const StoreChoice& choice) {
    const Places places = places_of_this_process();
    const std::string config = choice.config.empty() ? places.configuration : choice.config;
    SANCTUM_TRY(const profiles::OperatorConfig loaded,
                profiles::load_operator_config(config, choice.config.empty() ? profiles::Missing::IsEmpty
                                                                             : profiles::Missing::IsAnError));
    StoreContext context;
    context.path_ = choice.store.empty() ? places.store() : choice.store;
    context.unlock_ = choice.unlock.empty() ? loaded.unlock : choice.unlock;
    return context;
}

Status StoreContext::prepare_terminal() {
    if (terminal_) return {};
    SANCTUM_TRY(terminal_, open_terminal());
    return take_signals();
}

Status StoreContext::take_signals() {
    if (signals_) return {};
    sigset_t wanted;
    ::sigemptyset(&wanted);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaddset(&wanted, number);
    ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
    signals_ = UniqueFd(::signalfd(-1, &wanted, SFD_CLOEXEC));
    if (!signals_) return io_error("signalfd");
    return {};
}

bool StoreContext::has_terminal() { return prepare_terminal().has_value(); }

Result<LockedBytes> StoreContext::open(const SealedBytes& sealed) {
    UnlockMeans means;
    means.spec = unlock_;
    if (has_terminal()) {
        means.terminal = terminal_.get();
        means.cancel_fd = signals_.get();
    }
    if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY")) means.credentials_directory = folder;
    return unlock_store(sealed, path_, means);
}

Result<LockedBytes> StoreContext::ask(const std::string& prompt, std::size_t bytes_max) {
    SANCTUM_CHECK(prepare_terminal());
    return read_hidden_line(terminal_.get(), prompt, {bytes_max, kPassphraseTimeout, signals_.get()});
}

Result<LockedBytes> StoreContext::ask_twice(const std::string& prompt, std::size_t bytes_max) {
    SANCTUM_TRY(LockedBytes first, ask(prompt + ": ", bytes_max));
    SANCTUM_TRY(const LockedBytes second, ask("The same again: ", bytes_max));
    if (!Secret(first.reveal()).equals(Secret(second.reveal()))) {
        return Error{Errc::Denied, "the two answers differ; nothing was changed"};
    }
    return first;
}

}  // namespace sanctum::vault
