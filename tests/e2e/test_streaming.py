# SPDX-License-Identifier: Apache-2.0
"""HTTP through the real thing: what is streamed arrives while it is streamed, framing survives in both directions."""

import hashlib
import threading

import pytest

from rig import API, SUPPORT

PYTHON = "/usr/bin/python3"
WAIT = 30


def test_server_sent_events_arrive_one_by_one(rig, service, upstream):
    """The server sends event N+1 only after the client has printed event N."""
    seen = threading.Semaphore(0)

    def events(exchange):
        exchange.start_chunked(200, [("Content-Type", "text/event-stream")])
        for number in range(5):
            exchange.send_chunk(f"data: {number}\n\n".encode())
            assert seen.acquire(timeout=WAIT), "the event was held back"
        exchange.end_chunked()
    upstream.routes["/events"] = events

    running = rig.start("curl", "-fsSN", f"https://{API}/events", profile=service).wait_until_started()
    for number in range(5):
        assert running.read_line() == f"data: {number}"
        assert running.read_line() == ""
        seen.release()

    assert running.finish().code == 0


def test_a_long_poll_is_answered_when_the_server_answers(rig, service, upstream):
    go = threading.Event()

    def poll(exchange):
        assert go.wait(WAIT)
        exchange.respond(200, b"now\n")
    upstream.routes["/poll"] = poll

    running = rig.start("curl", "-fsS", f"https://{API}/poll", profile=service).wait_until_started()
    upstream.wait_for(1, "/poll")
    go.set()

    assert running.finish().text == "now\n"


def test_a_request_body_is_streamed_while_the_agent_writes_it(rig, service, upstream):
    parts = []
    arrived = threading.Semaphore(0)

    def sink(exchange):
        exchange.read_body(lambda part: (parts.append(part), arrived.release()))
        exchange.respond(200, b"done\n")
    upstream.routes["/sink"] = sink
    command = ["curl", "-fsSN", "-T", "-", "-H", "Expect:", f"https://{API}/sink"]

    running = rig.start(*command, profile=service).wait_until_started()
    for number in range(3):
        running.send(f"part {number}\n")
        assert arrived.acquire(timeout=WAIT), "the part was held back"
    running.process.stdin.close()
    running.process.stdin = None

    assert running.finish().text == "done\n"
    assert b"".join(parts) == b"part 0\npart 1\npart 2\n"


def test_expect_100_continue_is_answered_before_the_body_is_sent(rig, service, upstream):
    rig.write(rig.work / "body", b"b" * 100_000)

    outcome = rig.run("curl", "-sSv", "-H", "Expect: 100-continue", "--expect100-timeout", "60", "--data-binary",
                      "@body", f"https://{API}/describe", profile=service)

    assert outcome.code == 0 and '"bytes": 100000' in outcome.text, outcome
    assert "100 Continue" in outcome.errors


def test_head_has_a_length_and_no_body_and_the_connection_lives_on(rig, service, upstream):
    script = (f"import http.client as h, ssl\nc = h.HTTPSConnection('{API}')\n"
              "c.request('HEAD', '/bytes/1000'); r = c.getresponse(); print(r.status, r.getheader('content-length'), "
              "len(r.read()))\nc.request('GET', '/hello'); print(c.getresponse().read().decode(), end='')")

    outcome = rig.run(PYTHON, "-c", script, profile=service)

    assert outcome.text == "200 1000 0\nhello from upstream\n", outcome


