#!/usr/bin/env python3
"""Memory per idle IMAP connection over TLS: resident memory of the server with N connections, less without, by N.

    idle_memory.py --describe FILE [--count 1000] [--stage idle] [--pid PID]

FILE is what `vaguemestre demo --describe FILE` wrote. Each connection logs in as the first mailbox with a password of the first operator.
Stages: tls (greeted), login, select (INBOX), idle. A first connection of each stage is made and closed before the count begins, so that what the
server allocates once is not counted. Prints one line of JSON.
"""
import argparse
import json
import resource
import socket
import ssl
import sys
import threading
import time

STAGES = ["tls", "login", "select", "idle"]


class Connection:
    """One connection, brought to a stage and left there."""

    def __init__(self, port, context, mailbox, stage):
        raw = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket = context.wrap_socket(raw, server_hostname="localhost")
        self.line()
        depth = STAGES.index(stage)
        if depth >= 1:
            self.command("a", f'LOGIN "{mailbox["username"]}" "{mailbox["password"]}"')
        if depth >= 2:
            self.command("b", "SELECT INBOX")
        if depth >= 3:
            self.socket.sendall(b"c IDLE\r\n")
            if not self.line().startswith(b"+"):
                sys.exit("IDLE was refused")

    def line(self):
        out = b""
        while not out.endswith(b"\r\n"):
            octet = self.socket.recv(1)
            if not octet:
                sys.exit(f"closed after {out!r}")
            out += octet
        return out

    def command(self, tag, text):
        self.socket.sendall(f"{tag} {text}\r\n".encode())
        while True:
            line = self.line()
            if line.startswith(tag.encode() + b" "):
                if b" OK" not in line[:8]:
                    sys.exit(f"{text.split()[0]}: {line!r}")
                return


def memory(pid):
    """Resident and proportional kilobytes."""
    kilobytes = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        for line in rollup:
            word, _, rest = line.partition(":")
            if word in ("Rss", "Pss", "Private_Dirty"):
                kilobytes[word] = int(rest.split()[0])
    return kilobytes


def open_all(count, make, workers=8):
    connections, lock = [], threading.Lock()

    def work(share):
        for _ in range(share):
            connection = make()
            with lock:
                connections.append(connection)

    shares = [count // workers + (1 if i < count % workers else 0) for i in range(workers)]
    threads = [threading.Thread(target=work, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(connections) != count:
        sys.exit(f"only {len(connections)} of {count} connections")
    return connections


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--describe", required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--stage", choices=STAGES, default="idle")
    parser.add_argument("--pid", type=int)
    told = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with open(told.describe, encoding="utf-8") as file:
        demo = json.load(file)
    site = demo["operators"][0]
    mailbox = next(each for each in site["mailboxes"] if each["password"])
    context = ssl.create_default_context(cafile=demo["ca_file"])
    pid = told.pid or demo["pid"]

    def make():
        return Connection(site["ports"]["imaps"], context, mailbox, told.stage)

    for first in open_all(8, make):
        first.socket.close()
    time.sleep(2)
    before = memory(pid)
    began = time.monotonic()
    connections = open_all(told.count, make)
    took = time.monotonic() - began
    time.sleep(2)
    after = memory(pid)
    per = {word: round((after[word] - before[word]) / told.count, 1) for word in before}
    print(json.dumps({"stage": told.stage, "count": told.count, "kib_per_connection": per["Rss"],
                      "private_dirty_kib": per["Private_Dirty"], "rss_before_kib": before["Rss"],
                      "rss_after_kib": after["Rss"], "seconds": round(took, 1)}))
    del connections


if __name__ == "__main__":
    main()
