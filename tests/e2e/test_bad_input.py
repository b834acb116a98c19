# SPDX-License-Identifier: Apache-2.0
"""Bad input of every kind: a clear error that names place and remedy, 125 where nothing ran, no partial mission,
nothing sent upstream that was not recorded, nothing lost from store or ledger."""

import contextlib
import json
import os
import subprocess

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

import identity as identities
from rig import API, BIN, PLAIN, SUPPORT
from terminal import Terminal
from upstream import RecordingUpstream, hold_port

PYTHON = "/usr/bin/python3"


def expect_nothing_ran(rig, outcome, *words):
    assert outcome.code == 125, outcome
    for word in words:
        assert word in outcome.errors, f"{word!r} is not in:\n{outcome.errors}"
    assert outcome.stdout == b"" and not (rig.work / "ran").exists()
    assert all(line.get("event") != "started" for line in outcome.status)
    assert not outcome.status or outcome.status[-1]["reason"] == "setup"
    missions = rig.state / "missions"
    left = [folder.name for folder in missions.iterdir()] if missions.is_dir() else []
    for name in left:
        assert (missions / name / "receipt.json").exists(), f"a part of mission {name} was left"


def test_init_writes_nothing_into_a_folder_of_another_user(rig):
    identities.require(os.geteuid() == 0, "only root can give a folder away")
    theirs = rig.make("theirs")
    os.chown(theirs, identities.ORDINARY_UID + 1, -1)

    done = subprocess.run([BIN / "sanctum", "init", "--agent", "codex"], cwd=theirs, env=rig.environment,
                          capture_output=True, check=False, **rig.identity.popen)

    assert done.returncode == 1 and b"belongs to another user" in done.stderr, done
    assert list(theirs.iterdir()) == [] and not (rig.state / "homes").exists()


@pytest.mark.parametrize("kind", ["proc", "tmpfs"])
def test_a_mount_in_the_workspace_that_cannot_be_searched_is_named_with_the_remedy(rig, service, kind):
    """The kernel lists nothing of a process that has ended and that nobody has waited for: EINVAL."""
    identities.require(os.geteuid() == 0, "needs root to mount below a workspace")
    place = rig.make("home/work/tree/" + kind)
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    subprocess.run(["mount", "-t", kind, kind, place], check=True)
    try:
        outcome = rig.run("touch", "ran", profile=service)
    finally:
        subprocess.run(["umount", place], check=True)
        ended.wait()

    if kind == "tmpfs":
        assert outcome.code == 0 and (rig.work / "ran").exists(), outcome
    else:
        expect_nothing_ran(rig, outcome, f"mounted on {place}, ", "unmount it, or choose a folder without it")


# ---- profile and configuration --------------------------------------------------------------------------------------

def test_a_missing_profile(rig, service):
    expect_nothing_ran(rig, rig.run("touch", "ran", profile=rig.work / "none.toml"), "none.toml")


def test_no_profile_at_all(rig, service):
    expect_nothing_ran(rig, rig.run("touch", "ran"), "mission.toml", "--profile")


def test_an_unreadable_profile(rig, service):
    profile = rig.profile(service.read_text(), "locked")
    os.chmod(profile, 0)
    if rig.identity.uid == 0:
        profile.unlink()
        profile.mkdir()  # root reads everything but a folder
    expect_nothing_ran(rig, rig.run("touch", "ran", profile=profile), "locked.toml")
    os.chmod(profile, 0o755)


@pytest.mark.parametrize("change, word", [
    (("catalog = \"http-bearer\"", "catalog = \"http-baerer\""), "http-bearer"),
    (("account = \"api\"", "account = \"apu\""), "apu"),
    (("grant = [\"read\", \"write\"]", "grant = [\"raed\"]"), "raed"),
    (("ttl = \"2m\"", "ttl = \"2 minutes\""), "ttl"),
    (("[sandbox]", "[sandbocks]"), "sandbox"),
    (("purpose = ", "purposes = "), "purpose"),
    (("schema = 1", "schema = 99"), "schema")])
