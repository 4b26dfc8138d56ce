"""Programs that hand mail over: swaks, msmtp and Python's smtplib."""
import smtplib

from account import Account, attached, attachment, body, letter, with_attachment
from logins import few_refusals
from process import environment, home, private, run

UNIX_MAIL = {"EX_DATAERR": 65, "EX_TEMPFAIL": 75, "EX_NOPERM": 77}


def swaks(demo, *words, **options):
    return run("swaks", "--tls-verify", "--tls-ca-path", demo.ca, *words, **options)


def swaks_as_another_operator(demo):
    sender, reader, own = Account.of_demo(demo, 0), Account.of_demo(demo, 1), demo.operator(0)
    swaks(demo, "--server", "localhost", "--port", demo.port(1, "smtp"), "--tls", "--tls-cert", own["server_cert_file"], "--tls-key", own["server_key_file"],
          "--from", sender.address, "--to", reader.address, "--header", "Subject: swaks-1", "--helo", own["hostname"])
    assert b"This is a test mailing" in reader.letter("INBOX", "swaks-1")


def swaks_without_a_certificate_is_refused(demo):
    sender, reader = Account.of_demo(demo, 0), Account.of_demo(demo, 1)
    said, _ = swaks(demo, "--server", "localhost", "--port", demo.port(1, "smtp"), "--tls", "--from", sender.address, "--to", reader.address, status=23)
    assert b"550 5.7.1" in said, said


def swaks_submits(demo, key, *how, password=None, **options):
    sender, reader = Account.of_demo(demo, 0), Account.of_demo(demo, 1)
    return swaks(demo, "--server", "localhost", *how, "--auth-user", sender.username, "--auth-password", password or sender.password,
                 "--from", sender.address, "--to", reader.address, "--header", f"Subject: {key}", **options)


def swaks_submits_with_starttls_and_implicit_tls(demo):
    with home() as folder:
        content = attachment(2_000_000)
        file = folder / "scanner.pdf"
        file.write_bytes(content)
        swaks_submits(demo, "swaks-2", "--port", demo.port(0, "submission"), "--tls", "--auth", "PLAIN", "--attach-type", "application/pdf", "--attach-name", "scanner.pdf",
                      "--attach", f"@{file}")
    arrived = Account.of_demo(demo, 1).letter("INBOX", "swaks-2")
    assert attached(arrived) == {"scanner.pdf": content}, attached(arrived).keys()
    swaks_submits(demo, "swaks-3", "--port", demo.port(0, "submissions"), "--tlsc", "--auth", "LOGIN")
    assert Account.of_demo(demo, 1).letter("INBOX", "swaks-3")


def swaks_is_told_of_a_wrong_password(demo):
    with few_refusals(demo):
        said, _ = swaks_submits(demo, "swaks-4", "--port", demo.port(0, "submission"), "--tls", "--auth", "PLAIN", password="wrong", status=28)
    assert b"535 5.7.8" in said, said


def msmtp(demo, text, recipient, port, password=None, trust=None, **options):
    sender = Account.of_demo(demo, 0)
    with home() as folder:
        settings = private(folder / "msmtprc", f"""account demo
host localhost
port {demo.port(0, port)}
from {sender.address}
auth on
user {sender.username}
password {password or sender.password}
tls on
tls_starttls {'on' if port == 'submission' else 'off'}
tls_trust_file {trust or demo.ca}
account default: demo
""")
        # As sendmail is called: the letter on standard input with the line ends of Unix.
        return run("msmtp", "-C", settings, "--", recipient, input=text.replace(b"\r\n", b"\n"), env=environment(folder), **options)


def msmtp_submits_byte_for_byte(demo):
    sender, reader = Account.of_demo(demo, 0), Account.of_demo(demo, 1)
    for key, port in ("msmtp-1", "submission"), ("msmtp-2", "submissions"):
        text = letter(key, sender.address, reader.address)
        msmtp(demo, text, reader.address, port)
        arrived = reader.letter("INBOX", key)
        assert arrived.endswith(text), arrived


def msmtp_sends_a_large_attachment(demo):
    sender, reader = Account.of_demo(demo, 0), Account.of_demo(demo, 1)
    text = with_attachment("msmtp-3", sender.address, reader.address, "imagerie été.pdf", attachment(5_000_000))
    msmtp(demo, text, reader.address, "submission")
    assert body(reader.letter("INBOX", "msmtp-3")) == body(text)


def msmtp_is_told_of_a_wrong_password(demo):
    sender = Account.of_demo(demo, 0)
    text = letter("msmtp-4", sender.address, sender.address)
    with few_refusals(demo):
        _, said = msmtp(demo, text, sender.address, "submission", password="wrong", status=UNIX_MAIL["EX_NOPERM"])
    assert b"authentication failed" in said and b"5.7.8" in said, said


def msmtp_is_told_of_an_unknown_mailbox(demo):
    sender = Account.of_demo(demo, 0)
    recipient = f"personne@{demo.operator(0)['domain']}"
    _, said = msmtp(demo, letter("msmtp-5", sender.address, recipient), recipient, "submission", status=UNIX_MAIL["EX_DATAERR"])
    assert b"5.1.1" in said and b"not accepted" in said, said


def msmtp_refuses_a_server_of_an_unknown_authority(demo):
    sender = Account.of_demo(demo, 0)
    _, said = msmtp(demo, letter("msmtp-6", sender.address, sender.address), sender.address, "submission", trust="/etc/ssl/certs/ca-certificates.crt",
                    status=set(range(64, 79)))
    assert b"certificate" in said, said


def submits(demo, text, recipient):
    sender = Account.of_demo(demo, 0)
    with smtplib.SMTP_SSL("localhost", demo.port(0, "submissions"), context=demo.context(), timeout=60) as client:
        client.login(sender.username, sender.password)
        client.sendmail(sender.address, [recipient], text, mail_options=["BODY=8BITMIME"])


def smtplib_large_letter_crosses_byte_for_byte(demo):
    sender, reader = Account.of_demo(demo, 0), Account.of_demo(demo, 1)
    text = letter("smtplib-1", sender.address, reader.address)
    text += b"\r\n".join(bytes([65 + i % 26]) * 998 for i in range(21_000)) + b"\r\n"
    submits(demo, text, reader.address)
    assert reader.letter("INBOX", "smtplib-1").endswith(text)


def smtplib_is_told_of_a_wrong_password(demo):
    sender = Account.of_demo(demo, 0)
    with smtplib.SMTP("localhost", demo.port(0, "submission"), timeout=60) as client:
        client.starttls(context=demo.context())
        try:
            client.login(sender.username, "wrong")
        except smtplib.SMTPAuthenticationError as refused:
            assert refused.smtp_code == 535 and refused.smtp_error.startswith(b"5.7.8"), refused
        else:
            raise AssertionError("the wrong password was taken")


USUAL = [swaks_as_another_operator, swaks_without_a_certificate_is_refused, msmtp_submits_byte_for_byte, msmtp_is_told_of_a_wrong_password,
         smtplib_large_letter_crosses_byte_for_byte, smtplib_is_told_of_a_wrong_password]
MORE = [swaks_submits_with_starttls_and_implicit_tls, swaks_is_told_of_a_wrong_password, msmtp_sends_a_large_attachment, msmtp_is_told_of_an_unknown_mailbox,
        msmtp_refuses_a_server_of_an_unknown_authority]
