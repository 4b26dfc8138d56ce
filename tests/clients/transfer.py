"""curl: one transfer for each command line, on submission and IMAP."""
from account import ACCENTED_WIRE, Account, attached, attachment, body, letter, with_attachment
from logins import few_refusals
from process import home, run


def curl(account, *words, login=None, **options):
    """curl with the demo's authority, as the owner of that mailbox."""
    return run("curl", "-sS", "--max-time", "50", "--cacert", account.demo.ca, "--user", login or f"{account.username}:{account.password}", *words, **options)


def url(account, path=""):
    return f"imaps://localhost:{account.port('imaps')}/{path}"


def sends(account, recipient, text, port, scheme, **options):
    return curl(account, "--url", f"{scheme}://localhost:{account.port(port)}", "--ssl-reqd", "--mail-from", account.address, "--mail-rcpt", recipient.address,
                "--upload-file", "-", input=text, **options)


def curl_sends_with_starttls_and_reads(demo):
    sender, reader = Account.of_demo(demo, 0), Account.new(demo, "curl", 1)
    text = letter("curl-1", sender.address, reader.address)
    sends(sender, reader, text, "submission", "smtp")
    arrived = reader.letter("INBOX", "curl-1")
    assert arrived.endswith(text), arrived
    listing, _ = curl(reader, url(reader))
    assert b"INBOX" in listing and b"\\Sent" in listing, listing
    message, _ = curl(reader, url(reader, "INBOX;MAILINDEX=1"))
    assert message == arrived, message


def curl_is_told_of_a_wrong_password(demo):
    account = Account.of_demo(demo, 0)
    wrong = f"{account.username}:wrong"
    with few_refusals(demo):
        _, said = curl(account, url(account, "INBOX"), login=wrong, status=67)
    assert b"Login denied" in said, said
    with few_refusals(demo):
        _, said = sends(account, account, letter("curl-2", account.address, account.address), "submission", "smtp", login=wrong, status=67)
    assert b"Login denied" in said, said


def curl_refuses_a_server_of_an_unknown_authority(demo):
    account = Account.of_demo(demo, 0)
    run("curl", "-sS", "--user", f"{account.username}:{account.password}", url(account), status=60)
    run("curl", "-sS", "--ssl-reqd", "--user", f"{account.username}:{account.password}", f"imap://localhost:{account.port('imap')}/", status=60)


def curl_sends_a_large_attachment_with_implicit_tls(demo):
    sender, reader = Account.of_demo(demo, 0), Account.new(demo, "curl", 1)
    content = attachment(5_000_000)
    text = with_attachment("curl-3", sender.address, reader.address, "compte rendu opératoire.pdf", content)
    sends(sender, reader, text, "submissions", "smtps")
    arrived = reader.letter("INBOX", "curl-3")
    assert body(arrived) == body(text) and attached(arrived) == {"compte rendu opératoire.pdf": content}
    fetched, _ = curl(reader, url(reader, "INBOX;MAILINDEX=1"))
    assert fetched == arrived


def curl_reads_with_starttls(demo):
    account = Account.new(demo, "curl")
    text = letter("curl-5", account.address, account.address)
    account.append("INBOX", text)
    read, _ = curl(account, "--ssl-reqd", f"imap://localhost:{account.port('imap')}/INBOX;MAILINDEX=1")
    assert read == text, read


def curl_files_flags_copies_and_deletes(demo):
    account = Account.new(demo, "curl")
    text = letter("curl-4", account.address, account.address)
    with home() as folder:
        # Of a stream curl does not know the size that APPEND announces.
        (folder / "letter").write_bytes(text)
        curl(account, "-T", folder / "letter", url(account, "Sent"))
    assert account.letter("Sent", "curl-4") == text
    curl(account, "-X", f'CREATE "{ACCENTED_WIRE}"', url(account))
    assert ACCENTED_WIRE.encode() in curl(account, url(account))[0]
    curl(account, "-X", r"STORE 1 +FLAGS (\Seen \Flagged)", url(account, "Sent"))
    assert account.flags("Sent", "curl-4") >= {b"\\Seen", b"\\Flagged"}
    curl(account, "-X", f'UID COPY 1 "{ACCENTED_WIRE}"', url(account, "Sent"))
    assert account.letter(ACCENTED_WIRE, "curl-4") == text
    found, _ = curl(account, url(account, "Sent?SUBJECT curl-4".replace(" ", "%20")))
    assert found.split()[:3] == [b"*", b"SEARCH", b"1"], found
    curl(account, "-X", r"STORE 1 +FLAGS \Deleted", url(account, "Sent"), "-:", "-sS", "--cacert", demo.ca, "--user", f"{account.username}:{account.password}",
         "-X", "EXPUNGE", url(account, "Sent"))
    assert account.count("Sent") == 0


USUAL = [curl_sends_with_starttls_and_reads, curl_is_told_of_a_wrong_password]
MORE = [curl_refuses_a_server_of_an_unknown_authority, curl_sends_a_large_attachment_with_implicit_tls, curl_reads_with_starttls, curl_files_flags_copies_and_deletes]