def test_a_profile_with_a_mistake_names_line_and_remedy(rig, service, change, word):
    profile = rig.profile(service.read_text().replace(*change), "wrong")

    outcome = rig.run("touch", "ran", profile=profile)

    line = next(number for number, text in enumerate(profile.read_text().split("\n"), 1) if change[1] in text)
    expect_nothing_ran(rig, outcome, f"wrong.toml:{line}:", word, "^")


def test_an_untrusted_profile_without_a_terminal(rig, service):
    profile = rig.write(rig.work / "mission.toml", service.read_text())

    expect_nothing_ran(rig, rig.run("touch", "ran"), f"sanctum trust {profile}")
    rig.expect_ok(rig.sanctum("trust", str(profile)))
    assert rig.run("touch", "ran").code == 0, "once trusted, it runs"


def test_a_trusted_profile_that_was_changed(rig, service):
    profile = rig.write(rig.work / "mission.toml", service.read_text())
    rig.expect_ok(rig.sanctum("trust", str(profile)))
    rig.write(profile, service.read_text().replace('ttl = "2m"', 'ttl = "3m"'))

    expect_nothing_ran(rig, rig.run("touch", "ran"), "sanctum trust", "changed")


def test_a_catalog_file_with_a_mistake(rig, service):
    folder = rig.make("config/sanctum/catalog.d")
    rig.write(folder / "mine.toml", 'schema = 1\nname = "mine"\n[[endpoint]]\nname = "api"\nhosts = "api.x.test"\n')
    profile = rig.profile(service.read_text() + '\n[[service]]\nname = "m"\ncatalog = "mine"\naccount = "api"\n'
                          'grant = ["x"]\n', "mine")

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=profile), "mine.toml:5:", "hosts")


@pytest.mark.parametrize("text, word", [("schema = 1\n[stor]\n", "store"), ("schema = 2\n", "schema"),
                                        ("=", "config.toml:1")])
def test_an_operators_configuration_with_a_mistake(rig, service, text, word):
    rig.write(rig.configuration / "config.toml", text, 0o600)

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=service), "config.toml", word)


def test_a_ca_file_that_is_not_there(rig, service):
    config = rig.configuration / "config.toml"
    rig.write(config, config.read_text().replace("roots.pem", "no-roots.pem"), 0o600)

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=service), "no-roots.pem")


@pytest.mark.parametrize("workspace", ["{home}", "/", "{folder}", "{state}"])
def test_a_workspace_that_holds_home_or_our_own_folders(rig, service, workspace):
    path = workspace.format(home=rig.home, folder=rig.folder, state=rig.state)
    profile = rig.profile(service.read_text().replace('workspace = "."', f'workspace = "{path}"'), "wide")

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=profile), "workspace")


def test_a_workspace_that_is_home_by_another_name(rig, service):
    link = rig.folder / "linked-home"
    link.symlink_to(rig.home)
    rig.environment["HOME"] = str(link)
    profile = rig.profile(service.read_text().replace('workspace = "."', f'workspace = "{rig.home}"'), "wide")

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=profile), "is your home folder")


@pytest.mark.parametrize("way", ["program", "link", "argument"])
def test_a_program_that_runs_outside_is_out_of_the_agents_reach(rig, upstream, authority, way):
    """What prints a token runs outside of the sandbox, with the operator's rights, as often as the agent asks."""
    script = rig.write(rig.work / "print-token", "#!/bin/sh\necho canary-of-a-command\n", 0o755)
    link = rig.folder / "link"
    link.symlink_to(script)
    command = {"program": f'["{script}"]', "link": f'["{link}"]', "argument": f'["/bin/sh", "{script}"]'}[way]
    rig.host(API, upstream, authority.ca_file)
    rig.account("api", f'catalog = "http-bearer"\nhosts = ["{API}"]\nsource = "command"\ncommand = {command}')
    rig.secrets.clear()
    rig.configure()
    from conftest import PROFILE

    outcome = rig.run("touch", "ran", profile=rig.profile(PROFILE))

    expect_nothing_ran(rig, outcome, "print-token", "on which the operator relies (move it)")


