# SPDX-License-Identifier: Apache-2.0
"""Every way in which an upstream may give the credential back, and every way in which an agent may send one of its own:
nothing of it passes. In each test the upstream tells that it did its worst, so a quiet answer cannot pass as a clean
one."""

import base64
import gzip
import html
import json
import zlib
from urllib.parse import quote, quote_plus

import pytest

import leak_sweep
from conftest import PROFILE
from rig import API, PLAIN
from upstream import RecordingUpstream, hold_port

PYTHON = "/usr/bin/python3"


def forms_of(secret):
    """Form → the secret as a careless server might write it."""
    raw = secret.encode()
    return {"raw": raw, "base64": base64.b64encode(raw), "base64 after one byte": base64.b64encode(b"u" + raw),
            "base64 after two": base64.b64encode(b"u:" + raw), "base64url": base64.urlsafe_b64encode(raw).rstrip(b"="),
            "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(),
            "percent": "".join(f"%{byte:02X}" for byte in raw).encode(),
            "JSON": "".join(f"\\u{byte:04x}" for byte in raw).encode()}


def head(*fields, reason=b"OK", framing=b"Content-Length: 5"):
    return b"HTTP/1.1 200 " + reason + b"\r\n" + b"".join(field + b"\r\n" for field in (framing, *fields)) + b"\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = b"Transfer-Encoding: chunked"
# Place → the whole answer with the secret `s` in it.
PLACES = {
    "reason phrase": lambda s: head(reason=s) + b"hello",
    "header value": lambda s: head(b"X-Echo: " + s) + b"hello",
    "header in the middle": lambda s: head(b"Link: <https://x/?t=" + s + b">; rel=next") + b"hello",
    "header name": lambda s: head(s.translate(None, b"%=\\") + b": 1") + b"hello",
    "cookie": lambda s: head(b"Set-Cookie: session=" + s + b"; Path=/") + b"hello",
    "challenge": lambda s: head(b'WWW-Authenticate: Bearer realm="' + s + b'"') + b"hello",
    "interim answer": lambda s: b"HTTP/1.1 103 Early Hints\r\nLink: <" + s + b">\r\n\r\n" + head() + b"hello",
    "body with a length": lambda s: head(framing=b"Content-Length: %d" % (len(s) + 2)) + b"<" + s + b">",
    "body in chunks": lambda s: head(framing=CHUNKED) + chunk(s[:7]) + chunk(s[7:]) + b"0\r\n\r\n",
    "chunk extension": lambda s: head(framing=CHUNKED) + b"5;x=" + s + b"\r\nhello\r\n0\r\n\r\n",
    "trailer": lambda s: (head(b"Trailer: X-Last", framing=CHUNKED) + chunk(b"hello") + b"0\r\nX-Last: " + s
                          + b"\r\n\r\n"),
    "body until the end": lambda s: head(framing=b"Connection: close") + b"<" + s + b">",
    "behind the answer": lambda s: head() + b"hello" + head(b"X-Echo: " + s) + b"hello",
}

# Asks for each path on a connection of its own and keeps every byte that comes.
KEEP = f"""
import json, socket, ssl, sys
paths, fields = json.loads(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ''
context, kept = ssl.create_default_context(), open('received', 'wb')
for path in paths:
    stream = context.wrap_socket(socket.create_connection(('{API}', 443)), server_hostname='{API}')
    stream.sendall(f'GET {{path}} HTTP/1.1\\r\\nHost: {API}\\r\\n{{fields}}Connection: close\\r\\n\\r\\n'.encode())
    try:
        while data := stream.recv(65536):
            kept.write(data)
    except OSError:
        pass
"""


def keep(rig, service, paths, fields=""):
    """What the agent received for all of `paths`."""
    outcome = rig.run(PYTHON, "-c", KEEP, json.dumps(paths), fields, profile=service)
    assert outcome.code == 0, outcome
    received = (rig.work / "received").read_bytes()
    found = leak_sweep.find_in_bytes(received, rig.secrets["api"].encode())
    assert not found, (found, received[max(0, found[0].offset - 400):found[0].offset + 200])
    return received


