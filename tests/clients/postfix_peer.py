#!/usr/bin/env python3
"""A Debian Postfix as a foreign operator with a certificate of its own, against the demo: to us, from us, and what happens when one of the two is down, refuses, or
is not who it should be. One line for each check. Needs root; a failing run leaves both folders behind and names them.

usage: postfix_peer.py [CHECK...]
"""
import contextlib
import email
import email.policy
import os
import re
import smtplib
import sys
import time
import traceback

from demo import eventually
from postfix_world import DOCTOR, DOMAIN, EXPIRED, FOREIGN, GREY, OLD, OTHER_DN, REVOKED, REVOKED_SERVER, STRANGER, UNLISTED, Reader, World, bounce, letter, notification, refused_for_trust

PLAIN = b"Bonjour,\r\n\r\nrien de neuf.\r\n"
DOTS = b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\nx.\r\n.\r\n"
EIGHT_BIT = "Chère consœur,\r\nle patient va mieux : 38 °C → 37 °C.\r\n".encode()
EIGHT_BIT_FIELDS = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
LONGEST = b"".join(bytes([65 + i]) * 998 + b"\r\n" for i in range(5))
TOO_LONG = b"".join(bytes([65 + i]) * size + b"\r\n" for i, size in enumerate([999, 1500, 1996, 1997, 2048, 2049, 5000, 70_000]))