def test_the_operators_configuration_is_out_of_the_agents_reach_wherever_it_lies(rig, service):
    config = rig.write(rig.work / "mine.toml", (rig.configuration / "config.toml").read_text(), 0o600)

    outcome = rig.run("touch", "ran", profile=service, options=["--config", str(config)])

    expect_nothing_ran(rig, outcome, "mine.toml", "(move it)")


def test_roots_that_the_agent_could_add_to_are_refused(rig, service):
    config = rig.configuration / "config.toml"
    roots = rig.write(rig.work / "roots.pem", (rig.folder / "roots.pem").read_bytes())
    rig.write(config, config.read_text().replace(str(rig.folder / "roots.pem"), str(roots)), 0o600)

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=service), "roots.pem", "(move it)")


@pytest.mark.parametrize("place", ["home/work", "keys"])
def test_the_stores_key_is_never_shown_to_the_agent(rig, service, place):
    config = rig.configuration / "config.toml"
    key = rig.write(rig.make(place) / "its.key", rig.key_file.read_bytes(), 0o600)
    rig.write(config, config.read_text().replace(str(rig.key_file), str(key)), 0o600)

    outcome = rig.run("touch", "ran", profile=service, options=["-c", f'sandbox.read=["{rig.make(place)}"]'])

    expect_nothing_ran(rig, outcome, "its.key", "key file", "(move it)")


def test_a_mount_point_that_cannot_be_made_is_named_and_one_elsewhere_can(rig, service):
    tool = rig.work.parent / "tool"
    tool.mkdir()
    tool.chmod(0o755)
    (tool / "word").write_text("seen\n")

    refused = rig.run("touch", "ran", profile=service, options=["--mount", f"{tool}:/usr/lib/sanctum-no-such-folder"])
    shown = rig.run("cat", "/mnt/tool/word", profile=service, options=["--mount", f"{tool}:/mnt/tool"])

    expect_nothing_ran(rig, refused, "/usr/lib/sanctum-no-such-folder", "read-only", "/mnt")
    assert shown.code == 0 and shown.text == "seen\n", shown


def test_a_mount_that_is_not_there_is_named_with_its_option(rig, service):
    options = ["--mount", "/nonexistent/folder:/data"]

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=service, options=options), "/nonexistent/folder", "--mount")


# ---- the store ------------------------------------------------------------------------------------------------------

def test_a_missing_key_file(rig, service):
    rig.key_file.rename(rig.folder / "moved.key")

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=service), "store.key")


def test_a_wrong_key_file_changes_nothing_in_the_store(rig, service):
    before = (rig.data / "store.sealed").read_bytes()
    right = rig.key_file.read_bytes()
    rig.write(rig.key_file, os.urandom(len(right)), 0o600)

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=service), "key")
    assert (rig.data / "store.sealed").read_bytes() == before
    rig.write(rig.key_file, right, 0o600)
    assert rig.run("true", profile=service).code == 0


def test_a_locked_store_without_a_terminal(rig, service):
    config = rig.configuration / "config.toml"
    rig.write(config, config.read_text().replace(f"key-file:{rig.key_file}", "passphrase"), 0o600)

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=service), "sanctum vault unlock")


