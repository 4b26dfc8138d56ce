#!/usr/bin/env python3
"""Real clients against the demo: curl, swaks, mbsync, Python smtplib and imaplib. One line for each check."""
import imaplib
import os
import pathlib
import smtplib
import subprocess
import sys
import tempfile
import traceback

from demo import Demo, eventually

LETTER = ("From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\nX-MSS-Inconnu: valeur \xe9\r\n\r\n"
          "Ch\xe8re cons\u0153ur,\r\n.une ligne qui commence par un point\r\n..deux points\r\n\r\nfin\r\n")


def letter(demo, subject, operator=0, to=1):
    sender, recipient = demo.mailbox(operator, "personal")["address"], demo.mailbox(to, "personal")["address"]
    return sender, recipient, LETTER.format(sender=sender, recipient=recipient, subject=subject).encode()


def imap(demo, operator, kind="personal", nth=0):
    user = demo.mailbox(operator, kind, nth)
    client = imaplib.IMAP4_SSL("localhost", demo.port(operator, "imaps"), ssl_context=demo.context())
    client.login(user["username"], user["password"])
    return client


def body_of(demo, operator, subject):
    """The whole message of that subject, once it is there."""
    client = imap(demo, operator)

    def found():
        client.select("INBOX")
        _, data = client.search(None, "SUBJECT", subject)
        return data[0].split()

    numbers = eventually(found)
    _, data = client.fetch(numbers[-1], "(BODY.PEEK[])")
    client.logout()
    return data[0][1]


def run(*words, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, timeout=60, **options)
    assert done.returncode == 0, f"{words[0]} ended with {done.returncode}: {(done.stdout + done.stderr).decode(errors='replace')[-1500:]}"
    return done.stdout


def curl_sends_and_reads(demo):
    sender, recipient, text = letter(demo, "curl-1")
    user = demo.mailbox(0, "personal")
    run("curl", "-s", "--cacert", demo.ca, "--url", f"smtp://localhost:{demo.port(0, 'submission')}", "--ssl-reqd", "--mail-from", sender, "--mail-rcpt", recipient,
        "--user", f"{user['username']}:{user['password']}", "--upload-file", "-", input=text)
    assert body_of(demo, 1, "curl-1").endswith(text.split(b"\r\n\r\n", 1)[1])
    reader = demo.mailbox(1, "personal")
    listing = run("curl", "-s", "--cacert", demo.ca, "--url", f"imaps://localhost:{demo.port(1, 'imaps')}/", "--user", f"{reader['username']}:{reader['password']}")
    assert b"INBOX" in listing and b"\\Sent" in listing, listing
    message = run("curl", "-s", "--cacert", demo.ca, "--url", f"imaps://localhost:{demo.port(1, 'imaps')}/INBOX;MAILINDEX=1", "--user", f"{reader['username']}:{reader['password']}")
    assert b"Subject:" in message


def swaks_as_another_operator(demo):
    sender, recipient, _ = letter(demo, "")
    own = demo.operator(0)
    run("swaks", "--server", f"127.0.0.1:{demo.port(1, 'smtp')}", "--tls", "--tls-cert", own["server_cert_file"], "--tls-key", own["server_key_file"],
        "--from", sender, "--to", recipient, "--header", "Subject: swaks-1", "--helo", own["hostname"])
    assert b"This is a test mailing" in body_of(demo, 1, "swaks-1")


def swaks_without_a_certificate_is_refused(demo):
    sender, recipient, _ = letter(demo, "")
    done = subprocess.run(["swaks", "--server", f"127.0.0.1:{demo.port(1, 'smtp')}", "--tls", "--from", sender, "--to", recipient], capture_output=True, timeout=60)
    assert done.returncode == 23 and b"550 5.7.1" in done.stdout, done.stdout[-800:]


