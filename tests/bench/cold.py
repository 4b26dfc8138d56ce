#!/usr/bin/env python3
"""How long a server takes from its start to its greetings.

cold.py wait PORT...                            returns once each port greets
cold.py measure MX IMAP START [STOP]            starts the server with the shell command START, prints one line of JSON, and stops it: with STOP, or SIGTERM
"""
import json
import socket
import subprocess
import sys
import time

LIMIT = 120


def greeting(port, begin):
    """Seconds since `begin` at which the port sent a greeting."""
    while time.monotonic() < begin + LIMIT:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.settimeout(30)
                if connection.recv(100):
                    return time.monotonic() - begin
        except OSError:
            time.sleep(0.002)
    sys.exit(f"port {port} did not greet within {LIMIT} s")


def main():
    if sys.argv[1] == "wait":
        begin = time.monotonic()
        for port in sys.argv[2:]:
            greeting(int(port), begin)
        return
    mx, imap, start = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    begin = time.monotonic()
    server = subprocess.Popen(["bash", "-c", start], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    imap_s = greeting(imap, begin)
    mx_s = greeting(mx, begin)
    print(json.dumps({"label": "cold", "imap_ms": imap_s * 1000, "mx_ms": mx_s * 1000}))
    if len(sys.argv) > 5:
        server.wait(timeout=60)
        subprocess.run(["bash", "-c", sys.argv[5]], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=True)
    else:
        server.terminate()
        server.wait(timeout=60)


if __name__ == "__main__":
    main()
