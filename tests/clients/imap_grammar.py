"""The part of the IMAP grammar that answers to FETCH of a structure are made of (RFC 3501 §9, RFC 9051 §9), to the letter: no blank too many or too few."""


class GrammarError(Exception):
    """The octets are not what the grammar allows; tells where."""


class Reader:
    """Reads an answer from its start. Strings come out as bytes, NIL as None."""

    def __init__(self, octets, at=0):
        self.octets, self.at = octets, at

    def fail(self, expected):
        raise GrammarError(f"expected {expected} at octet {self.at}: {self.octets[max(0, self.at - 40):self.at]!r} | {self.octets[self.at:self.at + 40]!r}")

    def peek(self):
        return self.octets[self.at:self.at + 1]

    def accept(self, text):
        found = self.octets.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found

    def expect(self, text):
        if not self.accept(text):
            self.fail(text)

    def number(self):
        start = self.at
        while self.peek().isdigit():
            self.at += 1
        if self.at == start:
            self.fail("a number")
        return int(self.octets[start:self.at])

    def string(self):
        if self.accept(b"{"):
            length = self.number()
            self.expect(b"}\r\n")
            text = self.octets[self.at:self.at + length]
            if len(text) != length or b"\0" in text:
                self.fail("a whole literal without NUL")
            self.at += length
            return text
        self.expect(b'"')
        text = bytearray()
        while not self.accept(b'"'):
            escaped = self.accept(b"\\")
            octet = self.peek()
            if escaped and octet not in (b'"', b"\\") or not octet or octet in b"\0\r\n" or octet[0] >= 0x80:
                self.fail("a character of a quoted string")
            text += octet
            self.at += 1
        return bytes(text)

    def nstring(self):
        return None if self.accept(b"NIL") else self.string()

    def spaced(self, *readers):
        """What each reads, one space between two."""
        out = []
        for read in readers:
            if out:
                self.expect(b" ")
            out.append(read())
        return out

    def in_parentheses(self, read):
        self.expect(b"(")
        value = read()
        self.expect(b")")
        return value

    def envelope(self):
        names = ("date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id")
        readers = [self.nstring] * 2 + [self.addresses] * 6 + [self.nstring] * 2
        return dict(zip(names, self.in_parentheses(lambda: self.spaced(*readers))))

    def addresses(self):
        if self.accept(b"NIL"):
            return None
        self.expect(b"(")
        out = []
        while not out or not self.accept(b")"):
            out.append(tuple(self.in_parentheses(lambda: self.spaced(*[self.nstring] * 4))))
        return out

    def parameters(self):
        if self.accept(b"NIL"):
            return None

        def pairs():
            out = []
            while not out or self.accept(b" "):
                out.append(tuple(self.spaced(self.string, self.string)))
            return out
        return self.in_parentheses(pairs)

    def disposition(self):
        return None if self.accept(b"NIL") else tuple(self.in_parentheses(lambda: self.spaced(self.string, self.parameters)))

    def languages(self):
        if self.peek() != b"(":
            return self.nstring()

        def tags():
            out = [self.string()]
            while self.accept(b" "):
                out.append(self.string())
            return out
        return self.in_parentheses(tags)

    def body(self, extended):
        """One body as a dict; `parts` holds those of a multipart, `envelope` and `body` what an embedded message is."""
        return self._bodies(extended)

    def _bodies(self, extended):
        # Without recursion: nests are as deep as the messages.
        open_bodies, done = [], None
        while True:
            if done is None:
                self.expect(b"(")
                if self.peek() == b"(":
                    open_bodies.append({"parts": []})
                    continue
                body = self._fields()
                if "envelope" in body:
                    open_bodies.append(body)
                    continue
                done = self._end(body, extended)
            if not open_bodies:
                return done
            holder = open_bodies[-1]
            if "parts" in holder:
                holder["parts"].append(done)
                done = None
                if self.peek() == b"(":
                    continue
                self.expect(b" ")
                holder["subtype"] = self.string()
            else:
                holder["body"] = done
                self.expect(b" ")
                holder["lines"] = self.number()
            done = self._end(open_bodies.pop(), extended)

    def _fields(self):
        names = ("type", "subtype", "parameters", "id", "description", "encoding", "size")
        body = dict(zip(names, self.spaced(self.string, self.string, self.parameters, self.nstring, self.nstring, self.string, self.number)))
        if body["type"].lower() == b"text":
            self.expect(b" ")
            body["lines"] = self.number()
        elif (body["type"].lower(), body["subtype"].lower()) in ((b"message", b"rfc822"), (b"message", b"global")) and self.accept(b" ("):
            self.at -= 1
            body["envelope"] = self.envelope()
            self.expect(b" ")
        return body

    def _end(self, body, extended):
        if extended:
            self.expect(b" ")
            if "parts" in body:
                body["parameters"] = self.parameters()
            else:
                body["md5"] = self.nstring()
            self.expect(b" ")
            body["disposition"], body["language"], body["location"] = self.spaced(self.disposition, self.languages, self.nstring)
        self.expect(b")")
        return body

    def fetch(self):
        """`* n FETCH (item value ...)`: the number and a dict of the items. FLAGS and UID are passed over."""
        self.expect(b"* ")
        sequence = self.number()
        self.expect(b" FETCH (")
        items = {}
        while True:
            name = self._item_name()
            self.expect(b" ")
            items[name] = self._value(name)
            if self.accept(b")\r\n"):
                break
            self.expect(b" ")
        if self.at != len(self.octets):
            self.fail("the end")
        return sequence, items

    def _item_name(self):
        start = self.at
        while self.peek() not in (b" ", b"[", b""):
            self.at += 1
        if self.peek() == b"[":
            self.at = self.octets.index(b"]", self.at) + 1
        return self.octets[start:self.at].decode()

    def _value(self, name):
        readers = {"ENVELOPE": self.envelope, "BODY": lambda: self.body(False), "BODYSTRUCTURE": lambda: self.body(True),
                   "RFC822.SIZE": self.number, "UID": self.number, "FLAGS": self._flags}
        if name.startswith("BODY["):
            return self._section()
        if name not in readers:
            self.fail("an item that was asked for")
        return readers[name]()

    def _section(self):
        # A section may hold what a string of an envelope may not.
        if self.peek() != b"{":
            return self.nstring()
        self.at += 1
        length = self.number()
        self.expect(b"}\r\n")
        self.at += length
        return self.octets[self.at - length:self.at]

    def _flags(self):
        end = self.octets.index(b")", self.at) + 1
        flags, self.at = self.octets[self.at:end], end
        return flags
