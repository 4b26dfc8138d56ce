#!/usr/bin/env python3
"""Thunderbird against the demo, headless: its own IMAP and SMTP code, each effect also looked for by an imaplib session. One line for each check."""
import re
import shutil
import signal
import smtplib
import sys
import tempfile
import time
import traceback
from pathlib import Path

import demo as demo_module
from demo import Demo, eventually
from thunderbird_account import Account
from thunderbird_process import ScriptFailed, Thunderbird

WHOLE_SECONDS = 900
DISCHARGE, LABORATORY, REFERRAL = "Lettre de liaison à la sortie", "Résultats de biologie", "Demande d'avis cardiologique"
PATIENT = "Mme Exemple TEST"
# Its octets as characters, as scripts in Thunderbird have them.
ATTACHMENT = {"name": "compte-rendu.txt", "type": "text/plain", "text": "Créatinine 88 ; potassium 4,1\n".encode().decode("latin-1"), "times": 1}
# Modified UTF-7 of folder names with accents.
RECEIVED = ("Résultats reçus", "R&AOk-sultats re&AOc-us")
ADVICE = ("Avis demandés", "Avis demand&AOk-s")
SETTLED = ("Avis traités", "Avis trait&AOk-s")


class Stage:
    """What the checks share."""

    def __init__(self, demo, thunderbird):
        self.demo, self.thunderbird, self.sent = demo, thunderbird, 0
        self.claire = Account(self, 0, "personal", "imaps", "submission")
        self.paul = Account(self, 1, "personal", "imap", "submissions")
        self.office = Account(self, 0, "organizational", "imaps", "submissions")

    def call(self, *words):
        return self.thunderbird.call(*words)


def a_wrong_password_is_refused_and_makes_no_account(stage):
    start = time.monotonic()
    try:
        stage.claire.add(password="pas-le-bon")
    except ScriptFailed as refusal:
        assert "Unable to log in" in str(refusal), refusal
    else:
        raise AssertionError("an account was made")
    assert time.monotonic() - start < 30
    assert stage.call("accounts") == []


def a_server_whose_certificate_names_another_is_refused(stage):
    try:
        # Every name leads to this machine here; the certificate is for `localhost`.
        stage.claire.add(host="imap.autre-operateur.test")
    except ScriptFailed as refusal:
        assert "certificate does not fit" in str(refusal), refusal
    else:
        raise AssertionError("an account was made")
    assert stage.call("accounts") == []


def accounts_are_made_over_tls_and_starttls(stage):
    for account in (stage.claire, stage.paul, stage.office):
        account.add()
    assert set(stage.call("accounts")) >= {a.user["username"] for a in (stage.claire, stage.paul, stage.office)}


def folders_are_seen_with_their_uses_and_accents(stage):
    with stage.claire.session() as client:
        assert client.create(f'"{RECEIVED[1]}"')[0] == "OK" and client.subscribe(f'"{RECEIVED[1]}"')[0] == "OK"
    for account in (stage.claire, stage.paul, stage.office):
        # As when a person opens a new account: its inbox is asked for, and the folders with it.
        stage.call("update", account.uri("Inbox"))
        eventually(lambda: account.uri("Trash"))
    eventually(lambda: stage.claire.uri(RECEIVED[0]))
    shown = {f["path"]: f["uses"] for f in stage.call("folders", stage.claire.root)}
    for name, use in (("Inbox", "Inbox"), ("Sent", "SentMail"), ("Drafts", "Drafts"), ("Trash", "Trash"), ("Archives", "Archive"), ("Spam", "Junk")):
        assert shown.get(name) == [use], shown


def inbox_is_listed(stage):
    rows = [stage.claire.see("Inbox", subject) for subject in (DISCHARGE, LABORATORY, REFERRAL)]
    assert rows[0]["author"].startswith("Dr Hélène MERCIER"), rows
    assert not any(row["read"] or row["flagged"] for row in rows), rows
    assert len(stage.call("messages", stage.claire.uri("Inbox"))) == len(stage.claire.stored("INBOX")) == 3


def a_message_is_read_whole_with_its_attachment(stage):
    inbox = stage.claire.uri("Inbox")
    assert PATIENT in stage.call("read", inbox, DISCHARGE)["text"]
    read = stage.call("read", inbox, LABORATORY)
    assert "Résultats de M. Essai MODELE" in read["text"], read
    assert [(a["name"], a["type"]) for a in read["attachments"]] == [("resultats.csv", "text/csv")], read


