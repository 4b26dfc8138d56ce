"""The demo and a Postfix, acquainted: each is in the other's white list and routes. What the checks of `postfix_peer.py` send and read goes through here."""
import contextlib
import email
import email.policy
import imaplib
import json
import pathlib
import re
import signal
import smtplib
import subprocess

from authority import Authority
from demo import BINARY, Demo, eventually
from postfix_server import Postfix

DOMAIN = "labo-est.mssante.test"
OLD = "ancien.labo-est.mssante.test"  # served by the listener without extensions
GREY = "gris.labo-est.mssante.test"  # served by the greylisting listener
STRANGER = "usurpe.mssante.test"  # served by a listener whose certificate bears other names
UNLISTED = "hors-liste.mssante.test"  # its certificate is valid and not in the white list
REVOKED = "revoque.mssante.test"  # its certificate is in the white list and revoked
EXPIRED = "perime.mssante.test"  # the white list names its certificate, which has expired
REVOKED_SERVER = "serveur-revoque.mssante.test"  # the same, revoked before anything is sent there
FOREIGN = "etranger.mssante.test"  # the same, by an authority that we do not trust
OTHER_DN = "autre-dn.mssante.test"  # the white list names another certificate for it

DOCTOR = f"docteur@{DOMAIN}"
USERS = [DOCTOR, f"secretariat@{DOMAIN}", f"serie@{DOMAIN}", f"sanscert@{DOMAIN}", f"docteur@{OLD}", f"docteur@{GREY}", f"docteur@{STRANGER}",
         f"docteur@{UNLISTED}", f"docteur@{REVOKED}", f"docteur@{OTHER_DN}", f"docteur@{EXPIRED}", f"docteur@{REVOKED_SERVER}", f"docteur@{FOREIGN}"]


