# SPDX-License-Identifier: Apache-2.0
"""Nothing but the interceptor is reachable from inside. Each attempt has a twin: outside, with the same code and the
same identity, it succeeds; inside it fails in the documented way."""

import json
import os
import socket
import subprocess
import threading

import pytest

from rig import API, SUPPORT

PYTHON = "/usr/bin/python3"


@pytest.fixture
def reach(rig, service):
    """reach.inside(attempts) and reach.outside(attempts) → results."""
    rig.write(rig.work / "reach.py", (SUPPORT / "reach.py").read_bytes())

    class Reach:
        outcome = None

        @staticmethod
        def inside(attempts, **start):
            Reach.outcome = rig.run(PYTHON, "reach.py", json.dumps(attempts), profile=service, **start)
            assert Reach.outcome.code == 0, Reach.outcome
            return json.loads(Reach.outcome.text)

        @staticmethod
        def outside(attempts, **popen):
            done = subprocess.run([PYTHON, "reach.py", json.dumps(attempts)], cwd=rig.work, env=rig.environment,
                                  capture_output=True, check=True, **rig.identity.popen, **popen)
            return json.loads(done.stdout)
    return Reach


@pytest.fixture
def host_sockets(rig):
    """Servers of the machine: TCP and UDP on loopback, a socket file in /tmp and in the workspace, an abstract name."""
    made = {}
    for name, family, address in (("tcp", "AF_INET", ("127.0.0.1", 0)), ("tcp6", "AF_INET6", ("::1", 0)),
                                  ("file", "AF_UNIX", str(rig.folder / "server.sock")),
                                  ("workspace file", "AF_UNIX", str(rig.work / "server.sock")),
                                  ("abstract", "AF_UNIX", f"\0{rig.folder.name}")):
        server = socket.socket(getattr(socket, family), socket.SOCK_STREAM)
        server.bind(address)
        server.listen(16)
        made[name] = server
        if isinstance(address, str) and not address.startswith("\0"):
            os.chmod(address, 0o777)
            rig.identity.own(address)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    made["udp"] = udp

    def echo():
        try:
            while True:
                data, sender = udp.recvfrom(100)
                udp.sendto(data, sender)
        except OSError:
            pass
    threading.Thread(target=echo, daemon=True).start()
    yield made
    for server in made.values():
        server.close()


def test_the_machines_own_sockets_are_out_of_reach(rig, reach, host_sockets):
    tcp, tcp6, udp = (host_sockets[name].getsockname()[1] for name in ("tcp", "tcp6", "udp"))
    attempts = {
        "tcp": ["connect", "AF_INET", "127.0.0.1", tcp], "tcp6": ["connect", "AF_INET6", "::1", tcp6],
        "udp": ["answered_udp", "AF_INET", "127.0.0.1", udp],
        "a socket file": ["connect", "AF_UNIX", str(rig.folder / "server.sock")],
        "a socket file in the workspace": ["connect", "AF_UNIX", str(rig.work / "server.sock")],
        "an abstract socket": ["connect", "AF_UNIX", f"@{rig.folder.name}"],
    }

    assert reach.outside(attempts) == dict.fromkeys(attempts, "ok"), "the twin"
    inside = reach.inside(attempts)

    assert inside["tcp"] == inside["tcp6"] == "ECONNREFUSED", inside
    assert inside["udp"] in ("ECONNREFUSED", "EPERM", "EACCES", "TimeoutError", "ENETUNREACH"), inside
    assert inside["a socket file"] == "ENOENT", inside
    assert inside["a socket file in the workspace"] in ("ECONNREFUSED", "ENOTSOCK", "EACCES"), inside
    assert inside["an abstract socket"] == "ECONNREFUSED", inside


def test_every_address_leads_to_the_interceptor_or_nowhere(reach):
    attempts = {
        "443 of any address": ["connect", "AF_INET", "192.0.2.1", 443],
        "80 of any address": ["connect", "AF_INET", "8.8.8.8", 80],
        "another port": ["connect", "AF_INET", "192.0.2.1", 8443], "ssh": ["connect", "AF_INET", "192.0.2.1", 22],
        "the metadata service on another port": ["connect", "AF_INET", "169.254.169.254", 8080],
        "IPv6 on another port": ["connect", "AF_INET6", "2001:db8::1", 444],
        "fast open to another port": ["fast_open", "192.0.2.1", 8443],
        "QUIC": ["answered_udp", "AF_INET", "192.0.2.1", 443], "NTP": ["answered_udp", "AF_INET", "192.0.2.1", 123],
    }

    inside = reach.inside(attempts)

    assert inside["443 of any address"] == inside["80 of any address"] == "ok", "the allowed twins"
    for name in ("another port", "ssh", "the metadata service on another port", "IPv6 on another port",
                 "fast open to another port"):
        assert inside[name] == "ECONNREFUSED", (name, inside)
    for name in ("QUIC", "NTP"):
        assert inside[name] != "ok", (name, inside)
    dialled = {record["dialled"] for record in reach.outcome.of_type("connection.refused")}
    assert {"192.0.2.1:8443", "192.0.2.1:22"} <= dialled, reach.outcome.records


