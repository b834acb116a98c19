#!/bin/sh
# An ordinary script that knows nothing of Sanctum: git, curl and python3 as anyone would call them. It runs inside a
# mission (see scripts/quickstart), has no password, and does not get one.
set -eu

echo "--- clone, commit, push a branch"
git clone --quiet https://git.quickstart.test/git/demo.git demo
cd demo
git log --oneline
git config user.name "Quickstart Agent"
git config user.email "agent@example.invalid"
git checkout --quiet -b agent/x
date -u >>notes.txt
git add notes.txt
git commit --quiet -m "Add a note"
git push --quiet origin agent/x
git fetch --quiet origin
echo "pushed $(git rev-parse --short HEAD) to agent/x"

echo "--- fetch pages"
curl -fsS https://www.quickstart.test/index.html
python3 -c '
import json, urllib.request
print(json.load(urllib.request.urlopen("https://www.quickstart.test/facts.json")))'

echo "--- three things this mission may not do"
status=0; curl -sS --max-time 20 https://example.com/ || status=$?
echo "(another host: curl ended with $status)"
status=0; curl -sS --max-time 20 https://192.0.2.1/ 2>&1 || status=$?
echo "(a raw address: curl ended with $status)"
if git push origin agent/x:main 2>&1; then echo "main was pushed: that must not happen"; exit 1; fi
echo "(a push to main: refused)"

echo "--- where could a password be?"
env | sort
git config --list --show-origin
find / -xdev -type f \( -name '.git-credentials' -o -name '.netrc' -o -name '*.key' \) 2>/dev/null |
  grep -v '^/usr/' || echo "no file that keeps one"
tr '\0' '\n' </proc/self/environ | grep -i -E 'pass|token|secret' || echo "no variable that names a secret"
ls -l /proc/self/fd
