"""imapflow and nodemailer of npm. What they do stands in imapflow.mjs and nodemailer.mjs; here it is started, and seen from the other side."""
import json
import pathlib

from account import ACCENTED, ACCENTED_WIRE, Account, attached, attachment, body, letter, parsed, with_attachment
from demo import eventually
from logins import few_refusals
from packages import node_packages
from process import environment, home, run

HERE = pathlib.Path(__file__).resolve().parent


def node(script, what, account, status=0, trusts=True, **more):
    """Runs one function of a script as the owner of that mailbox; gives what it printed as JSON."""
    facts = {"host": "localhost", "user": account.username, "password": account.password, "address": account.address,
             "ports": account.demo.operator(account.operator)["ports"], **more}
    authority = {"NODE_EXTRA_CA_CERTS": str(account.demo.ca)} if trusts else {}
    with home() as folder:
        said, _ = run("node", HERE / script, what, input=json.dumps(facts).encode(), status=status,
                      env=environment(folder, NODE_PACKAGES=str(node_packages()), **authority))
    return json.loads(said)


def imapflow_works_a_mailbox(demo):
    account = Account.new(demo, "imapflow")
    text = letter("imapflow-1", account.address, account.address)
    account.append("INBOX", text)
    assert node("imapflow.mjs", "works", account, folder=ACCENTED, text=text.decode()) == {"done": True}
    # It left one letter in the folder that it made, flagged, one that it filed in Sent, and none in INBOX.
    assert account.letters(ACCENTED_WIRE, "imapflow-1") == [text]
    assert account.flags(ACCENTED_WIRE, "imapflow-1") >= {b"\\Flagged", b"\\Seen", b"$Relu"}
    assert account.letters("Sent", "imapflow-1") == [text]
    assert account.count("INBOX") == 0 and account.count("Trash") == 0


def imapflow_is_told_by_idle(demo):
    account = Account.new(demo, "imapflow")
    text = letter("imapflow-2", account.address, account.address)
    said = node("imapflow.mjs", "idles", account, text=text.decode())
    assert said == {"exists": 1, "flagged": True, "expunged": 1}, said


def imapflow_downloads_a_large_attachment(demo):
    account = Account.new(demo, "imapflow")
    content = attachment(5_000_000)
    text = with_attachment("imapflow-3", account.address, account.address, "scanner à relire.pdf", content)
    account.append("INBOX", text)
    with home() as folder:
        said = node("imapflow.mjs", "downloads", account, into=str(folder / "file"), source=str(folder / "source"))
        assert said == {"name": "scanner à relire.pdf", "type": "application/pdf"}, said
        assert (folder / "file").read_bytes() == content
        assert (folder / "source").read_bytes() == text


def imapflow_downloads_with_starttls(demo):
    account = Account.new(demo, "imapflow")
    text = with_attachment("imapflow-4", account.address, account.address, "bref.pdf", attachment(10_000))
    account.append("INBOX", text)
    with home() as folder:
        node("imapflow.mjs", "downloads", account, port="imap", into=str(folder / "file"), source=str(folder / "source"))
        assert (folder / "source").read_bytes() == text


def imapflow_is_told_of_a_wrong_password(demo):
    known = Account.of_demo(demo, 0)
    account = Account(demo, 0, known.address, known.username, "wrong")
    with few_refusals(demo):
        said = node("imapflow.mjs", "fails", account)
    assert said["authenticationFailed"] and said["serverResponseCode"] == "AUTHENTICATIONFAILED", said


def imapflow_refuses_a_server_of_an_unknown_authority(demo):
    said = node("imapflow.mjs", "fails", Account.of_demo(demo, 0), trusts=False)
    assert said["code"] in {"SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"}, said


def nodemailer_sends(demo):
    account, reader = Account.of_demo(demo, 0), Account.of_demo(demo, 1)
    content = attachment(4_000_000)
    with home() as folder:
        (folder / "radio").write_bytes(content)
        for key, port in ("nodemailer-1", "submission"), ("nodemailer-2", "submissions"):
            said = node("nodemailer.mjs", "sends", account, port=port, to=reader.address, subject=f"Résultats d'été {key}", file=str(folder / "radio"))
            assert said["accepted"] == [reader.address] and said["response"].startswith("250"), said
            arrived = reader.letter("INBOX", key)
            assert parsed(arrived)["Subject"] == f"Résultats d'été {key}" and attached(arrived) == {"radio été.pdf": content}, arrived[:2000]


def nodemailer_sends_octets_as_they_are(demo):
    account, reader = Account.of_demo(demo, 0), Account.of_demo(demo, 1)
    text = letter("nodemailer-3", account.address, reader.address)
    node("nodemailer.mjs", "sends_as_is", account, port="submission", to=reader.address, text=text.decode())
    assert body(reader.letter("INBOX", "nodemailer-3")) == body(text)


def nodemailer_sends_many_on_one_connection(demo):
    account, reader = Account.of_demo(demo, 0), Account.new(demo, "nodemailer", 1)
    said = node("nodemailer.mjs", "pools", account, port="submission", to=reader.address, count=20)
    assert said == {"accepted": 20}, said
    eventually(lambda: reader.count("INBOX") == 20)
    assert all(len(reader.letters("INBOX", f"nodemailer-pool-{number}.")) == 1 for number in range(20))


def nodemailer_is_told_of_a_wrong_password(demo):
    known = Account.of_demo(demo, 0)
    account = Account(demo, 0, known.address, known.username, "wrong")
    with few_refusals(demo):
        said = node("nodemailer.mjs", "fails", account, port="submission", to=account.address)
    assert said["code"] == "EAUTH" and said["responseCode"] == 535 and "5.7.8" in said["response"], said


def nodemailer_refuses_a_server_of_an_unknown_authority(demo):
    account = Account.of_demo(demo, 0)
    said = node("nodemailer.mjs", "fails", account, port="submissions", to=account.address, trusts=False)
    assert said["code"] == "ESOCKET" and "certificate" in said["message"], said


USUAL = []
MORE = [imapflow_works_a_mailbox, imapflow_is_told_by_idle, imapflow_downloads_a_large_attachment, imapflow_downloads_with_starttls, imapflow_is_told_of_a_wrong_password,
        imapflow_refuses_a_server_of_an_unknown_authority, nodemailer_sends, nodemailer_sends_octets_as_they_are, nodemailer_sends_many_on_one_connection,
        nodemailer_is_told_of_a_wrong_password, nodemailer_refuses_a_server_of_an_unknown_authority]
