"""Programs that keep a copy on the user's disk: mbsync and offlineimap3, both ways."""
import contextlib
import mailbox
import os
import re

from account import ACCENTED, ACCENTED_WIRE, Account, attachment, body, letter, with_attachment
from logins import few_refusals
from process import environment, home, named, private, run

# What a system trusts by itself: never the demo's authority.
PUBLIC_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


class Mbsync:
    """isync with a Maildir. Folder names on the disk are those of the wire."""

    accented = ACCENTED_WIRE
    failure = 1

    def __init__(self, account, folder, port="imaps", password=None, trust=None):
        self.folder, self.mail = folder, folder / "mail"
        self.mail.mkdir()
        self.settings = private(folder / "mbsyncrc", f"""IMAPAccount demo
Host localhost
Port {account.port(port)}
User {account.username}
Pass {password or account.password}
SSLType {'IMAPS' if port == 'imaps' else 'STARTTLS'}
SystemCertificates no
CertificateFile {trust or account.demo.ca}

IMAPStore remote
Account demo

MaildirStore local
Path {self.mail}/
Inbox {self.mail}/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
""")

    def sync(self, status=0):
        return run("mbsync", "-c", self.settings, "-a", env=environment(self.folder), status=status)[1]


class Offlineimap:
    """OfflineIMAP with a Maildir; it decodes folder names."""

    accented = ACCENTED
    failure = set(range(1, 256))

    def __init__(self, account, folder, port="imaps", password=None, trust=None):
        self.folder, self.mail = folder, folder / "mail"
        self.settings = private(folder / "offlineimaprc", f"""[general]
accounts = demo
metadata = {folder}/state
ui = basic
socktimeout = 30
fsync = False

[Account demo]
localrepository = local
remoterepository = remote
utf8foldernames = yes

[Repository local]
type = Maildir
localfolders = {self.mail}
sep = /

[Repository remote]
type = IMAP
remotehost = localhost
remoteport = {account.port(port)}
remoteuser = {account.username}
remotepass = {password or account.password}
ssl = {'yes' if port == 'imaps' else 'no'}
starttls = {'no' if port == 'imaps' else 'yes'}
sslcacertfile = {trust or account.demo.ca}
""")

    def sync(self, status=0):
        return run("offlineimap", "-o", "-c", self.settings, env=environment(self.folder), status=status)[1]


@contextlib.contextmanager
def client(kind, account, **options):
    with home() as folder:
        yield kind(account, folder, **options)


def local(sync, folder):
    """The letters of a folder on the user's disk: Subject to (octets, flags, file)."""
    found = {}
    box = mailbox.Maildir(sync.mail / folder, create=False)
    for key in box.iterkeys():
        message = box.get_message(key)
        # mbsync marks each letter that it carries.
        octets = re.sub(rb"(?m)^X-TUID: .*\n", b"", box.get_bytes(key), count=1)
        found[str(message["Subject"]).split()[-1]] = (octets, set(message.get_flags()), sync.mail / folder / box._lookup(key))
    return found


def first_copy_is_whole(kind, name, demo):
    """Every folder and every octet is on the disk after the first run; a second run changes nothing."""
    account = Account.new(demo, name)
    account.create(ACCENTED_WIRE)
    account.create("Dossiers/2026")
    texts = {"INBOX": letter(f"{name}-a", account.address, account.address),
             ACCENTED_WIRE: letter(f"{name}-b", account.address, account.address),
             "Dossiers/2026": with_attachment(f"{name}-c", account.address, account.address, "radio.pdf", attachment(3_000_000))}
    for folder, text in texts.items():
        account.append(folder, text, r"(\Seen)")
    with client(kind, account) as sync:
        sync.sync()
        for folder, text in texts.items():
            copies = local(sync, sync.accented if folder == ACCENTED_WIRE else folder)
            assert [octets for octets, _, _ in copies.values()] == [text.replace(b"\r\n", b"\n")], (folder, copies.keys())
            assert [flags for _, flags, _ in copies.values()] == [{"S"}], copies
        sync.sync()
        assert [account.count(folder) for folder in texts] == [1, 1, 1]


