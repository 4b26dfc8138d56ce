#!/usr/bin/env python3
"""The description of the REST API, and the server beside it, before judges that others wrote: redocly and spectral lint, schemathesis.

usage: api_judges.py [all]   without `all`, a short run

Schemathesis asks a running demo everything that the description allows and much that it does not, in the name of an operator, of an auditor,
of the holder of a mailbox and of nobody; it fails at any server error, at any answer that is not as described, at any hostile request that is taken.
"""
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode

from demo import Demo
from packages import HERE, node_packages, python_folder

# Operations that can take away the very key that the run needs: they are judged last, by themselves.
KEYS = ["changeKey", "revokeKey", "rotateKey"]
# The holder's one is a password.
PASSWORDS = ["revokeOwnPassword", "revokePassword"]
# It sends wrong credentials, for which the server holds back this whole address: the run would end there. Scenarios and the matrix of routes and roles judge that.
CHECKS_LEFT_OUT = ["ignored_auth"]
# A long one asks with one thread: Python 3.11 may fail at parsing its own lambdas in two ("AST constructor recursion depth mismatch").
# A short run asks each operation a few times; a long one goes through every combination of bounds too, and on for the time that there is.
# A short run asks the same each time: what it finds is found by whoever made it. A long one asks what nobody asked yet.
SHORT = ["--phases", "examples,fuzzing,stateful", "--max-examples", "6", "--seed", os.environ.get("SEED", "7")]
LONG = ["--max-examples", "60", "--max-time"]
SECONDS = {"operator": 900, "auditor": 120, "holder": 240, "nobody": 60, "operator, of keys": 60}


class Server:
    def __init__(self, demo):
        self.demo = demo
        self.base = f"https://localhost:{demo.port(0, 'https')}"
        self.context = ssl.create_default_context(cafile=demo.ca)

    def ask(self, method, path, headers=(), body=None):
        request = urllib.request.Request(self.base + path, method=method, headers=dict(headers), data=None if body is None else json.dumps(body).encode())
        if body is not None:
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
            return json.load(answer)

    def status(self, method, path, headers):
        try:
            self.ask(method, path, headers)
            return 200
        except urllib.error.HTTPError as error:
            return error.code


def lints(document):
    """Both linters find nothing, not even to warn of."""
    packages = node_packages("npm-judges")
    programs = packages / "node_modules/.bin"
    redocly = subprocess.run([programs / "redocly", "lint", "--extends", "recommended-strict", "--format", "stylish", document], cwd=packages, capture_output=True, text=True, timeout=120,
                             env={**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"})
    ruleset = packages / "spectral.json"
    ruleset.write_text('{"extends": ["spectral:oas"]}')
    spectral = subprocess.run([programs / "spectral", "lint", "--fail-severity", "hint", "--ruleset", ruleset, document], cwd=packages, capture_output=True, text=True, timeout=120)
    yield "redocly lint finds nothing", redocly.returncode == 0, redocly.stdout + redocly.stderr
    yield "spectral lint finds nothing", spectral.returncode == 0, spectral.stdout + spectral.stderr


def callers(server):
    """Headers of each caller, in the order in which they are judged: an operator may take away what the others need."""
    operator = {"Authorization": f"Bearer {server.demo.operator(0)['admin_token']}"}
    mailbox = server.demo.mailbox(0, "personal")
    login = b64encode(f"{mailbox['username']}:{mailbox['password']}".encode()).decode()
    return {"auditor": auditor(server, operator), "holder": {"Authorization": f"Basic {login}"}, "nobody": {}, "operator": operator}


def auditor(server, operator):
    """A key that may see the audit trail only, made by the API itself."""
    made = server.ask("POST", "/api/v1/keys", operator, {"name": "judged-auditor", "roles": [{"role": "auditor"}]})
    return {"Authorization": f"Bearer {made['key']}"}


def schemathesis(server, document, name, headers, is_long, folder):
    packages = python_folder("judges-requirements.txt")
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "--config-file", HERE / "schemathesis.toml", "run", document,
               "--url", server.base, "--tls-verify", server.demo.ca, "--no-color", "--workers", "1" if is_long else "2", "--continue-on-failure", "--exclude-checks", ",".join(CHECKS_LEFT_OUT),
               "--generation-database", "none", "--request-timeout", "35", "--rate-limit", "auto", "--warnings", "off"]
    command += [*LONG, str(SECONDS[name])] if is_long else SHORT
    for key, value in headers.items():
        command += ["--header", f"{key}: {value}"]
    choice = "--include-operation-id" if name == "operator, of keys" else "--exclude-operation-id"
    for operation in KEYS + (PASSWORDS if name == "holder" else []):
        command += [choice, operation]
    environment = {**os.environ, "PYTHONPATH": f"{packages}:{HERE}", "SCHEMATHESIS_HOOKS": "schemathesis_formats"}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=3000)
    summary = " ".join(re.findall(r"Tested: \d+|\d+ generated", run.stdout))
    selected, tested = (re.search(rf"{word}: (\d+)", run.stdout) for word in ("Selected", "Tested"))
    # A run that left operations out proved less than it says.
    is_whole = selected and tested and selected[1] == tested[1]
    return f"schemathesis as {name}: {summary}", run.returncode == 0 and bool(is_whole), run.stdout[-12000:] + run.stderr[-3000:]


def judged(server, is_long):
    description = server.ask("GET", "/api/v1/openapi.json")
    with tempfile.TemporaryDirectory(prefix="vaguemestre-judges-") as folder:
        document = os.path.join(folder, "openapi.json")
        with open(document, "w") as file:
            json.dump(description, file, indent=1)
        yield from lints(document)
        everybody = callers(server)
        for name, headers in everybody.items():
            yield schemathesis(server, document, name, headers, is_long, folder)
            # A run whose credential went away proved nothing.
            if headers:
                yield f"the credential of {name} stands", server.status("GET", "/api/v1/service", headers) == 200, ""
        yield schemathesis(server, document, "operator, of keys", everybody["operator"], is_long, folder)
        server.ask("GET", "/api/v1/health")


def main():
    demo = Demo()
    passed = failed = 0
    try:
        start = time.monotonic()
        for name, is_good, said in judged(Server(demo), "all" in sys.argv[1:]):
            print(f"{'ok     ' if is_good else 'FAILED '} {name} ({time.monotonic() - start:.0f} s)", flush=True)
            if is_good:
                passed += 1
            else:
                failed += 1
                print("\n".join(f"| {line}" for line in said.splitlines()), flush=True)
            start = time.monotonic()
        errors = [line for line in (demo.dir / "log").read_text().splitlines() if "panicked" in line]
        failed += len(errors)
        print("\n".join(errors), end="")
    finally:
        demo.stop()
    print(f"api judges: {passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