def test_a_wrong_passphrase_on_a_terminal(rig, upstream, authority):
    rig.host(API, upstream, authority.ca_file)
    rig.extra('')
    profile = rig.profile("schema = 1\n", "p")
    config = ('schema = 1\n[store]\nunlock = "passphrase"\n[[account]]\nname = "api"\ncatalog = "http-bearer"\n'
              f'hosts = ["{API}"]\nsource = "local"\nitem = "api"\n')
    rig.write(rig.configuration / "config.toml", config, 0o600)
    from conftest import PROFILE
    rig.write(profile, PROFILE)

    def on_terminal(*command):
        screen = Terminal([str(part) for part in command], dict(rig.environment, TERM="xterm"), rig.work, rig.identity)
        rig._known.add(screen.process.pid)
        return screen
    screen = on_terminal(BIN / "sanctum", "vault", "init")
    for prompt in ("(?i)passphrase.*: ", "again: "):
        screen.read_until(prompt)
        screen.type("correct horse\n")
    assert screen.wait() == 0
    screen.close()

    screen = on_terminal(BIN / "sanctum-run", "--profile", profile, "--", "touch", "ran")
    screen.read_until("(?i)passphrase")
    screen.type("wrong horse\n")
    screen.read_until("(?i)wrong|does not|not the")
    while screen.process.poll() is None:  # it may ask again, a bounded number of times
        try:
            screen.read_until("(?i)passphrase.*: ")
        except AssertionError:
            break
        screen.type("wrong horse\n")
    assert screen.wait() == 125
    assert not (rig.work / "ran").exists()
    screen.close()


def test_a_store_that_is_damaged(rig, service):
    store = rig.data / "store.sealed"
    whole = store.read_bytes()
    rig.write(store, whole[:len(whole) // 2], 0o600)

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=service), "store.sealed")
    assert store.read_bytes() == whole[:len(whole) // 2], "a damaged store is left as it is"
    rig.write(store, whole, 0o600)


def test_an_empty_token_is_not_taken_into_the_store(rig, service):
    done = rig.sanctum("vault", "add", "bad", input=b"\n")

    assert done.returncode != 0 and b"empty" in done.stderr, done
    listed = rig.expect_ok(rig.sanctum("vault", "list"))
    assert b"bad" not in listed.stdout and b"api" in listed.stdout


@pytest.mark.parametrize("value", [b"two\r\nX-Injected: 1", b"nul\0byte", b"\x1b[31m"])
def test_a_token_with_illegal_bytes_is_said_so_and_never_sent(rig, upstream, authority, value):
    """A key file may hold line breaks, so the store takes it with a word of warning; a request never gets it."""
    from conftest import PROFILE
    rig.host(API, upstream, authority.ca_file).host(PLAIN, upstream)
    rig.account("api", f'catalog = "http-bearer"\nhosts = ["{API}"]\nsource = "local"\nitem = "api"')
    rig.secrets.clear()
    rig.configure()
    rig.expect_ok(rig.sanctum("vault", "init", "--key-file", str(rig.key_file)))
    added = rig.expect_ok(rig.sanctum("vault", "add", "api", input=value))

    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=rig.profile(PROFILE))

    assert b"note" in added.stderr, added
    assert "credential_unavailable" in outcome.text, outcome
    assert upstream.exchanges == []


def test_a_token_with_illegal_bytes_from_a_command_is_never_sent(rig, upstream, authority):
    script = rig.write(rig.folder / "token", "#!/bin/sh\nprintf 'a\\r\\nX-Injected: 1'\n", 0o755)
    rig.host(API, upstream, authority.ca_file).host(PLAIN, upstream)
    rig.account("api", f'catalog = "http-bearer"\nhosts = ["{API}"]\nsource = "command"\ncommand = ["{script}"]')
    rig.secrets.clear()
    rig.configure()
    from conftest import PROFILE

    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=rig.profile(PROFILE))

    assert "credential_unavailable" in outcome.text, outcome
    assert upstream.exchanges == []


# ---- the machine ----------------------------------------------------------------------------------------------------

def test_no_user_namespaces(rig, service):
    identities.require(os.geteuid() == 0, "making such a namespace needs root")
    wrap = ["/usr/bin/python3", SUPPORT / "without_namespaces.py", str(rig.identity.uid)]
    as_root = {"user": 0, "group": 0}

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=service, wrap=wrap, **as_root), "user namespace")


