"""A mailbox as Thunderbird has it, and the same as an imaplib session has it."""
import imaplib
from email import message_from_bytes, policy

from demo import eventually

# nsMsgSocketType
STARTTLS, TLS = 2, 3


class Account:
    """An account of Thunderbird, and the same mailbox seen from outside."""

    def __init__(self, stage, operator, kind, imap, submission):
        self.demo, self.thunderbird, self.operator = stage.demo, stage.thunderbird, operator
        self.user = stage.demo.mailbox(operator, kind)
        self.form = {
            "host": "localhost", "address": self.user["address"], "username": self.user["username"], "password": self.user["password"],
            "imapPort": self.demo.port(operator, imap), "imapSocket": TLS if imap == "imaps" else STARTTLS,
            "smtpPort": self.demo.port(operator, submission), "smtpSocket": TLS if submission == "submissions" else STARTTLS,
        }
        self.key = self.root = None

    def add(self, **changes):
        made = self.thunderbird.call("addAccount", {**self.form, **changes})
        self.key, self.root = made["account"], made["root"]

    def session(self, folder=None):
        client = imaplib.IMAP4_SSL("localhost", self.demo.port(self.operator, "imaps"), ssl_context=self.demo.context(), timeout=30)
        client.login(self.user["username"], self.user["password"])
        if folder:
            ok, answer = client.select(f'"{folder}"')
            assert ok == "OK", answer
        return client

    def stored(self, folder, subject=None):
        """Messages of a folder on the server, as (flags, parsed message), of one subject or all."""
        with self.session(folder) as client:
            numbers = client.search(None, "ALL")[1][0].split()
            found = []
            for number in numbers:
                # Beside the answer, changes by others may be told; one that another session removed meanwhile is answered by nothing.
                parts = [part for part in client.fetch(number, "(FLAGS BODY.PEEK[])")[1] if isinstance(part, tuple)]
                if not parts:
                    continue
                [(first, content)] = parts
                message = message_from_bytes(content, policy=policy.default)
                if subject is None or message["Subject"] == subject:
                    found.append(({flag.decode() for flag in imaplib.ParseFlags(first)}, message))
            return found

    def flags(self, folder, subject):
        [(flags, _)] = self.stored(folder, subject)
        return flags

    def uri(self, *path):
        """A folder as Thunderbird names it: found by the names that it shows."""
        wanted = "/".join(path)
        for folder in self.thunderbird.call("folders", self.root):
            if folder["path"] == wanted:
                return folder["uri"]
        return None

    def see(self, folder, subject, seconds=15):
        """Thunderbird's row of a message, once it has it, without being told to look."""
        def there():
            return next((m for m in self.thunderbird.call("messages", self.uri(folder)) if m["subject"] == subject), None)

        return eventually(there, seconds)