def test_chunks_and_trailers_pass_in_both_directions(rig, service, upstream):
    def trailers(exchange):
        exchange.read_body()
        exchange.start_chunked(200, [("Trailer", "X-Sum")])
        for number in range(3):
            exchange.send_chunk(f"piece {number}\n".encode())
        exchange.end_chunked([("X-Sum", "3")])
    upstream.routes["/trailers"] = trailers
    rig.write(rig.work / "raw_tls.py", (SUPPORT / "raw_tls.py").read_bytes())
    request = (f"POST /trailers HTTP/1.1\r\nHost: {API}\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n"
               "Connection: close\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-End: yes\r\n\r\n")

    outcome = rig.run(PYTHON, "raw_tls.py", API, profile=service, input=request)

    assert outcome.code == 0, outcome
    assert "piece 0\n" in outcome.text and "piece 2\n" in outcome.text and "x-sum: 3" in outcome.text.lower(), outcome
    assert upstream.exchanges[0].body == b"abcdefg"
    assert [(name.lower(), value) for name, value in upstream.exchanges[0].trailers] == [("x-end", "yes")]


def test_a_slow_reader_stops_the_server_instead_of_filling_memory(rig, service, upstream):
    """256 MiB are offered; the client reads nothing until the server has been stopped by back-pressure."""
    sent = []
    stuck = threading.Event()

    def endless(exchange):
        exchange.start_chunked(200)
        exchange.stream.settimeout(2)
        try:
            for _ in range(4096):
                exchange.send_chunk(b"x" * 65536)
                sent.append(65536)
        except (TimeoutError, OSError):
            stuck.set()
        exchange.close = True
    upstream.routes["/endless"] = endless
    script = (f"import http.client as h\nc = h.HTTPSConnection('{API}')\nc.request('GET', '/endless')\n"
              "r = c.getresponse(); print('head', flush=True); input()")

    running = rig.start(PYTHON, "-c", script, profile=service).wait_until_started()
    assert running.read_line() == "head"
    assert stuck.wait(WAIT), "nothing stopped the server"
    running.send("\n")
    running.finish()

    assert sum(sent) < 64 * 1024 * 1024


def test_ten_thousand_small_chunks_arrive_in_order(rig, service, upstream):
    def many(exchange):
        exchange.start_chunked(200)
        exchange.send(b"".join(b"%x\r\n%s\r\n" % (len(b"%d\n" % n), b"%d\n" % n) for n in range(10_000)))
        exchange.end_chunked()
    upstream.routes["/many"] = many

    outcome = rig.run("curl", "-fsS", f"https://{API}/many", profile=service)

    expected = "".join(f"{n}\n" for n in range(10_000)).encode()
    assert hashlib.sha256(outcome.stdout).digest() == hashlib.sha256(expected).digest()


@pytest.mark.parametrize("answer, outcome_word", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", "upstream_closed"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "upstream_closed"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "upstream_protocol"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", "upstream_protocol"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "upstream_protocol"),
    (b"SSH-2.0-OpenSSH\r\n\r\n", "upstream_protocol"),
    (b"", "upstream_closed")])
def test_an_answer_that_breaks_is_an_error_at_the_agent_and_in_the_record(rig, service, upstream, answer, outcome_word):
    def broken(exchange):
        exchange.read_body()
        if answer:
            exchange.send(answer)
        exchange.give_up()
    upstream.routes["/broken"] = broken

    outcome = rig.run("curl", "-sS", "-X", "POST", "-f", f"https://{API}/broken", profile=service)

    assert outcome.code != 0, outcome
    assert [record["outcome"] for record in outcome.of_type("exchange.outcome")] == [outcome_word], outcome.records
    assert len(upstream.exchanges) == 1, "a POST is never sent twice"


def test_keep_alive_serves_many_requests_over_one_connection(rig, service, upstream):
    script = (f"import http.client as h\nc = h.HTTPSConnection('{API}')\n"
              "for i in range(50):\n    c.request('GET', f'/describe?{i}'); c.getresponse().read()\nprint('ok')")

    outcome = rig.run(PYTHON, "-c", script, profile=service)

    assert outcome.text == "ok\n", outcome
    assert len(outcome.of_type("connection.opened")) == 1 and upstream.connections == 1
    assert len(outcome.of_type("exchange.outcome")) == 50