def changes_go_both_ways(kind, name, demo):
    """Flags, new letters and deletions, from the server to the disk and back."""
    account = Account.new(demo, name)
    keys = [f"{name}-{i}" for i in range(4)]
    texts = {key: letter(key, account.address, account.address) for key in keys}
    for text in texts.values():
        account.append("INBOX", text)
    with client(kind, account) as sync:
        sync.sync()
        inbox = local(sync, "INBOX")
        assert {key: octets for key, (octets, _, _) in inbox.items()} == {key: text.replace(b"\r\n", b"\n") for key, text in texts.items()}
        read_and_flagged(sync, inbox[keys[0]][2])
        inbox[keys[1]][2].unlink()
        account.flag("INBOX", keys[2], "+FLAGS", r"(\Answered \Flagged)")
        account.expunge("INBOX", keys[3])
        (sync.mail / "INBOX/new/1700000000.up.localhost").write_bytes(letter(f"{name}-up", account.address, account.address).replace(b"\r\n", b"\n"))
        sync.sync()
        inbox = local(sync, "INBOX")
        assert set(inbox) == {keys[0], keys[2], f"{name}-up"}, inbox.keys()
        assert inbox[keys[2]][1] == {"R", "F"}, inbox[keys[2]]
        assert account.flags("INBOX", keys[0]) >= {b"\\Seen", b"\\Flagged"}
        assert account.count("INBOX") == 3 and account.flags("INBOX", keys[1]) is None
        assert body(account.letter("INBOX", f"{name}-up")) == body(letter(f"{name}-up", account.address, account.address))
        # A flag taken away on either side goes too.
        account.flag("INBOX", keys[2], "-FLAGS", r"(\Flagged)")
        unflagged(inbox[keys[0]][2])
        sync.sync()
        assert local(sync, "INBOX")[keys[2]][1] == {"R"}
        assert b"\\Flagged" not in account.flags("INBOX", keys[0])


def read_and_flagged(sync, file):
    os.rename(file, sync.mail / "INBOX/cur" / (file.name.split(":")[0] + ":2,FS"))


def unflagged(file):
    os.rename(file, file.with_name(file.name.replace("FS", "S")))


def copies_with_starttls(kind, name, demo):
    account = Account.new(demo, name)
    text = letter(f"{name}-starttls", account.address, account.address)
    account.append("INBOX", text)
    with client(kind, account, port="imap") as sync:
        sync.sync()
        assert [octets for octets, _, _ in local(sync, "INBOX").values()] == [text.replace(b"\r\n", b"\n")]


def wrong_password_ends_it(kind, name, demo):
    account = Account.of_demo(demo, 0)
    with client(kind, account, password="wrong") as sync, few_refusals(demo):
        said = sync.sync(status=kind.failure)
    assert b"AUTHENTICATIONFAILED" in said, said


def unknown_authority_ends_it(kind, name, demo):
    account = Account.of_demo(demo, 0)
    with client(kind, account, trust=PUBLIC_AUTHORITIES) as sync:
        said = sync.sync(status=kind.failure)
        assert b"certificate" in said.lower(), said
        assert not list(sync.mail.rglob("cur/*"))


# With STARTTLS, OfflineIMAP falls silent or crashes in one of a dozen runs, before it sends anything on TLS: its library reads and writes a connection from two threads.
ALL = [first_copy_is_whole, changes_go_both_ways, wrong_password_ends_it, copies_with_starttls, unknown_authority_ends_it]
USUAL = [named("mbsync", what, Mbsync, "mbsync") for what in ALL[:3]]
MORE = [named("mbsync", what, Mbsync, "mbsync") for what in ALL[3:]] + [named("offlineimap", what, Offlineimap, "offlineimap") for what in ALL if what is not copies_with_starttls]
