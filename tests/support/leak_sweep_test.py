# SPDX-License-Identifier: Apache-2.0
"""The sweep is what proves blindness, so it is proved first: each coding in each place is found, and what is not
there is not."""

import base64
import json
import os
import random
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import leak_sweep  # noqa: E402

SECRET = b"canary/Tr0ub4dor&3+\xe9-token"
PLAIN = b"ghp_CanaryOfLettersAndDigits0123456789"

CODINGS = {
    "raw": lambda s: s,
    "reversed": lambda s: s[::-1],
    "hex lower": lambda s: s.hex().encode(),
    "hex upper": lambda s: s.hex().upper().encode(),
    "hex mixed": lambda s: "".join(c.upper() if i % 3 else c for i, c in enumerate(s.hex())).encode(),
    "percent lower": lambda s: "".join(f"%{b:02x}" for b in s).encode(),
    "percent upper": lambda s: "".join(f"%{b:02X}" for b in s).encode(),
    "percent where needed": lambda s: urllib.parse.quote(s, safe="").encode(),
    "percent every second byte": lambda s: "".join(f"%{b:02x}" if i % 2 else chr(b) for i, b in
                                                   enumerate(s)).encode("latin-1"),
    "json lower": lambda s: "".join(f"\\u{b:04x}" for b in s).encode(),
    "json upper": lambda s: "".join(f"\\u{b:04X}" for b in s).encode(),
    "json where needed": lambda s: json.dumps(s.decode("latin-1")).encode(),
    "json every second byte": lambda s: "".join(f"\\u{b:04x}" if i % 2 else chr(b) for i, b in
                                                enumerate(s)).encode("latin-1"),
    "base32": base64.b32encode,
    "utf-16": lambda s: s.decode("latin-1").encode("utf-16-le"),
}


@pytest.mark.parametrize("secret", [SECRET, PLAIN], ids=["signs", "plain"])
@pytest.mark.parametrize("coding", CODINGS)
def test_each_coding_is_found(coding, secret):
    assert leak_sweep.find_in_bytes(b"before " + CODINGS[coding](secret) + b" after", secret)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("after", range(4))
def test_base64_is_found_in_each_alignment_whatever_stands_around_it(encode, before, after):
    noise = random.Random(before * 7 + after)
    text = encode(noise.randbytes(before) + SECRET + noise.randbytes(after))

    assert leak_sweep.find_in_bytes(b"x" + text + b"y", SECRET)


def test_basic_authorization_is_found():
    assert leak_sweep.find_in_bytes(b"Authorization: Basic " + base64.b64encode(b"agent:" + PLAIN), PLAIN)


def test_base64_in_lines_is_found():
    text = base64.encodebytes(b"a long first line of a mail, so that the secret is broken in two: " + SECRET)

    assert leak_sweep.find_in_bytes(text, SECRET)


@pytest.mark.parametrize("coding", CODINGS)
def test_another_secret_is_not_found(coding):
    other = bytes(reversed(PLAIN[:-1])) + b"#"

    assert leak_sweep.find_in_bytes(CODINGS[coding](other), PLAIN) == []


def test_random_bytes_are_clean():
    assert leak_sweep.find_in_bytes(random.Random(1).randbytes(1_000_000), SECRET) == []


def test_half_of_the_secret_is_not_the_secret():
    assert leak_sweep.find_in_bytes(PLAIN[:-1], PLAIN) == []


def test_a_canary_that_is_too_short_is_refused():
    with pytest.raises(ValueError):
        leak_sweep.find_in_bytes(b"x", b"short")


def test_a_secret_across_two_pieces_of_a_stream_is_found(monkeypatch):
    monkeypatch.setattr(leak_sweep, "CHUNK_BYTES", 64)
    for offset in range(30, 70):
        data = bytearray(b"." * 400)
        data[offset:offset + len(SECRET)] = SECRET
        position = 0

        def read(size, data=bytes(data)):
            nonlocal position
            piece = data[position:position + size]
            position += len(piece)
            return piece

        assert leak_sweep.Hit("raw", offset) in leak_sweep.find_in_stream(read, SECRET)


def run(tmp_path, *arguments):
    secret = tmp_path / "the-secret"
    secret.write_bytes(SECRET)
    return subprocess.run([sys.executable, leak_sweep.__file__, "--secret-file", str(secret), *map(str, arguments)],
                          capture_output=True, text=True, check=False, timeout=120)


def test_a_folder_is_searched_with_names_links_and_hidden_files(tmp_path):
    places = tmp_path / "places"
    (places / "deep" / ".hidden").mkdir(parents=True)
    clean = run(tmp_path, "--folder", places)
    (places / "deep" / ".hidden" / "file").write_bytes(b"x" * 100_000 + SECRET)
    (places / SECRET.hex()).touch()
    (places / "link").symlink_to(SECRET.hex())
    found = run(tmp_path, "--folder", places)

    assert clean.returncode == 0, clean
    assert found.returncode == 3
    assert ".hidden/file: raw at 100000" in found.stdout
    assert "name of" in found.stdout and "target of" in found.stdout


def test_what_cannot_be_searched_is_not_called_clean(tmp_path):
    assert run(tmp_path, "--folder", tmp_path / "absent").returncode == 1
    assert run(tmp_path).returncode == 0


HOLDER = """
import os, sys
secret = bytes(byte ^ 0x5a for byte in bytes.fromhex(sys.argv[1]))
if sys.argv[2] == 'memory': kept = bytearray(secret)
if sys.argv[2] == 'base64': import base64; kept = base64.b64encode(b'x' + secret)
if sys.argv[2] == 'file': kept = os.memfd_create('x'); os.write(kept, secret)
if sys.argv[2] != 'memory': del secret
print('ready', flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder():
    started = []

    def start(kind, **options):
        hidden = bytes(byte ^ 0x5A for byte in SECRET).hex()
        process = subprocess.Popen([sys.executable, "-c", HOLDER, hidden, kind], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, **options)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process.pid
    yield start
    for process in started:
        process.stdin.close()
        process.wait()


@pytest.mark.parametrize("kind", ["memory", "base64", "file"])
def test_a_process_that_holds_the_secret_is_found(tmp_path, holder, kind):
    found = run(tmp_path, "--pid", holder(kind))

    assert found.returncode == 3, found


def test_a_process_with_the_secret_in_its_environment_is_found(tmp_path, holder):
    environment = {**os.environ, "TOKEN": urllib.parse.quote(SECRET, safe="")}

    assert "environ" in run(tmp_path, "--pid", holder("nothing", env=environment)).stdout


def test_a_process_that_never_had_the_secret_is_clean(tmp_path):
    process = subprocess.Popen(["sleep", "600"])
    try:
        assert run(tmp_path, "--pid", process.pid).returncode == 0
    finally:
        process.kill()
        process.wait()


def test_a_process_that_is_gone_is_clean(tmp_path):
    process = subprocess.Popen(["true"])
    process.wait()

    assert run(tmp_path, "--pid", process.pid).returncode == 0


def test_the_secret_can_be_given_so_that_the_searcher_does_not_carry_it(tmp_path):
    hidden = tmp_path / "hidden"
    hidden.write_bytes(bytes(byte ^ 0x5A for byte in SECRET))
    target = tmp_path / "target"
    target.write_bytes(SECRET)

    done = subprocess.run([sys.executable, leak_sweep.__file__, "--xor-file", str(hidden), "--file", str(target)],
                          capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 3
    assert SECRET.decode("latin-1") not in done.stdout
