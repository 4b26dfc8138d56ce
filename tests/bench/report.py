#!/usr/bin/env python3
"""report.py DIR: one table of what run.sh measured, a row for each figure: median (min–max) for each contender, and ours divided by the peer's."""
import json
import pathlib
import statistics
import sys

CONTENDERS = {"sqlite": "Vaguemestre, SQLite", "postgres": "Vaguemestre, PostgreSQL", "peer": "Postfix + Dovecot"}
# Name of the figure, label of the run, its fields, what the field is divided by, and what is wanted.
FIGURES = [
    ("10 KiB messages accepted, durable and visible, /s", "drain", ["visible_msgs_per_s"], 1, "8 × SQLite, 4 × PostgreSQL"),
    ("accepted only, /s", "drain", ["msgs_per_s"], 1, ""),
    ("end of data to reply, median, ms", "drain", ["eod_p50_ms"], 1, ""),
    ("end of data to reply, 99th percentile, ms", "drain", ["eod_p99_ms"], 1, ""),
    ("CPU of all but the driver, s", "drain", ["others_cpu_s"], 1, ""),
    ("5 MiB messages accepted, /s", "large", ["msgs_per_s"], 1, "1.2 ×"),
    ("5 MiB messages accepted and visible, /s", "large", ["visible_msgs_per_s"], 1, ""),
    ("submission's 250 to IDLE notice, median, ms", "e2e", ["visible_p50_ms"], 1, "5 ms"),
    ("submission's end of data to its 250, median, ms", "e2e", ["eod_p50_ms"], 1, ""),
    ("APPEND of 10 KiB messages to one folder, /s", "fill", ["msgs_per_s"], 1, ""),
    ("FETCH of metadata, warm, messages/s", "fetch", ["meta_msgs_per_s_r2", "meta_msgs_per_s_r3"], 1, "1 ×"),
    ("FETCH of flags, warm, messages/s", "fetch", ["flags_msgs_per_s_r2", "flags_msgs_per_s_r3"], 1, ""),
    ("FETCH of bodies, warm, MiB/s", "fetch", ["bodies_mib_per_s_r2", "bodies_mib_per_s_r3"], 1, "1 ×"),
    ("SEARCH BODY of an absent word, just started, ms", "search-driver-absent", ["first_ms"], 1, ""),
    ("SEARCH BODY of an absent word, warm, ms", "search-driver-absent", ["warm_ms"], 1, "1/15"),
    ("SEARCH TEXT of a phrase of common words, warm, ms", "search-driver-phrase", ["warm_ms"], 1, "1/10"),
    ("SEARCH SUBJECT, warm, ms", "search-driver-subject", ["warm_ms"], 1, ""),
    ("SEARCH FROM, warm, ms", "search-driver-from", ["warm_ms"], 1, ""),
    ("French: BODY of an absent word, just started, ms", "search-french-absent", ["first_ms"], 1, ""),
    ("French: BODY of an absent word, warm, ms", "search-french-absent", ["warm_ms"], 1, "1/15"),
    ("French: BODY of a rare word, warm, ms", "search-french-rare", ["warm_ms"], 1, ""),
    ("French: TEXT of a phrase of two common words, warm, ms", "search-french-phrase", ["warm_ms"], 1, "1/10"),
    ("French: TEXT of a phrase of three common words, warm, ms", "search-french-phrase-of-three", ["warm_ms"], 1, "1/10"),
    ("French: BODY of a word that is everywhere, warm, ms", "search-french-common", ["warm_ms"], 1, ""),
    ("French: BODY of three letters, warm, ms", "search-french-short", ["warm_ms"], 1, ""),
    ("20 connections that do what mail clients do, commands/s", "mix", ["ops_per_s"], 1, "3 ×"),
    ("any of these commands, 99th percentile, ms", "mix", ["all_p99_ms"], 1, "lower"),
    ("memory of an idle connection (Pss, database included), KiB", "idle", ["probe_per_conn"], 1, "1/15"),
    ("TLS logins to IDLE, /s", "idle", ["opened_per_s"], 1, ""),
    ("memory at rest (Pss), MiB", "rest", ["own_pss_kib"], 1024, "60 MiB"),
    ("memory at rest with the database (Pss), MiB", "rest", ["pss_kib"], 1024, ""),
    ("memory after everything (Pss), MiB", "after", ["own_pss_kib"], 1024, "bounded"),
    ("memory after everything with the database (Pss), MiB", "after", ["pss_kib"], 1024, ""),
    ("highest resident memory, MiB", "peak", ["kib"], 1024, ""),
    ("filling the store of the cold start, messages/s", "cold-fill", ["msgs_per_s"], 1, ""),
    ("cold start to the IMAP greeting, ms", "cold", ["imap_ms"], 1, "1000 ms"),
    ("cold start to the MX greeting, ms", "cold", ["mx_ms"], 1, ""),
]


def runs(file):
    return [json.loads(line) for line in file.read_text().splitlines() if line.strip()] if file.exists() else []


def values(measured, label, fields, divisor):
    found = [run[field] for run in measured if run.get("label") == label for field in fields]
    return [value / divisor for value in found if isinstance(value, (int, float))]


def plain(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cell(found):
    if not found:
        return "–"
    middle = plain(statistics.median(found))
    return middle if len(found) == 1 else f"{middle} ({plain(min(found))}–{plain(max(found))})"


def ratio(found, reference):
    if not found or not reference or not statistics.median(reference):
        return ""
    return plain(statistics.median(found) / statistics.median(reference))


def row(name, label, fields, divisor, wanted, measured):
    for run in (run for runs_of in measured.values() for run in runs_of if run.get("label") == label and "failed" not in run):
        missing = [field for field in fields if field not in run]
        assert not missing, f"the driver's run {label} tells no {missing}"
    found = {who: values(measured[who], label, fields, divisor) for who in measured}
    if not any(found.values()):
        return None
    ours = " | ".join(f"{cell(found[who])} | {ratio(found[who], found['peer'])}" for who in ("sqlite", "postgres"))
    return f"| {name} | {ours} | {cell(found['peer'])} | {wanted} |"


def main():
    directory = pathlib.Path(sys.argv[1])
    measured = {who: runs(directory / f"{who}.jsonl") for who in CONTENDERS}
    print(f"| figure | {CONTENDERS['sqlite']} | ours / peer | {CONTENDERS['postgres']} | ours / peer | {CONTENDERS['peer']} | wanted |\n|{'---|' * 7}")
    for figure in FIGURES:
        line = row(*figure, measured)
        if line:
            print(line)
    faults = [(who, run) for who in measured for run in measured[who] if "failed" in run or run.get("errors")]
    for who, run in faults:
        print(f"FAULT in {who}, {run['label']}: {run.get('failed') or run.get('first_errors') or run.get('errors')}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
