"""Several clients on one mailbox: all read the same octets, and what one changes the others see."""
import contextlib

from account import Account, letter
from demo import eventually
from libraries import imapclient, told
from node import node
from process import Terminal, home
from readers import settings
from sync import Mbsync, Offlineimap, client, local
from transfer import curl, url


def awkward(address):
    """Letters that are legal or nearly so, and that a careless reader or server would change; by key."""
    head = f"From: <{address}>\r\nTo: <{address}>\r\n".encode()
    return {
        "no-body": head + b"Subject: no-body\r\n\r\n",
        "no-last-line-end": head + b"Subject: no-last-line-end\r\n\r\nune ligne sans fin",
        "only-dots": head + b"Subject: only-dots\r\n\r\n.\r\n..\r\n...\r\n.\r\n",
        "long-line": head + b"Subject: long-line\r\n\r\n" + b"x" * 5_000 + b"\r\n",
        "long-header": head + b"Cc: " + b",\r\n ".join(b"<confrere-%d@ailleurs.mssante.test>" % n for n in range(300)) + b"\r\nSubject: long-header\r\n\r\ntexte\r\n",
        "unclosed-parts": head + b"Subject: unclosed-parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nun\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>deux",
        "letter-in-letter": head + b"Subject: letter-in-letter\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n" + head + b"Subject: dedans\r\n\r\ntexte\r\n",
        "blank-lines": head + b"Subject: blank-lines\r\n\r\n\r\n\r\n  \r\n\t\r\n\r\n",
    }


def all_read_the_same_octets(demo):
    account = Account.new(demo, "together")
    letters = awkward(account.address)
    for text in letters.values():
        account.append("INBOX", text)
    stored = list(letters.values())
    for number, text in enumerate(stored, 1):
        read, _ = curl(account, url(account, f"INBOX;MAILINDEX={number}"))
        assert read == text, ("curl", text, read)
    with imapclient(account) as library:
        library.select_folder("INBOX", readonly=True)
        fetched = library.fetch(library.search(), ["BODY.PEEK[]", "RFC822.SIZE"])
        assert [part[b"BODY[]"] for part in fetched.values()] == stored and [part[b"RFC822.SIZE"] for part in fetched.values()] == [len(text) for text in stored]
    said = node("imapflow.mjs", "sources", account)
    assert [bytes.fromhex(source) for source in said] == stored
    for kind in Mbsync, Offlineimap:
        with client(kind, account) as sync:
            sync.sync()
            copies = local(sync, "INBOX")
            for key, text in letters.items():
                # OfflineIMAP reads a letter with Python's email and writes it anew, and so closes what was open.
                if (kind, key) == (Offlineimap, "unclosed-parts"):
                    continue
                assert copies[key][0] == text.replace(b"\r\n", b"\n"), (kind, copies[key][0], text)


def what_one_changes_the_others_see(demo):
    account = Account.new(demo, "together")
    keys = [f"together-{i}" for i in range(6)]
    for key in keys:
        account.append("INBOX", letter(key, account.address, account.address))
    with contextlib.ExitStack() as open_clients:
        folder = open_clients.enter_context(home())
        first, second = (open_clients.enter_context(client(kind, account)) for kind in (Mbsync, Offlineimap))
        terminal = open_clients.enter_context(Terminal(folder, "mutt", "-F", settings(account, folder)))
        watching = open_clients.enter_context(imapclient(account))
        terminal.sees(keys[5])
        watching.select_folder("INBOX")
        watching.idle()
        first.sync()
        second.sync()
        # mbsync's user deletes one, offlineimap's another, the one at the terminal a third; a new letter comes.
        local(first, "INBOX")[keys[0]][2].unlink()
        first.sync()
        told(watching, (1, b"EXPUNGE"))
        local(second, "INBOX")[keys[1]][2].unlink()
        second.sync()
        told(watching, (1, b"EXPUNGE"))
        account.append("INBOX", letter("together-new", account.address, account.address))
        terminal.sees("together-new")
        # The last line is the new letter.
        terminal.keys("*", "F", "$")
        told(watching, lambda item: item[1] == b"FETCH" and rb"\Flagged" in str(item).encode())
        watching.idle_done()
        terminal.keys("q")
        terminal.sees("ended with 0")
        for sync in first, second:
            sync.sync()
            inbox = local(sync, "INBOX")
            assert set(inbox) == {*keys[2:], "together-new"}, inbox.keys()
            assert "F" in inbox["together-new"][1], inbox["together-new"]
        assert account.count("INBOX") == 5


USUAL = []
MORE = [all_read_the_same_octets, what_one_changes_the_others_see]