def test_a_state_folder_that_is_a_file(rig, service):
    (rig.state).rmdir() if not any(rig.state.iterdir()) else __import__("shutil").rmtree(rig.state)
    rig.write(rig.state, "not a folder")

    outcome = rig.run("touch", "ran", profile=service)
    rig.state.unlink()

    expect_nothing_ran(rig, outcome, str(rig.state))


def test_a_state_folder_of_somebody_else(rig, service):
    identities.require(os.geteuid() == 0, "needs root to make a folder of somebody else")
    os.chmod(rig.state, 0o755)
    os.chown(rig.state, 12345, 12345)

    outcome = rig.run("touch", "ran", profile=service)
    os.chown(rig.state, rig.identity.uid, rig.identity.gid)

    expect_nothing_ran(rig, outcome, str(rig.state))


@pytest.fixture
def small_disk(rig, service):
    """The state folder on a file system of its own that the test can fill."""
    identities.require(os.geteuid() == 0, "needs root to mount a small file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=2m,mode=0700,uid={rig.identity.uid},gid={rig.identity.gid}",
                    "tmpfs", rig.state], check=True)
    yield rig.state / "filler"
    subprocess.run(["umount", "--lazy", rig.state], check=False)


def fill(path):
    filler = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while os.write(filler, b"x" * 4096):
            pass
    except OSError:
        pass
    os.close(filler)


def test_a_full_disk_at_the_start(rig, service, small_disk):
    fill(small_disk)

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=service), "full", "make room")


def test_a_full_disk_in_the_middle_sends_nothing_unrecorded(rig, service, upstream, small_disk):
    """When the record cannot be written any more, requests are refused and the mission ends; after room has been made
    `sanctum reap` seals what there is."""
    loop = f"echo up; read go; while curl -fsS -X POST https://{API}/describe; do :; done; echo over"
    running = rig.start("sh", "-c", loop, profile=service).wait_until_started()
    assert running.read_line() == "up"
    fill(small_disk)

    running.send("\n")
    running.process.wait(60)
    small_disk.unlink()
    rig.expect_ok(rig.sanctum("reap"))
    outcome = running.finish()

    recorded = len(outcome.of_type("exchange.intent"))
    assert len(upstream.exchanges) <= recorded, f"{len(upstream.exchanges)} were sent, {recorded} recorded"
    assert "503" in outcome.errors, "refused with record_unavailable"
    rig.check_everything()


def test_a_file_size_limit_that_leaves_no_room_for_the_record(rig, service):
    """`ulimit -f` kills whoever writes too much, with a signal, unless it is prepared for it."""
    outcome = rig.run("touch", "ran", profile=service, wrap=["prlimit", "--fsize=300000:300000"])

    expect_nothing_ran(rig, outcome, "File too large", "ulimit -f")
    assert rig.run("touch", "ran", profile=service, wrap=["prlimit", "--fsize=unlimited"]).code == 0


def test_no_file_descriptors_left(rig, service):
    outcome = rig.run("touch", "ran", profile=service, wrap=["prlimit", "--nofile=12:12"])

    assert outcome.code == 125 and outcome.errors.strip(), outcome


# ---- upstream -------------------------------------------------------------------------------------------------------

