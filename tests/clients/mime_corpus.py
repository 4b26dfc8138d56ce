#!/usr/bin/env python3
"""The corpus of awkward messages (tests/corpus) in a private Dovecot and in the demo: what both say of each must agree, but for the differences that
tests/corpus/differences.toml lists with their reasons. `--record` writes that list anew; what is new in it has no reason yet and fails."""
import grp
import hashlib
import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import corpus
from demo import Demo
from imap_grammar import GrammarError, Reader

DOVECOT_IMAP = "/usr/lib/dovecot/imap"
DIFFERENCES = pathlib.Path(corpus.__file__).with_name("differences.toml")
# Of a message with more parts, only the first and the last are fetched.
PARTS_FETCHED = 60
# Deeper sections have no parts with us (message::structure::DEPTH_MAX, and the part inside), and are refused.
PATH_MAX = 65
SECTIONS_AT_ONCE = 20
SHOWN = 160
DIFFERENCES_SHOWN = 12


class Imap:
    """A connection over a pair of streams. Answers are kept as octets, for the strict grammar."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        greeting = self.answer()
        assert greeting.startswith((b"* OK", b"* PREAUTH")), greeting

    def answer(self):
        """One whole answer, its literals included."""
        out = b""
        while True:
            line = self.reader.readline()
            if not line.endswith(b"\r\n"):
                raise ConnectionError(f"the server went away after {out[-200:] + line!r}")
            out += line
            literal = re.search(rb"\{(\d+)\}\r\n$", line)
            if literal is None:
                return out
            out += self.reader.read(int(literal[1]))

    def command(self, text, literal=None):
        """The untagged answers, and the tagged one."""
        line = b"t " + text.encode()
        if literal is not None:
            self.writer.write(line + b" {%d}\r\n" % len(literal))
            self.writer.flush()
            waited = self.answer()
            if not waited.startswith(b"+"):
                return [], waited
            line = literal
        self.writer.write(line + b"\r\n")
        self.writer.flush()
        answers = []
        while True:
            answer = self.answer()
            if answer.startswith(b"t "):
                return answers, answer
            answers.append(answer)

    def ok(self, text):
        answers, tagged = self.command(text)
        assert tagged.startswith(b"t OK"), f"{text[:80]}: {tagged[:200]!r}"
        return answers

    def append(self, octets):
        """None, or the refusal."""
        tagged = self.command("APPEND INBOX", octets)[1]
        return None if tagged.startswith(b"t OK") else tagged[2:].strip()

    def fetch(self, number, items):
        """The items of a message, in however many answers they come. The flag that reading sets may come beside them."""
        found = {}
        for answer in self.ok(f"FETCH {number} ({' '.join(items)})"):
            if re.match(rb"\* \d+ FETCH ", answer):
                sequence, values = Reader(answer).fetch()
                assert sequence == number
                found.update(values)
        return found

    def bye(self):
        self.command("LOGOUT")


class Dovecot:
    """Debian's IMAP server for one user, over a pipe, with a configuration and a mailbox of its own."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mime-dovecot-"))
        # Dovecot reads mail for no root.
        root = os.getuid() == 0
        user = "nobody" if root else pwd.getpwuid(os.getuid()).pw_name
        entry = pwd.getpwnam(user)
        group = grp.getgrgid(entry.pw_gid).gr_name
        config = self.dir / "dovecot.conf"
        config.write_text(f"""base_dir = {self.dir}/run
state_dir = {self.dir}/state
log_path = /dev/stderr
protocols = imap
ssl = no
default_internal_user = {user}
default_internal_group = {group}
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {user}
mail_gid = {group}
mail_location = mdbox:{self.dir}/mail
mail_fsync = never
imap_max_line_length = 1M
""")
        for name in ("run", "state", "mail"):
            (self.dir / name).mkdir()
        if root:
            for path in (self.dir, *self.dir.iterdir()):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []} if root else {}
        self.process = subprocess.Popen([DOVECOT_IMAP, "-c", str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.dir / "log", "wb"),
                                        env={"USER": user, "HOME": str(self.dir), "PATH": os.environ["PATH"]}, cwd="/", **identity)
        self.imap = Imap(self.process.stdout, self.process.stdin)

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def ours(demo):
    """A connection to an empty mailbox of the demo."""
    user = demo.mailbox(0, "personal", 1)
    plain = socket.create_connection(("localhost", demo.port(0, "imaps")))
    stream = demo.context().wrap_socket(plain, server_hostname="localhost").makefile("rwb")
    imap = Imap(stream, stream)
    imap.ok(f'LOGIN "{user["username"]}" "{user["password"]}"')
    imap.ok("SELECT INBOX")
    imap.ok(r"STORE 1:* +FLAGS.SILENT (\Deleted)")
    imap.ok("EXPUNGE")
    return imap