def test_the_credential_comes_back_from_no_place_in_no_form(rig, service, upstream):
    paths, forms = [], list(forms_of(""))
    for place, answer in PLACES.items():
        for form in forms:
            def route(exchange, answer=answer, form=form):
                exchange.read_body()
                exchange.close = True
                exchange.send(answer(forms_of(exchange.header("authorization").split(" ", 1)[1])[form]))
            paths.append(f"/leak/{list(PLACES).index(place)}/{forms.index(form)}")
            upstream.routes[paths[-1]] = route

    received = keep(rig, service, paths)

    assert len(upstream.exchanges) == len(paths), "the upstream was asked for each of them"
    assert received.count(b"HTTP/1.1 ") >= len(paths), "each was answered"
    assert received.count(b"HTTP/1.1 200") > len(paths) // 2 and received.count(b"****") > len(forms) * 5, received


def test_no_cut_of_the_credential_passes(rig, service, upstream):
    """Cut in two at every byte, and byte by byte: as chunks, and as pieces of a body that ends with the connection."""
    def chunks(exchange):
        value = exchange.header("authorization").split(" ", 1)[1].encode()
        exchange.start_chunked()
        for cut in range(1, len(value)):
            exchange.send_chunk(b"<" + value[:cut])
            exchange.send_chunk(value[cut:] + b">")
        for form in forms_of(value.decode()).values():
            for at in range(len(form)):
                exchange.send_chunk(form[at:at + 1])
            exchange.send_chunk(b"|")
        exchange.end_chunked()

    def pieces(exchange):
        value = exchange.header("authorization").split(" ", 1)[1].encode()
        exchange.close = True
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        for cut in range(1, len(value)):
            exchange.send(value[:cut])
            exchange.send(value[cut:] + b"|")
    upstream.routes.update({"/chunks": chunks, "/pieces": pieces})

    received = keep(rig, service, ["/chunks", "/pieces"])

    length = len(rig.secrets["api"])
    assert received.count(b"*" * length) >= 2 * (length - 1), received


def test_a_credential_that_was_kept_outside_comes_back_from_no_host(rig, service, upstream):
    """Its lease is over after each request; the server still has it, and here it is as good as before."""
    kept = []

    def keeping(exchange):
        exchange.read_body()
        kept.append(exchange.header("authorization"))
        exchange.respond(200, b"kept")

    def telling(exchange):
        exchange.read_body()
        exchange.respond(200, " ".join(kept))
    upstream.routes.update({"/keep": keeping, "/tell": telling})
    grant = 'grant = ["read", "write"]'
    profile = rig.profile(service.read_text().replace(grant, f"{grant}\nreuse = false"))

    # The second request has the first one's record behind it, and with it the end of the first lease.
    outcome = rig.run("sh", "-c", f"curl -s https://{API}/keep; curl -s https://{API}/keep; sleep 0.2; "
                      f"curl -s https://{PLAIN}/tell", profile=profile)

    assert len(kept) == 2 and "kept" in outcome.text, outcome
    assert outcome.text.count("*" * len(rig.secrets["api"])) == 2, outcome


def test_a_token_of_any_letters_comes_back_from_no_usual_writer(rig, upstream, authority):
    rig.host(API, upstream, authority.ca_file)
    secret = "canary/" + "aZ09+/==&<k>'q(m)*;n!~"
    rig.account("api", f'catalog = "http-bearer"\nhosts = ["{API}"]\nsource = "local"\nitem = "api"', secret=secret)
    rig.configure()
    profile = rig.profile(PROFILE)

    def writers(exchange):
        exchange.read_body()
        value = exchange.header("authorization").split(" ", 1)[1]
        gson = "".join(f"\\u{ord(letter):04x}" if letter in "<>&='" else letter for letter in value)
        exchange.respond(200, "\n".join([quote(value), quote(value, safe=""), quote_plus(value), html.escape(value),
                                         json.dumps(value), gson]))
    upstream.routes["/writers"] = writers

    outcome = rig.run("curl", "-s", f"https://{API}/writers", profile=profile)

    lines = outcome.text.splitlines()
    assert len(lines) == 6 and all("*" * len(secret) in line for line in lines), outcome


