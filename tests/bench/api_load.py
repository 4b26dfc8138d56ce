#!/usr/bin/env python3
"""Requests of administrators and mail, apart and together. Called by api_load.sh, which starts the server.

Requests are due at fixed instants: one that waits for a connection or for its answer counts from when it was due, so that a slow server is not asked less. Mail comes from the
load driver, which is stopped and continued many times a second so that it sends at the speed that is asked for; the speed is read from the server's own counter.
"""
import argparse
import http.client
import json
import os
import queue
import random
import signal
import ssl
import statistics
import subprocess
import sys
import threading
import time

CONNECTIONS = 16
# Of a hundred requests: lists, one by one, made, changed.
MIX = [("list", 40), ("show", 40), ("make", 10), ("change", 10)]
SLICE = 0.05


class Client:
    """One connection that is kept."""

    def __init__(self, options):
        self.options = options
        self.context = ssl.create_default_context(cafile=os.path.join(options.tls, "ca.pem"))
        self.connection = None

    def ask(self, method, path, body=None, headers=None):
        if self.connection is None:
            self.connection = http.client.HTTPSConnection("localhost", self.options.https, context=self.context, timeout=30)
        fields = {"Authorization": f"Bearer {os.environ['API_KEY']}", **(headers or {})}
        if body is not None:
            body, fields["Content-Type"] = json.dumps(body), "application/json"
        try:
            self.connection.request(method, path, body, fields)
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            return 0, {}, repr(error).encode()


def rpps(number):
    """Eleven digits whose last is the Luhn key."""
    digits = [int(digit) for digit in f"1{number:09d}"]
    total = sum(sum(divmod(digit * 2, 10)) if at % 2 == 0 else digit for at, digit in enumerate(reversed(digits)))
    return "".join(map(str, digits)) + str(-total % 10)


class Work:
    """What one request of each sort is."""

    def __init__(self, options):
        self.numbers = iter(range(random.randrange(10**8), 10**9))
        self.lock = threading.Lock()
        status, _, body = Client(options).ask("GET", "/api/v1/mailboxes?limit=100")
        assert status == 200, (status, body)
        page = json.loads(body)
        self.ids = [mailbox["id"] for mailbox in page["items"]]
        assert self.ids, "there is no mailbox"

    def do(self, client, sort):
        path = f"/api/v1/mailboxes/{random.choice(self.ids)}"
        if sort == "list":
            return client.ask("GET", "/api/v1/mailboxes?limit=50")[0] == 200
        if sort == "show":
            return client.ask("GET", path)[0] == 200
        if sort == "make":
            with self.lock:
                number = next(self.numbers)
            owner = {"rpps": rpps(number), "firstName": "Marie", "lastName": f"Durand {number}"}
            body = {"type": "personal", "email": f"m{number}@bench.test", "owner": owner}
            status, _, answer = client.ask("POST", "/api/v1/mailboxes", body)
            if status != 201:
                print(status, answer.decode(errors="replace"), file=sys.stderr)
            return status == 201
        status, headers, _ = client.ask("GET", path)
        if status != 200:
            return False
        # Another may have changed it meanwhile: that it is told so is right.
        change = {"quotaBytes": random.randrange(10**9, 10**10)}
        return client.ask("PATCH", path, change, {"If-Match": headers["ETag"]})[0] in (200, 412)


def requests(options, seconds):
    """Asks at the rate for so long; what came of it."""
    work, due, done = Work(options), queue.Queue(), []
    sorts = [sort for sort, share in MIX for _ in range(share)]
    random.shuffle(sorts)

    def worker():
        client = Client(options)
        while (item := due.get()) is not None:
            at, sort = item
            is_fine = work.do(client, sort)
            done.append((sort, time.monotonic() - at, is_fine))

    workers = [threading.Thread(target=worker) for _ in range(CONNECTIONS)]
    for one in workers:
        one.start()
    begin = time.monotonic() + 0.2
    for number in range(int(options.rate * seconds)):
        at = begin + number / options.rate
        time.sleep(max(0.0, at - time.monotonic()))
        due.put((at, sorts[number % len(sorts)]))
    for _ in workers:
        due.put(None)
    for one in workers:
        one.join()
    took = time.monotonic() - begin
    report = {"requests": len(done), "failed": sum(not fine for *_, fine in done), "requests_per_s": round(len(done) / took, 1)}
    for name in ["all", *(sort for sort, _ in MIX)]:
        times = sorted(1000 * took for sort, took, _ in done if name in ("all", sort))
        for percent in (50, 95, 99):
            report[f"{name}_p{percent}_ms"] = round(times[min(len(times) - 1, len(times) * percent // 100)], 2)
    return report


def accepted(client):
    """Messages that the server accepted since it began."""
    status, _, body = client.ask("GET", "/metrics")
    assert status == 200, status
    lines = body.decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("smtp_messages_accepted_total"))


def driver(options, count):
    tls = lambda name: os.path.join(options.tls, name)
    return [os.environ["MB"], "smtp-in", "--port", str(options.mx), "--imap-port", str(options.imap), "--ca", tls("ca.pem"), "--cert", tls("client.pem"), "--key",
            tls("client.key"), "--users-fmt", "u%03d@bench.test", "--users", "20", "--conns", "10", "--size", "10k", "--count", str(count), "--pass", "secret"]


def full_speed(options, log):
    finished = subprocess.run(driver(options, options.count), stdout=subprocess.PIPE, stderr=log, check=True)
    return json.loads(finished.stdout.splitlines()[-1])["msgs_per_s"]


class Flow:
    """Mail at a speed, while it lasts."""

    def __init__(self, options, speed, log):
        self.options, self.speed, self.log = options, speed, log
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.client = Client(self.options)
        self.begin, self.first = time.monotonic(), accepted(self.client)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.took, self.sent = time.monotonic() - self.begin, accepted(self.client) - self.first
        self.is_over.set()
        self.thread.join()

    def per_second(self):
        return round(self.sent / self.took, 1)

    def run(self):
        # More than can be sent: it is ended when the time is over.
        process = subprocess.Popen(driver(self.options, 10_000_000), stdout=subprocess.DEVNULL, stderr=self.log)
        share, client = 0.5, Client(self.options)
        last_at, last = time.monotonic(), accepted(client)
        try:
            while not self.is_over.is_set() and process.poll() is None:
                for _ in range(int(0.5 / SLICE)):
                    process.send_signal(signal.SIGCONT)
                    time.sleep(SLICE * share)
                    process.send_signal(signal.SIGSTOP)
                    time.sleep(SLICE * (1 - share))
                now_at, now = time.monotonic(), accepted(client)
                speed = (now - last) / (now_at - last_at)
                last_at, last = now_at, now
                share = min(1.0, max(0.02, share * min(1.5, max(0.67, self.speed / max(speed, 1)))))
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("https", "mx", "imap", "count"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--tls", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=float, default=100)
    options = parser.parse_args()
    with open(options.log, "a") as log:
        full = statistics.median(full_speed(options, log) for _ in range(3))
        print(json.dumps({"label": "mail alone, full speed", "messages_per_s": full}), flush=True)
        with Flow(options, full / 2, log) as flow:
            time.sleep(options.seconds)
        print(json.dumps({"label": "mail alone, at half", "messages_per_s": flow.per_second()}), flush=True)
        print(json.dumps({"label": "requests alone", **requests(options, options.seconds)}), flush=True)
        with Flow(options, full / 2, log) as flow:
            report = requests(options, options.seconds)
        print(json.dumps({"label": "both", "messages_per_s": flow.per_second(), **report}), flush=True)


if __name__ == "__main__":
    main()