def marks_reach_the_server_and_are_taken_back(stage):
    inbox = stage.claire.uri("Inbox")
    for step, flag in (("markRead", "\\Seen"), ("star", "\\Flagged")):
        stage.call(step, inbox, REFERRAL, True)
        eventually(lambda: flag in stage.claire.flags("INBOX", REFERRAL))
        stage.call(step, inbox, REFERRAL, False)
        eventually(lambda: flag not in stage.claire.flags("INBOX", REFERRAL))
    stage.call("tag", inbox, REFERRAL, "$label1")
    eventually(lambda: "$label1" in stage.claire.flags("INBOX", REFERRAL))
    assert "$label1" in stage.claire.see("Inbox", REFERRAL)["keywords"]
    stage.call("untag", inbox, REFERRAL, "$label1")
    eventually(lambda: "$label1" not in stage.claire.flags("INBOX", REFERRAL))


def marks_of_another_session_are_seen_while_idle(stage):
    def marked():
        row = stage.claire.see("Inbox", REFERRAL)
        return row["flagged"] and "$label2" in row["keywords"]

    with stage.claire.session("INBOX") as client:
        number = client.search(None, "SUBJECT", "cardiologique")[1][0]
        client.store(number, "+FLAGS", r"(\Flagged $label2)")
        eventually(marked, 15)
        client.store(number, "-FLAGS", r"(\Flagged $label2)")
        eventually(lambda: not stage.claire.see("Inbox", REFERRAL)["flagged"], 15)


def a_message_is_copied_and_moved(stage):
    inbox, received, archive = (stage.claire.uri(name) for name in ("Inbox", RECEIVED[0], "Archives"))
    stage.call("transfer", inbox, LABORATORY, received, False)
    assert len(stage.claire.stored("INBOX", LABORATORY)) == len(stage.claire.stored(RECEIVED[1], LABORATORY)) == 1
    stage.call("update", received)
    stage.claire.see(RECEIVED[0], LABORATORY)
    stage.call("transfer", received, LABORATORY, archive, True)
    assert len(stage.claire.stored("Archive", LABORATORY)) == 1
    eventually(lambda: not stage.claire.stored(RECEIVED[1]))


def a_folder_is_created_renamed_and_deleted(stage):
    account = stage.claire

    def on_server():
        with account.session() as client:
            return b"\n".join(client.list()[1]).decode()

    stage.call("createFolder", account.root, ADVICE[0])
    created = eventually(lambda: account.uri(ADVICE[0]))
    assert f'"{ADVICE[1]}"' in on_server()
    stage.call("transfer", account.uri("Inbox"), REFERRAL, created, False)
    stage.call("renameFolder", created, SETTLED[0])
    renamed = eventually(lambda: account.uri(SETTLED[0]))
    eventually(lambda: f'"{SETTLED[1]}"' in on_server() and f'"{ADVICE[1]}"' not in on_server())
    assert len(account.stored(SETTLED[1], REFERRAL)) == 1
    stage.call("deleteFolder", renamed)
    eventually(lambda: f'"Trash/{SETTLED[1]}"' in on_server() and account.uri("Trash", SETTLED[0]))


def a_message_is_deleted_to_the_trash_and_the_trash_emptied(stage):
    account = stage.claire
    stage.call("remove", account.uri("Inbox"), LABORATORY, False)
    eventually(lambda: not account.stored("INBOX", LABORATORY))
    assert len(account.stored("Trash", LABORATORY)) == 1
    stage.call("emptyTrash", account.root)
    eventually(lambda: not account.stored("Trash"))


def a_draft_is_kept_on_the_server_and_replaced(stage):
    claire = stage.claire
    draft = {"account": claire.key, "to": stage.paul.user["address"], "draft": True}
    stage.call("compose", {**draft, "subject": "brouillon à finir", "text": "Cher confrère,\n"})
    [(flags, message)] = claire.stored("Drafts")
    assert "Cher confrère" in message.get_content() and "\\Draft" in flags, flags
    stage.call("update", claire.uri("Drafts"))
    claire.see("Drafts", "brouillon à finir")
    stage.call("compose", {**draft, "subject": "brouillon fini", "text": "Cher confrère,\nfin\n"})
    stage.call("remove", claire.uri("Drafts"), "brouillon à finir", True)
    eventually(lambda: [str(message["Subject"]) for flags, message in claire.stored("Drafts") if "\\Deleted" not in flags] == ["brouillon fini"])


def an_unknown_recipient_is_told_and_nothing_is_filed(stage):
    domain = stage.claire.user["address"].partition("@")[2]
    filed = len(stage.claire.stored("Sent"))
    try:
        stage.call("compose", {"account": stage.claire.key, "to": f"personne@{domain}", "subject": "sans destinataire", "text": "bonjour\n"})
    except ScriptFailed as refusal:
        assert "gave up" in str(refusal), refusal
    else:
        raise AssertionError("it was sent")
    assert "No such mailbox" in eventually(stage.thunderbird.alert)
    assert len(stage.claire.stored("Sent")) == filed


