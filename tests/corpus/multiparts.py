"""Multiparts (RFC 2046 §5.1): boundaries, delimiters, preambles, empty ones, many parts."""
from .message import Case, lines, multipart, part

TEXT = part("Content-Type: text/plain; charset=utf-8")
HTML = part("Content-Type: text/html; charset=utf-8", body="<p>texte</p>")
PDF = part("Content-Type: application/pdf; name=cr.pdf", "Content-Disposition: attachment; filename=cr.pdf", "Content-Transfer-Encoding: base64", body="JVBERi0xLjQK\r\n")
BARE = part()


def raw(name, purpose, content_type, *body, last=True):
    """A message with that Content-Type and these lines for a body."""
    octets = lines("Subject: multipart", f"Content-Type: {content_type}", "", *body)
    return Case("multi-" + name, purpose, octets if last else octets[:-2])


def mixed(name, purpose, *body, last=True):
    """A multipart/mixed with the boundary b and these lines for a body."""
    return raw(name, purpose, "multipart/mixed; boundary=b", *body, last=last)


def many(count):
    """A multipart of that many parts."""
    return Case(f"multi-parts-{count}", f"{count} parts", multipart("b", *[part(body=str(i)) for i in range(count)], header=("Subject: parties",)))


CASES = [
    Case("multi-usual", "a text and an attachment", multipart("frontiere", TEXT, PDF, header=("Subject: usuel",), preamble=("preambule",), epilogue=("epilogue",))),
    Case("multi-alternative", "text and HTML", multipart("b", TEXT, HTML, subtype="alternative")),
    Case("multi-related", "parameters beside the boundary", multipart("b", HTML, PDF, subtype="related", parameters='; type="text/html"; start="<a@b>"')),
    Case("multi-fields", "every Content-* field on the multipart itself", multipart("b", TEXT, header=(
        "Content-ID: <a@b>", "Content-Description: d", "Content-MD5: m", "Content-Language: fr, en", "Content-Location: l", "Content-Disposition: inline; x=y",
        "Content-Transfer-Encoding: 8bit"))),
    Case("multi-subtype-unknown", "a subtype nobody knows", multipart("b", TEXT, subtype="x-hopital")),
    Case("multi-case", "capitals in the type", lines("CONTENT-TYPE: MultiPart/MIXED; BOUNDARY=b", "", "--b", "", "un", "--b--")),
    Case("multi-encoded", "base64 on a multipart, which is not allowed", multipart("b", TEXT, header=("Content-Transfer-Encoding: base64",))),
    Case("multi-signed", "a signature (RFC 1847, RFC 8551)", multipart("b", TEXT, part("Content-Type: application/pkcs7-signature; name=smime.p7s", "Content-Transfer-Encoding: base64", body="MIAG"),
         subtype="signed", parameters='; protocol="application/pkcs7-signature"; micalg=sha-256')),
    Case("multi-xdm", "a clinical document in its IHE_XDM.ZIP", multipart("b", TEXT, part(
        'Content-Type: application/zip; name="IHE_XDM.ZIP"', "Content-Transfer-Encoding: base64", 'Content-Disposition: attachment; filename="IHE_XDM.ZIP"', "Content-Description: XDM/1.0/DDM",
        body="UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==\r\n"), header=("Subject: XDM/1.0/DDM", "X-MSS-TYPE: CDA"))),
    Case("multi-invitation", "an invitation in an alternative", multipart("b", TEXT, part("Content-Type: text/calendar; method=REQUEST; charset=utf-8", body="BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"), subtype="alternative")),
    raw("no-boundary", "no boundary parameter", "multipart/mixed", "--b", "", "un", "--b--"),
    raw("boundary-empty", "an empty boundary", 'multipart/mixed; boundary=""', "--", "", "un", "----"),
    raw("boundary-blank", "a boundary of blanks", 'multipart/mixed; boundary="  "', "--  ", "", "un", "--  --"),
    raw("boundary-space-inside", "a boundary with spaces inside", 'multipart/mixed; boundary="b c d"', "--b c d", "", "un", "--b c d--"),
    raw("boundary-space-bare", "a boundary with spaces and no quotes", "multipart/mixed; boundary=b c", "--b c", "", "un", "--b c--"),
    raw("boundary-space-end", "a quoted boundary that ends with spaces", 'multipart/mixed; boundary="b  "', "--b", "", "un", "--b--"),
    raw("boundary-space-end-kept", "a quoted boundary that ends with spaces, and its lines too", 'multipart/mixed; boundary="b  "', "--b  ", "", "un", "--b  --"),
    raw("boundary-specials", "all characters a boundary may have", "multipart/mixed; boundary=\"'()+_,-./:=?0aZ\"", "--'()+_,-./:=?0aZ", "", "un", "--'()+_,-./:=?0aZ--"),
    raw("boundary-specials-bare", "the same, unquoted", "multipart/mixed; boundary=----=_Part_1.2", "------=_Part_1.2", "", "un", "------=_Part_1.2--"),
    raw("boundary-escaped", "escapes in a quoted boundary", r'multipart/mixed; boundary="b\c\"d"', '--bc"d', "", "un", '--bc"d--'),
    raw("boundary-backslash", "escapes taken literally", r'multipart/mixed; boundary="b\c"', r"--b\c", "", "un", r"--b\c--"),
    raw("boundary-comment", "a comment after a boundary", "multipart/mixed; boundary=b(c)", "--b", "", "un", "--b--"),
    raw("boundary-twice", "two boundaries", "multipart/mixed; boundary=b; boundary=c", "--b", "", "un", "--b--"),
    raw("boundary-continued", "a boundary in pieces (RFC 2231)", "multipart/mixed; boundary*0=b; boundary*1=c", "--bc", "", "un", "--bc--"),
    raw("boundary-extended", "a boundary with charset (RFC 2231)", "multipart/mixed; boundary*=us-ascii''b%20c", "--b c", "", "un", "--b c--"),
    raw("boundary-70", "a boundary of 70 characters", "multipart/mixed; boundary=" + "b" * 70, "--" + "b" * 70, "", "un", "--" + "b" * 70 + "--"),
    raw("boundary-71", "a boundary of 71 characters", "multipart/mixed; boundary=" + "b" * 71, "--" + "b" * 71, "", "un", "--" + "b" * 71 + "--"),
    raw("boundary-79", "79 characters, told apart by the last", "multipart/mixed; boundary=" + "b" * 78 + "c", "--" + "b" * 78 + "d", "", "un", "--" + "b" * 78 + "c", "", "deux", "--" + "b" * 78 + "c--"),
    raw("boundary-200", "a boundary of 200 characters", "multipart/mixed; boundary=" + "b" * 200, "--" + "b" * 200, "", "un", "--" + "b" * 200 + "--"),
    raw("boundary-300", "a boundary of 300 characters", "multipart/mixed; boundary=" + "b" * 300, "--" + "b" * 300, "", "un", "--" + "b" * 300 + "--"),
    raw("boundary-utf8", "raw UTF-8 in a boundary", 'multipart/mixed; boundary="é"', "--é", "", "un", "--é--"),
    raw("boundary-hyphens", "a boundary that ends with two hyphens", "multipart/mixed; boundary=b--", "--b--", "", "un", "--b----"),
    raw("boundary-only-hyphens", "a boundary of hyphens", "multipart/mixed; boundary=--", "----", "", "un", "------"),
    raw("boundary-case", "a delimiter of another case", "multipart/mixed; boundary=abc", "--ABC", "", "un", "--abc", "", "deux", "--abc--"),
    mixed("delimiter-spaces", "blanks after delimiters", "--b  \t", "", "un", "--b ", "", "deux", "--b--  "),
    mixed("delimiter-leading-space", "a blank before a delimiter", "--b", "", "un", " --b", "", "deux", "--b--"),
    mixed("delimiter-text-after", "text after a delimiter", "--b", "", "un", "--b et suite", "", "deux", "--b--"),
    mixed("delimiter-prefix", "a line that begins like a delimiter", "--b", "", "un", "--bc", "deux", "--b--"),
    mixed("delimiter-close-text", "text after the close delimiter", "--b", "", "un", "--b-- fin", "epilogue"),
    mixed("delimiter-close-touching", "text that touches the close delimiter", "--b", "", "un", "--b--fin", "", "suite"),
    mixed("delimiter-one-hyphen", "one hyphen after a delimiter", "--b", "", "un", "--b-", "", "deux", "--b--"),
    mixed("delimiter-three-hyphens", "three hyphens before a boundary", "--b", "", "un", "---b", "", "deux", "--b--"),
    mixed("delimiter-close-then-open", "a delimiter after the close delimiter", "--b", "", "un", "--b--", "--b", "", "deux", "--b--"),
    mixed("delimiter-close-first", "only the close delimiter", "preambule", "--b--", "epilogue"),
    mixed("delimiter-none", "no delimiter", "un", "deux"),
    mixed("delimiter-none-empty", "no body at all"),
    mixed("close-missing", "no close delimiter", "--b", "", "un", "--b", "", "deux"),
    mixed("close-missing-no-end", "no close delimiter, no last line end", "--b", "", "un", last=False),
    mixed("close-no-end", "a close delimiter without line end", "--b", "", "un", "--b--", last=False),
    mixed("delimiter-last", "the message ends with a delimiter", "--b", "", "un", "--b"),
    mixed("delimiter-last-no-end", "the message ends with a delimiter without line end", "--b", "", "un", "--b", last=False),
    mixed("delimiter-only", "one delimiter and nothing else", "--b"),
    mixed("delimiter-only-no-end", "one delimiter without line end", "--b", last=False),
    mixed("first-missing", "a part where the preamble should be", "Content-Type: image/png", "", "un", "--b", "", "deux", "--b--"),
    mixed("empty-part", "a part of nothing", "--b", "--b--"),
    mixed("empty-part-blank", "a part of one blank line", "--b", "", "--b--"),
    mixed("empty-part-two-blanks", "a part of two blank lines", "--b", "", "", "--b--"),
    mixed("empty-parts", "three parts of nothing", "--b", "--b", "--b", "--b--"),
    mixed("header-only-part", "a part with a header and no blank line", "--b", "Content-Type: image/png", "--b", "", "deux", "--b--"),
    mixed("header-blank-part", "a part with a header and no body", "--b", "Content-Type: image/png", "", "--b--"),
    mixed("no-header-part", "text right after a delimiter", "--b", "un", "deux", "", "trois", "--b--"),
    mixed("preamble-boundary", "a preamble that looks like a header", "Subject: non", "", "--bb", "--b", "", "un", "--b--"),
    mixed("epilogue-long", "an epilogue of many lines", "--b", "", "un", "--b--", *["epilogue"] * 50),
    mixed("blank-lines", "blank lines around delimiters", "", "", "--b", "", "", "un", "", "", "--b--", "", ""),
    mixed("dots", "lines of dots", "--b", "", ".", "..", "", ".", "--b--"),
    mixed("delimiter-in-header", "a delimiter inside a header of a part", "--b", "Content-Type: image/png;", "--b", "", "deux", "--b--"),
    mixed("delimiter-in-fold", "a folded delimiter is a continuation", "--b", "Content-Type: image/png;", " --b", "", "un", "--b--"),
    Case("multi-delimiter-in-top-header", "a delimiter inside the message's own header", lines("Content-Type: multipart/mixed; boundary=b", "--b", "Subject: x", "", "--b", "", "un", "--b--")),
    Case("multi-lf", "LF line ends throughout", multipart("b", TEXT, PDF, header=("Subject: lf",)).replace(b"\r\n", b"\n")),
    Case("multi-lf-delimiters", "LF after delimiters only", multipart("b", TEXT, TEXT).replace(b"--b\r\n", b"--b\n")),
    Case("multi-cr", "bare CR before delimiters", lines("Content-Type: multipart/mixed; boundary=b", "", "--b", "", b"un\r--b", "", "deux", "--b--")),
    Case("multi-crcr", "CR CR LF after a delimiter", lines("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "un", b"--b\r", "", "deux", "--b--")),
    Case("multi-from", "an mbox From line inside", multipart("b", part(body="From a@chu.test Sat Nov 21\r\nun"), TEXT)),
    Case("multi-nested", "a multipart in a multipart", multipart("b", multipart("c", TEXT, HTML, subtype="alternative"), PDF)),
    Case("multi-nested-prefix", "an inner boundary that begins with the outer one", multipart("b", multipart("bc", TEXT, HTML), PDF)),
    Case("multi-nested-prefix-outer", "an outer boundary that begins with the inner one", multipart("bc", multipart("b", TEXT, HTML), PDF)),
    Case("multi-nested-suffix", "an inner boundary that is the outer one and two hyphens", multipart("b", multipart("b--", TEXT), PDF)),
    Case("multi-nested-same", "the same boundary inside and outside", multipart("b", multipart("b", TEXT, HTML), PDF)),
    Case("multi-nested-unclosed", "an inner multipart that is not closed", lines(
        "Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: multipart/mixed; boundary=c", "", "--c", "", "un", "--b", "", "deux", "--b--")),
    Case("multi-nested-no-parts", "an inner multipart without parts", lines(
        "Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: multipart/mixed; boundary=c", "", "rien", "--b", "", "deux", "--b--")),
    Case("multi-nested-no-boundary", "an inner multipart without boundary", lines(
        "Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: multipart/mixed", "", "rien", "--b", "", "deux", "--b--")),
    Case("multi-nested-late", "an outer close delimiter before the inner one", lines(
        "Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: multipart/mixed; boundary=c", "", "--c", "", "un", "--b--", "--c--", "fin")),
    Case("multi-digest", "a digest and its default type", multipart("b", part(body="Subject: dedans\r\n\r\nun"), part("Content-Type: text/plain", body="deux"), subtype="digest")),
    Case("multi-digest-empty", "a digest of an empty part", multipart("b", b"", subtype="digest")),
    Case("multi-digest-broken-type", "a broken type in a digest", multipart("b", part("Content-Type: rien", body="Subject: dedans\r\n\r\nun"), subtype="digest")),
    Case("multi-digest-nested", "a multipart in a digest, and its default type", multipart("b", multipart("c", part(body="Subject: dedans\r\n\r\nun")), subtype="digest")),
    *[many(count) for count in (100, 1_000, 9_998, 9_999, 10_000, 20_000)],
]
