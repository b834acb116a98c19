// SPDX-License-Identifier: Apache-2.0
#include "console/run_program.hpp"

#include "base/unique_fd.hpp"

#include <cerrno>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace sanctum::console {
namespace {

// The file actions of one spawn, freed at the end.
class FileActions {
public:
    FileActions() { ::posix_spawn_file_actions_init(&actions_); }
    ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;
    void open(int fd, const char* path, int flags) {
        ::posix_spawn_file_actions_addopen(&actions_, fd, path, flags, 0);
    }
    void copy(int from, int to) { ::posix_spawn_file_actions_adddup2(&actions_, from, to); }
    [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
};

int wait_for(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<ProgramEnd> run_program(const std::string& program, const std::vector<std::string>& arguments,
                               ErrorStream errors, std::size_t bytes_max) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return io_error("pipe");
    const UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    FileActions actions;
    actions.open(STDIN_FILENO, "/dev/null", O_RDONLY);
    actions.copy(writing.get(), STDOUT_FILENO);
    if (errors == ErrorStream::Discarded) actions.open(STDERR_FILENO, "/dev/null", O_WRONLY);
    std::vector<std::string> words = {program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t pid = 0;
    const int failed = ::posix_spawn(&pid, program.c_str(), actions.get(), nullptr, argv.data(), environ);
    if (failed != 0) {
        Error error = io_error(program, failed);
        if (failed == ENOENT) error.code = Errc::NotFound;
        return error;
    }
    writing.reset();
    ProgramEnd end;
    bool is_too_long = false;
    char chunk[16384];
    for (;;) {
        const ssize_t size = ::read(reading.get(), chunk, sizeof chunk);
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) break;
        is_too_long = is_too_long || end.output.size() + static_cast<std::size_t>(size) > bytes_max;
        if (!is_too_long) end.output.append(chunk, static_cast<std::size_t>(size));
    }
    end.code = wait_for(pid);
    if (is_too_long) return Error{Errc::Limit, program + ": prints more than " + std::to_string(bytes_max) + " bytes"};
    return end;
}

}  // namespace sanctum::console