def send_and_follow(stage, sender, recipient, subject, attachment):
    """Sent, filed once in Sent, arrived whole: Thunderbird on the other side sees it without being told to look."""
    stage.call("compose", {"account": sender.key, "to": recipient.user["address"], "subject": subject, "text": "Chère consœur,\n.\nVoir pièce jointe.\n", "attachment": attachment})
    stage.sent += 1
    [(flags, filed)] = sender.stored("Sent", subject)
    assert "\\Seen" in flags, flags
    arrived = recipient.see("Inbox", subject, 30)
    assert not arrived["read"]
    [(_, delivered)] = recipient.stored("INBOX", subject)
    assert delivered["Message-ID"] == filed["Message-ID"]
    expected = (attachment["text"] * attachment["times"]).encode("latin-1")
    for message in (filed, delivered):
        assert "Chère consœur,\n.\n" in message.get_body().get_content().replace("\r\n", "\n")
        [part] = message.iter_attachments()
        assert part.get_filename() == attachment["name"]
        assert part.get_payload(decode=True).replace(b"\r\n", b"\n") == expected
    read = stage.call("read", recipient.uri("Inbox"), subject)
    assert [a["name"] for a in read["attachments"]] == [attachment["name"]] and "Voir pièce jointe" in read["text"], read


def a_letter_goes_by_starttls_to_the_other_operator_and_is_filed_once(stage):
    send_and_follow(stage, stage.claire, stage.paul, "Avis sur M. Fictif PATIENT, été 2026", ATTACHMENT)


def a_letter_goes_back_by_implicit_tls_and_is_filed_once(stage):
    send_and_follow(stage, stage.paul, stage.claire, "Réponse : avis", ATTACHMENT)


def a_large_attachment_crosses_byte_for_byte(stage):
    send_and_follow(stage, stage.claire, stage.paul, "Imagerie volumineuse", {**ATTACHMENT, "name": "imagerie.bin", "type": "application/octet-stream", "times": 40_000})


def an_organizational_mailbox_is_read_and_written_for_by_its_user(stage):
    office = stage.office
    assert len(stage.call("messages", office.uri("Inbox"))) == len(office.stored("INBOX")) >= 3
    send_and_follow(stage, office, stage.paul, "Convocation du secrétariat", ATTACHMENT)
    [(_, delivered)] = stage.paul.stored("INBOX", "Convocation du secrétariat")
    assert office.user["address"] in delivered["From"]


def a_new_message_shows_while_thunderbird_idles(stage):
    claire = stage.claire
    sender = stage.demo.mailbox(0, "personal", 1)
    with smtplib.SMTP_SSL("localhost", stage.demo.port(0, "submissions"), context=stage.demo.context(), timeout=30) as client:
        client.login(sender["username"], sender["password"])
        client.sendmail(sender["address"], [claire.user["address"]], f"From: <{sender['address']}>\r\nSubject: pendant la veille\r\n\r\nbonjour\r\n")
    claire.see("Inbox", "pendant la veille", 10)
    with claire.session("INBOX") as client:
        number = client.search(None, "SUBJECT", '"pendant la veille"')[1][0]
        client.store(number, "+FLAGS", r"(\Deleted)")
        client.expunge()
    eventually(lambda: not [m for m in stage.call("messages", claire.uri("Inbox")) if m["subject"] == "pendant la veille"], 10)


def the_server_is_searched(stage):
    before = stage.thunderbird.imap_dialogue().count("SEARCH")
    assert stage.call("search", stage.claire.uri("Inbox"), "furosémide") == [DISCHARGE]
    assert stage.call("search", stage.claire.uri("Inbox"), "introuvable") == []
    assert stage.thunderbird.imap_dialogue().count("SEARCH") > before, "Thunderbird searched what it had kept itself"


def thunderbird_goes_on_after_the_server_was_killed(stage):
    stage.demo.kill()
    stage.demo.start()
    with stage.claire.session() as client:
        assert client.append("INBOX", None, None, b"Subject: apres le redemarrage\r\n\r\nbonjour\r\n")[0] == "OK"

    # As the button that gets messages; Thunderbird first notices that its connection is gone.
    stage.call("update", stage.claire.uri("Inbox"))
    stage.claire.see("Inbox", "apres le redemarrage", 60)
    stage.call("markRead", stage.claire.uri("Inbox"), "apres le redemarrage", True)
    eventually(lambda: "\\Seen" in stage.claire.flags("INBOX", "apres le redemarrage"))