def large(octets):
    line = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ./-_+=()" + b"\r\n"
    return line * (octets // len(line))


# ---- from Postfix to us

def to_us(world, subject, body, fields="", options=()):
    """Sends a letter from Postfix's user to ours; what was sent, and what arrived."""
    text = letter(subject, DOCTOR, world.ours, body, fields)
    with world.postfix.client() as client:
        client.sendmail(DOCTOR, [world.ours], text, mail_options=list(options))
    return text, world.read(subject)


def to_us_text_arrives_byte_for_byte_over_verified_tls(world):
    sent, arrived = to_us(world, "vers-texte", PLAIN)
    assert arrived.endswith(sent), arrived
    assert b"Return-Path: <" + DOCTOR.encode() + b">" in arrived.split(b"\r\n\r\n")[0], arrived
    assert "Verified TLS connection established to localhost" in world.postfix.log()


def to_us_lone_dots_arrive(world):
    sent, arrived = to_us(world, "vers-points", DOTS)
    assert arrived.endswith(sent), arrived


def to_us_8bitmime_arrives_byte_for_byte(world):
    sent, arrived = to_us(world, "vers-8bit", EIGHT_BIT, EIGHT_BIT_FIELDS, ["BODY=8BITMIME"])
    assert arrived.endswith(sent), arrived


def to_us_lines_of_998_octets_arrive_byte_for_byte(world):
    sent, arrived = to_us(world, "vers-998", LONGEST)
    assert arrived.endswith(sent)


def to_us_longer_lines_arrive_folded_by_postfix_and_nothing_is_lost(world):
    sent, arrived = to_us(world, "vers-longues", TOO_LONG)
    body = arrived.split(b"\r\n\r\n", 1)[1]
    assert max(map(len, body.split(b"\r\n"))) <= 998
    assert body.replace(b"\r\n ", b"") == sent.split(b"\r\n\r\n", 1)[1]


def to_us_a_large_message_arrives_byte_for_byte(world):
    sent, arrived = to_us(world, "vers-grande", large(20 << 20))
    assert arrived.endswith(sent)


def to_us_what_is_larger_than_we_take_is_given_back_by_postfix(world):
    """We announce SIZE: Postfix does not even send it."""
    text = letter("vers-trop-grande", DOCTOR, world.ours, large((50 << 20) + 1))
    with world.postfix.client() as client:
        client.sendmail(DOCTOR, [world.ours], text)
    report = bounce(world.received(DOCTOR, "vers-trop-grande"))
    assert report["Action"] == "failed" and report["Status"] in ("5.3.4", "5.2.3"), report
    assert not world.found("vers-trop-grande")


def to_us_smtputf8_is_given_back_by_postfix(world):
    """We do not offer SMTPUTF8 (RFC 6531): a message that needs it goes back with 5.6.7."""
    text = letter("vers-utf8", DOCTOR, world.ours, PLAIN, "X-Nom: Hélène\r\n")
    with world.postfix.client() as client:
        client.sendmail(DOCTOR, [world.ours], text, mail_options=["BODY=8BITMIME", "SMTPUTF8"])
    report = bounce(world.received(DOCTOR, "vers-utf8"))
    assert report["Action"] == "failed" and report["Status"] == "5.6.7", report
    assert not world.found("vers-utf8")


def to_us_a_success_report_is_made_by_exactly_one_side(world):
    """Without DSN on our side Postfix reports `relayed`; with it we report `delivered` and Postfix nothing."""
    text = letter("vers-avis", DOCTOR, world.ours, PLAIN)
    with world.postfix.client() as client:
        client.sendmail(DOCTOR, [world.ours], text, ["RET=HDRS", "ENVID=lot+2B7"], ["NOTIFY=SUCCESS,FAILURE,DELAY", f"ORCPT=rfc822;{world.ours}"])
    assert world.read("vers-avis").endswith(text)
    eventually(lambda: not world.postfix.queue())
    report = bounce(world.received(DOCTOR, "vers-avis"))
    assert report["Action"] in ("relayed", "delivered"), report
    assert report["Original-Recipient"].lower().replace(" ", "") == f"rfc822;{world.ours}" and report["Original-Envelope-Id"] == "lot+7", report


def to_us_a_hundred_messages_arrive_once_each_over_reused_connections(world):
    sender = f"serie@{DOMAIN}"
    before = world.postfix.log().count("TLS connection reused")
    with world.postfix.client() as client:
        for number in range(100):
            client.sendmail(sender, [world.ours], letter(f"vers-serie-{number:03}", sender, world.ours, PLAIN))
    with contextlib.closing(Reader(world.demo, 0, "personal", 0)) as reader:
        def all_there():
            return len(reader.numbers("vers-serie-")) >= 100
        eventually(all_there, 60)
        eventually(lambda: not world.postfix.queue())
        for number in range(100):
            assert len(reader.numbers(f"vers-serie-{number:03}")) == 1, number
    assert world.postfix.log().count("TLS connection reused") > before


def to_us_one_unknown_recipient_does_not_keep_the_message_from_the_other(world):
    unknown = "personne." + world.ours
    text = letter("vers-deux", DOCTOR, world.ours, PLAIN)
    with world.postfix.client() as client:
        client.sendmail(DOCTOR, [unknown, world.ours], text)
    assert world.read("vers-deux").endswith(text)
    report = bounce(world.received(DOCTOR, "vers-deux"))
    assert report["Action"] == "failed" and report["Status"] == "5.1.1" and report["Final-Recipient"] == f"rfc822; {unknown}", report
    assert report["Diagnostic-Code"].startswith("smtp; 550 5.1.1"), report


def to_us_a_sender_of_another_domain_is_refused_and_postfix_says_why(world):
    spoofed = f"docteur@{OTHER_DN}"
    with world.postfix.client() as client:
        client.sendmail(spoofed, [world.ours], letter("vers-autre-domaine", spoofed, world.ours, PLAIN))
    refused_for_trust(world, spoofed, "vers-autre-domaine")


def to_us_a_certificate_outside_the_white_list_is_refused_and_postfix_says_why(world):
    sender = f"docteur@{UNLISTED}"
    with world.postfix.client() as client:
        client.sendmail(sender, [world.ours], letter("vers-hors-liste", sender, world.ours, PLAIN))
    refused_for_trust(world, sender, "vers-hors-liste")


def to_us_without_a_certificate_is_refused_and_postfix_says_why(world):
    sender = f"sanscert@{DOMAIN}"
    with world.postfix.client() as client:
        client.sendmail(sender, [world.ours], letter("vers-sans-certificat", sender, world.ours, PLAIN))
    refused_for_trust(world, sender, "vers-sans-certificat")


def to_us_a_revoked_certificate_fails_the_handshake_and_postfix_keeps_the_message(world):
    sender = f"docteur@{REVOKED}"
    with world.postfix.client() as client:
        client.sendmail(sender, [world.ours], letter("vers-avant", sender, world.ours, PLAIN))
    assert world.read("vers-avant")
    world.authority.revoke(world.revoked)
    world.reload(lambda: not world.is_let_in(world.revoked, sender))
    with world.postfix.client() as client:
        client.sendmail(sender, [world.ours], letter("vers-revoque", sender, world.ours, PLAIN))
    reasons = eventually(lambda: world.postfix.delays(sender))
    assert any("TLS" in reason or "lost connection" in reason or "handshake" in reason for reason in reasons), reasons
    alerts = [line for line in world.postfix.log().splitlines() if "alert" in line and "revoked" in line]
    assert alerts, "Postfix's log does not name the revocation"
    assert "revoked" in world.log().lower(), "our log does not name the revocation"
    assert not world.found("vers-revoque")
    world.postfix.forget(sender)


def to_us_an_expired_certificate_fails_the_handshake_and_postfix_keeps_the_message(world):
    handshake_fails(world, f"docteur@{EXPIRED}", "vers-perime", "alert certificate expired")


def to_us_a_certificate_of_another_authority_fails_the_handshake_and_postfix_keeps_the_message(world):
    handshake_fails(world, f"docteur@{FOREIGN}", "vers-etranger", "alert unknown ca")


def to_us_while_we_are_down_postfix_keeps_the_message_and_delivers_it_once(world):
    world.demo.stop()
    try:
        text = letter("vers-arret", DOCTOR, world.ours, PLAIN)
        with world.postfix.client() as client:
            client.sendmail(DOCTOR, [world.ours], text)
        reasons = eventually(lambda: world.postfix.delays(DOCTOR))
        assert any("Connection refused" in reason for reason in reasons), reasons
    finally:
        world.demo.start()
    world.postfix.flush()
    assert world.read("vers-arret").endswith(text)
    eventually(lambda: not world.postfix.delays(DOCTOR))
    assert len(world.found("vers-arret")) == 1


# ---- from us to Postfix

def from_us(world, subject, body, fields="", address=DOCTOR, **options):
    """Submits a letter from our user to Postfix's; what was submitted, and what arrived."""
    text = letter(subject, world.ours, address, body, fields)
    world.submit(text, [address], **options)
    return text, world.received(address, f"Subject: {subject}")


def from_us_text_arrives_byte_for_byte(world):
    sent, arrived = from_us(world, "depuis-texte", PLAIN)
    assert arrived.endswith(sent), arrived


def from_us_lone_dots_arrive(world):
    sent, arrived = from_us(world, "depuis-points", DOTS)
    assert arrived.endswith(sent), arrived


def from_us_8bitmime_arrives_byte_for_byte(world):
    sent, arrived = from_us(world, "depuis-8bit", EIGHT_BIT, EIGHT_BIT_FIELDS, mail_options=["BODY=8BITMIME"])
    assert arrived.endswith(sent), arrived


def from_us_long_lines_arrive_byte_for_byte(world):
    sent, arrived = from_us(world, "depuis-longues", LONGEST + TOO_LONG)
    assert arrived.endswith(sent)


def from_us_a_large_message_arrives_byte_for_byte(world):
    sent, arrived = from_us(world, "depuis-grande", large(20 << 20))
    assert arrived.endswith(sent)


def from_us_a_hundred_messages_that_waited_arrive_once_each_over_few_connections(world):
    user = world.demo.mailbox(0, "personal")
    world.postfix.stop()
    try:
        with smtplib.SMTP_SSL("localhost", world.demo.port(0, "submissions"), context=world.demo.context(), timeout=60) as client:
            client.login(user["username"], user["password"])
            for number in range(100):
                client.sendmail(world.ours, [DOCTOR], letter(f"depuis-serie-{number:03}", world.ours, DOCTOR, PLAIN))

        def all_deferred():
            return len([entry for entry in world.waiting(DOCTOR) if entry["state"] == "deferred"]) == 100
        eventually(all_deferred)
    finally:
        world.postfix.start()
    before = len(world.postfix.log())
    world.queue("retry")

    def all_there():
        return len(world.postfix.letters(DOCTOR, "Subject: depuis-serie-")) >= 100
    eventually(all_there, 60)
    eventually(lambda: not world.waiting(DOCTOR))
    arrived = [re.search(rb"Subject: (depuis-serie-\d+)", content)[1] for content in world.postfix.letters(DOCTOR, "Subject: depuis-serie-")]
    assert len(arrived) == len(set(arrived)) == 100
    connections = world.postfix.log()[before:].count("]: connect from localhost")
    assert connections <= 20, f"{connections} connections for 100 messages"


def from_us_a_refused_recipient_gives_a_readable_notification_and_the_other_gets_the_message(world):
    unknown = f"inconnu@{DOMAIN}"
    text = letter("depuis-deux", world.ours, DOCTOR, PLAIN)
    world.submit(text, [unknown, DOCTOR])
    assert world.received(DOCTOR, "Subject: depuis-deux").endswith(text)
    report = notification(world, unknown)
    assert report["Action"] == "failed" and report["Status"] == "5.1.1", report
    assert report["Diagnostic-Code"].startswith("smtp; 550 5.1.1") and report["Remote-MTA"].startswith("dns;"), report
    assert not world.waiting(unknown)


def from_us_greylisting_is_deferred_then_accepted_once(world):
    address = f"docteur@{GREY}"
    text = letter("depuis-gris", world.ours, address, PLAIN)
    world.submit(text, [address])
    assert world.received(address, "Subject: depuis-gris").endswith(text)
    assert world.postfix.grey_list.seen.count(address) == 2, world.postfix.grey_list.seen
    done = [entry for entry in world.queue("list", "--all") if entry["recipient"] == address]
    assert [entry["state"] for entry in done] == ["relayed"] and done[0]["attempts"] == 2, done


def from_us_while_postfix_is_down_the_message_waits_and_a_retry_delivers_it_once(world):
    waits_while_down(world, "depuis-arret")
    assert world.queue("retry")["entries"] >= 1
    arrives_once(world, "depuis-arret")


def from_us_while_postfix_is_down_the_message_waits_and_the_schedule_delivers_it_once(world):
    waits_while_down(world, "depuis-arret-long")
    arrives_once(world, "depuis-arret-long")


def from_us_to_a_server_with_another_operators_certificate_is_deferred(world):
    is_deferred(world, f"docteur@{STRANGER}", "depuis-usurpe")


def from_us_to_a_server_whose_certificate_is_not_the_listed_one_is_deferred(world):
    is_deferred(world, f"docteur@{OTHER_DN}", "depuis-autre-dn")


def from_us_to_a_server_with_an_expired_certificate_is_deferred(world):
    is_deferred(world, f"docteur@{EXPIRED}", "depuis-perime")


def from_us_to_a_server_with_a_revoked_certificate_is_deferred(world):
    is_deferred(world, f"docteur@{REVOKED_SERVER}", "depuis-revoque")


def from_us_to_a_server_of_another_authority_is_deferred(world):
    is_deferred(world, f"docteur@{FOREIGN}", "depuis-etranger")


def from_us_an_operator_that_postfix_does_not_know_gets_a_notification(world):
    text = letter("depuis-inconnu", world.demo.mailbox(1, "personal")["address"], DOCTOR, PLAIN)
    world.submit(text, [DOCTOR], operator=1)
    report = notification(world, DOCTOR, operator=1)
    assert report["Action"] == "failed" and report["Status"].startswith("5.7."), report
    assert not world.postfix.letters(DOCTOR, "Subject: depuis-inconnu")


def from_us_to_a_server_without_extensions_text_and_dots_arrive_byte_for_byte(world):
    sent, arrived = from_us(world, "ancien-points", PLAIN + DOTS + LONGEST, address=f"docteur@{OLD}")
    assert arrived.endswith(sent), arrived


def from_us_to_a_server_without_8bitmime_the_text_arrives_made_7bit(world):
    """RFC 6152 §3."""
    _, arrived = from_us(world, "ancien-8bit", EIGHT_BIT, EIGHT_BIT_FIELDS, address=f"docteur@{OLD}", mail_options=["BODY=8BITMIME"])
    assert arrived.isascii(), arrived
    parsed = email.message_from_bytes(arrived, policy=email.policy.default)
    assert parsed.get_content().replace("\r\n", "\n").encode() == EIGHT_BIT.replace(b"\r\n", b"\n"), arrived


def from_us_to_a_server_without_extensions_several_recipients_get_one_answer_each(world):
    known, unknown = f"docteur@{OLD}", f"absente@{OLD}"
    text = letter("ancien-deux", world.ours, known, PLAIN)
    world.submit(text, [unknown, known])
    assert world.received(known, "Subject: ancien-deux").endswith(text)
    assert notification(world, unknown)["Status"] == "5.1.1"


# ---- what the checks share

def handshake_fails(world, sender, subject, alert):
    """Postfix keeps the message and hears why; nothing of it is in a mailbox of ours."""
    with world.postfix.client() as client:
        client.sendmail(sender, [world.ours], letter(subject, sender, world.ours, PLAIN))
    reasons = eventually(lambda: world.postfix.delays(sender))
    assert any("TLS" in reason or "lost connection" in reason or "handshake" in reason for reason in reasons), reasons
    assert alert in world.postfix.log(), f"Postfix's log names no {alert}"
    assert not world.found(subject)
    world.postfix.forget(sender)


def waits_while_down(world, subject):
    world.postfix.stop()
    try:
        world.submit(letter(subject, world.ours, DOCTOR, PLAIN), [DOCTOR])

        def deferred():
            return [entry for entry in world.waiting(DOCTOR) if entry["state"] == "deferred"]
        entry = eventually(deferred)[0]
        assert entry["attempts"] >= 1 and entry["lastReply"].startswith("451 4.4"), entry
    finally:
        world.postfix.start()


def arrives_once(world, subject):
    assert world.received(DOCTOR, f"Subject: {subject}").endswith(letter(subject, world.ours, DOCTOR, PLAIN))
    eventually(lambda: not world.waiting(DOCTOR))
    assert len(world.postfix.letters(DOCTOR, f"Subject: {subject}")) == 1


def is_deferred(world, address, subject):
    """The message waits, with the cause, and the server heard of neither sender nor recipient."""
    before = len(world.postfix.log())
    world.submit(letter(subject, world.ours, address, PLAIN), [address])

    def deferred():
        return [entry for entry in world.waiting(address) if entry["state"] == "deferred" and entry["attempts"] >= 1]
    entry = eventually(deferred)[0]
    assert entry["lastReply"].startswith("451 4."), entry
    assert not world.postfix.letters(address, f"Subject: {subject}")
    assert address not in world.postfix.log()[before:]


CHECKS = [check for name, check in list(globals().items()) if name.startswith(("to_us_", "from_us_"))]


def main():
    if os.geteuid() != 0:
        sys.exit("Postfix needs root; nothing was checked")
    wanted = [check for check in CHECKS if not sys.argv[1:] or check.__name__ in sys.argv[1:]]
    failed = 0
    world = World()
    for check in wanted:
        begin = time.monotonic()
        try:
            check(world)
            print(f"ok      {check.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {check.__name__}", flush=True)
            traceback.print_exc(limit=3, file=sys.stdout)
    world.stop()
    if failed:
        print(f"the demo's folder is {world.demo.dir}, Postfix's {world.postfix.root}")
    else:
        world.postfix.remove()
    print(f"postfix peer: {len(wanted) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