def test_ranges_are_neither_asked_for_nor_taken(rig, service, upstream):
    """One byte per answer would pass any scrubber."""
    def ranged(exchange):
        value = exchange.header("authorization").split(" ", 1)[1].encode()
        wanted = int((exchange.header("range") or "bytes=0-0").split("=")[1].split("-")[0])
        exchange.respond(206, value[wanted:wanted + 1], [("Content-Range", f"bytes {wanted}-{wanted}/{len(value)}")])
    upstream.routes["/ranged"] = ranged

    received = keep(rig, service, ["/ranged"] * 3 + ["/describe"], "Range: bytes=1-1\r\nIf-Range: x\r\n")

    assert all(exchange.header("range") is exchange.header("if-range") is None for exchange in upstream.exchanges)
    assert received.count(b" 206 ") == 0 and received.count(b" 502 ") == 3, received
    assert received.count(b" 200 ") == 1, "the twin: the same request is answered where the answer is whole"


CODINGS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress,
           "gzip, gzip": lambda data: gzip.compress(gzip.compress(data)), "br": zlib.compress, "zstd": zlib.compress,
           "compress": zlib.compress, "identity, gzip": gzip.compress, "GZIP": gzip.compress, "unheard-of": bytes}


def test_an_answer_that_cannot_be_read_does_not_pass(rig, service, upstream):
    """Nobody asked for these codings: the request that arrives asks for identity only."""
    def coded(exchange):
        coding = list(CODINGS)[int(exchange.path.rsplit("/", 1)[1])]
        exchange.respond(200, CODINGS[coding](exchange.head * 3), [("Content-Encoding", coding)])
    upstream.routes["/coded/*"] = coded

    def transfer_coded(exchange):
        exchange.close = True
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n")
        exchange.send(chunk(gzip.compress(exchange.head)) + b"0\r\n\r\n")
    upstream.routes["/transfer"] = transfer_coded

    paths = [f"/coded/{number}" for number in range(len(CODINGS))] + ["/transfer"]
    received = keep(rig, service, paths + ["/hello"], "Accept-Encoding: gzip, br\r\nTE: gzip\r\n")

    assert {exchange.header("accept-encoding") for exchange in upstream.exchanges} == {"identity"}
    assert all(exchange.header("te") is None for exchange in upstream.exchanges)
    assert len(upstream.exchanges) == len(paths) + 1 and received.count(b" 502 ") == len(paths), received
    assert b"hello from upstream" in received, "the twin"
    assert b"\x1f\x8b" not in received


def test_a_redirect_takes_the_credential_nowhere(rig, service, upstream):
    """The interceptor follows nothing; what the client follows is a new decision, with that host's own rule."""
    targets = [f"https://{PLAIN}/landed", "https://elsewhere.example.com/landed", f"https://{API}:8443/landed",
               f"http://{API}/landed", f"https://user:pass@{PLAIN}/landed"]

    def redirect(exchange):
        status, number = exchange.path.split("/")[2:]
        value = exchange.header("authorization").split(" ", 1)[1]
        exchange.respond(int(status), b"", [("Location", f"{targets[int(number)]}?was={value}")])

    def landed(exchange):
        exchange.respond(200, b"landed without\n" if exchange.header("authorization") is None else b"landed WITH\n")
    upstream.routes.update({"/go/*": redirect, "/landed": landed})
    urls = [f"https://{API}/go/{status}/{number}" for status in (301, 302, 303, 307, 308)
            for number in range(len(targets))]

    outcome = rig.run("sh", "-c", 'for url; do curl -skL -o - -D - "$url"; done', "sh", *urls, profile=service)

    arrived = [exchange for exchange in upstream.exchanges if exchange.path == "/landed"]
    assert {exchange.header("host") for exchange in arrived} == {PLAIN}, "only where the profile lets it go"
    assert outcome.text.count("landed without") == len(arrived) == 10 and "landed WITH" not in outcome.text, outcome
    assert outcome.text.lower().count("location: ") == len(urls), outcome
    assert len(upstream.exchanges) == len(urls) + len(arrived)


