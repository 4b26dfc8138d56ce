"""How the messages of the corpus are written down."""
from typing import NamedTuple


class Case(NamedTuple):
    """A message of the corpus."""
    name: str
    purpose: str
    octets: bytes


def lines(*parts):
    """Lines of text or octets, each ended with CRLF."""
    return b"".join((part.encode() if isinstance(part, str) else part) + b"\r\n" for part in parts)


def letter(*header, body=("texte",)):
    """A message with these header lines and a short body."""
    return lines(*header, "", *body)


def multipart(boundary, *parts, subtype="mixed", header=(), parameters="", preamble=(), epilogue=()):
    """A multipart entity of parts that are octets, each without the line end of its delimiter."""
    head = lines(*header, f'Content-Type: multipart/{subtype}; boundary="{boundary}"{parameters}', "")
    inner = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return head + lines(*preamble) + inner + lines(f"--{boundary}--", *epilogue)


def part(*header, body="texte"):
    """An entity whose body has no line end of its own."""
    text = body.encode() if isinstance(body, str) else body
    return lines(*header, "") + text
