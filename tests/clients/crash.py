#!/usr/bin/env python3
"""SIGKILL under load: the demo is killed at random instants and started again; every acknowledged message must be in each of its mailboxes exactly once.

Senders repeat what was not acknowledged, as a mail server does, so a commit whose 250 was lost is sent again and must not be stored twice.
Half of the messages come in on port 25, half are submitted and relayed from one operator to the other.

usage: crash.py ROUNDS [SEED]
"""
import collections
import imaplib
import json
import random
import smtplib
import sys
import threading
import time

from demo import ENGINE, Demo, eventually

SENDERS = 4


class Sender(threading.Thread):
    """Sends numbered messages, each until it is acknowledged."""

    def __init__(self, demo, name, inbound, stopping):
        super().__init__(daemon=True)
        self.demo, self.name, self.inbound, self.stopping = demo, name, inbound, stopping
        self.acknowledged, self.repeats = [], 0

    def run(self):
        number = 0
        client = None
        while not self.stopping.is_set():
            key = f"{self.name}-{number}"
            try:
                client = client or self.connect()
                self.send(client, key)
                self.acknowledged.append(key)
                number += 1
            except (OSError, smtplib.SMTPException, EOFError):
                client = None
                self.repeats += 1
                time.sleep(0.02)

    def connect(self):
        if self.inbound:
            client = smtplib.SMTP("localhost", self.demo.port(1, "smtp"), local_hostname="mx.chu-nord.mssante.test", timeout=10)
            client.starttls(context=self.demo.context(0))
        else:
            client = smtplib.SMTP("localhost", self.demo.port(0, "submission"), timeout=10)
            client.starttls(context=self.demo.context())
            user = self.demo.mailbox(0, "personal")
            client.login(user["username"], user["password"])
        client.ehlo_or_helo_if_needed()
        return client

    def send(self, client, key):
        sender = self.demo.mailbox(0, "personal")["address"]
        recipients = [mailbox["address"] for mailbox in readers(self.demo)]
        # Some messages are large enough to lie in a file of their own.
        size = 300_000 if int(key.split("-")[1]) % 40 == 0 else 3_000
        noise = random.Random(key).randbytes(size).hex()
        lines = "\r\n".join(noise[i:i + 76] for i in range(0, len(noise), 76))
        text = f"From: <{sender}>\r\nTo: <{recipients[0]}>\r\nDate: Sat, 21 Nov 2026 08:00:00 +0000\r\nMessage-ID: <{key}@crash.test>\r\nSubject: {key}\r\n\r\n{lines}\r\n"
        refused = client.sendmail(sender, recipients, text.encode(), mail_options=["BODY=8BITMIME"])
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)


def readers(demo):
    """The mailboxes of the receiving operator that can be read; every message goes to all of them."""
    return [mailbox for mailbox in demo.operator(1)["mailboxes"] if mailbox["password"]]


def keys_in_mailbox(demo, user):
    """Subject of every message of the test in the INBOX of a reader, repeated as often as it is there."""
    client = imaplib.IMAP4_SSL("localhost", demo.port(1, "imaps"), ssl_context=demo.context())
    client.login(user["username"], user["password"])
    client.select("INBOX", readonly=True)
    _, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT MESSAGE-ID)])")
    client.logout()
    found = []
    for item in data:
        if isinstance(item, tuple) and b"@crash.test>" in item[1]:
            line = next(l for l in item[1].splitlines() if l.lower().startswith(b"subject:"))
            found.append(line.split(b":", 1)[1].strip().decode())
    return found


def trail(demo, acknowledged):
    """Verifies the audit trails: rows verified in all, and how many acknowledged messages lack a row of their delivery in some mailbox."""
    rows = 0
    for operator in range(2):
        # Fails when anything is missing or changed.
        rows += json.loads(demo.command(operator, "audit", "verify", "--json"))["rows"]
    lacking = 0
    for user in readers(demo):
        delivered = json.loads(demo.command(1, "audit", "search", "--action", "message.delivered", "--address", user["address"], "--limit", "100000", "--json"))
        assert len({row["unit"] for row in delivered}) == len(delivered), "a message has two rows of its delivery to one mailbox"
        lacking += max(0, len(acknowledged) - len(delivered))
    return rows, lacking


def main():
    demo = Demo()
    try:
        play(demo)
    finally:
        demo.kill()


def play(demo):
    rounds = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 30)
    chance = random.Random(seed)
    for mailbox in readers(demo):
        demo.command(1, "mailbox", "set-quota", mailbox["address"], "1T")
    stopping = threading.Event()
    senders = [Sender(demo, f"k{i}", i % 2 == 0, stopping) for i in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(rounds):
        time.sleep(chance.uniform(0.05, 0.9))
        demo.kill()
        demo.start()
    time.sleep(1)
    stopping.set()
    for sender in senders:
        sender.join(timeout=30)
    acknowledged = [key for sender in senders for key in sender.acknowledged]

    duplicates, unacknowledged = 0, set()
    for user in readers(demo):

        def all_arrived():
            found = keys_in_mailbox(demo, user)
            return found if set(acknowledged) <= set(found) else None

        found = collections.Counter(eventually(all_arrived, 600))
        duplicates += sum(count - 1 for count in found.values())
        unacknowledged |= set(found) - set(acknowledged)
    repeats = sum(sender.repeats for sender in senders)
    rows, lacking = trail(demo, acknowledged)
    print(f"crash: {ENGINE}, seed {seed}, {rounds} kills, {len(acknowledged)} acknowledged, {repeats} repeats, {duplicates} duplicates in {len(readers(demo))} mailboxes, "
          f"{len(unacknowledged)} stored without an acknowledgement seen, {rows} audit rows verified, {lacking} without a row")
    # A message may be stored whose 250 the last kill took with it: at most one for each sender.
    if duplicates or lacking or len(acknowledged) < rounds or len(unacknowledged) > SENDERS:
        sys.exit("0 passed, 1 failed")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