OWN = "of-the-agent"
OWN_BASIC = base64.b64encode(f"agent:{OWN}".encode()).decode()
# Requests that carry the agent's own credential, each as head lines after the request line.
CARRIERS = [
    f"Authorization: Bearer {OWN}", f"AUTHORIZATION: Bearer {OWN}", f"authorization:Bearer {OWN}",
    f"Authorization:    Bearer {OWN}   ", f"Authorization:\tBearer {OWN}", f"Authorization: Basic {OWN_BASIC}",
    f"Authorization: Bearer a\r\nAuthorization: Bearer {OWN}", f"Authorization : Bearer {OWN}",
    f" Authorization: Bearer {OWN}", f"X: y\r\n Authorization: Bearer {OWN}", f"Proxy_Authorization: {OWN}",
    f"Proxy-Authorization: Basic {OWN_BASIC}", f"Cookie: session={OWN}", f"Cookie: a=b\r\nCookie: session={OWN}",
    f"Cookie2: {OWN}", f"X-Api-Key: {OWN}", f"X_API_KEY: {OWN}", f"Api-Key: {OWN}", f"ApiKey: {OWN}",
    f"X-Auth-Token: {OWN}", f"X-Access-Token: {OWN}", f"Private-Token: {OWN}", f"Job-Token: {OWN}",
    f"X-GitHub-Token: {OWN}", f"X-Goog-Api-Key: {OWN}", f"X-Amz-Security-Token: {OWN}", f"X-Vault-Token: {OWN}",
    f"Authentication: {OWN}", f"Connection: authorization\r\nAuthorization: Bearer {OWN}",
    f"Impersonate-User: {OWN}", f"Sudo: {OWN}",
]
QUERIES = ["access_token", "ACCESS_TOKEN", "api_key", "api-key", "key", "token", "%61ccess_token", "private_token",
           "client_secret", "password", "a=b;access_token", "jwt"]
SEND_EACH = f"""
import json, socket, ssl, sys
context, answers = ssl.create_default_context(), []
for target, fields in json.loads(sys.argv[1]):
    stream = context.wrap_socket(socket.create_connection(('{API}', 443)), server_hostname='{API}')
    stream.sendall(f'GET {{target}} HTTP/1.1\\r\\nHost: {API}\\r\\n{{fields}}Connection: close\\r\\n\\r\\n'.encode())
    answers.append(stream.recv(65536).decode('latin-1').split(' ')[1])
print(json.dumps(answers))
"""


def test_the_agents_own_credential_never_arrives_beside_ours(rig, service, upstream):
    requests = [["/describe", f"{carrier}\r\n"] for carrier in CARRIERS]
    requests += [[f"/describe?{name}={OWN}", ""] for name in QUERIES]
    requests += [["/describe?page=2", "X-Harmless: 1\r\n"]]

    outcome = rig.run(PYTHON, "-c", SEND_EACH, json.dumps(requests), profile=service)

    answers = json.loads(outcome.text)
    assert set(answers) == {"200", "400", "403"} or set(answers) == {"200", "400"}, answers
    assert answers[-1] == "200" and answers[:3] == ["200"] * 3, "the twins: what is harmless, or can be taken out, goes"
    assert all(answer != "200" for answer in answers[len(CARRIERS):-1]), "a query is refused, not changed"
    assert len(upstream.exchanges) == answers.count("200")
    carried = [exchange.head for exchange in upstream.exchanges
               if OWN.encode() in exchange.head or OWN_BASIC.encode() in exchange.head]
    assert carried == []
    for exchange in upstream.exchanges:
        sent = [value for name, value in exchange.headers if name.lower() == "authorization"]
        assert sent == [f"Bearer {rig.secrets['api']}"], exchange.head


