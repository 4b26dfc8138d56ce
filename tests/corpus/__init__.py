"""Awkward, broken and hostile messages, written for this project. `CASES` lists them: a name, one line of purpose, the octets."""
from . import addresses, bodies, fields, multiparts, nested, parameters

CASES = [case for theme in (addresses, fields, parameters, multiparts, nested, bodies) for case in theme.CASES]
assert len({case.name for case in CASES}) == len(CASES), "two messages have one name"
