"""Bodies of a single part: sizes, line counts, octets."""
from .message import Case, lines


def body(name, purpose, octets, content_type="text/plain; charset=utf-8"):
    """A message of one part with that body."""
    return Case("body-" + name, purpose, lines("Subject: corps", f"Content-Type: {content_type}", "") + octets)


CASES = [
    body("empty", "nothing", b""),
    body("crlf", "one line end", b"\r\n"),
    body("crlf-three", "three line ends", b"\r\n" * 3),
    body("no-end", "one line without its end", b"un"),
    body("no-end-two", "two lines, the last without its end", b"un\r\ndeux"),
    body("end", "two lines", b"un\r\ndeux\r\n"),
    body("end-blank", "a blank line last", b"un\r\n\r\n"),
    body("space", "a line of one space", b" \r\n"),
    body("dots", "lines of dots", b".\r\n..\r\n.un\r\n.\r\n"),
    body("from", "lines that begin with From", b"From a\r\n>From b\r\n"),
    body("tabs", "tabs and blanks at line ends", b"\tun\t \r\n \tdeux  \r\n"),
    body("cr-end", "a bare CR last", b"un\r"),
    body("cr-only", "only a CR", b"\r"),
    body("crcrlf", "CR CR LF", b"un\r\r\ndeux\r\r\n"),
    body("lf", "bare LF", b"un\ndeux\n"),
    body("lf-no-end", "bare LF, the last line without its end", b"un\ndeux"),
    body("8bit", "8-bit octets that are not UTF-8", bytes(range(0x80, 0x100)) + b"\r\n"),
    body("control", "control characters", bytes(b for b in range(1, 0x20) if b not in (10, 13)) + b"\x7f\r\n"),
    body("header-like", "a body that looks like a header", lines("Subject: non", "Content-Type: text/html", "", "fin")),
    body("line-999", "a line of 999 octets", b"x" * 999 + b"\r\n"),
    body("line-100000", "a line of 100,000 octets", b"x" * 100_000 + b"\r\n"),
    body("lines-10000", "10,000 lines", b"ligne\r\n" * 10_000),
    body("size-65535", "65,535 octets", (b"x" * 62 + b"\r\n") * 1023 + b"x" * 63),
    body("size-65536", "65,536 octets: a frame of the store", (b"x" * 62 + b"\r\n") * 1024),
    body("size-65537", "65,537 octets", (b"x" * 62 + b"\r\n") * 1024 + b"x"),
    body("size-300000", "300,000 octets: a body of its own file", (b"x" * 78 + b"\r\n") * 3750),
    body("image", "no line count where the type is not text", b"un\r\ndeux\r\n", "image/png"),
    body("html", "a line count for any text", b"un\r\ndeux\r\n", "text/html; charset=utf-8"),
    body("hyphens", "lines of hyphens", b"--\r\n----\r\n-- \r\nsignature\r\n"),
    body("uuencode", "uuencoded text", b"begin 644 a\r\n#0V%T\r\n`\r\nend\r\n"),
    body("yenc", "what looks like IMAP", b"* 1 FETCH (FLAGS ())\r\na OK\r\n{5}\r\n"),
]
