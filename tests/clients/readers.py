"""mutt and neomutt: on a terminal, and sending from a script."""
from account import ACCENTED, ACCENTED_WIRE, Account, attached, attachment, body, letter, parsed, with_attachment
from logins import few_refusals
from process import Terminal, environment, home, named, private, run

# Written by what stands for the user's editor: the header that it was given stays, the text is new.
TEXT = "Cher confrère,\n\nmerci de votre avis.\n.un point\n"


def settings(account, folder, port="submission", reading="imaps", password=None, trust=None):
    """A configuration as the manual shows it; the two programs read the same."""
    editor = folder / "editor"
    editor.write_text(f"#!/bin/sh\ncat >>\"$1\" <<'END'\n{TEXT}END\n")
    editor.chmod(0o700)
    scheme = "smtp" if port == "submission" else "smtps"
    user, secret = account.username.replace("@", "%40"), password or account.password
    return private(folder / "muttrc", f"""set ssl_force_tls=yes ssl_starttls=yes ssl_verify_host=yes ssl_verify_dates=yes
set ssl_ca_certificates_file="{trust or account.demo.ca}" certificate_file="{folder}/certificates"
set folder="{reading}://{user}@localhost:{account.port(reading)}/" imap_pass="{secret}"
set spoolfile="=INBOX" record="=Sent" postponed="=Drafts" imap_check_subscribed=yes imap_idle=yes timeout=1 mail_check=1
set smtp_url="{scheme}://{user}@localhost:{account.port(port)}" smtp_pass="{secret}"
set from="{account.address}" realname="Docteur Accentué" use_from=yes envelope_from=yes hostname=localhost use_8bitmime=yes
set editor="{editor}" edit_headers=no autoedit=no charset=utf-8 send_charset="us-ascii:utf-8"
set resolve=no confirmappend=no confirmcreate=no delete=yes quit=yes move=no mark_old=no pager_stop=yes sleep_time=0 wait_key=no
bind editor <space> noop
set index_format="%4C %Z %s" sort=mailbox-order tmpdir="{folder}" header_cache="" message_cachedir=""
""")


def reads_flags_files_and_deletes(program, demo):
    account = Account.new(demo, program)
    account.create(ACCENTED_WIRE)
    keys = [f"{program}-{i}" for i in range(3)]
    for key in keys:
        account.append("INBOX", letter(key, account.address, account.address))
    with home() as folder, Terminal(folder, program, "-F", settings(account, folder)) as terminal:
        terminal.sees(f"Résultat d'analyse {keys[2]}")
        terminal.keys("1", "Enter")
        terminal.sees(keys[0])
        terminal.keys("Enter")
        terminal.sees("Chère consœur")
        terminal.sees("un point seul avant")
        terminal.keys("q", "F")
        terminal.keys("s")
        terminal.sees("Save to mailbox", "Save to")
        terminal.keys("C-u")
        terminal.types(f"={ACCENTED}")
        terminal.keys("Enter", "$")
        assert terminal.until(lambda: account.letters(ACCENTED_WIRE, keys[0])) == [letter(keys[0], account.address, account.address)]
        terminal.until(lambda: account.count("INBOX") == 2)
        assert account.flags(ACCENTED_WIRE, keys[0]) >= {b"\\Seen", b"\\Flagged"}
        terminal.keys("1", "Enter", "C")
        terminal.sees("Copy to mailbox", "Copy to")
        terminal.keys("C-u")
        terminal.types("=Archive")
        terminal.keys("Enter")
        assert terminal.until(lambda: account.letters("Archive", keys[1])) == [letter(keys[1], account.address, account.address)]
        assert account.count("INBOX") == 2
        terminal.keys("2", "Enter", "d", "$")
        terminal.until(lambda: account.letters("INBOX", keys[2]) == [])
        # IDLE: a letter that comes shows without a key.
        account.append("INBOX", letter(f"{program}-new", account.address, account.address))
        terminal.sees(f"{program}-new")
        terminal.keys("q")
        terminal.sees("ended with 0")


