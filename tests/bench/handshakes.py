#!/usr/bin/env python3
"""handshakes.py DIR TICKS: what handshakes.sh measured: medians (min–max) for each contender, and what is wanted of them. Exit code 1 when a floor is missed."""
import json
import pathlib
import statistics
import sys

CONTENDERS = {"long": "long lists", "short": "empty revocation list", "peer": "Postfix"}
TIMES_PEER = 8
OF_SHORT = 0.95


def main(folder, ticks):
    runs = {}
    for name in CONTENDERS:
        file = pathlib.Path(folder) / f"{name}.jsonl"
        runs[name] = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    missed = False
    for version in sorted({run["version"] for measured in runs.values() for run in measured}):
        print(f"TLS {version}")
        rates, costs = {}, {}
        for name, title in CONTENDERS.items():
            mine = [run for run in runs[name] if run["version"] == version and run["run"].get("handshakes")]
            rates[name] = [run["run"]["per_s"] for run in mine]
            costs[name] = [1000 * run["ticks"] / ticks / run["run"]["handshakes"] for run in mine if run["ticks"]]
            failed = sum(run["run"].get("errors", 0) for run in mine)
            cost = f"{statistics.median(costs[name]):.3f} ms of processor each" if costs[name] else ""
            print(f"  {title:<24} {shown(rates[name]):>28} /s  {cost}{f'  {failed:.0f} FAILED' if failed else ''}")
            missed |= bool(failed) or not rates[name] and bool(runs[name])
        missed |= not floor("times Postfix", rates["long"], rates["peer"], TIMES_PEER)
        missed |= not floor("of the rate with an empty list", rates["long"], rates["short"], OF_SHORT)
        if costs["long"] and costs["short"]:
            print(f"  processor time of a handshake, long lists over empty list: {statistics.median(costs['long']) / statistics.median(costs['short']):.3f}")
    return missed


def shown(values):
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})" if values else "–"


def floor(title, ours, other, wanted):
    if not ours or not other:
        return True
    ratio = statistics.median(ours) / statistics.median(other)
    print(f"  {ratio:.2f} {title}; wanted: {wanted} or more{'' if ratio >= wanted else '  MISSED'}")
    return ratio >= wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
