"""SMTP servers that speak TLS with OpenSSL, one for each entry of a JSON file: {"name", "cert", "key", "ca", "behaviour", "version"}.

Behaviour: usual, clear (no STARTTLS), stripped (STARTTLS overwritten), refused (454 to STARTTLS), injecting (replies in clear behind the one to STARTTLS).
Says on standard output, a line of JSON each: the port of every server, then whatever happens to one.
"""
import json
import socket
import ssl
import sys
import threading

said = threading.Lock()


def say(name, what, told=None):
    with said:
        print(json.dumps({"name": name, "what": what, "told": told}), flush=True)


class Lines:
    def __init__(self, stream):
        self.stream, self.buffer = stream, b""

    def next(self):
        while b"\r\n" not in self.buffer:
            piece = self.stream.recv(65536)
            if not piece:
                return None
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def goes_on(self, seconds):
        """Whether more is sent before it is answered."""
        if self.buffer:
            return True
        self.stream.settimeout(seconds)
        try:
            self.buffer += self.stream.recv(65536)
            return bool(self.buffer)
        except (TimeoutError, OSError):
            return False
        finally:
            self.stream.settimeout(30)


USUAL = {"MAIL": "250 2.1.0 OK", "RCPT": "250 2.1.5 OK", "DATA": "354 Go", "RSET": "250 2.0.0 OK", "NOOP": "250 2.0.0 OK", "QUIT": "221 2.0.0 Bye"}
HELLO = "250-mx.third.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 "
INJECTED = "220 Go\r\n250-mx.third.example\r\n250 PIPELINING\r\n250 2.1.0 OK\r\n250 2.1.5 OK\r\n354 Go\r\n"


def serve(plan, stream):
    name, behaviour = plan["name"], plan["behaviour"]
    stream.settimeout(30)
    stream.sendall(b"220 mx.third.example ESMTP\r\n")
    lines, secret, first = Lines(stream), False, False
    while True:
        line = lines.next()
        if line is None:
            return
        say(name, "command", line)
        verb = line.split(" ")[0].split(":")[0].upper()
        if first and behaviour == "injecting" and lines.goes_on(0.7):
            say(name, "believed")
        first = False
        if verb == "STARTTLS" and not secret and behaviour in ("usual", "injecting"):
            stream.sendall((INJECTED if behaviour == "injecting" else "220 Go\r\n").encode())
            stream = plan["context"].wrap_socket(stream, server_side=True)
            shown = stream.getpeercert()
            say(name, "handshake", [stream.version(), shown and shown["subject"][-1][0][1]])
            lines, secret, first = Lines(stream), True, True
            continue
        if verb == "EHLO":
            offer = "SIZE" if secret or behaviour == "clear" else "XXXXXXXX" if behaviour == "stripped" else "STARTTLS"
            answer = HELLO + offer
        elif verb == "STARTTLS":
            answer = "454 4.7.0 Not now" if behaviour == "refused" else "502 5.5.1 Not known"
        else:
            answer = USUAL.get(verb, "500 5.5.1 Not known")
        stream.sendall((answer + "\r\n").encode())
        if verb == "QUIT":
            return
        if verb == "DATA":
            content = []
            while (line := lines.next()) != ".":
                if line is None:
                    return
                content.append(line)
            say(name, "message", "\n".join(content))
            stream.sendall(b"250 2.0.0 Taken\r\n")


def session(plan, stream):
    say(plan["name"], "opened")
    try:
        serve(plan, stream)
    except (OSError, ssl.SSLError) as error:
        say(plan["name"], "failed", str(error))
    finally:
        stream.close()
        say(plan["name"], "ended")


def listen(plan):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[plan["version"]]
    context.load_cert_chain(plan["cert"], plan["key"])
    context.load_verify_locations(plan["ca"])
    context.verify_mode = ssl.CERT_OPTIONAL
    plan["context"] = context
    server = socket.create_server(("127.0.0.1", 0))
    say(plan["name"], "port", server.getsockname()[1])
    while True:
        stream, _ = server.accept()
        threading.Thread(target=session, args=(plan, stream), daemon=True).start()


with open(sys.argv[1], encoding="utf-8") as file:
    for entry in json.load(file):
        threading.Thread(target=listen, args=(entry,), daemon=True).start()
# Until whoever started it is gone.
sys.stdin.read()
