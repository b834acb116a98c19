# SPDX-License-Identifier: Apache-2.0
"""Every way to reach something that is not Sanctum, each with the allowed way beside it."""

import os
import socket
import subprocess

import pytest

SERVE = ("--serve",)


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "169.254.169.254", "8.8.8.8", "2001:db8::1", "127.0.0.1"])
def test_any_address_on_a_listening_port_is_answered_by_us(box, address):
    answer = box.probe("probe_network", "connect", address, "443", options=SERVE).only
    assert answer == {"op": "connect", "result": "done", "data": address}


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "127.0.0.1"])
def test_another_port_is_refused(box, address):
    answer = box.probe("probe_network", "connect", address, "444", options=SERVE).only
    assert answer == {"op": "connect", "result": "refused", "errno": "ECONNREFUSED"}


def test_a_port_that_the_mission_names_is_answered(box):
    answer = box.probe("probe_network", "connect", "192.0.2.1", "444", options=SERVE + ("--port", "444")).only
    assert answer["result"] == "done"


def test_dns_is_answered_and_other_udp_is_refused(box):
    assert box.probe("probe_network", "udp", "192.0.2.9", "53", options=SERVE).only["result"] == "done"
    assert box.probe("probe_network", "udp", "192.0.2.9", "443", options=SERVE).only["errno"] == "ECONNREFUSED"


def test_a_connection_without_connect_leads_to_us_or_nowhere(box):
    assert box.probe("probe_network", "fastopen", "192.0.2.1", "80", options=SERVE).only["data"] == "192.0.2.1"
    assert box.probe("probe_network", "fastopen", "192.0.2.1", "81", options=SERVE).only["errno"] == "ECONNREFUSED"


OWN = {"IPv4": "198.18.0.1", "IPv6": "fd53:616e:6374::1"}
ONLINE = """
import json, socket
interfaces = [name for _, name in socket.if_nameindex()]
print(json.dumps({"op": "online", "interfaces": interfaces}))
"""


def test_a_program_that_asks_whether_it_is_online_sees_an_interface(box):
    seen = box.probe("probe_network", "interfaces").only["seen"]
    assert {f"eth0 {address}" for address in OWN.values()} <= set(seen)
    others = {each.split()[0] for each in seen} - {"eth0"}
    assert others == {"lo"}, "an address that the kernel made up"
    interfaces = box.run("/usr/bin/python3", "-c", ONLINE).only["interfaces"]
    assert {"lo", "eth0", "eth0-end"} <= set(interfaces)


@pytest.mark.parametrize("family", OWN)
def test_the_address_on_the_link_is_ours_as_well(box, family):
    assert box.probe("probe_network", "connect", OWN[family], "443", options=SERVE).only["data"] == OWN[family]
    assert box.probe("probe_network", "connect", OWN[family], "444", options=SERVE).only["errno"] == "ECONNREFUSED"
    assert box.probe("probe_network", "udp", OWN[family], "9", options=SERVE).only["errno"] == "ECONNREFUSED"


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize("interface", ["eth0", "eth0-end"])
def test_a_socket_tied_to_the_link_reaches_nobody(box, address, interface):
    tied = box.probe("probe_network", "connect", address, "443", interface, options=SERVE).only
    assert tied["errno"] in ("ENETUNREACH", "EHOSTUNREACH", "EINPROGRESS", "EAGAIN"), tied
    assert box.probe("probe_network", "udp", address, "53", interface, options=SERVE).only["result"] == "refused"
    twin = box.probe("probe_network", "connect", address, "443", "lo", options=SERVE).only
    assert twin["data"] == address


FRAMES = """
import json, socket
def sent():
    lines = [line.split() for line in open("/proc/net/dev").read().splitlines()[2:]]
    return {words[0].rstrip(":"): int(words[10]) for words in lines}
before = sent()
for family, address in ((socket.AF_INET, "192.0.2.%d"), (socket.AF_INET6, "2001:db8::%x")):
    for last in range(1, 40):
        for kind, port in ((socket.SOCK_STREAM, 80), (socket.SOCK_STREAM, 81), (socket.SOCK_DGRAM, 123)):
            with socket.socket(family, kind) as made:
                try:
                    made.connect((address % last, port))
                    made.send(b"x")
                except OSError:
                    pass
after = sent()
print(json.dumps({"op": "frames", **{name: after[name] - before[name] for name in before}}))
"""


