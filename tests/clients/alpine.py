"""Alpine on a terminal. It has its authorities from OpenSSL, which takes them from SSL_CERT_FILE."""
import contextlib

from account import ACCENTED, ACCENTED_WIRE, Account, attached, attachment, body, letter, parsed, with_attachment
from logins import few_refusals
from process import Terminal, home, private


@contextlib.contextmanager
def opened(account, port="submission", reading="imaps", password=None, trust=None):
    """Alpine in the INBOX, after the password was typed."""
    imap = f"{{localhost:{account.port(reading)}/{'ssl' if reading == 'imaps' else 'tls'}/user={account.username}}}"
    smtp = f"localhost:{account.port(port)}/{'tls' if port == 'submission' else 'ssl'}/user={account.username}"
    with home() as folder:
        settings = private(folder / "pinerc", f"""personal-name=Docteur
user-domain={account.address.split('@')[1]}
customized-hdrs=From: Docteur <{account.address}>
smtp-server={smtp}
inbox-path={imap}INBOX
folder-collections=Serveur {imap}[]
default-fcc={imap}Sent
feature-list=quit-without-confirm,expunge-without-confirm-everywhere,enable-flag-cmd,allow-changing-from
mail-check-interval=15
last-version-used=9.99
""")
        # Without a file for passwords it does not offer to keep them.
        words = ["alpine", "-p", settings, "-i", "-passfile", "/dev/null"]
        with Terminal(folder, *words, SSL_CERT_FILE=str(trust or account.demo.ca)) as terminal:
            terminal.folder = folder
            if not trust:
                types_password(terminal, password or account.password)
            yield terminal


def types_password(terminal, password):
    terminal.sees("ENTER PASSWORD:")
    terminal.types(password)
    terminal.keys("Enter")


def alpine_reads_flags_files_and_deletes(demo):
    account = Account.new(demo, "alpine")
    account.create(ACCENTED_WIRE)
    keys = [f"alpine-{i}" for i in range(3)]
    for key in keys:
        account.append("INBOX", letter(key, account.address, account.address))
    with opened(account) as terminal:
        terminal.sees(f"Résultat d'analyse {keys[2]}")
        goes_to(terminal, 1)
        terminal.keys("Enter")
        terminal.sees("Chère consœur,")
        terminal.keys("<")
        terminal.sees("MESSAGE INDEX")
        terminal.keys("*")
        terminal.sees("Flag New")
        terminal.keys("Enter")
        terminal.sees('Flagged message 1 "Important"')
        terminal.keys("s")
        terminal.sees("to folder")
        terminal.types(ACCENTED)
        terminal.keys("Enter")
        terminal.sees("DONE", "copied to folder")
        terminal.keys("x")
        terminal.until(lambda: account.count("INBOX") == 2)
        assert account.letters(ACCENTED_WIRE, keys[0]) == [letter(keys[0], account.address, account.address)]
        assert account.flags(ACCENTED_WIRE, keys[0]) >= {b"\\Seen", b"\\Flagged"}
        goes_to(terminal, 2)
        terminal.keys("d", "x")
        terminal.until(lambda: account.letters("INBOX", keys[2]) == [])
        # Asked for, a letter that came shows.
        account.append("INBOX", letter("alpine-new", account.address, account.address))
        terminal.keys("C-l")
        terminal.sees("alpine-new")
        terminal.keys("q")
        terminal.sees("ended with 0")


def goes_to(terminal, number):
    terminal.keys(str(number))
    terminal.sees("Message number to jump to")
    terminal.keys("Enter")
    terminal.sees(f"Message {number} of")


def alpine_sends_an_attachment_and_files_it(demo):
    reader, content = Account.of_demo(demo, 1), attachment(1_000_000)
    for key, port in ("alpine-tls", "submission"), ("alpine-ssl", "submissions"):
        account = Account.new(demo, "alpine")
        account.append("INBOX", letter("alpine-here", account.address, account.address))
        with opened(account, port) as terminal:
            (terminal.folder / "radio.pdf").write_bytes(content)
            terminal.sees("alpine-here")
            terminal.keys("c")
            terminal.sees("COMPOSE MESSAGE")
            for text in reader.address, "", str(terminal.folder / "radio.pdf"), f"Réponse {key}":
                terminal.types(text)
                terminal.keys("Enter")
            terminal.sees("radio.pdf (")
            terminal.types("Cher confrère, merci.")
            terminal.keys("C-x")
            terminal.sees("Send message")
            terminal.keys("y")
            types_password(terminal, account.password)
            terminal.sees("MESSAGE INDEX")
            arrived = reader.letter("INBOX", key)
            assert parsed(arrived)["Subject"] == f"Réponse {key}" and attached(arrived) == {"radio.pdf": content}, arrived[:2000]
            assert "Cher confrère, merci." in parsed(arrived).get_body().get_content()
            # What it files lacks the lines before the first part; text and file are the same.
            filed = account.letter("Sent", key)
            assert attached(filed) == attached(arrived) and parsed(filed).get_body().get_content() == parsed(arrived).get_body().get_content()
            terminal.keys("q")
            terminal.sees("ended with 0")


def alpine_saves_a_large_attachment(demo):
    account, content = Account.new(demo, "alpine"), attachment(4_000_000)
    account.append("INBOX", with_attachment("alpine-large", account.address, account.address, "radio.pdf", content))
    with opened(account) as terminal:
        terminal.sees("alpine-large")
        terminal.keys("Enter")
        terminal.sees("MESSAGE TEXT")
        terminal.keys(">")
        terminal.sees("ATTACHMENT INDEX")
        terminal.keys("Down", "s")
        terminal.sees("Copy attachment to file", "to file")
        terminal.keys("Enter")
        saved = terminal.folder / "radio.pdf"

        terminal.until(lambda: saved.exists() and saved.read_bytes() == content)


def alpine_reads_with_starttls(demo):
    account = Account.new(demo, "alpine")
    account.append("INBOX", letter("alpine-starttls", account.address, account.address))
    with opened(account, reading="imap") as terminal:
        terminal.sees("alpine-starttls")
        terminal.keys("Enter")
        terminal.sees("un point seul avant")


def alpine_is_told_of_a_wrong_password(demo):
    account = Account.of_demo(demo, 0)
    with opened(account, password="wrong") as terminal:
        with few_refusals(demo, stays_open=True):
            terminal.sees("AUTHENTICATIONFAILED", "Invalid credentials")
        # It asks again, and opens the folder with the right one.
        types_password(terminal, account.password)
        # What it says of the folder gives way to its next word within a moment; the index stays.
        terminal.sees("MESSAGE INDEX")


def alpine_refuses_a_server_of_an_unknown_authority(demo):
    with opened(Account.of_demo(demo, 0), trust="/etc/ssl/certs/ca-certificates.crt") as terminal:
        terminal.sees("There was a failure validating the SSL/TLS certificate")


USUAL = []
MORE = [alpine_reads_flags_files_and_deletes, alpine_sends_an_attachment_and_files_it, alpine_saves_a_large_attachment, alpine_reads_with_starttls, alpine_is_told_of_a_wrong_password,
        alpine_refuses_a_server_of_an_unknown_authority]
