"""Starts `vaguemestre demo` for client checks, and stops it.

VAGUEMESTRE_TEST_ENGINE=sqlite|postgres chooses where its rows are; the PostgreSQL of the run (VAGUEMESTRE_TEST_POSTGRES), or one of this process, holds them.
"""
import atexit
import functools
import json
import os
import pathlib
import random
import signal
import socket
import ssl
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("VAGUEMESTRE_BIN", str(ROOT / "target/debug/vaguemestre"))
ENGINE = os.environ.get("VAGUEMESTRE_TEST_ENGINE") or "sqlite"
POSTGRES = str(ROOT / "tests/postgres.sh")
if ENGINE not in ("sqlite", "postgres"):
    raise SystemExit(f"VAGUEMESTRE_TEST_ENGINE is `sqlite` or `postgres`, not `{ENGINE}`")


@functools.cache
def postgres_url():
    """The server of the run, or one that ends with this process: its supervisor waits for the end of its input."""
    given = os.environ.get("VAGUEMESTRE_TEST_POSTGRES")
    if given:
        return given
    postgres_url.supervisor = subprocess.Popen([POSTGRES, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    word, _, url = postgres_url.supervisor.stdout.readline().strip().partition(" ")
    if word != "ready":
        raise RuntimeError("PostgreSQL did not start: " + url)
    return url


def sql(statements):
    subprocess.run([POSTGRES, "sql", postgres_url() + "/postgres"], input=statements, text=True, check=True, capture_output=True, timeout=120)


def free_ports(count):
    """The first of `count` free ports below the range that outgoing connections take theirs from: a restart finds them free again."""
    while True:
        base = random.SystemRandom().randrange(12_000, 30_000)
        try:
            for port in range(base, base + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue


class Demo:
    """A running demo. `restart` goes on with the same data folder and ports."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="vaguemestre-clients-"))
        self.process = None
        self.port_base = free_ports(12)
        self.store = []
        if ENGINE == "postgres":
            name = f"clients_{os.getpid()}_{self.port_base}"
            databases = [f"{name}_{operator}" for operator in ("chu_nord", "clinique_sud")]
            sql("\n".join(f"CREATE DATABASE {database};" for database in databases))
            # A statement a line: each runs outside a transaction of its neighbours.
            atexit.register(sql, "\n".join(f"DROP DATABASE {database} WITH (FORCE);" for database in databases))
            self.store = ["--store-url", f"{postgres_url()}/{name}_{{operator}}"]
        self.start()

    def start(self):
        describe = self.dir / "describe.json"
        describe.unlink(missing_ok=True)
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "demo", "--data", str(self.dir / "data"), "--port-base", str(self.port_base), "--describe", str(describe), *self.store],
                stdout=subprocess.DEVNULL, stderr=log)
        deadline = time.monotonic() + 60
        while not describe.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the demo did not start; its log ends:\n" + (self.dir / "log").read_text()[-2000:])
            time.sleep(0.02)
        self.description = json.loads(describe.read_text())
        self.ca = self.description["ca_file"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=15)

    def command(self, operator, *words):
        """Runs a command of the program on an operator's store, beside the running demo: what it printed."""
        config = self.operator(operator)["config_file"]
        return subprocess.run([BINARY, *words, "--config", config], check=True, capture_output=True, timeout=120, text=True).stdout

    def operator(self, index):
        return self.description["operators"][index]

    def mailbox(self, operator, kind, nth=0):
        return [m for m in self.operator(operator)["mailboxes"] if m["kind"] == kind][nth]

    def port(self, operator, name):
        return self.operator(operator)["ports"][name]

    def context(self, operator=None):
        """TLS for a client; with the certificate of an operator if one is named."""
        context = ssl.create_default_context(cafile=self.ca)
        if operator is not None:
            own = self.operator(operator)
            context.load_cert_chain(own["server_cert_file"], own["server_key_file"])
        return context


def eventually(check, seconds=20):
    """The first true value that `check` gives before the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds} s: {check.__name__}")
        time.sleep(0.05)