def smtplib_large_attachment_crosses_byte_for_byte(demo):
    sender, recipient, text = letter(demo, "large-1")
    text += b"\r\n".join(bytes([65 + i % 26]) * 998 for i in range(21_000)) + b"\r\n"
    user = demo.mailbox(0, "personal")
    with smtplib.SMTP_SSL("localhost", demo.port(0, "submissions"), context=demo.context()) as client:
        client.login(user["username"], user["password"])
        client.sendmail(sender, [recipient], text, mail_options=["BODY=8BITMIME"])
    arrived = body_of(demo, 1, "large-1")
    header, body = text.split(b"\r\n\r\n", 1)
    assert arrived.split(b"\r\n\r\n", 1)[1] == body
    assert header in arrived


def imaplib_works_a_mailbox(demo):
    client = imap(demo, 0)
    assert client.create("Dossiers/2026")[0] == "OK"
    assert client.append("Dossiers/2026", r"(\Seen \Flagged)", '"21-Nov-2026 08:00:00 +0000"', b"Subject: brouillon\r\n\r\ntexte\r\n")[0] == "OK"
    assert client.select("Dossiers/2026")[1] == [b"1"]
    _, data = client.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY[TEXT])")
    joined = b" ".join(part if isinstance(part, bytes) else b" ".join(part) for part in data)
    assert b"\\Flagged" in joined and b'"21-Nov-2026 08:00:00 +0000"' in joined and b'"brouillon"' in joined and b"texte" in joined, joined
    assert client.store("1", "-FLAGS", r"(\Flagged)")[0] == "OK"
    assert client.copy("1", "Archive")[0] == "OK"
    assert client.uid("MOVE", "1", "Trash")[0] == "OK"
    assert client.select("Dossiers/2026")[1] == [b"0"]
    assert client.select("Trash")[1] == [b"1"]
    assert client.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK" and client.expunge()[0] == "OK"
    assert client.close()[0] == "OK" and client.delete("Dossiers/2026")[0] == "OK"
    client.logout()


def imaplib_organizational_mailbox_by_its_administrator(demo):
    client = imap(demo, 0, "organizational")
    assert int(client.select("INBOX")[1][0]) >= 3
    client.logout()


def mbsync_two_ways(demo):
    user = demo.mailbox(0, "personal", 1)
    home = pathlib.Path(tempfile.mkdtemp(prefix="mbsync-"))
    (home / "rc").write_text(f"""IMAPAccount demo
Host localhost
Port {demo.port(0, 'imaps')}
User {user['username']}
Pass {user['password']}
SSLType IMAPS
CertificateFile {demo.ca}

IMAPStore remote
Account demo

MaildirStore local
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Expunge Both
SyncState *
""")
    os.mkdir(home / "mail")
    run("mbsync", "-c", home / "rc", "-a")
    inbox = home / "mail/INBOX"
    arrived = [p for sub in ("new", "cur") for p in (inbox / sub).iterdir()]
    assert len(arrived) == 3, arrived
    (inbox / "new/100.local").write_bytes(b"From: <a@b.test>\nSubject: mbsync-up\n\nvers le serveur\n")
    first = sorted(arrived)[0]
    first.rename(inbox / "cur" / (first.name.split(":")[0] + ":2,FS"))
    run("mbsync", "-c", home / "rc", "-a")
    client = imap(demo, 0, nth=1)
    assert client.select("INBOX")[1] == [b"4"]
    assert len(client.search(None, "FLAGGED", "SEEN")[1][0].split()) == 1
    assert client.search(None, "SUBJECT", "mbsync-up")[1][0]
    client.store("1", "+FLAGS", r"(\Deleted)")
    client.expunge()
    client.logout()
    run("mbsync", "-c", home / "rc", "-a")
    assert len([p for sub in ("new", "cur") for p in (inbox / sub).iterdir()]) == 3


CHECKS = [curl_sends_and_reads, swaks_as_another_operator, swaks_without_a_certificate_is_refused, smtplib_large_attachment_crosses_byte_for_byte,
          imaplib_works_a_mailbox, imaplib_organizational_mailbox_by_its_administrator, mbsync_two_ways]


def main():
    demo = Demo()
    failed = 0
    for check in CHECKS:
        try:
            check(demo)
            print(f"ok      {check.__name__}")
        except Exception:
            failed += 1
            print(f"FAILED  {check.__name__}")
            traceback.print_exc(limit=3, file=sys.stdout)
    demo.stop()
    print(f"clients: {len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
