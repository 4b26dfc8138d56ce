#!/usr/bin/env python3
"""SEARCH in a folder of 10 KiB letters, in the words of the load driver or in French, timed from the command to its tagged answer.

search.py fill PORT CA USER FOLDER COUNT        makes the folder and appends COUNT letters of french_letters.py to it
search.py measure PORT CA USER FOLDER WORDS     prints one line of JSON for each search of WORDS (driver or french); the first time, then the median of ROUNDS more

The password is `secret`. Run `measure` on a server that was just started, and its first time is the one after a restart.
"""
import imaplib
import json
import socket
import ssl
import statistics
import sys
import time

import french_letters

ROUNDS = 7
SEARCHES = {
    "driver": {"absent": 'BODY "nosuchwordxyz"', "phrase": 'TEXT "zephyr quantum"', "subject": 'SUBJECT "quarter"', "from": 'FROM "sender"'},
    "french": {
        "absent": 'BODY "xanthochromie"',
        "rare": 'BODY "reaggrave"',
        "phrase": 'TEXT "dans les"',
        "phrase-of-three": 'TEXT "du patient et"',
        "common": 'BODY "patient"',
        "short": 'BODY "PSA"',
    },
}


def connect(port, ca, user):
    context = ssl.create_default_context(cafile=ca)
    imap = imaplib.IMAP4("localhost", port)
    # imaplib sends the end of an APPEND apart: without this each one waits for a delayed ACK.
    imap.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    imap.starttls(context)
    imap.login(user, "secret")
    return imap


def fill(imap, folder, count):
    imap.create(folder)
    begin = time.monotonic()
    for seed in range(count):
        status, answer = imap.append(folder, "", None, french_letters.letter(seed))
        if status != "OK":
            sys.exit(f"APPEND: {answer}")
    print(json.dumps({"label": "fill-french", "msgs_per_s": count / (time.monotonic() - begin)}))


def measure(imap, folder, words):
    # An answer in one line may name every message.
    imaplib._MAXLINE = 10_000_000
    imap.select(folder, readonly=True)
    for name, key in SEARCHES[words].items():
        took = []
        for _ in range(1 + ROUNDS):
            begin = time.perf_counter()
            status, answer = imap.uid("SEARCH", key)
            took.append((time.perf_counter() - begin) * 1000)
            if status != "OK":
                sys.exit(f"SEARCH {key}: {answer}")
        hits = len((answer[0] or b"").split())
        print(json.dumps({"label": f"search-{words}-{name}", "hits": hits, "first_ms": took[0], "warm_ms": statistics.median(took[1:])}))


def main():
    verb, port, ca, user, folder, what = sys.argv[1:]
    imap = connect(int(port), ca, user)
    if verb == "fill":
        fill(imap, folder, int(what))
    else:
        measure(imap, folder, what)
    imap.logout()


main()
