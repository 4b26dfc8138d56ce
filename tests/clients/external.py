"""Applications that log in with a certificate (SASL EXTERNAL): curl, Python's imaplib and smtplib, msmtp, mbsync and mutt."""
import imaplib
import pathlib
import secrets
import smtplib
import ssl
import time

from account import Account, letter
from demo import eventually
from process import Terminal, environment, home, private, run

# Within which an open session hears that it has ended.
CUT_OFF_S = 5


class Application:
    """An application of the demo, as the one who runs it has it."""

    def __init__(self, demo, operator=0, mailboxes=1):
        known = next(each for each in demo.operator(operator)["applications"] if len(each["mailboxes"]) == mailboxes)
        self.demo, self.operator, self.name = demo, operator, known["name"]
        self.mailboxes, self.cert, self.key = known["mailboxes"], known["cert_file"], known["key_file"]
        self.address = self.mailboxes[0]

    def port(self, name):
        return self.demo.port(self.operator, name)

    def context(self):
        context = ssl.create_default_context(cafile=self.demo.ca)
        context.load_cert_chain(self.cert, self.key)
        return context

    def imap(self, authzid=""):
        client = imaplib.IMAP4_SSL("localhost", self.port("imaps"), ssl_context=self.context(), timeout=60)
        status, said = client.authenticate("EXTERNAL", lambda _: authzid.encode())
        assert status == "OK", said
        return client

    def letters(self, key, authzid=""):
        with self.imap(authzid) as client:
            client.select("INBOX", readonly=True)
            numbers = client.search(None, "SUBJECT", f'"{key}"')[1][0].split()
            return [client.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers]

    def letter(self, key):
        return eventually(lambda: self.letters(key), 40)[0]

    def curl(self, *words, user=None, **options):
        login = [] if user is None else ["--user", f"{user}:"]
        return run("curl", "-sS", "--max-time", "50", "--cacert", self.demo.ca, "--cert", self.cert, "--key", self.key, "--login-options", "AUTH=EXTERNAL", *login, *words, **options)


def curl_reads_and_sends_by_certificate(demo):
    sender, reader = Application(demo), Account.new(demo, "external")
    for port, scheme in ("submission", "smtp"), ("submissions", "smtps"):
        text = letter(f"external-curl-{port}-", sender.address, reader.address)
        sender.curl("--url", f"{scheme}://localhost:{sender.port(port)}", "--ssl-reqd", "--mail-from", sender.address, "--mail-rcpt", reader.address, "--upload-file", "-",
                    user=sender.address, input=text)
        assert reader.letter("INBOX", f"external-curl-{port}-").endswith(text)
    for port, scheme in ("imaps", "imaps"), ("imap", "imap"):
        listing, _ = sender.curl("--ssl-reqd", "--url", f"{scheme}://localhost:{sender.port(port)}/", user=sender.address)
        assert b"INBOX" in listing, listing


def curl_names_the_mailbox_by_its_user(demo):
    application = Application(demo, mailboxes=2)
    address = f"imaps://localhost:{application.port('imaps')}/"
    for mailbox in application.mailboxes:
        listing, _ = application.curl("--url", address, user=mailbox)
        assert b"INBOX" in listing, listing
    # A mailbox that the certificate does not open.
    _, said = application.curl("--url", address, user=Application(demo).address, status=67)
    assert b"Login denied" in said, said


def python_reads_and_sends_by_certificate(demo):
    sender, reader = Application(demo), Application(demo, operator=1)
    texts = [letter(f"external-python-{nth}", sender.address, reader.address) for nth in (1, 2)]
    with smtplib.SMTP("localhost", sender.port("submission"), timeout=60) as client:
        client.starttls(context=sender.context())
        client.ehlo()
        assert "EXTERNAL" in client.esmtp_features["auth"].split()
        # What smtplib makes of an empty answer is `=`.
        assert client.docmd("AUTH EXTERNAL", "=")[0] == 235
        client.sendmail(sender.address, [reader.address], texts[0], ["BODY=8BITMIME"])
    with smtplib.SMTP_SSL("localhost", sender.port("submissions"), context=sender.context(), timeout=60) as client:
        client.ehlo()
        client.auth("EXTERNAL", lambda challenge=None: sender.address, initial_response_ok=False)
        client.sendmail(sender.address, [reader.address], texts[1], ["BODY=8BITMIME"])
    for nth in 1, 2:
        assert reader.letter(f"external-python-{nth}").endswith(texts[nth - 1])
    # imaplib waits for the challenge; the empty answer is an empty line.
    assert reader.letters("external-python-1", reader.address)