def test_a_raw_address_is_refused_with_a_reason_whatever_sni_says(rig, service, upstream):
    script = (f"curl -sSk https://192.0.2.1/x; echo; curl -sSk --connect-to ::192.0.2.1:443 https://{API}/describe; "
              f"echo; curl -sSk -H 'Host: {API}' https://192.0.2.1/y; echo; curl -sS http://192.0.2.1/z")

    outcome = rig.run("sh", "-c", script, profile=service)

    assert upstream.exchanges == [], outcome
    assert outcome.text.count("address_without_name") >= 3, outcome


def test_a_name_cannot_be_used_for_another(rig, service, upstream):
    """SNI, Host and the dialled name must agree."""
    script = (f"curl -sS -H 'Host: www.sanctum.test' https://{API}/describe; echo; "
              f"curl -sSk --connect-to {API}:443:www.sanctum.test:443 https://{API}/describe; echo; "
              f"curl -sS http://{API}/describe")

    outcome = rig.run("sh", "-c", script, profile=service)

    assert upstream.exchanges == [], outcome
    assert outcome.text.count("name_mismatch") >= 2 and "plain_http" in outcome.text, outcome


ASK_FOR_NAMES = f"""
import json, socket
def ask(family):
    try:
        found = socket.getaddrinfo('{API}', 443, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        return [address[0] for *_, address in found]
    except socket.gaierror as error:
        return error.errno
print(json.dumps({{"any": ask(0), "v4": ask(socket.AF_INET), "v6": ask(socket.AF_INET6),
                  "interfaces": [name for _, name in socket.if_nameindex()]}}))
"""


def test_a_program_that_asks_only_for_addresses_it_could_use_gets_them(rig, service):
    """AI_ADDRCONFIG leaves out a family in which no interface has an address. Names have IPv4 addresses only: IPv6 is
    answered at once with "there is none", and is no way around."""
    outcome = rig.run(PYTHON, "-c", ASK_FOR_NAMES, profile=service)

    seen = json.loads(outcome.text)
    assert len(seen["v4"]) == 1 and seen["v4"][0].startswith(("198.18.", "198.19.")), seen
    assert seen["any"] == seen["v4"], seen
    assert seen["v6"] in (socket.EAI_NODATA, socket.EAI_NONAME), seen
    assert "eth0" in seen["interfaces"], seen


ALLOWED_FAMILIES = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}


def test_only_the_allowed_socket_families_exist(reach):
    attempts = {f"{family} {kind}": ["make", family, kind, 1 if kind == socket.SOCK_RAW else 0]
                for family in range(0, 46) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW)}
    attempts["route netlink"] = ["make", socket.AF_NETLINK, socket.SOCK_RAW, 0]
    attempts["audit netlink"] = ["make", socket.AF_NETLINK, socket.SOCK_RAW, 9]
    attempts["socket diagnostics"] = ["make", socket.AF_NETLINK, socket.SOCK_RAW, 4]
    attempts["kernel events"] = ["make", socket.AF_NETLINK, socket.SOCK_RAW, 15]

    inside = reach.inside(attempts)

    assert inside[f"{int(socket.AF_INET)} {int(socket.SOCK_STREAM)}"] == "ok"
    assert inside[f"{int(socket.AF_UNIX)} {int(socket.SOCK_STREAM)}"] == inside["route netlink"] == "ok"
    for name in ("audit netlink", "socket diagnostics", "kernel events"):
        assert inside[name] != "ok", (name, inside[name])
    for name, result in inside.items():
        if name.split()[0].isdigit() and int(name.split()[0]) not in ALLOWED_FAMILIES:
            assert result in ("EAFNOSUPPORT", "EPERM", "EACCES", "ENOSYS"), (name, result)
    for family in (socket.AF_INET, socket.AF_INET6):
        assert inside[f"{int(family)} {int(socket.SOCK_RAW)}"] in ("EPERM", "EACCES", "EAFNOSUPPORT", "EPROTONOSUPPORT")


