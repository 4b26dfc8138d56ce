#!/usr/bin/env python3
"""Real clients against the demo, one line for each check.

usage: clients.py [all] [PART-OF-A-NAME...]   without `all`, one client of each family; with parts of names, only the checks that have one in theirs
"""
import sys
import time
import traceback

import alpine
import external
import libraries
import node
import readers
import retrieval
import submission
import sync
import together
import transfer
from demo import Demo

FAMILIES = [transfer, external, submission, sync, retrieval, readers, alpine, libraries, node, together]


def chosen(words):
    checks = [check for family in FAMILIES for check in family.USUAL + (family.MORE if "all" in words else [])]
    parts = [word for word in words if word != "all"]
    return [check for check in checks if not parts or any(part in check.__name__ for part in parts)]


def main():
    checks = chosen(sys.argv[1:])
    demo = Demo()
    failed = 0
    try:
        for check in checks:
            start = time.monotonic()
            try:
                check(demo)
                print(f"ok      {check.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED  {check.__name__} ({time.monotonic() - start:.1f} s)")
                traceback.print_exc(limit=-5, file=sys.stdout)
                print(f"the server's log ends:\n{(demo.dir / 'log').read_text()[-1500:]}", flush=True)
    finally:
        demo.stop()
    print(f"clients: {len(checks) - failed} passed, {failed} failed")
    # A run that chose no check proved nothing.
    sys.exit(1 if failed or not checks else 0)


if __name__ == "__main__":
    main()