def python_is_told_why_a_certificate_opens_nothing(demo):
    several, one = Application(demo, mailboxes=2), Application(demo)
    for application, authzid, why in (several, "", "name one"), (one, several.address, "does not open"):
        try:
            application.imap(authzid)
            raise AssertionError("the login succeeded")
        except imaplib.IMAP4.error as refusal:
            assert "AUTHENTICATIONFAILED" in str(refusal) and why in str(refusal), refusal
    with smtplib.SMTP_SSL("localhost", one.port("submissions"), context=one.context(), timeout=60) as client:
        client.ehlo()
        try:
            client.auth("EXTERNAL", lambda challenge=None: several.address)
            raise AssertionError("the login succeeded")
        except smtplib.SMTPAuthenticationError as refusal:
            assert refusal.smtp_code == 535, refusal


def python_is_cut_off_while_idle_when_its_grant_is_revoked(demo):
    address = f"robot.{secrets.token_hex(4)}@{demo.operator(0)['domain']}"
    application = Application(demo)
    for words in (["mailbox", "create", address, "--kind", "applicative"], ["application", "grant", application.name, address]):
        demo.command(0, *words)
    client = application.imap(address)
    client.select("INBOX")
    client.send(b"t IDLE\r\n")
    assert client.readline().startswith(b"+")
    demo.command(0, "application", "revoke", application.name, address)
    begun = time.monotonic()
    said = client.readline()
    assert said.startswith(b"* BYE"), said
    assert client.readline() == b"" and time.monotonic() - begun < CUT_OFF_S
    client.shutdown()
    # The mailbox that it still has opens as before.
    application.imap().logout()


def msmtp_sends_by_certificate(demo):
    sender, reader = Application(demo), Account.new(demo, "external")
    with home() as folder:
        for key, port in ("external-msmtp-1", "submission"), ("external-msmtp-2", "submissions"):
            settings = private(folder / "msmtprc", f"""account demo
host localhost
port {sender.port(port)}
from {sender.address}
auth external
user {sender.address}
tls on
tls_starttls {'on' if port == 'submission' else 'off'}
tls_trust_file {demo.ca}
tls_cert_file {sender.cert}
tls_key_file {sender.key}
account default: demo
""")
            text = letter(key, sender.address, reader.address)
            run("msmtp", "-C", settings, "--", reader.address, input=text.replace(b"\r\n", b"\n"), env=environment(folder))
            assert reader.letter("INBOX", key).endswith(text)


def mbsync_fetches_by_certificate(demo):
    reader, key = Application(demo), f"external-mbsync-{secrets.token_hex(4)}"
    with reader.imap() as client:
        client.append("INBOX", None, None, letter(key, reader.address, reader.address))
    with home() as folder:
        mail = folder / "mail"
        mail.mkdir()
        settings = private(folder / "mbsyncrc", f"""IMAPAccount demo
Host localhost
Port {reader.port('imaps')}
User {reader.address}
AuthMechs EXTERNAL
SSLType IMAPS
SystemCertificates no
CertificateFile {demo.ca}
ClientCertificate {reader.cert}
ClientKey {reader.key}

IMAPStore remote
Account demo

MaildirStore local
Path {mail}/
Inbox {mail}/INBOX

Channel inbox
Far :remote:INBOX
Near :local:INBOX
Create Near
SyncState *
""")
        run("mbsync", "-c", settings, "-a", env=environment(folder))
        fetched = [file.read_bytes() for part in ("new", "cur") for file in (mail / "INBOX" / part).iterdir()]
    assert any(key.encode() in each for each in fetched), len(fetched)


def mutt_reads_by_certificate(demo):
    reader, key = Application(demo), f"external-mutt-{secrets.token_hex(4)}"
    with reader.imap() as client:
        client.append("INBOX", None, None, letter(key, reader.address, reader.address))
    with home() as folder:
        both = private(folder / "client.pem", pathlib.Path(reader.key).read_text() + pathlib.Path(reader.cert).read_text())
        user = reader.address.replace("@", "%40")
        # Left to itself it takes PLAIN first, and asks for a password.
        settings = private(folder / "muttrc", f"""set ssl_force_tls=yes ssl_starttls=yes imap_authenticators="external"
set ssl_ca_certificates_file="{demo.ca}" certificate_file="{folder}/certificates" ssl_client_cert="{both}"
set folder="imaps://{user}@localhost:{reader.port('imaps')}/" spoolfile="=INBOX"
set move=no sleep_time=0 wait_key=no tmpdir="{folder}" header_cache="" message_cachedir="" timeout=1 mail_check=1
""")
        with Terminal(folder, "mutt", "-F", settings) as terminal:
            terminal.sees(key)


USUAL = [curl_reads_and_sends_by_certificate, curl_names_the_mailbox_by_its_user, python_reads_and_sends_by_certificate, python_is_told_why_a_certificate_opens_nothing,
         python_is_cut_off_while_idle_when_its_grant_is_revoked, msmtp_sends_by_certificate, mbsync_fetches_by_certificate]
MORE = [mutt_reads_by_certificate]