def flattened(body, path=(), embedded=True):
    """(path, facts) of each body of a BODYSTRUCTURE. A message and what is in it have the path of the part, or 1 at the top."""
    todo = [(body, path, embedded)]
    while todo:
        body, path, whole = todo.pop(0)
        inner = [key for key in ("parts", "body") if key in body]
        own = path if "parts" in body or not whole else (*path, 1)
        yield own, {key: value for key, value in body.items() if key not in inner}, "parts" in body
        if "parts" in body:
            todo.extend((child, (*path, i), False) for i, child in enumerate(body["parts"], 1))
        elif "body" in body:
            todo.append((body["body"], own, True))


def facts(structure, prefix):
    """A BODYSTRUCTURE or BODY as flat facts: `prefix 1.2 type`."""
    out = {}
    for path, body, is_multipart in flattened(structure):
        where = f"{prefix} {'.'.join(map(str, path)) or '-'}{' multipart' if is_multipart else ''}"
        out[f"{where} is"] = b"multipart" if is_multipart else body["type"] + b"/" + body["subtype"]
        for key, value in body.items():
            if key == "envelope":
                out.update((f"{where} envelope.{name}", text) for name, text in value.items())
            elif key not in ("type", "subtype") or is_multipart:
                out[f"{where} {key}"] = value
    return out


