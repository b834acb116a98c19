# SPDX-License-Identifier: Apache-2.0
"""A terminal made by the test: types, reads until something shows, resizes, hangs up."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

WAIT_SECONDS = 30


class Terminal:
    """A command on a pseudo terminal of its own, which is its controlling terminal."""

    def __init__(self, command, environment, cwd, identity, size=(24, 80)):
        self.master, slave = pty.openpty()
        self.resize(*size)
        if identity.uid != os.geteuid():
            os.fchown(slave, identity.uid, identity.gid)

        def take_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=cwd,
                                        start_new_session=True, preexec_fn=take_terminal, **identity.popen)
        os.close(slave)
        self.seen = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self):
        return termios.tcgetattr(self.master)

    def type(self, text):
        os.write(self.master, text.encode())

    def read_until(self, pattern):
        """Reads until `pattern` (a regular expression) shows after what was read so far; returns the match."""
        deadline = time.monotonic() + WAIT_SECONDS
        unread = self.seen
        while not (found := re.search(pattern, unread)):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} never showed; the terminal shows:\n{unread}"
            if not select.select([self.master], [], [], left)[0]:
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:  # EIO: the last process closed the terminal
                data = b""
            assert data, f"the terminal closed before {pattern!r} showed; it shows:\n{unread}"
            unread += data.decode(errors="replace")
        self.seen = unread[found.end():]
        return found

    def text_until(self, pattern):
        """Like read_until, but returns what stood before the match."""
        found = self.read_until(pattern)
        return found.string[:found.start()]

    def hang_up(self):
        os.close(self.master)
        self.master = -1

    def wait(self):
        code = self.process.wait(WAIT_SECONDS)
        return code

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.master >= 0:
            os.close(self.master)
