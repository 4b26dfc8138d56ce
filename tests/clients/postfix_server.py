"""A private Debian Postfix: configuration, queue, mailboxes and certificates in one temporary folder, loopback ports of its own. Root is needed; the system's own
Postfix is neither used nor touched."""
import json
import os
import pathlib
import shutil
import signal
import smtplib
import socketserver
import subprocess
import tempfile
import threading

from demo import eventually, free_ports

TEMPLATES = pathlib.Path(__file__).resolve().parent / "postfix"
MASTER = "/usr/lib/postfix/sbin/master"
# Owner of the mailboxes. No such user need exist.
UID = 5999
LISTENERS = ("MX", "BARE", "GREY", "STRANGER", "EXPIRED", "REVOKED", "FOREIGN", "INJECT")


class GreyList(socketserver.ThreadingTCPServer):
    """A policy service (Postfix's SMTPD_POLICY_README): a recipient is deferred the first time and let through from then on."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), GreyList.Answers)
        self.seen = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Answers(socketserver.StreamRequestHandler):
        def handle(self):
            facts = {}
            for line in self.rfile:
                name, _, value = line.decode().strip().partition("=")
                if name:
                    facts[name] = value
                    continue
                known = facts["recipient"] in self.server.seen
                self.server.seen.append(facts["recipient"])
                self.wfile.write(b"action=dunno\n\n" if known else b"action=450 4.2.0 Greylisted, please try again later\n\n")
                facts = {}


class Postfix:
    """A foreign operator. `domains` are its own; certificates are put in place by the caller before `start`."""

    def __init__(self, domain, domains, peer_port):
        self.domain = domain
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="vaguemestre-postfix-"))
        self.root.chmod(0o755)
        self.grey_list = GreyList()
        base = free_ports(len(LISTENERS))
        self.ports = {name: base + index for index, name in enumerate(LISTENERS)}
        for folder in ("etc", "queue", "data", "mail", "tls"):
            (self.root / folder).mkdir()
        shutil.chown(self.root / "data", "postfix")
        os.chown(self.root / "mail", UID, UID)
        values = {f"{name}_PORT": port for name, port in self.ports.items()}
        values |= {"ROOT": self.root, "DOMAIN": domain, "PEER_PORT": peer_port, "UID": UID, "POLICY_PORT": self.grey_list.server_address[1]}
        for template in TEMPLATES.iterdir():
            text = template.read_text()
            for name, value in values.items():
                text = text.replace(f"@{name}@", str(value))
            (self.root / "etc" / template.name).write_text(text)
        self.table("domains", {name: "ok" for name in domains})
        self.process = None

    def table(self, name, entries):
        """A look-up table; read when a Postfix process starts."""
        (self.root / "etc" / name).write_text("".join(f"{key} {value}\n" for key, value in entries.items()))

    def certificate(self, name, certificate):
        shutil.copy(certificate.chain, self.root / f"tls/{name}.pem")
        shutil.copy(certificate.key, self.root / f"tls/{name}.key")

    def start(self):
        done = subprocess.run(["postfix", "-c", self.root / "etc", "check"], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        with open(self.root / "master.out", "ab") as out:
            self.process = subprocess.Popen([MASTER, "-c", self.root / "etc", "-s"], stdin=subprocess.DEVNULL, stdout=out, stderr=out)

        def greets():
            assert self.process.poll() is None, "Postfix ended; its log ends:\n" + self.log()[-2000:]
            try:
                with smtplib.SMTP("127.0.0.1", self.ports["INJECT"], timeout=5) as client:
                    return client.noop()[0] == 250
            except (OSError, smtplib.SMTPException):
                return False
        eventually(greets)

    def stop(self):
        """Ends Postfix with all its processes: they are the master's process group."""
        if self.process is None:
            return
        group = self.process.pid
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)
        self.process = None

        def gone():
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                return True
            return False
        eventually(gone)

    def remove(self):
        self.stop()
        self.grey_list.shutdown()
        shutil.rmtree(self.root)

    def log(self):
        file = self.root / "maillog"
        return file.read_text(errors="replace") if file.exists() else ""

    def command(self, *words):
        done = subprocess.run([words[0], "-c", self.root / "etc", *words[1:]], capture_output=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stderr.decode()}"
        return done.stdout.decode()

    def queue(self):
        """What waits: one dictionary for each message, as `postqueue -j` tells it."""
        return [json.loads(line) for line in self.command("postqueue", "-j").splitlines()]

    def delays(self, sender):
        """Why recipients of this sender wait."""
        messages = [message for message in self.queue() if message["sender"] == sender]
        return [recipient["delay_reason"] for message in messages for recipient in message["recipients"] if "delay_reason" in recipient]

    def flush(self):
        self.command("postqueue", "-f")

    def forget(self, sender):
        """Deletes what waits from this sender."""
        for message in self.queue():
            if message["sender"] == sender:
                self.command("postsuper", "-d", message["queue_id"])

    def client(self):
        """A connection of one of this operator's own users."""
        client = smtplib.SMTP("127.0.0.1", self.ports["INJECT"], timeout=60)
        client.ehlo()
        return client

    def mailbox(self, address):
        return self.root / "mail" / address

    def letters(self, address, marker):
        """The messages of a mailbox that hold `marker`, with CRLF line ends."""
        found = []
        for file in (self.mailbox(address) / "new").glob("*"):
            content = file.read_bytes()
            if marker.encode() in content:
                found.append(content.replace(b"\n", b"\r\n"))
        return found
