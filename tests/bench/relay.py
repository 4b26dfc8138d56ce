#!/usr/bin/env python3
"""How fast one operator of a demo relays to the other. relay.py [--messages N] BINARY [BINARY ...]

Each binary runs a demo of its own in turn, and the turns are repeated: compare figures of one run. A message of about 4 KiB goes by one submission
connection to every mailbox of the other operator that has a password, so that each makes as many queue entries.
"""
import argparse
import json
import pathlib
import random
import signal
import smtplib
import ssl
import subprocess
import tempfile
import time

MAX = 600


def pending(binary, config):
    listed = subprocess.run([binary, "queue", "list", "--json", "--config", config], capture_output=True, text=True, check=True)
    entries = json.loads(listed.stdout)
    entries = entries["items"] if isinstance(entries, dict) else entries
    return any(entry["state"] in ("queued", "deferred", "held") for entry in entries)


def wait(what, ready):
    end = time.monotonic() + MAX
    while not ready():
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not happen within {MAX} s")
        time.sleep(0.1)


def measure(binary, messages, folder):
    base = random.SystemRandom().randrange(15_000, 30_000)
    description = folder / "demo.json"
    demo = subprocess.Popen([binary, "demo", "--data", str(folder / "data"), "--port-base", str(base), "--describe", str(description)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait("the start of the demo", description.exists)
        sender, receiver = json.loads(description.read_text())["operators"][:2]
        author = next(mailbox for mailbox in sender["mailboxes"] if mailbox["kind"] == "personal")
        recipients = [mailbox["address"] for mailbox in receiver["mailboxes"] if mailbox.get("password")]
        context = ssl.create_default_context(cafile=json.loads(description.read_text())["ca_file"])
        with smtplib.SMTP("localhost", sender["ports"]["submission"]) as client:
            client.starttls(context=context)
            client.login(author["username"], author["password"])
            begin = time.monotonic()
            for number in range(messages):
                client.sendmail(author["address"], recipients,
                                f"From: <{author['address']}>\r\nTo: <{recipients[0]}>\r\nMessage-ID: <{number}@bench.example>\r\nSubject: {number}\r\n\r\n{'abc ' * 1000}\r\n")
        wait("the end of the queue", lambda: not pending(binary, sender["config_file"]))
        return len(recipients), messages / (time.monotonic() - begin)
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(timeout=60)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("binaries", nargs="+", metavar="BINARY")
    wanted = parser.parse_args()
    for _ in range(wanted.rounds):
        for binary in wanted.binaries:
            with tempfile.TemporaryDirectory(prefix="vaguemestre-relay-", dir="/var/tmp") as folder:
                recipients, rate = measure(binary, wanted.messages, pathlib.Path(folder))
            print(f"{binary}: {rate:.0f} messages of {recipients} recipients a second, from the first submission to the last relay")


main()
