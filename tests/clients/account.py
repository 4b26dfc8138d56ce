"""A mailbox of the demo as its owner has it, and the letters that the clients send and read."""
import email
import email.policy
import imaplib
import itertools
import random
import secrets
import subprocess

from demo import BINARY, eventually

# A folder name with what must be escaped in modified UTF-7 (RFC 3501, 5.1.3), as its owner reads it and as it goes over the wire.
ACCENTED = "Résultats & été"
ACCENTED_WIRE = "R&AOk-sultats &- &AOk-t&AOk-"

_serial = itertools.count(1)


class Account:
    """A mailbox with its login."""

    def __init__(self, demo, operator, address, username, password):
        self.demo, self.operator, self.address, self.username, self.password = demo, operator, address, username, password

    @classmethod
    def of_demo(cls, demo, operator, kind="personal", nth=0):
        """A mailbox that the demo made."""
        known = demo.mailbox(operator, kind, nth)
        return cls(demo, operator, known["address"], known["username"], known["password"])

    @classmethod
    def new(cls, demo, name, operator=0):
        """An empty mailbox, made while the server runs, so that no check sees the letters of another."""
        address = f"{name}.{next(_serial)}@{demo.operator(operator)['domain']}"
        password = secrets.token_hex(10)
        subprocess.run([BINARY, "mailbox", "create", address, "--kind", "personal", "--quota", "1G", "--password-stdin", "--config", demo.operator(operator)["config_file"]],
                       input=f"{password}\n".encode(), check=True, capture_output=True, timeout=60)
        return cls(demo, operator, address, address, password)

    def port(self, name):
        return self.demo.port(self.operator, name)

    def imap(self):
        """A session of imaplib: what the other clients are checked with."""
        client = imaplib.IMAP4_SSL("localhost", self.port("imaps"), ssl_context=self.demo.context(), timeout=60)
        client.login(self.username, self.password)
        return client

    def append(self, folder, text, flags=None):
        with self.imap() as client:
            status, answer = client.append(quoted(folder), flags, None, text)
        assert status == "OK", answer

    def create(self, folder):
        with self.imap() as client:
            status, answer = client.create(quoted(folder))
        assert status == "OK", answer

    def count(self, folder):
        with self.imap() as client:
            return int(client.select(quoted(folder), readonly=True)[1][0])

    def expunge(self, folder, key):
        """Deletes for good the letter with `key` in its Subject."""
        with self.imap() as client:
            client.select(quoted(folder))
            client.store(find(client, key)[0], "+FLAGS", r"(\Deleted)")
            client.expunge()

    def flag(self, folder, key, change, flags):
        with self.imap() as client:
            client.select(quoted(folder))
            client.store(find(client, key)[0], change, flags)

    def flags(self, folder, key):
        """The flags of the letter with `key` in its Subject; none if it is not there."""
        with self.imap() as client:
            status, _ = client.select(quoted(folder), readonly=True)
            numbers = find(client, key) if status == "OK" else []
            if not numbers:
                return None
            _, data = client.fetch(numbers[0], "(FLAGS)")
        return set(imaplib.ParseFlags(data[0]))

    def letter(self, folder, key):
        """The octets of the letter with `key` in its Subject, once it is there."""
        return eventually(lambda: self.letters(folder, key), 40)[0]

    def letters(self, folder, key):
        """The octets of each letter with `key` in its Subject."""
        with self.imap() as client:
            status, _ = client.select(quoted(folder), readonly=True)
            numbers = find(client, key) if status == "OK" else []
            return [client.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers]


def quoted(folder):
    return f'"{folder}"'


def find(client, key):
    return client.search(None, "SUBJECT", f'"{key}"')[1][0].split()


def letter(key, sender, recipient):
    """A letter whose octets must come through as they are: accents in the Subject and the body, dots at the start of lines, a line of 998 octets, blanks at the end of one."""
    return (f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: =?utf-8?Q?R=C3=A9sultat_d'analyse?= {key}\r\nDate: Sat, 21 Nov 2026 09:00:00 +0100\r\n"
            f"Message-ID: <{key}@clients.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            f"Chère consœur,\r\n.une ligne qui commence par un point\r\n..deux points\r\n.\r\nun point seul avant\r\n{'é' * 499}\r\nblancs à la fin  \r\n\r\nfin\r\n").encode()


def attachment(octets, seed=0):
    """A file of that size which no compression shortens."""
    return random.Random(seed).randbytes(octets)


def with_attachment(key, sender, recipient, name, content):
    """A letter with a text and a file, built by the standard library."""
    built = email.message.EmailMessage(policy=email.policy.SMTP)
    built["From"], built["To"], built["Subject"] = sender, recipient, f"Compte rendu opératoire {key}"
    built["Date"], built["Message-ID"] = "Sat, 21 Nov 2026 09:00:00 +0100", f"<{key}@clients.test>"
    built.set_content("Voir la pièce jointe.\n")
    built.add_attachment(content, maintype="application", subtype="pdf", filename=name)
    return built.as_bytes()


def parsed(text):
    return email.message_from_bytes(text, policy=email.policy.default)


def attached(text):
    """Name and content of the files in a letter."""
    return {part.get_filename(): part.get_payload(decode=True) for part in parsed(text).iter_attachments()}


def body(text):
    return text.split(b"\r\n\r\n", 1)[1]