def test_dangerous_system_calls_are_refused(reach):
    unsupported = ["io_uring_setup", "unknown", "clone3"]
    attempts = {name: ["syscall", name, 0, 0, 0, 0, 0] for name in (
        "bpf", "add_key", "keyctl", "mount", "open_tree", "fsopen", "perf_event_open", "userfaultfd", "kexec_load",
        "init_module", "open_by_handle_at", "reboot", "swapon", "pidfd_getfd", "open_tree_attr", *unsupported)}
    for name, flag in (("user", 0x10000000), ("network", 0x40000000), ("mount", 0x20000), ("pid", 0x20000000)):
        attempts[f"a {name} namespace"] = ["syscall", "unshare", flag]
    attempts["ptrace of init"] = ["syscall", "ptrace", 16, 1, 0, 0]

    inside = reach.inside(attempts)

    for name in unsupported:
        assert inside[name] == "ENOSYS", (name, inside)
    for name, result in inside.items():
        assert result in ("ENOSYS", "EPERM"), (name, result)


def test_an_inherited_descriptor_does_not_arrive(rig, reach, service):
    attempts = {str(number): ["inherited", number] for number in range(3, 64)}
    ours, theirs = socket.socketpair()
    spare = os.dup2(theirs.fileno(), 41)

    outside = reach.outside({"41": ["inherited", 41]}, pass_fds=(spare,))
    running = rig.start(PYTHON, "reach.py", json.dumps(attempts), profile=service, pass_fds_too=(spare,))
    outcome = running.finish()
    os.close(spare)
    ours.close()
    theirs.close()

    assert outside == {"41": "ok"}, "the twin"
    assert set(json.loads(outcome.text).values()) == {"EBADF"}, outcome


def test_files_outside_the_allow_list_do_not_exist(rig, reach):
    outside_file = rig.write(rig.folder / "machine.txt", "of the machine")
    home_file = rig.write(rig.home / "notes.txt", "of the home")
    attempts = {"beside the workspace": ["read", str(home_file)], "elsewhere": ["read", str(outside_file)],
                "our state": ["see", str(rig.state)], "our configuration": ["see", str(rig.configuration)],
                "our store": ["see", str(rig.data / "store.sealed")], "the runtime folder": ["see", str(rig.runtime)],
                "the source tree": ["see", str(SUPPORT)], "kernel settings": ["see", "/sys/kernel"],
                "root's home": ["see", "/root/."], "logs": ["see", "/var/log"], "services": ["see", "/run/systemd"],
                "docker": ["see", "/var/run/docker.sock"], "disks": ["see", "/dev/sda"], "memory": ["see", "/dev/mem"],
                "shadow": ["see", "/etc/shadow"], "ssh keys of the host": ["see", "/etc/ssh"],
                "a file of the system": ["read", "/usr/bin/env"], "a file of the workspace": ["read", "reach.py"]}

    inside = reach.inside(attempts)
    twin = reach.outside({name: attempts[name] for name in ("beside the workspace", "elsewhere", "our state")})

    assert set(twin.values()) == {"ok"}
    assert inside.pop("a file of the system") == inside.pop("a file of the workspace") == "ok"
    assert set(inside.values()) <= {"ENOENT", "EACCES"}, inside


def test_system_files_cannot_be_written(reach):
    attempts = {path: ["write", path] for path in ("/usr/bin/env", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt",
                                                   "/bin/sh", "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern",
                                                   "/run/sanctum/policy.json")}
    attempts["the workspace"] = ["write", "reach.py"]
    attempts["/tmp"] = ["write", "/tmp/file"]

    inside = reach.inside(attempts)

    assert inside.pop("the workspace") == inside.pop("/tmp") == "ok"
    assert set(inside.values()) <= {"EROFS", "EACCES", "EPERM", "ENOENT"}, inside


def test_processes_of_the_machine_are_out_of_sight(rig, reach):
    mine = os.getpid()
    attempts = {"a signal to a process of the machine": ["signal_to", mine],
                "its memory": ["read", f"/proc/{mine}/mem"], "init's environment": ["read", "/proc/1/environ"],
                "init's memory": ["read", "/proc/1/mem"], "init's root": ["see", "/proc/1/root/."],
                "a signal to itself": ["signal_to", 0]}

    inside = reach.inside(attempts)

    assert inside.pop("a signal to itself") == "ok"
    assert inside["a signal to a process of the machine"] == "ESRCH", inside
    assert all(result in ("ESRCH", "ENOENT", "EACCES", "EPERM") for result in inside.values()), inside


def test_a_mission_cannot_start_inside_a_mission(rig, service):
    from rig import BIN
    outcome = rig.run(str(BIN / "sanctum-run"), "--", "true", profile=service, options=["--mount", f"{BIN}:{BIN}:ro"])

    assert outcome.code in (125, 126, 127), outcome