def composes_on_the_terminal(program, demo):
    account, reader = Account.new(demo, program), Account.of_demo(demo, 1)
    with home() as folder, Terminal(folder, program, "-F", settings(account, folder)) as terminal:
        terminal.sees("Mutt:")
        terminal.keys("m")
        terminal.sees("To:")
        terminal.types(reader.address)
        terminal.keys("Enter")
        terminal.sees("Subject:")
        terminal.types(f"Réponse {program}-sent")
        terminal.keys("Enter")
        terminal.sees("y:Send")
        terminal.keys("y")
        arrived = reader.letter("INBOX", f"{program}-sent")
        assert parsed(arrived)["Subject"] == f"Réponse {program}-sent" and parsed(arrived).get_content().replace("\r\n", "\n").startswith(TEXT), arrived
        assert body(account.letter("Sent", f"{program}-sent")) == body(arrived)
        terminal.keys("q")
        terminal.sees("ended with 0")


def sends_from_a_script(program, demo):
    account, reader = Account.new(demo, program), Account.of_demo(demo, 1)
    with home() as folder:
        content = attachment(4_000_000)
        file = folder / "échographie.pdf"
        file.write_bytes(content)
        key = f"{program}-script"
        _, said = run(program, "-F", settings(account, folder, "submissions"), "-s", f"Échographie {key}", "-a", file, "--", reader.address, input=TEXT.encode(), env=environment(folder))
        arrived = reader.letter("INBOX", key)
        assert parsed(arrived)["Subject"] == f"Échographie {key}" and attached(arrived) == {"échographie.pdf": content}, arrived[:2000]
        if program == "neomutt":
            # It says that it files nothing on an IMAP server when it is not on a terminal.
            assert b"Fcc to an IMAP mailbox is not supported in batch mode" in said, said
        else:
            assert body(account.letter("Sent", key)) == body(arrived)


def opens_a_large_attachment(program, demo):
    account = Account.new(demo, program)
    content = attachment(4_000_000)
    account.append("INBOX", with_attachment(f"{program}-large", account.address, account.address, "radio.pdf", content))
    with home() as folder, Terminal(folder, program, "-F", settings(account, folder)) as terminal:
        terminal.sees(f"{program}-large")
        terminal.keys("v")
        terminal.sees("radio.pdf")
        terminal.keys("2", "Enter", "s")
        terminal.sees("Save to file")
        terminal.keys("C-u")
        terminal.types(f"{folder}/saved.pdf")
        terminal.keys("Enter")
        terminal.until(lambda: (folder / "saved.pdf").exists() and (folder / "saved.pdf").read_bytes() == content)


def reads_with_starttls(program, demo):
    account = Account.new(demo, program)
    account.append("INBOX", letter(f"{program}-starttls", account.address, account.address))
    with home() as folder, Terminal(folder, program, "-F", settings(account, folder, reading="imap")) as terminal:
        terminal.sees(f"{program}-starttls")
        terminal.keys("Enter")
        terminal.sees("un point seul avant")


def is_told_of_a_wrong_password(program, demo):
    account = Account.of_demo(demo, 0)
    with home() as folder:
        rc = settings(account, folder, password="wrong")
        with few_refusals(demo, stays_open=True), Terminal(folder, program, "-F", rc) as terminal:
            terminal.sees("Login failed", "authentication failed", "No authenticators available or wrong credentials")
        with few_refusals(demo):
            _, said = run(program, "-F", rc, "-e", "set record=", "-s", "x", "--", account.address, input=b"x\n", env=environment(folder), status=1)
    assert b"authentication failed" in said.lower(), said


def refuses_a_server_of_an_unknown_authority(program, demo):
    account = Account.of_demo(demo, 0)
    with home() as folder:
        rc = settings(account, folder, trust="/etc/ssl/certs/ca-certificates.crt")
        with Terminal(folder, program, "-F", rc) as terminal:
            # It shows the certificate and asks; neomutt asks twice.
            terminal.sees("(r)eject")

            def gives_up():
                screen = terminal.screen()
                if "(r)eject" in screen:
                    terminal.keys("r")
                return "(no mailbox)" in screen or "ended with" in screen
            terminal.until(gives_up)
        run(program, "-F", rc, "-e", "set record=", "-s", "x", "--", account.address, input=b"x\n", env=environment(folder), status=1)


ALL = [reads_flags_files_and_deletes, is_told_of_a_wrong_password, composes_on_the_terminal, sends_from_a_script, opens_a_large_attachment, reads_with_starttls,
       refuses_a_server_of_an_unknown_authority]
USUAL = [named("mutt", what, "mutt") for what in ALL[:4]]
MORE = [named("mutt", what, "mutt") for what in ALL[4:]] + [named("neomutt", what, "neomutt") for what in ALL]