# Name → the certificate that a server of that name shows.
BAD_CERTIFICATES = {
    "expired": lambda ca, other, name: ca.issue(name, valid="expired"),
    "future": lambda ca, other, name: ca.issue(name, valid="future"),
    "wrong-name": lambda ca, other, name: ca.issue("other.sanctum.test"),
    "unknown-authority": lambda ca, other, name: other.issue(name),
    "self-signed": lambda ca, other, name: ca.issue(name, issuer="self"),
    "for-clients": lambda ca, other, name: ca.issue(name, usage=ExtendedKeyUsageOID.CLIENT_AUTH),
    "nul": lambda ca, other, name: ca.issue(f"{name}\0.example.com", label=name),
    "address": lambda ca, other, name: ca.issue("127.0.0.1", label=name),
    "wide-wildcard": lambda ca, other, name: ca.issue("*.test", label=name),
    "partial-wildcard": lambda ca, other, name: ca.issue("partial-w*.sanctum.test", label=name),
    "sha1": lambda ca, other, name: ca.issue(name, digest=hashes.SHA1()),
    "short-key": lambda ca, other, name: ca.issue(name, key=rsa.generate_private_key(65537, 1024)),
    "common-name-only": lambda ca, other, name: ca.issue(name, has_alternatives=False),
    "common-name-beside": lambda ca, other, name: ca.issue("other.sanctum.test", common_name=name, label=name),
    "signed-by-a-server": lambda ca, other, name: ca.issue_through(name, intermediate={"is_authority": False}),
    "no-intermediate": lambda ca, other, name: ca.issue_through(name, send=False),
    "expired-intermediate": lambda ca, other, name: ca.issue_through(name, intermediate={"valid": "expired"}),
    "excluded-name": lambda ca, other, name: ca.issue_through(name, intermediate={"excluded": "sanctum.test"}),
}
GOOD_CERTIFICATES = {
    "good": lambda ca, other, name: ca.issue(name),
    "good-wildcard": lambda ca, other, name: ca.issue("*.sanctum.test", label=name),
    "good-intermediate": lambda ca, other, name: ca.issue_through(name),
}


def test_an_upstream_with_a_bad_certificate_gets_no_byte(rig, tmp_path):
    """One server for each; the twins show that wildcards and intermediate certificates as such are taken."""
    from authority import Authority
    from conftest import PROFILE
    ca, other = Authority(tmp_path / "ca"), Authority(tmp_path / "unknown", "Another authority")
    made = {**BAD_CERTIFICATES, **GOOD_CERTIFICATES}
    servers = {}
    with contextlib.ExitStack() as running:
        for kind, make in made.items():
            name = f"{kind}.sanctum.test"
            servers[kind] = running.enter_context(RecordingUpstream(*make(ca, other, name)))
            rig.host(name, servers[kind], ca.ca_file if kind == "good" else None)
        rig.host(PLAIN, servers["good"])
        hosts = json.dumps([f"{kind}.sanctum.test" for kind in made])
        rig.account("api", f'catalog = "http-bearer"\nhosts = {hosts}\nsource = "local"\nitem = "api"')
        rig.configure()
        script = 'for kind; do curl -sS -w "\\n%{http_code}\\n--\\n" https://$kind.sanctum.test/hello; done'

        outcome = rig.run("sh", "-c", script, "sh", *made, profile=rig.profile(PROFILE))

        answers = dict(zip(made, outcome.text.split("\n--\n")))
        for kind in BAD_CERTIFICATES:
            assert "upstream_certificate" in answers[kind] and answers[kind].endswith("502"), (kind, answers[kind])
            assert servers[kind].exchanges == [], kind
        for kind in GOOD_CERTIFICATES:
            assert answers[kind] == "hello from upstream\n\n200", (kind, answers[kind])


def test_an_upstream_that_does_not_take_the_credential_is_told_with_its_account(rig, service, upstream):
    def unauthorized(exchange):
        exchange.read_body()
        exchange.respond(401, b"no", reason="Unauthorized")
    upstream.routes["/private"] = unauthorized

    refused = rig.run("curl", "-sS", f"https://{API}/private", profile=service, options=["-v"])
    taken = rig.run("curl", "-sS", f"https://{API}/hello", profile=service, options=["-v"])

    assert "account api: its server refused the credential (401) 1 time" in refused.errors, refused
    assert "refused the credential" not in taken.errors, taken


