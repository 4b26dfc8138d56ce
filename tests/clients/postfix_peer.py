#!/usr/bin/env python3
"""A Debian Postfix as a foreign operator with a certificate of its own, against the demo: to us, from us, and what happens when one of the two is down, refuses, or
is not who it should be. One line for each check. Needs root; a failing run leaves both folders behind and names them.

usage: postfix_peer.py [CHECK...]
"""
import contextlib
import email
import email.policy
import json
import os
import pathlib
import re
import signal
import smtplib
import subprocess
import sys
import tempfile
import time
import traceback

import clients
from authority import Authority
from demo import BINARY, Demo, eventually
from postfix_server import Postfix

DOMAIN = "labo-est.mssante.test"
OLD = "ancien.labo-est.mssante.test"  # served by the listener without extensions
GREY = "gris.labo-est.mssante.test"  # served by the greylisting listener
STRANGER = "usurpe.mssante.test"  # served by a listener whose certificate bears other names
UNLISTED = "hors-liste.mssante.test"  # its certificate is valid and not in the white list
REVOKED = "revoque.mssante.test"  # its certificate is in the white list and revoked
OTHER_DN = "autre-dn.mssante.test"  # the white list names another certificate for it

DOCTOR = f"docteur@{DOMAIN}"
USERS = [DOCTOR, f"secretariat@{DOMAIN}", f"serie@{DOMAIN}", f"sanscert@{DOMAIN}", f"docteur@{OLD}", f"docteur@{GREY}", f"docteur@{STRANGER}",
         f"docteur@{UNLISTED}", f"docteur@{REVOKED}", f"docteur@{OTHER_DN}"]


class World:
    """The demo and Postfix, each in the other's white list and routes."""

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
        self.postfix = Postfix(DOMAIN, [DOMAIN, OLD, GREY, STRANGER, UNLISTED, REVOKED, OTHER_DN], self.demo.port(0, "smtp"))
        self.authority = Authority(self.demo, self.postfix.root / "authority")
        own = self.authority.issue("own", [f"mx.{name}" for name in (DOMAIN, OLD, GREY, OTHER_DN)])
        unlisted = self.authority.issue("unlisted", [f"mx.{UNLISTED}"])
        self.revoked = self.authority.issue("revoked", [f"mx.{REVOKED}"])
        stranger = self.authority.issue("stranger", ["mx.tout-autre.mssante.test"])
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
                                          f"@{REVOKED}": f"revoked:{to_us}"})
        listed = {DOMAIN: own, OLD: own, GREY: own, STRANGER: stranger, REVOKED: self.revoked, OTHER_DN: stranger}
        self.append("whitelist_file", "".join(f"{name};{certificate.subject}\n" for name, certificate in listed.items()))
        listeners = {DOMAIN: "MX", OLD: "BARE", GREY: "GREY", STRANGER: "STRANGER", OTHER_DN: "MX"}
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
        self.client = clients.imap(demo, operator, kind, nth)

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


PLAIN = b"Bonjour,\r\n\r\nrien de neuf.\r\n"
DOTS = b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\nx.\r\n.\r\n"
EIGHT_BIT = "Chère consœur,\r\nle patient va mieux : 38 °C → 37 °C.\r\n".encode()
EIGHT_BIT_FIELDS = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
LONGEST = b"".join(bytes([65 + i]) * 998 + b"\r\n" for i in range(5))
TOO_LONG = b"".join(bytes([65 + i]) * size + b"\r\n" for i, size in enumerate([999, 1500, 1996, 1997, 2048, 2049, 5000, 70_000]))