def sections(structure):
    """The sections of the parts that a BODYSTRUCTURE shows."""
    paths = list(dict.fromkeys(path for path, _, _ in flattened(structure) if path and len(path) <= PATH_MAX))
    if len(paths) > PARTS_FETCHED:
        paths = paths[:PARTS_FETCHED // 2] + paths[-PARTS_FETCHED // 2:]
    names = [".".join(map(str, path)) for path in paths]
    messages = [".".join(map(str, path)) for path, body, _ in flattened(structure) if "envelope" in body and path in paths]
    return (["HEADER", "TEXT", ""] + [form for name in names for form in (name, f"{name}.MIME")]
            + [f"{name}.{kind}" for name in messages for kind in ("HEADER", "TEXT")])


def observe(imap, number, wanted):
    """All that a server says of a message. `wanted` adds sections, and grows by those it shows."""
    shown = imap.fetch(number, ["ENVELOPE", "BODYSTRUCTURE", "BODY", "RFC822.SIZE"])
    facts_of = {f"ENVELOPE {name}": value for name, value in shown["ENVELOPE"].items()}
    facts_of |= facts(shown["BODYSTRUCTURE"], "BODYSTRUCTURE")
    facts_of["RFC822.SIZE"] = shown["RFC822.SIZE"]
    short = {key.replace("BODYSTRUCTURE", "BODY", 1): value for key, value in facts_of.items() if key.startswith("BODYSTRUCTURE")}
    for key, value in facts(shown["BODY"], "BODY").items():
        if short[key] != value:
            raise GrammarError(f"BODY and BODYSTRUCTURE differ in {key}: {value!r}, {short[key]!r}")
    wanted += [section for section in sections(shown["BODYSTRUCTURE"]) if section not in wanted]
    return facts_of


def fetch_sections(imap, number, wanted):
    out = {}
    for at in range(0, len(wanted), SECTIONS_AT_ONCE):
        out |= imap.fetch(number, [f"BODY.PEEK[{section}]" for section in wanted[at:at + SECTIONS_AT_ONCE]])
    return {name: value for name, value in out.items() if name.startswith("BODY[")}


def shown(value):
    """A value as the list of differences keeps it: short, and the same each time."""
    if value is None:
        return "NIL"
    text = value.decode("ascii", "backslashreplace") if isinstance(value, bytes) else json.dumps(value, default=lambda b: b.decode("ascii", "backslashreplace"))
    return text if len(text) <= SHOWN else f"{text[:SHOWN // 2]} ... {text[-SHOWN // 2:]} ({len(value) if isinstance(value, (bytes, list)) else len(text)} in all)"


ABSENT = "absent"


def compared(ours, theirs, case, numbers):
    """{item: [what we say, what Dovecot says]} of what differs."""
    wanted, seen = [], []
    for imap, number in zip((ours, theirs), numbers):
        seen.append(observe(imap, number, wanted))
    for imap, number, facts_of in zip((ours, theirs), numbers, seen):
        facts_of |= fetch_sections(imap, number, wanted)
    if seen[0]["BODY[]"] != case.octets:
        raise AssertionError("the message is not given back as it was stored")
    different = [key for key in dict.fromkeys([*seen[0], *seen[1]]) if seen[0].get(key, ABSENT) != seen[1].get(key, ABSENT)]
    return shortened({key: [shown(facts_of[key]) if key in facts_of else ABSENT for facts_of in seen] for key in different})


def shortened(different):
    """The same with paths like 1.1.1.1 shortened; of very many differences, the first and a digest of all."""
    out = {re.sub(r"(?:1\.){9,}1", lambda run: f"1^{run[0].count('1')}", key): pair for key, pair in different.items()}
    if len(out) <= DIFFERENCES_SHOWN:
        return out
    digest = hashlib.sha256(json.dumps(out).encode()).hexdigest()[:16]
    return dict(list(out.items())[:4]) | {"all": [f"{len(out)} facts", digest]}


def differences(demo, dovecot):
    """(case, differences or the fault) of each message."""
    pair = ours(demo), dovecot.imap
    pair[1].ok("SELECT INBOX")
    numbers = [0, 0]
    for case in corpus.CASES:
        refusals = [imap.append(case.octets) for imap in pair]
        for side, refusal in enumerate(refusals):
            numbers[side] += refusal is None
        if any(refusals):
            yield case, {} if all(refusals) else {"APPEND": [shown(refusal or b"OK") for refusal in refusals]}
            continue
        try:
            yield case, compared(*pair, case, numbers)
        except (AssertionError, GrammarError, KeyError) as fault:
            yield case, f"{type(fault).__name__}: {fault}"
    pair[0].bye()


def allowed():
    """{name: (reason, differences)} from the list."""
    listed = tomllib.loads(DIFFERENCES.read_text())
    return {name: (listed["reasons"].get(entry["reason"]), entry["reason"], entry["items"]) for name, entry in listed["differences"].items()}


def verdict(name, found, known):
    """Why the message fails, or None."""
    if isinstance(found, str):
        return found
    reason, key, items = known.get(name, (None, "", {}))
    faults = [f"{item}: ours {found[item][0]!r}, Dovecot's {found[item][1]!r}" for item in found if items.get(item) != found[item]]
    faults += [f"{item}: no longer differs" for item in items if item not in found]
    if items and not reason:
        faults.append(f"no reason {key!r} is given")
    return "\n        ".join(faults[:8]) or None


def record(results, known):
    """Writes the list anew; reasons stay with their messages."""
    text = DIFFERENCES.read_text().split("\n[differences.", 1)[0].rstrip() + "\n"
    for name, found in results.items():
        if found and not isinstance(found, str):
            text += f'\n[differences.{name}]\nreason = {json.dumps(known.get(name, (0, "?", 0))[1])}\n[differences.{name}.items]\n'
            text += "".join(f"{json.dumps(item)} = {json.dumps(pair)}\n" for item, pair in found.items())
    DIFFERENCES.write_text(text)


def main():
    if not os.path.exists(DOVECOT_IMAP):
        raise SystemExit("mime corpus: needs Debian's dovecot-imapd; tests/packages.sh all installs it")
    known = allowed()
    demo, dovecot = Demo(), Dovecot()
    try:
        results = {case.name: found for case, found in differences(demo, dovecot)}
    finally:
        dovecot.stop()
        demo.stop()
    if "--record" in sys.argv:
        record(results, known)
        known = allowed()
    failed = 0
    for name in [*results, *(name for name in known if name not in results)]:
        fault = verdict(name, results[name], known) if name in results else "listed, but not in the corpus"
        if fault:
            failed += 1
            print(f"FAILED  {name}: {fault}")
    print(f"{sum(1 for found in results.values() if found)} messages of {len(results)} are not read alike")
    print(f"mime corpus: {len(results) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