class World:
    """Both operators of the demo, and Postfix."""

    def __init__(self):
        self.demo = Demo()
        self.postfix = None
        try:
            self.acquaint()
        except BaseException:
            self.stop()
            raise

    def acquaint(self):
        self.ours = self.demo.mailbox(0, "personal")["address"]
        self.postfix = Postfix(DOMAIN, [DOMAIN, OLD, GREY, STRANGER, UNLISTED, REVOKED, OTHER_DN, EXPIRED, REVOKED_SERVER, FOREIGN], self.demo.port(0, "smtp"))
        self.authority = Authority(self.demo, self.postfix.root / "authority")
        own = self.authority.issue("own", [f"mx.{name}" for name in (DOMAIN, OLD, GREY, OTHER_DN)])
        unlisted = self.authority.issue("unlisted", [f"mx.{UNLISTED}"])
        self.revoked = self.authority.issue("revoked", [f"mx.{REVOKED}"])
        stranger = self.authority.issue("stranger", ["mx.tout-autre.mssante.test"])
        expired = self.authority.issue("expired", [f"mx.{EXPIRED}"], at="400 days ago")
        revoked_server = self.authority.issue("revoked-server", [f"mx.{REVOKED_SERVER}"])
        foreign = self.authority.issue("foreign", [f"mx.{FOREIGN}"], by=self.authority.stranger())
        self.authority.revoke(revoked_server)
        for name, certificate in (("expired", expired), ("revoked-server", revoked_server), ("foreign", foreign)):
            self.postfix.certificate(name, certificate)
        self.postfix.certificate("own", own)
        self.postfix.certificate("unlisted", unlisted)
        self.postfix.certificate("revoked", self.revoked)
        self.postfix.certificate("stranger", stranger)
        (self.postfix.root / "tls/ca.pem").write_bytes(pathlib.Path(self.demo.ca).read_bytes())
        self.postfix.table("mailboxes", {user: f"{user}/" for user in USERS})
        # Postfix knows chu-nord's certificate, not clinique-sud's.
        known = subprocess.run(["openssl", "x509", "-in", self.demo.operator(0)["server_cert_file"], "-noout", "-sha256", "-fingerprint"], check=True, capture_output=True)
        self.postfix.table("peers", {known.stdout.decode().strip().split("=", 1)[1]: "OK"})
        to_us = f"[localhost]:{self.demo.port(0, 'smtp')}"
        self.postfix.table("transports", {f"serie@{DOMAIN}": f"reuse:{to_us}", f"sanscert@{DOMAIN}": f"nocert:{to_us}", f"@{UNLISTED}": f"unlisted:{to_us}",
                                          f"@{REVOKED}": f"revoked:{to_us}", f"@{EXPIRED}": f"expired:{to_us}", f"@{FOREIGN}": f"foreign:{to_us}"})
        listed = {DOMAIN: own, OLD: own, GREY: own, STRANGER: stranger, REVOKED: self.revoked, OTHER_DN: stranger, EXPIRED: expired, REVOKED_SERVER: revoked_server, FOREIGN: foreign}
        self.append("whitelist_file", "".join(f"{name};{certificate.subject}\n" for name, certificate in listed.items()))
        listeners = {DOMAIN: "MX", OLD: "BARE", GREY: "GREY", STRANGER: "STRANGER", OTHER_DN: "MX", EXPIRED: "EXPIRED", REVOKED_SERVER: "REVOKED", FOREIGN: "FOREIGN"}
        self.append("routes_file", "".join(f"{name} 127.0.0.1:{self.postfix.ports[listener]}\n" for name, listener in listeners.items()))
        self.reload(lambda: self.is_let_in(own, DOCTOR))
        self.postfix.start()

    def stop(self):
        self.demo.stop()
        if self.postfix:
            self.postfix.stop()

    def append(self, file, text):
        with open(self.demo.description[file], "a", encoding="ascii") as opened:
            opened.write(text)

    def log(self):
        return (self.demo.dir / "log").read_text(errors="replace")

    def reload(self, in_force):
        """SIGHUP, until what was changed is in force."""
        self.demo.process.send_signal(signal.SIGHUP)
        eventually(in_force)

    def is_let_in(self, certificate, sender):
        """Whether both operators of ours take mail from this sender with this certificate."""
        context = self.demo.context()
        context.load_cert_chain(certificate.chain, certificate.key)
        try:
            for operator in (0, 1):
                with smtplib.SMTP("localhost", self.demo.port(operator, "smtp"), timeout=10) as client:
                    client.starttls(context=context)
                    client.ehlo()
                    if client.mail(sender)[0] != 250:
                        return False
        except (OSError, smtplib.SMTPException):
            return False
        return True

    def submit(self, text, recipients, operator=0, **options):
        user = self.demo.mailbox(operator, "personal")
        with smtplib.SMTP_SSL("localhost", self.demo.port(operator, "submissions"), context=self.demo.context(), timeout=60) as client:
            client.login(user["username"], user["password"])
            client.sendmail(user["address"], recipients, text, **options)

    def queue(self, *words, operator=0):
        config = self.demo.operator(operator)["config_file"]
        done = subprocess.run([BINARY, "queue", *words, "--json", "--config", config], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def waiting(self, recipient, operator=0):
        return [entry for entry in self.queue("list", operator=operator) if entry["recipient"] == recipient]

    def found(self, subject, operator=0, kind="personal", nth=0):
        """Numbers of the messages of that subject in a mailbox of ours."""
        with contextlib.closing(Reader(self.demo, operator, kind, nth)) as reader:
            return reader.numbers(subject)

    def read(self, subject, operator=0, kind="personal", nth=0):
        """The one message of that subject, once it is there."""
        with contextlib.closing(Reader(self.demo, operator, kind, nth)) as reader:
            numbers = eventually(lambda: reader.numbers(subject), 30)
            assert len(numbers) == 1, f"{len(numbers)} messages with the subject {subject}"
            return reader.content(numbers[0])

    def received(self, address, marker):
        """The one message with this marker in a mailbox of Postfix, once it is there."""
        letters = eventually(lambda: self.postfix.letters(address, marker), 30)
        assert len(letters) == 1, f"{len(letters)} messages with {marker}"
        return letters[0]


class Reader:
    """An IMAP session on a mailbox of ours."""

    def __init__(self, demo, operator, kind, nth):
        user = demo.mailbox(operator, kind, nth)
        self.client = imaplib.IMAP4_SSL("localhost", demo.port(operator, "imaps"), ssl_context=demo.context())
        self.client.login(user["username"], user["password"])

    def numbers(self, subject):
        self.client.select("INBOX")
        return self.client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()

    def content(self, number):
        return self.client.fetch(number, "(BODY.PEEK[])")[1][0][1]

    def close(self):
        self.client.logout()


def letter(subject, sender, recipient, body, fields=""):
    text = (f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\nDate: Sat, 21 Nov 2026 09:00:00 +0100\r\nMessage-ID: <{subject}@{sender.split('@')[1]}>\r\n"
            f"X-MSS-NIL: 00.00.00\r\n{fields}\r\n")
    return text.encode() + body


def bounce(message):
    """The fields of a notification's status part (RFC 3464, or RFC 6533 about mail that needs SMTPUTF8): those about the message and those about its recipient."""
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    assert parsed.get_content_type() == "multipart/report", parsed.as_string()
    status = next(part for part in parsed.walk() if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"))
    text = status.as_bytes().split(b"\n\n", 1)[1].decode()
    return {name: str(value) for block in re.split(r"\n\s*\n", text) for name, value in email.message_from_string(block).items()}


def refused_for_trust(world, sender, subject):
    """Postfix gives the message back to its sender and names our code."""
    report = bounce(world.received(sender, subject))
    assert report["Action"] == "failed" and report["Status"] == "5.7.1" and report["Diagnostic-Code"].startswith("smtp; 550 5.7.1"), report
    assert not world.found(subject)


def notification(world, recipient, operator=0):
    """The fields of the notification about this recipient that our user reads; its text must be French and English."""
    with contextlib.closing(Reader(world.demo, operator, "personal", 0)) as reader:
        def there():
            for number in reversed(reader.numbers("Undelivered message")):
                content = reader.content(number)
                if f"Final-Recipient: rfc822; {recipient}".encode() in content:
                    return content
            return None
        content = eventually(there, 30)
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    text = parsed.get_body(("plain",)) or next(part for part in parsed.walk() if part.get_content_type() == "text/plain")
    words = text.get_content()
    assert "n'a pas pu être remis" in words and "could not be delivered" in words and recipient in words, words
    assert "Return-Path: <>" in content.decode(errors="replace"), content[:500]
    return bounce(content)
