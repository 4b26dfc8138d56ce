"""How often a client tried a password that is wrong, as the server counts it."""
import contextlib
import re
import time
import urllib.request

# neomutt tries every mechanism on every connection that it opens: six times in all. Far above that, a client tries for ever.
MOST = 10
# What a client that stays open is given to try again.
WATCHED_S = 3


def refused(demo, operator=0):
    """Logins that were refused since the start, on IMAP and submission."""
    address = f"https://localhost:{demo.port(operator, 'https')}/metrics"
    with urllib.request.urlopen(address, context=demo.context(), timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    counts = [re.fullmatch(r'logins_total\{[^}]*outcome="refused"[^}]*\} (\d+)', line) for line in lines]
    return sum(int(count[1]) for count in counts if count)


@contextlib.contextmanager
def few_refusals(demo, stays_open=False):
    """What happens within tries a wrong password at least once, and soon gives up."""
    before = refused(demo)
    yield
    if stays_open:
        time.sleep(WATCHED_S)
    tried = refused(demo) - before
    assert 1 <= tried <= MOST, f"the wrong password was tried {tried} times"