def test_names_that_the_mission_does_not_know_are_never_looked_up(rig, service, upstream):
    """DNS is no way out: the operator's resolver hears of names of the mission only."""
    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.bind(("127.0.0.1", 0))
        resolver.setblocking(False)
        config = rig.configuration / "config.toml"
        named = f'[upstream]\nresolver = "127.0.0.1:{resolver.getsockname()[1]}"'
        rig.write(config, config.read_text().replace("[upstream]", named, 1), 0o600)
        urls = [f"https://secret{number}.leak.test/" for number in range(20)]
        listed = rig.profile(service.read_text() + '[[host]]\nname = "listed.test"\nmatch = ["GET /**"]\n', "listed")

        unknown = rig.run("curl", "-sS", *urls, profile=service)
        with pytest.raises(BlockingIOError):
            resolver.recv(2048)
        rig.run("curl", "-sS", "--max-time", "2", "https://listed.test/", profile=listed)

        assert len(unknown.refused) == len(urls)
        assert b"\x06listed\x04test" in resolver.recv(2048), "the twin: a name of the mission is asked for"


def test_an_upstream_that_is_not_there(rig, authority, certificate):
    from conftest import PROFILE
    server = RecordingUpstream(*certificate)
    server.stop()
    rig.host(API, server, authority.ca_file).host(PLAIN, server)
    rig.account("api", f'catalog = "http-bearer"\nhosts = ["{API}"]\nsource = "local"\nitem = "api"')
    rig.configure()

    with hold_port(server.port):
        outcome = rig.run("curl", "-sS", "-w", "%{http_code}", f"https://{API}/hello", profile=rig.profile(PROFILE))

    assert "upstream_unreachable" in outcome.text and outcome.text.endswith("502"), outcome


def test_a_private_address_that_the_operator_did_not_name_is_never_dialled(rig, upstream, authority):
    """The plain host resolves to loopback by the operator's resolver table only; an address literal does not."""
    from conftest import PROFILE
    rig.host(API, upstream, authority.ca_file)
    rig.account("api", f'catalog = "http-bearer"\nhosts = ["{API}"]\nsource = "local"\nitem = "api"')
    rig.extra('')
    rig.configure()
    profile = rig.profile(PROFILE.replace(PLAIN, "localhost"), "loopback")

    outcome = rig.run("curl", "-sS", "https://localhost/hello", profile=profile)

    assert upstream.exchanges == [], outcome


# ---- the agent's side -----------------------------------------------------------------------------------------------

def test_a_header_of_one_mebibyte_is_refused(rig, service, upstream):
    request = f"GET / HTTP/1.1\r\nHost: {API}\r\nX-Long: {'x' * 1048576}\r\n\r\n"
    rig.write(rig.work / "raw_tls.py", (SUPPORT / "raw_tls.py").read_bytes())

    outcome = rig.run(PYTHON, "raw_tls.py", API, profile=service, input=request)

    assert upstream.exchanges == []
    assert "request_invalid" in [reason for reason, _, _ in outcome.refused], outcome


def test_an_endless_body_is_streamed_and_ends_with_its_client(rig, service, upstream):
    received = []

    def sink(exchange):
        exchange.read_body(lambda part: received.append(len(part)))
    upstream.routes["/sink"] = sink
    command = f"head -c 200000000 /dev/zero | curl -sS -T - -H Expect: https://{API}/sink & read go; kill %1"
    running = rig.start("bash", "-c", command, profile=service).wait_until_started()
    upstream.wait_for(1, "/sink")

    running.send("\n")
    outcome = running.finish()

    assert len(outcome.of_type("exchange.outcome")) == 1, outcome.records
    assert outcome.of_type("exchange.outcome")[0]["sent"] >= sum(received) - 200000


def test_a_thousand_connections_are_served_or_refused_and_the_mission_lives(rig, service, upstream):
    script = f"""
import socket, ssl
context = ssl.create_default_context()
open_ones = []
for i in range(1000):
    try:
        open_ones.append(socket.create_connection(('{API}', 443)))
    except OSError as error:
        print('refused at', i, error)
        break
for each in open_ones[:-1]:
    each.close()
import urllib.request
print(urllib.request.urlopen('https://{API}/hello').read().decode())
"""
    outcome = rig.run("sh", "-c", 'ulimit -n 4096 2>/dev/null; exec "$@"', "sh", PYTHON, "-c", script, profile=service)

    assert "hello from upstream" in outcome.text, outcome
    assert outcome.code == 0
