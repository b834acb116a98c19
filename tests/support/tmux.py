# SPDX-License-Identifier: Apache-2.0
"""A shell inside tmux, so that a full-screen program can be read as a person sees it.

The tmux client runs on a terminal of the test. Whatever changes on the screen makes the client write, so waiting for
something to show means waiting for the client's bytes and looking again: no clock is asked when to look.
"""

import contextlib
import os
import re
import select
import subprocess
import time

from terminal import Terminal

WAIT_SECONDS = 60
TRY_SECONDS, TRIES_MAX = 10, 4


class TmuxShell:
    """`type` takes text and control characters; `wait_for` a regular expression over the visible screen."""

    def __init__(self, folder, environment, cwd, identity, size=(40, 120)):
        self._tmux = ["tmux", "-S", str(folder / "tmux.socket"), "-f", "/dev/null"]
        self._environment = dict(environment, TERM="xterm-256color", SHELL="/bin/bash", PS1="shell$ ")
        self._cwd, self._identity = cwd, identity
        shell = ["new-session", "--", "/bin/bash", "--norc", "--noprofile", "-i"]
        self._client = Terminal([*self._tmux, *shell], self._environment, cwd, identity, size)
        self.wait_for(r"shell\$$")

    def _run(self, *arguments):
        return subprocess.run([*self._tmux, *arguments], env=self._environment, cwd=self._cwd, capture_output=True,
                              text=True, check=False, **self._identity.popen)

    def screen(self):
        return self._run("capture-pane", "-p").stdout.rstrip()

    def type(self, text):
        self._client.type(text)

    def resize(self, rows, columns):
        self._client.resize(rows, columns)

    def type_visibly(self, text):
        """Types until the text shows, as a person does: a program that just drew itself may throw away what was typed
        before it listens."""
        for _ in range(TRIES_MAX - 1):
            self.type(text)
            try:
                return self.wait_for(re.escape(text), seconds=TRY_SECONDS)
            except AssertionError:
                continue
        self.type(text)
        return self.wait_for(re.escape(text))

    def wait_for(self, pattern, without=None, seconds=WAIT_SECONDS):
        """Waits until the screen shows `pattern` (and nothing of `without`); returns the screen."""
        deadline = time.monotonic() + seconds
        while True:
            shown = self.screen()
            if re.search(pattern, shown, re.MULTILINE) and not (without and re.search(without, shown, re.MULTILINE)):
                return shown
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} never showed; the screen shows:\n{shown}"
            if select.select([self._client.master], [], [], left)[0]:
                try:
                    data = os.read(self._client.master, 65536)
                except OSError:
                    data = b""
                assert data, f"tmux ended before {pattern!r} showed; the screen showed:\n{shown}"

    def close(self):
        """Ends the server, and waits for the shell that it hangs up on: on a busy machine that takes a moment."""
        with contextlib.ExitStack() as stack:
            shells = []
            for pid in self._run("list-panes", "-a", "-F", "#{pane_pid}").stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    shells.append(os.pidfd_open(int(pid)))
                    stack.callback(os.close, shells[-1])
            self._run("kill-server")
            for shell in shells:
                assert select.select([shell], [], [], WAIT_SECONDS)[0], "the shell does not end with its terminal"
        self._client.close()
