# SPDX-License-Identifier: Apache-2.0
"""What an agent's own client does to log in, in the bytes that Claude Code and Codex send; run inside a mission:

    python3 login_client.py NAME

Each line of standard input is one step, each line of output what came of it as JSON: `address`, `code URL`, `refresh`,
`ask URL`, `post URL KIND JSON`, `end`. What the client was given stays in its memory, as an agent's would.
"""

import base64
import hashlib
import json
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request

CLIENTS = {
    "claude": {"authorize": "https://claude.com/cai/oauth/authorize", "token": "https://platform.claude.com/v1/oauth/token",
               "id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e", "kind": "json", "refresh": "json",
               "redirect": "http://localhost:41234/callback", "scope": "user:inference user:profile"},
    "codex": {"authorize": "https://auth.openai.com/oauth/authorize", "token": "https://auth.openai.com/oauth/token",
              "id": "app_EMoamEEZ73f0CkXaXp7hrann", "kind": "form", "refresh": "json",
              "redirect": "http://localhost:1455/auth/callback", "scope": "openid profile email offline_access"},
}


class Client:
    def __init__(self, name):
        self.known = CLIENTS[name]
        self.verifier, self.state, self.tokens = secrets.token_urlsafe(48), secrets.token_urlsafe(24), {}

    def send(self, url, body=None, kind="json"):
        headers = {}
        if self.tokens and body is None:
            headers["Authorization"] = "Bearer " + self.tokens["access_token"]
        if body is not None:
            is_json = kind == "json"
            headers["Content-Type"] = "application/json" if is_json else "application/x-www-form-urlencoded"
            body = (json.dumps(body) if is_json else urllib.parse.urlencode(body)).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def keep(self, status, text):
        if status == 200:
            self.tokens.update(json.loads(text))
        return {"status": status, "text": text}

    def address(self):
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        return {"address": self.known["authorize"] + "?" + urllib.parse.urlencode({
            "response_type": "code", "client_id": self.known["id"], "redirect_uri": self.known["redirect"],
            "scope": self.known["scope"], "code_challenge": challenge, "code_challenge_method": "S256",
            "state": self.state})}

    def code(self, led):
        back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(led).query))
        body = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": self.known["redirect"],
                "client_id": self.known["id"], "code_verifier": self.verifier}
        if self.known["kind"] == "json":
            body["state"] = back["state"]
        return self.keep(*self.send(self.known["token"], body, self.known["kind"]))

    def refresh(self):
        body = {"grant_type": "refresh_token", "refresh_token": self.tokens.get("refresh_token", "held-by-sanctum"),
                "client_id": self.known["id"]}
        return self.keep(*self.send(self.known["token"], body, self.known["refresh"]))

    def step(self, line):
        what, _, rest = line.partition(" ")
        if what == "address":
            return self.address()
        if what == "code":
            return self.code(rest)
        if what == "refresh":
            return self.refresh()
        if what == "post":
            url, kind, body = rest.split(" ", 2)
            status, text = self.send(url, json.loads(body), kind)
        else:
            status, text = self.send(rest)
        return {"status": status, "text": text}


def main():
    client = Client(sys.argv[1])
    for line in sys.stdin:
        if line.strip() == "end":
            break
        print(json.dumps(client.step(line.strip())), flush=True)


if __name__ == "__main__":
    main()