def no_imap_command_was_refused(stage):
    commands, refused = {}, []
    for connection, name, text in re.findall(r"I/IMAP (\w+):localhost:.*?:(SendData|CreateNewLineFromSocket): (.*)", stage.thunderbird.imap_dialogue()):
        tag, _, rest = text.partition(" ")
        if name == "SendData":
            commands[connection, tag] = rest.strip()
        elif rest.startswith(("NO ", "BAD ")):
            refused.append((commands.get((connection, tag), ""), text.strip()))
    assert len(commands) > 100, "its log tells of no dialogue"
    # The check of the wrong password: Thunderbird tries AUTHENTICATE, then LOGIN (which it does not log). Else only that another of its
    # connections may ask for a folder by the name that it had before Thunderbird renamed it.
    logins = [answer for _, answer in refused if "[AUTHENTICATIONFAILED]" in answer]
    # In modified UTF-7, or as it is once UTF8=ACCEPT is enabled.
    names = "|".join(map(re.escape, ADVICE + SETTLED))
    renamed = [answer for command, answer in refused if "[NONEXISTENT]" in answer and re.match(rf'(select|STATUS) "({names})"', command)]
    assert len(logins) == 2 and len(refused) == len(logins) + len(renamed), refused


def no_smtp_command_was_refused_but_one_recipient(stage):
    lines = stage.thunderbird.smtp_dialogue()
    refused = [line for line in lines if re.match(r"S: [45]", line)]
    assert len(refused) == 1 and refused[0].startswith("S: 550 5.1.1 "), "but the one unknown recipient: " + repr(refused)
    assert lines.count("Message sent successfully.") == stage.sent
    assert "C: STARTTLS" in lines and len([line for line in lines if line.startswith("C: AUTH ")]) >= 3, lines


def the_log_of_the_server_tells_no_content(stage):
    log = (stage.demo.dir / "log").read_text()
    assert '"level":"DEBUG"' in log, "the server did not log at debug level"
    secrets = [DISCHARGE, "biologie", "PATIENT", "furos", "Imagerie", "claire.martin", "paul.moreau", "nadia.leroy", ATTACHMENT["name"]]
    secrets += [account.user["password"] for account in (stage.claire, stage.paul, stage.office)]
    assert not [word for word in secrets if word in log]


CHECKS = [
    a_wrong_password_is_refused_and_makes_no_account, a_server_whose_certificate_names_another_is_refused, accounts_are_made_over_tls_and_starttls,
    folders_are_seen_with_their_uses_and_accents, inbox_is_listed, a_message_is_read_whole_with_its_attachment, marks_reach_the_server_and_are_taken_back,
    marks_of_another_session_are_seen_while_idle, a_message_is_copied_and_moved, a_folder_is_created_renamed_and_deleted,
    a_message_is_deleted_to_the_trash_and_the_trash_emptied, a_draft_is_kept_on_the_server_and_replaced, an_unknown_recipient_is_told_and_nothing_is_filed,
    a_letter_goes_by_starttls_to_the_other_operator_and_is_filed_once, a_letter_goes_back_by_implicit_tls_and_is_filed_once, a_large_attachment_crosses_byte_for_byte,
    an_organizational_mailbox_is_read_and_written_for_by_its_user, a_new_message_shows_while_thunderbird_idles, the_server_is_searched,
    thunderbird_goes_on_after_the_server_was_killed, no_imap_command_was_refused, no_smtp_command_was_refused_but_one_recipient, the_log_of_the_server_tells_no_content,
]


def at_debug_level(folder):
    """The binary, made to log all that it can."""
    wrapper = Path(folder) / "vaguemestre"
    wrapper.write_text(f'#!/bin/sh\nexec "{demo_module.BINARY}" --log debug "$@"\n')
    wrapper.chmod(0o755)
    return str(wrapper)


def perform(stage):
    failed = 0
    for check in CHECKS:
        start = time.monotonic()
        try:
            check(stage)
            print(f"ok      {check.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {check.__name__}")
            traceback.print_exc(limit=4, file=sys.stdout)
    return failed


def give_up(number, _):
    sys.exit(f"ended by {signal.Signals(number).name}")


def main():
    # Whatever ends this, what it started ends too.
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, give_up)
    signal.alarm(WHOLE_SECONDS)
    failed, folders = len(CHECKS), []
    with tempfile.TemporaryDirectory(prefix="vaguemestre-") as folder:
        demo_module.BINARY = at_debug_level(folder)
        demo = Demo()
        folders.append(demo.dir)
        try:
            with Thunderbird(demo.ca) as thunderbird:
                folders.append(thunderbird.dir)
                failed = perform(Stage(demo, thunderbird))
        except Exception:
            traceback.print_exc(file=sys.stdout)
        finally:
            demo.kill()
    if failed:
        print("kept:", *folders)
    else:
        for folder in folders:
            shutil.rmtree(folder)
    print(f"thunderbird: {len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