def test_no_frame_leaves_over_the_link(box):
    sent = box.run("/usr/bin/python3", "-c", FRAMES, options=SERVE).only
    assert sent["lo"] > 200, "the twin: everything stays here"
    assert sent["eth0"] == sent["eth0-end"] == 0, sent


@pytest.mark.parametrize("interface", ["lo", "eth0", "eth0-end"])
def test_the_network_cannot_be_changed_from_inside(box, interface):
    assert box.probe("probe_network", "take_down", interface).only["errno"] == "EPERM"
    assert box.probe("probe_network", "add_route", interface).only["errno"] == "EPERM"
    routes = box.run("/bin/cat", "/proc/net/route").stdout.splitlines()[1:]
    assert routes == [], "a route besides the local ones"


@pytest.mark.parametrize("bits", [(), ("high",)])
def test_exactly_four_socket_families_exist(box, bits):
    opened = box.probe("probe_network", "families", *bits).only["opened"]
    unix, inet, inet6, netlink = 1, 2, 10, 16
    assert {int(kind.split("/")[0]) for kind in opened} == {unix, inet, inet6, netlink}
    stream, datagram = 1, 2
    for family in (inet, inet6):
        assert {int(kind.split("/")[1]) for kind in opened if kind.startswith(f"{family}/")} == {stream, datagram}


def test_multipath_and_other_netlink_do_not_exist(box):
    socket_call = "41" if os.uname().machine == "x86_64" else "198"
    for words in (("2", "1", "262"), ("2", "1", "132"), ("16", "3", "4"), ("16", "3", "15"), ("2", "3", "1")):
        answer = box.probe("probe_kernel", "call", socket_call, *words).only
        assert answer["errno"] == "EPROTONOSUPPORT", words
    assert box.probe("probe_kernel", "call", socket_call, "16", "3", "0").only["result"] == "done"


def listen(path_or_name):
    server = socket.socket(socket.AF_UNIX)
    server.bind(path_or_name)
    server.listen(1)
    return server


def test_sockets_of_the_machine_are_not_in_view(box):
    path = os.path.join(box.folder, "host.sock")
    with listen(path):
        os.chmod(path, 0o777)
        assert box.probe("probe_network", "unix", path).only["errno"] == "ENOENT"


def test_a_socket_in_the_workspace_is_covered(box):
    path = os.path.join(box.workspace, "tool.sock")
    with listen(path):
        os.chmod(path, 0o777)
        assert box.probe("probe_network", "unix", path).only["errno"] in ("ECONNREFUSED", "EACCES")
    script = ("import socket,os;s=socket.socket(socket.AF_UNIX);s.bind('own.sock');s.listen(1);"
              "c=socket.socket(socket.AF_UNIX);c.connect('own.sock');print('{\"op\":\"own\"}')")
    assert box.run("/usr/bin/python3", "-c", script).only == {"op": "own"}


def test_abstract_sockets_of_the_machine_are_not_there(box):
    name = f"sanctum-probe-{os.getpid()}"
    with listen("\0" + name):
        assert box.probe("probe_network", "abstract", name).only["errno"] in ("ECONNREFUSED", "EPERM")


def test_servers_of_the_agent_work(box):
    assert box.probe("probe_network", "serve", "8080").only["result"] == "done"


def test_only_the_three_standard_descriptors_are_inherited(box):
    with socket.socket() as network, open("/etc/passwd", "rb") as file:
        folder = os.open("/", os.O_RDONLY)
        try:
            inherited = (network.fileno(), file.fileno(), folder)
            opened = box.probe("probe_process", "descriptors", pass_fds=inherited).only["open"]
        finally:
            os.close(folder)
    assert opened == [0, 1, 2]


def test_a_folder_or_a_network_socket_as_input_is_refused(box):
    folder = os.open("/", os.O_RDONLY)
    try:
        ended = box.run("/bin/true", stdin=folder)
        assert ended.code == 125 and "descriptor 0 is a folder" in ended.stderr
    finally:
        os.close(folder)
    with socket.socket() as network:
        ended = box.run("/bin/true", stdin=network)
        assert ended.code == 125 and "descriptor 0 is a socket" in ended.stderr


def test_a_pipe_and_a_connected_unix_stream_as_input_are_fine(box):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b'{"op":"piped"}\n')
        ours.shutdown(socket.SHUT_WR)
        assert box.run("/bin/cat", stdin=theirs).only == {"op": "piped"}
    with subprocess.Popen(["/bin/echo", '{"op":"piped"}'], stdout=subprocess.PIPE) as source:
        assert box.run("/bin/cat", stdin=source.stdout).only == {"op": "piped"}