def large(octets):
    line = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ./-_+=()" + b"\r\n"
    return line * (octets // len(line))


# ---- from Postfix to us

def to_us(world, subject, body, fields="", options=()):
    """Sends a letter from Postfix's user to ours; what was sent, and what arrived."""
    text = letter(subject, DOCTOR, world.ours, body, fields)
    with world.postfix.client() as client:
        client.sendmail(DOCTOR, [world.ours], text, mail_options=list(options))
    return text, world.read(subject)


def to_us_text_arrives_byte_for_byte_over_verified_tls(world):
    sent, arrived = to_us(world, "vers-texte", PLAIN)
    assert arrived.endswith(sent), arrived
    assert b"Return-Path: <" + DOCTOR.encode() + b">" in arrived.split(b"\r\n\r\n")[0], arrived
    assert "Verified TLS connection established to localhost" in world.postfix.log()


def to_us_lone_dots_arrive(world):
    sent, arrived = to_us(world, "vers-points", DOTS)
    assert arrived.endswith(sent), arrived


def to_us_8bitmime_arrives_byte_for_byte(world):
    sent, arrived = to_us(world, "vers-8bit", EIGHT_BIT, EIGHT_BIT_FIELDS, ["BODY=8BITMIME"])
    assert arrived.endswith(sent), arrived


def to_us_lines_of_998_octets_arrive_byte_for_byte(world):
    sent, arrived = to_us(world, "vers-998", LONGEST)
    assert arrived.endswith(sent)


def to_us_longer_lines_arrive_folded_by_postfix_and_nothing_is_lost(world):
    sent, arrived = to_us(world, "vers-longues", TOO_LONG)
    body = arrived.split(b"\r\n\r\n", 1)[1]
    assert max(map(len, body.split(b"\r\n"))) <= 998
    assert body.replace(b"\r\n ", b"") == sent.split(b"\r\n\r\n", 1)[1]


def to_us_a_large_message_arrives_byte_for_byte(world):
    sent, arrived = to_us(world, "vers-grande", large(20 << 20))
    assert arrived.endswith(sent)


def to_us_what_is_larger_than_we_take_is_given_back_by_postfix(world):
    """We announce SIZE: Postfix does not even send it."""
    text = letter("vers-trop-grande", DOCTOR, world.ours, large((50 << 20) + 1))
    with world.postfix.client() as client:
        client.sendmail(DOCTOR, [world.ours], text)
    report = bounce(world.received(DOCTOR, "vers-trop-grande"))
    assert report["Action"] == "failed" and report["Status"] in ("5.3.4", "5.2.3"), report
    assert not world.found("vers-trop-grande")


def to_us_smtputf8_is_given_back_by_postfix(world):
    """We do not offer SMTPUTF8 (RFC 6531): a message that needs it goes back with 5.6.7."""
    text = letter("vers-utf8", DOCTOR, world.ours, PLAIN, "X-Nom: Hélène\r\n")
    with world.postfix.client() as client:
        client.sendmail(DOCTOR, [world.ours], text, mail_options=["BODY=8BITMIME", "SMTPUTF8"])
    report = bounce(world.received(DOCTOR, "vers-utf8"))
    assert report["Action"] == "failed" and report["Status"] == "5.6.7", report
    assert not world.found("vers-utf8")


def to_us_a_success_report_is_made_by_exactly_one_side(world):
    """Without DSN on our side Postfix reports `relayed`; with it we report `delivered` and Postfix nothing."""
    text = letter("vers-avis", DOCTOR, world.ours, PLAIN)
    with world.postfix.client() as client:
        client.sendmail(DOCTOR, [world.ours], text, ["RET=HDRS", "ENVID=lot+2B7"], ["NOTIFY=SUCCESS,FAILURE,DELAY", f"ORCPT=rfc822;{world.ours}"])
    assert world.read("vers-avis").endswith(text)
    eventually(lambda: not world.postfix.queue())
    report = bounce(world.received(DOCTOR, "vers-avis"))
    assert report["Action"] in ("relayed", "delivered"), report
    assert report["Original-Recipient"].lower().replace(" ", "") == f"rfc822;{world.ours}" and report["Original-Envelope-Id"] == "lot+7", report


def to_us_a_hundred_messages_arrive_once_each_over_reused_connections(world):
    sender = f"serie@{DOMAIN}"
    before = world.postfix.log().count("TLS connection reused")
    with world.postfix.client() as client:
        for number in range(100):
            client.sendmail(sender, [world.ours], letter(f"vers-serie-{number:03}", sender, world.ours, PLAIN))
    with contextlib.closing(Reader(world.demo, 0, "personal", 0)) as reader:
        def all_there():
            return len(reader.numbers("vers-serie-")) >= 100
        eventually(all_there, 60)
        eventually(lambda: not world.postfix.queue())
        for number in range(100):
            assert len(reader.numbers(f"vers-serie-{number:03}")) == 1, number
    assert world.postfix.log().count("TLS connection reused") > before


def to_us_one_unknown_recipient_does_not_keep_the_message_from_the_other(world):
    unknown = "personne." + world.ours
    text = letter("vers-deux", DOCTOR, world.ours, PLAIN)
    with world.postfix.client() as client:
        client.sendmail(DOCTOR, [unknown, world.ours], text)
    assert world.read("vers-deux").endswith(text)
    report = bounce(world.received(DOCTOR, "vers-deux"))
    assert report["Action"] == "failed" and report["Status"] == "5.1.1" and report["Final-Recipient"] == f"rfc822; {unknown}", report
    assert report["Diagnostic-Code"].startswith("smtp; 550 5.1.1"), report


def to_us_a_sender_of_another_domain_is_refused_and_postfix_says_why(world):
    spoofed = f"docteur@{OTHER_DN}"
    with world.postfix.client() as client:
        client.sendmail(spoofed, [world.ours], letter("vers-autre-domaine", spoofed, world.ours, PLAIN))
    refused_for_trust(world, spoofed, "vers-autre-domaine")


def to_us_a_certificate_outside_the_white_list_is_refused_and_postfix_says_why(world):
    sender = f"docteur@{UNLISTED}"
    with world.postfix.client() as client:
        client.sendmail(sender, [world.ours], letter("vers-hors-liste", sender, world.ours, PLAIN))
    refused_for_trust(world, sender, "vers-hors-liste")


def to_us_without_a_certificate_is_refused_and_postfix_says_why(world):
    sender = f"sanscert@{DOMAIN}"
    with world.postfix.client() as client:
        client.sendmail(sender, [world.ours], letter("vers-sans-certificat", sender, world.ours, PLAIN))
    refused_for_trust(world, sender, "vers-sans-certificat")


def to_us_a_revoked_certificate_fails_the_handshake_and_postfix_keeps_the_message(world):
    sender = f"docteur@{REVOKED}"
    with world.postfix.client() as client:
        client.sendmail(sender, [world.ours], letter("vers-avant", sender, world.ours, PLAIN))
    assert world.read("vers-avant")
    world.authority.revoke(world.revoked)
    world.reload(lambda: not world.is_let_in(world.revoked, sender))
    with world.postfix.client() as client:
        client.sendmail(sender, [world.ours], letter("vers-revoque", sender, world.ours, PLAIN))
    reasons = eventually(lambda: world.postfix.delays(sender))
    assert any("TLS" in reason or "lost connection" in reason or "handshake" in reason for reason in reasons), reasons
    alerts = [line for line in world.postfix.log().splitlines() if "alert" in line and "revoked" in line]
    assert alerts, "Postfix's log does not name the revocation"
    assert "revoked" in world.log().lower(), "our log does not name the revocation"
    assert not world.found("vers-revoque")
    world.postfix.forget(sender)


def to_us_while_we_are_down_postfix_keeps_the_message_and_delivers_it_once(world):
    world.demo.stop()
    try:
        text = letter("vers-arret", DOCTOR, world.ours, PLAIN)
        with world.postfix.client() as client:
            client.sendmail(DOCTOR, [world.ours], text)
        reasons = eventually(lambda: world.postfix.delays(DOCTOR))
        assert any("Connection refused" in reason for reason in reasons), reasons
    finally:
        world.demo.start()
    world.postfix.flush()
    assert world.read("vers-arret").endswith(text)
    eventually(lambda: not world.postfix.delays(DOCTOR))
    assert len(world.found("vers-arret")) == 1


# ---- from us to Postfix

def from_us(world, subject, body, fields="", address=DOCTOR, **options):
    """Submits a letter from our user to Postfix's; what was submitted, and what arrived."""
    text = letter(subject, world.ours, address, body, fields)
    world.submit(text, [address], **options)
    return text, world.received(address, f"Subject: {subject}")


def from_us_text_arrives_byte_for_byte(world):
    sent, arrived = from_us(world, "depuis-texte", PLAIN)
    assert arrived.endswith(sent), arrived


def from_us_lone_dots_arrive(world):
    sent, arrived = from_us(world, "depuis-points", DOTS)
    assert arrived.endswith(sent), arrived


def from_us_8bitmime_arrives_byte_for_byte(world):
    sent, arrived = from_us(world, "depuis-8bit", EIGHT_BIT, EIGHT_BIT_FIELDS, mail_options=["BODY=8BITMIME"])
    assert arrived.endswith(sent), arrived


def from_us_long_lines_arrive_byte_for_byte(world):
    sent, arrived = from_us(world, "depuis-longues", LONGEST + TOO_LONG)
    assert arrived.endswith(sent)


def from_us_a_large_message_arrives_byte_for_byte(world):
    sent, arrived = from_us(world, "depuis-grande", large(20 << 20))
    assert arrived.endswith(sent)


def from_us_a_hundred_messages_that_waited_arrive_once_each_over_few_connections(world):
    user = world.demo.mailbox(0, "personal")
    world.postfix.stop()
    try:
        with smtplib.SMTP_SSL("localhost", world.demo.port(0, "submissions"), context=world.demo.context(), timeout=60) as client:
            client.login(user["username"], user["password"])
            for number in range(100):
                client.sendmail(world.ours, [DOCTOR], letter(f"depuis-serie-{number:03}", world.ours, DOCTOR, PLAIN))

        def all_deferred():
            return len([entry for entry in world.waiting(DOCTOR) if entry["state"] == "deferred"]) == 100
        eventually(all_deferred)
    finally:
        world.postfix.start()
    before = len(world.postfix.log())
    world.queue("retry")

    def all_there():
        return len(world.postfix.letters(DOCTOR, "Subject: depuis-serie-")) >= 100
    eventually(all_there, 60)
    eventually(lambda: not world.waiting(DOCTOR))
    arrived = [re.search(rb"Subject: (depuis-serie-\d+)", content)[1] for content in world.postfix.letters(DOCTOR, "Subject: depuis-serie-")]
    assert len(arrived) == len(set(arrived)) == 100
    connections = world.postfix.log()[before:].count("]: connect from localhost")
    assert connections <= 20, f"{connections} connections for 100 messages"


def from_us_a_refused_recipient_gives_a_readable_notification_and_the_other_gets_the_message(world):
    unknown = f"inconnu@{DOMAIN}"
    text = letter("depuis-deux", world.ours, DOCTOR, PLAIN)
    world.submit(text, [unknown, DOCTOR])
    assert world.received(DOCTOR, "Subject: depuis-deux").endswith(text)
    report = notification(world, unknown)
    assert report["Action"] == "failed" and report["Status"] == "5.1.1", report
    assert report["Diagnostic-Code"].startswith("smtp; 550 5.1.1") and report["Remote-MTA"].startswith("dns;"), report
    assert not world.waiting(unknown)


def from_us_greylisting_is_deferred_then_accepted_once(world):
    address = f"docteur@{GREY}"
    text = letter("depuis-gris", world.ours, address, PLAIN)
    world.submit(text, [address])
    assert world.received(address, "Subject: depuis-gris").endswith(text)
    assert world.postfix.grey_list.seen.count(address) == 2, world.postfix.grey_list.seen
    done = [entry for entry in world.queue("list", "--all") if entry["recipient"] == address]
    assert [entry["state"] for entry in done] == ["relayed"] and done[0]["attempts"] == 2, done


def from_us_while_postfix_is_down_the_message_waits_and_a_retry_delivers_it_once(world):
    waits_while_down(world, "depuis-arret")
    assert world.queue("retry")["due"] >= 1
    arrives_once(world, "depuis-arret")


def from_us_while_postfix_is_down_the_message_waits_and_the_schedule_delivers_it_once(world):
    waits_while_down(world, "depuis-arret-long")
    arrives_once(world, "depuis-arret-long")


def from_us_to_a_server_with_another_operators_certificate_is_deferred(world):
    is_deferred(world, f"docteur@{STRANGER}", "depuis-usurpe")


def from_us_to_a_server_whose_certificate_is_not_the_listed_one_is_deferred(world):
    is_deferred(world, f"docteur@{OTHER_DN}", "depuis-autre-dn")


def from_us_an_operator_that_postfix_does_not_know_gets_a_notification(world):
    text = letter("depuis-inconnu", world.demo.mailbox(1, "personal")["address"], DOCTOR, PLAIN)
    world.submit(text, [DOCTOR], operator=1)
    report = notification(world, DOCTOR, operator=1)
    assert report["Action"] == "failed" and report["Status"].startswith("5.7."), report
    assert not world.postfix.letters(DOCTOR, "Subject: depuis-inconnu")


def from_us_to_a_server_without_extensions_text_and_dots_arrive_byte_for_byte(world):
    sent, arrived = from_us(world, "ancien-points", PLAIN + DOTS + LONGEST, address=f"docteur@{OLD}")
    assert arrived.endswith(sent), arrived


def from_us_to_a_server_without_8bitmime_the_text_survives(world):
    """RFC 6152 §3: made 7-bit, or given back with 5.6.3; never cut or mangled."""
    address = f"docteur@{OLD}"
    text = letter("ancien-8bit", world.ours, address, EIGHT_BIT, EIGHT_BIT_FIELDS)
    world.submit(text, [address], mail_options=["BODY=8BITMIME"])

    def settled():
        return world.postfix.letters(address, "Subject: ancien-8bit") or world.found("ancien-8bit")
    eventually(settled, 30)
    for arrived in world.postfix.letters(address, "Subject: ancien-8bit"):
        parsed = email.message_from_bytes(arrived, policy=email.policy.default)
        assert parsed.get_content().replace("\r\n", "\n").encode() == EIGHT_BIT.replace(b"\r\n", b"\n"), arrived


def from_us_to_a_server_without_extensions_several_recipients_get_one_answer_each(world):
    known, unknown = f"docteur@{OLD}", f"absente@{OLD}"
    text = letter("ancien-deux", world.ours, known, PLAIN)
    world.submit(text, [unknown, known])
    assert world.received(known, "Subject: ancien-deux").endswith(text)
    assert notification(world, unknown)["Status"] == "5.1.1"


# ---- what the checks share

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


def waits_while_down(world, subject):
    world.postfix.stop()
    try:
        world.submit(letter(subject, world.ours, DOCTOR, PLAIN), [DOCTOR])

        def deferred():
            return [entry for entry in world.waiting(DOCTOR) if entry["state"] == "deferred"]
        entry = eventually(deferred)[0]
        assert entry["attempts"] >= 1 and entry["last_reply"].startswith("451 4.4"), entry
    finally:
        world.postfix.start()


def arrives_once(world, subject):
    assert world.received(DOCTOR, f"Subject: {subject}").endswith(letter(subject, world.ours, DOCTOR, PLAIN))
    eventually(lambda: not world.waiting(DOCTOR))
    assert len(world.postfix.letters(DOCTOR, f"Subject: {subject}")) == 1


def is_deferred(world, address, subject):
    """The message waits, with the cause, and the server heard of neither sender nor recipient."""
    before = len(world.postfix.log())
    world.submit(letter(subject, world.ours, address, PLAIN), [address])

    def deferred():
        return [entry for entry in world.waiting(address) if entry["state"] == "deferred" and entry["attempts"] >= 1]
    entry = eventually(deferred)[0]
    assert entry["last_reply"].startswith("451 4."), entry
    assert not world.postfix.letters(address, f"Subject: {subject}")
    assert address not in world.postfix.log()[before:]


CHECKS = [check for name, check in list(globals().items()) if name.startswith(("to_us_", "from_us_"))]


def main():
    if os.geteuid() != 0:
        sys.exit("Postfix needs root; nothing was checked")
    wanted = [check for check in CHECKS if not sys.argv[1:] or check.__name__ in sys.argv[1:]]
    failed = 0
    world = World()
    for check in wanted:
        begin = time.monotonic()
        try:
            check(world)
            print(f"ok      {check.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {check.__name__}", flush=True)
            traceback.print_exc(limit=3, file=sys.stdout)
    world.stop()
    if failed:
        print(f"the demo's folder is {world.demo.dir}, Postfix's {world.postfix.root}")
    else:
        world.postfix.remove()
    print(f"postfix peer: {len(wanted) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