# ---- failures ---------------------------------------------------------------------------------------------------

def close_in_the_middle(exchange):
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    exchange.give_up()


def answer_nonsense(exchange):
    exchange.close = True
    exchange.send(b"HTTP/1.1 2x0 " + exchange.header("authorization").encode() + b"\r\n\r\n")


def close_without_an_answer(exchange):
    exchange.give_up()


def test_a_failure_tells_the_agent_a_reason_and_nothing_of_the_machine(rig, authority, certificate, tmp_path):
    """TCP, TLS, and a server that breaks off: fixed texts, no address, no port, no library's words."""
    broken = RecordingUpstream(*authority.issue("other.sanctum.test"))
    gone = RecordingUpstream(*certificate)
    gone.stop()
    with hold_port(gone.port), RecordingUpstream(*certificate) as server, broken:
        server.routes.update({"/nonsense": answer_nonsense, "/silence": close_without_an_answer,
                              "/half": close_in_the_middle})
        names = {API: server, "tls.sanctum.test": broken, "tcp.sanctum.test": gone, PLAIN: server}
        for name, target in names.items():
            rig.host(name, target, authority.ca_file if name == API else None)
        hosts = json.dumps([API, "tls.sanctum.test", "tcp.sanctum.test"])
        rig.account("api", f'catalog = "http-bearer"\nhosts = {hosts}\nsource = "local"\nitem = "api"')
        rig.configure()
        profile = rig.profile(PROFILE)
        urls = ["https://tls.sanctum.test/hello", "https://tcp.sanctum.test/hello",
                f"https://{API}/nonsense", f"https://{API}/silence", f"https://{API}/half", f"https://{API}/hello"]
        outcome = rig.run("sh", "-c", 'for url; do curl -s -w "\\n%{http_code}\\n--\\n" "$url"; done', "sh", *urls,
                          profile=profile)

        answers = outcome.text.split("--\n")[:-1]
        codes = [answer.split("\n")[-2] for answer in answers]
        assert codes == ["502", "502", "502", "502", "200", "200"], outcome
        assert answers[-1].startswith("hello from upstream"), "the twin"
        told = {}
        for answer in answers[:4]:
            problem = json.loads(answer.rsplit("\n", 2)[0])
            told[problem["type"].rsplit(":", 1)[1]] = problem
            fixed = answer.replace(problem["decision"], "")  # which holds digits at random
            for word in ("127.0.0.1", str(server.port), str(broken.port), str(gone.port), "error:", "SSL routines",
                         "errno", "Bearer", str(rig.folder), "c-ares", ".cpp"):
                assert word not in fixed, (word, answer)
        assert {"upstream_certificate", "upstream_unreachable"} <= set(told), told
        assert broken.exchanges == []


def test_the_most_talkative_run_says_nothing_of_the_credential(rig, service, upstream):
    """`-vv` on everything that can go wrong; the rig searches standard error and all files afterwards."""
    upstream.routes.update({"/nonsense": answer_nonsense, "/silence": close_without_an_answer,
                            "/half": close_in_the_middle})
    urls = [f"https://{API}/{path}" for path in ("hello", "echo", "disclose", "nonsense", "silence", "half", "%ff")]

    outcome = rig.run("sh", "-c", 'for url; do curl -s -o /dev/null "$url"; done; true', "sh", *urls, profile=service,
                      options=["-v", "-v"])

    assert outcome.code == 0 and rig.secrets["api"].encode() in upstream.raw, outcome
    assert len(outcome.stderr) > 100, "it was talkative"
