"""A headless Thunderbird with a profile of its own, driven over Marionette: its JSON protocol on a local port."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

from demo import free_ports

HERE = pathlib.Path(__file__).resolve().parent
SCRIPT = (HERE / "thunderbird.js").read_text()
START_SECONDS = 120
CALL_SECONDS = 60

PREFERENCES = {
    # Nothing is asked of the network but the demo.
    "app.update.enabled": False, "app.normandy.enabled": False, "extensions.update.enabled": False, "extensions.blocklist.enabled": False,
    "datareporting.healthreport.uploadEnabled": False, "datareporting.policy.dataSubmissionEnabled": False, "toolkit.telemetry.enabled": False,
    "services.settings.server": "data:,", "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    "mailnews.start_page.enabled": False, "mail.chat.enabled": False, "security.OCSP.enabled": 0, "network.dns.native-is-localhost": True,
    # No window in the way.
    "mail.provider.suppress_dialog_on_startup": True, "mail.spotlight.firstRunDone": True, "mail.winsearch.firstRunDone": True,
    "mail.rights.version": 1, "mail.shell.checkDefaultClient": False, "mailnews.show_send_progress": False, "mail.biff.show_alert": False,
    "mail.accounthub.enabled": False, "app.donation.eoy.version.viewed": 999, "mailnews.confirm.moveFoldersToTrash": False,
    # Its SMTP dialogue is told on the standard output.
    "mailnews.smtp.loglevel": "All", "devtools.console.stdout.chrome": True,
    # Time-outs of Thunderbird shorter than ours.
    "mailnews.tcptimeout": 30,
}


class ScriptFailed(AssertionError):
    """The script in Thunderbird threw; the text is its message."""


class Thunderbird:
    """Started on entry, ended with all its child processes on exit."""

    def __init__(self, ca_file, environment=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="vaguemestre-thunderbird-"))
        self.profile = self.dir / "profile"
        self.profile.mkdir()
        self.log = self.dir / "protocol"
        self.process = None
        self.wire = None
        self.count = 0
        self.environment = environment or {}
        self.port = free_ports(1)
        preferences = dict(PREFERENCES, **{"marionette.port": self.port})
        (self.profile / "user.js").write_text("".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in preferences.items()))
        trust(self.profile, ca_file)

    def __enter__(self):
        environment = {**os.environ, "HOME": str(self.dir), "MOZ_HEADLESS": "1", "MOZ_CRASHREPORTER_DISABLE": "1", "LC_ALL": "C.UTF-8",
                       "MOZ_LOG": "timestamp,sync,IMAP:4", "MOZ_LOG_FILE": str(self.log), **self.environment}
        with open(self.dir / "output", "ab") as output:
            self.process = subprocess.Popen(
                ["thunderbird", "--headless", "--no-remote", "--profile", str(self.profile), "--marionette", "--remote-allow-system-access"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True)
        try:
            self.connect()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def connect(self):
        deadline = time.monotonic() + START_SECONDS
        while self.wire is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Thunderbird did not start; its output ends:\n" + (self.dir / "output").read_text(errors="replace")[-2000:])
            try:
                self.wire = socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS)
            except OSError:
                time.sleep(0.1)
        self.stream = self.wire.makefile("rb")
        self.receive()
        self.command("WebDriver:NewSession", {"timeouts": {"script": CALL_SECONDS * 1000}})
        self.wire.settimeout(CALL_SECONDS + 30)
        self.command("Marionette:SetContext", {"value": "chrome"})

    def stop(self):
        """Ends Thunderbird and whatever it started: they share a process group."""
        if self.wire is not None:
            self.wire.close()
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, sign)
            except ProcessLookupError:
                break
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()

    def receive(self):
        """One packet: its length in decimal, a colon, JSON."""
        length = b""
        while not length.endswith(b":"):
            octet = self.stream.read(1)
            if not octet:
                raise RuntimeError("Thunderbird closed its Marionette connection")
            length += octet
        return json.loads(self.stream.read(int(length[:-1])))

    def command(self, name, parameters):
        self.count += 1
        packet = json.dumps([0, self.count, name, parameters]).encode()
        self.wire.sendall(str(len(packet)).encode() + b":" + packet)
        _, number, error, value = self.receive()
        assert number == self.count, f"answer {number} to command {self.count}"
        if error:
            raise ScriptFailed(f"{error['error']}: {error['message']}")
        return value

    def call(self, function, *arguments):
        """What a function of thunderbird.js resolves to."""
        script = f"{SCRIPT}\nreturn steps[arguments[0]](...arguments[1]);"
        return self.command("WebDriver:ExecuteScript", {"script": script, "args": [function, arguments], "newSandbox": False, "sandbox": None})["value"]

    def alert(self):
        """The text of the message box that is shown, which is closed; or None."""
        try:
            text = self.command("WebDriver:GetAlertText", {})["value"]
            self.command("WebDriver:DismissAlert", {})
        except ScriptFailed as failure:
            if "no such alert" in str(failure):
                return None
            raise
        return text

    def imap_dialogue(self):
        """What Thunderbird's own log tells of its IMAP connections."""
        parts = sorted(self.dir.glob("protocol*"))
        return "".join(part.read_text(errors="replace") for part in parts)

    def smtp_dialogue(self):
        """The lines of its SMTP connections, `S: ` and `C: ` before those of either side."""
        return re.findall(r'mailnews\.smtp: "(.*)"', (self.dir / "output").read_text(errors="replace"))


def trust(profile, ca_file):
    """Puts the demo's authority among those that the profile trusts for servers; certificate checking stays on."""
    database = f"sql:{profile}"
    for words in (["-N", "--empty-password"], ["-A", "-n", "demo", "-t", "C,,", "-i", ca_file]):
        subprocess.run(["certutil", *words, "-d", database], check=True, capture_output=True, timeout=60)
