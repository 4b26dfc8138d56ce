"""Messages in messages, reports, and the types message/* (RFC 2046 §5.2, 3464, 8098, 6532); deep nests."""
from .message import Case, letter, lines, multipart, part

INNER = letter("From: dedans@chu.test", "Subject: dedans", "Message-ID: <dedans@chu.test>", body=("un", "deux"))


def embedded(name, purpose, octets, *header, subtype="rfc822"):
    """A message whose body is one embedded message."""
    return Case("message-" + name, purpose, lines("Subject: dehors", f"Content-Type: message/{subtype}", *header, "") + octets)


def in_messages(depth):
    """A text inside that many messages."""
    return Case(f"nest-messages-{depth}", f"{depth} messages in one another", b"".join(lines(f"Subject: {i}", "Content-Type: message/rfc822", "") for i in range(depth)) + letter("Subject: fond"))


def in_multiparts(depth):
    """A text inside that many multiparts."""
    octets = part("Content-Type: image/png", body="fond")
    for i in reversed(range(depth)):
        octets = multipart(f"b{i}.", octets)
    return Case(f"nest-multiparts-{depth}", f"{depth} multiparts in one another", octets)


def in_both(depth):
    """A text inside that many multiparts, each in a message."""
    octets = letter("Subject: fond")
    for i in reversed(range(depth)):
        octets = multipart(f"b{i}.", lines("Content-Type: message/rfc822", "") + octets, header=(f"Subject: {i}",))
    return Case(f"nest-both-{depth}", f"{depth} multiparts and messages in one another", octets)


REPORT = multipart("r", part(body="Votre message n'a pas ete remis.\r\n"),
                   part("Content-Type: message/delivery-status", body="Reporting-MTA: dns; mx.chu.test\r\n\r\nFinal-Recipient: rfc822; a@b.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"),
                   part("Content-Type: text/rfc822-headers; charset=us-ascii", body="Subject: original\r\n"), subtype="report", parameters="; report-type=delivery-status", header=("Subject: avis",))
CASES = [
    embedded("usual", "a message in a message", INNER),
    embedded("empty", "an embedded message of nothing", b""),
    embedded("blank", "an embedded message of one blank line", b"\r\n"),
    embedded("header-only", "an embedded message without blank line", lines("Subject: dedans")),
    embedded("header-no-end", "an embedded message that ends in its header", b"Subject: dedans"),
    embedded("header-blank", "an embedded message without body", lines("Subject: dedans", "")),
    embedded("text", "an embedded message without header", lines("", "texte")),
    embedded("no-header", "text where an embedded message should be", lines("ceci n'est pas un message", "", "texte")),
    embedded("mbox-from", "an mbox From line before the embedded message", lines("From a@chu.test Sat Nov 21 08:04:00 2026") + INNER),
    embedded("8bit", "8bit", INNER, "Content-Transfer-Encoding: 8bit"),
    embedded("encoding-unknown", "an encoding nobody knows", INNER, "Content-Transfer-Encoding: x-rien"),
    embedded("encoding-empty", "an empty encoding", INNER, "Content-Transfer-Encoding:"),
    embedded("base64", "base64, which is not allowed", b"U3ViamVjdDogeA0KDQp0ZXh0ZQ0K\r\n", "Content-Transfer-Encoding: base64"),
    embedded("quoted-printable", "quoted-printable, which is not allowed", INNER, "Content-Transfer-Encoding: quoted-printable"),
    embedded("parameters", "parameters and fields of the embedded message", INNER, "Content-Disposition: attachment; filename=a.eml", "Content-Description: d", "Content-ID: <a@b>"),
    embedded("global", "an internationalised message (RFC 6532)", letter("From: hélène@chu.test", "Subject: é"), subtype="global"),
    embedded("global-headers", "internationalised header fields only", lines("Subject: é"), subtype="global-headers"),
    embedded("partial", "a piece of a message", INNER, subtype="partial; number=1; total=2; id=a@b"),
    embedded("external-body", "a body that is elsewhere", lines("Content-Type: application/pdf", "Content-ID: <a@b>", ""), subtype="external-body; access-type=URL; URL=\"https://chu.test/\""),
    embedded("delivery-status", "a delivery status alone", lines("Reporting-MTA: dns; mx.chu.test", "", "Status: 5.1.1"), subtype="delivery-status"),
    embedded("disposition", "a disposition notification alone", lines("Final-Recipient: rfc822; a@b.test", "Disposition: manual-action/MDN-sent-manually; displayed"), subtype="disposition-notification"),
    embedded("unknown", "a subtype nobody knows", INNER, subtype="x-rien"),
    embedded("news", "message/news", INNER, subtype="news"),
    embedded("http", "message/http", lines("HTTP/1.1 200 OK", "", "texte"), subtype="http"),
    Case("message-case", "capitals in the type", lines("Content-Type: MESSAGE/RFC822", "") + INNER),
    Case("message-lf", "LF line ends", (lines("Content-Type: message/rfc822", "") + INNER).replace(b"\r\n", b"\n")),
    Case("message-in-part", "a forwarded message as attachment", multipart("b", part(body="voir ci-joint"), lines("Content-Type: message/rfc822", "") + INNER)),
    Case("message-in-part-multipart", "a forwarded multipart", multipart("b", part(body="voir"), lines("Content-Type: message/rfc822", "") + multipart("c", part(body="un"), part(body="deux"), header=("Subject: dedans",)))),
    Case("message-in-part-unclosed", "a forwarded multipart that is not closed", multipart("b", lines("Content-Type: message/rfc822", "", "Content-Type: multipart/mixed; boundary=c", "", "--c", "", "un"), part(body="deux"))),
    Case("message-in-part-same-boundary", "a forwarded multipart with the outer boundary", multipart("b", lines("Content-Type: message/rfc822", "") + multipart("b", part(body="un")), part(body="deux"))),
    Case("message-in-part-empty", "a forwarded message of nothing", multipart("b", lines("Content-Type: message/rfc822", "")[:-2], part(body="deux"))),
    Case("message-in-part-header", "a forwarded message cut in its header", multipart("b", lines("Content-Type: message/rfc822", "") + b"Subject: coupe", part(body="deux"))),
    Case("message-two", "a message in a message in a message", lines("Content-Type: message/rfc822", "", "Subject: un", "Content-Type: message/rfc822", "") + INNER),
    Case("report-delivery", "a delivery report", REPORT),
    Case("report-disposition", "a read receipt", multipart("b", part(body="Lu."), part("Content-Type: message/disposition-notification", body="Final-Recipient: rfc822; a@b.test\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n"),
         subtype="report", parameters="; report-type=disposition-notification")),
    Case("report-forwarded", "a delivery report forwarded", multipart("b", lines("Content-Type: message/rfc822", "") + REPORT)),
    *[in_messages(depth) for depth in (10, 63, 64, 65, 100)],
    *[in_multiparts(depth) for depth in (10, 63, 64, 65, 100)],
    *[in_both(depth) for depth in (10, 32, 33, 60)],
]
