"""Python's imaplib, and IMAPClient of PyPI."""
import imaplib

from account import ACCENTED, Account, attached, attachment, body, letter, with_attachment
from demo import eventually
from packages import python_packages


def imaplib_works_a_mailbox(demo):
    account = Account.of_demo(demo, 0)
    client = account.imap()
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
    with Account.of_demo(demo, 0, "organizational").imap() as client:
        assert int(client.select("INBOX")[1][0]) >= 3


def imaplib_is_told_of_a_wrong_password(demo):
    account = Account.of_demo(demo, 0)
    client = imaplib.IMAP4("localhost", account.port("imap"), timeout=60)
    client.starttls(demo.context())
    try:
        client.login(account.username, "wrong")
    except imaplib.IMAP4.error as refused:
        assert "AUTHENTICATIONFAILED" in str(refused), refused
    else:
        raise AssertionError("the wrong password was taken")
    # The connection is still good for the right one.
    client.login(account.username, account.password)
    client.logout()


def imapclient(account, port="imaps"):
    python_packages()
    import imapclient as library
    context = account.demo.context()
    client = library.IMAPClient("localhost", account.port(port), ssl=port == "imaps", ssl_context=context if port == "imaps" else None, timeout=30)
    if port == "imap":
        client.starttls(context)
    client.login(account.username, account.password)
    return client


def imapclient_works_a_mailbox(demo):
    account = Account.new(demo, "imapclient")
    text = letter("imapclient-1", account.address, account.address)
    with imapclient(account) as client:
        client.create_folder(ACCENTED)
        assert ACCENTED in [name for _, _, name in client.list_folders()]
        client.append("INBOX", text, [b"$Urgent"])
        assert client.select_folder("INBOX")[b"EXISTS"] == 1
        uid, = client.search(["SUBJECT", "analyse", "KEYWORD", "$Urgent"], "UTF-8")
        fetched = client.fetch([uid], ["BODY.PEEK[]", "ENVELOPE", "BODYSTRUCTURE", "RFC822.SIZE", "FLAGS"])[uid]
        assert fetched[b"BODY[]"] == text and fetched[b"RFC822.SIZE"] == len(text) and b"imapclient-1" in fetched[b"ENVELOPE"].subject
        assert client.add_flags([uid], [rb"\Flagged"])[uid] >= (b"$Urgent",) and rb"\Flagged" in client.get_flags([uid])[uid]
        client.copy([uid], ACCENTED)
        client.move([uid], client.find_special_folder(rb"\Trash"))
        assert client.folder_status("INBOX", ["MESSAGES", "UIDNEXT"]) == {b"MESSAGES": 0, b"UIDNEXT": 2}
        client.select_folder(ACCENTED)
        assert client.fetch([1], ["BODY.PEEK[]"])[1][b"BODY[]"] == text
        client.delete_messages([1])
        client.expunge([1])
        assert client.search() == []
        client.rename_folder(ACCENTED, "Résultats/2026")
        client.unselect_folder()
        client.delete_folder("Résultats/2026")


def imapclient_is_told_by_idle(demo):
    account = Account.new(demo, "imapclient")
    with imapclient(account) as client:
        client.select_folder("INBOX")
        client.idle()
        account.append("INBOX", letter("imapclient-2", account.address, account.address))
        told(client, (1, b"EXISTS"))
        account.flag("INBOX", "imapclient-2", "+FLAGS", r"(\Flagged)")
        told(client, lambda item: item[1] == b"FETCH" and rb"\Flagged" in str(item).encode())
        account.expunge("INBOX", "imapclient-2")
        told(client, (1, b"EXPUNGE"))
        client.idle_done()
        client.noop()


def told(client, wanted):
    """Waits until the server tells what is wanted; what came before it is passed over."""
    seen = []

    def came():
        seen.extend(client.idle_check(timeout=1))
        return any(wanted(item) if callable(wanted) else item == wanted for item in seen)
    try:
        eventually(came)
    except AssertionError:
        raise AssertionError(f"the server told only {seen}") from None


def imapclient_fetches_a_large_attachment_in_parts(demo):
    account = Account.new(demo, "imapclient")
    content = attachment(5_000_000)
    text = with_attachment("imapclient-3", account.address, account.address, "bilan.pdf", content)
    account.append("INBOX", text)
    with imapclient(account) as client:
        client.select_folder("INBOX", readonly=True)
        assert attached(client.fetch([1], ["BODY.PEEK[]"])[1][b"BODY[]"]) == {"bilan.pdf": content}
        parts, at, step = [], 0, 1_000_000
        while True:
            part = client.fetch([1], [f"BODY.PEEK[TEXT]<{at}.{step}>"])[1][f"BODY[TEXT]<{at}>".encode()]
            parts.append(part)
            at += len(part)
            if len(part) < step:
                break
        assert b"".join(parts) == body(text)


def imapclient_reads_with_starttls(demo):
    account = Account.new(demo, "imapclient")
    text = letter("imapclient-4", account.address, account.address)
    account.append("INBOX", text)
    with imapclient(account, "imap") as client:
        client.select_folder("INBOX", readonly=True)
        assert client.fetch([1], ["BODY.PEEK[]"])[1][b"BODY[]"] == text


def imapclient_is_told_of_a_wrong_password(demo):
    account = Account.of_demo(demo, 0)
    wrong = Account(demo, 0, account.address, account.username, "wrong")
    python_packages()
    from imapclient.exceptions import LoginError
    try:
        imapclient(wrong)
    except LoginError as refused:
        assert "AUTHENTICATIONFAILED" in str(refused), refused
    else:
        raise AssertionError("the wrong password was taken")


USUAL = [imaplib_works_a_mailbox, imaplib_organizational_mailbox_by_its_administrator, imaplib_is_told_of_a_wrong_password, imapclient_works_a_mailbox,
         imapclient_is_told_by_idle]
MORE = [imapclient_fetches_a_large_attachment_in_parts, imapclient_reads_with_starttls, imapclient_is_told_of_a_wrong_password]
