"""Pages of the list of mailboxes over REST, timed. See list_mailboxes.sh, which starts this."""

import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time

BINARY, ROWS, PAGES = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
POSTGRES = os.environ.get("VAGUEMESTRE_TEST_POSTGRES")
DATABASES = ("chu_nord", "clinique_sud")

# Addresses do not come in the order of the rows. `n` is the series of numbers, in either dialect.
FILL = """
INSERT INTO domains (name, created_at_ms) VALUES ('b.example', 1), ('c.example', 1);
INSERT INTO users (login, first_name, last_name, created_at_ms)
  SELECT 'user' || n, 'First' || n, 'Last' || (n % 1000), 1 FROM {series};
INSERT INTO actors (kind, user_id, created_at_ms) SELECT 'user', id, 1 FROM users WHERE login LIKE 'user%';
INSERT INTO mailboxes (domain_id, address, kind, status, workflow, owner_user_id, quota_bytes, used_bytes, used_messages, next_uid_validity,
    created_at_ms, status_at_ms)
  SELECT (SELECT id FROM domains WHERE name = CASE WHEN n % 2 = 0 THEN 'b.example' ELSE 'c.example' END),
    'box' || ((n * 7919) % 1000003) || '@' || CASE WHEN n % 2 = 0 THEN 'b.example' ELSE 'c.example' END,
    CASE n % 4 WHEN 0 THEN 'personal' WHEN 1 THEN 'organizational' WHEN 2 THEN 'applicative' ELSE 'cabinet' END,
    CASE WHEN n % 100 = 0 THEN 'suspended' ELSE 'active' END, 'created',
    (SELECT id FROM users WHERE login = 'user' || n), 1073741824, (n * 104729) % 1000000007, 10, 1, 1700000000000 + n, 1
  FROM {series};
"""
SQLITE_SERIES = "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %d) SELECT n FROM s) AS s" % ROWS
POSTGRES_SERIES = "generate_series(1::BIGINT, %d) AS s (n)" % ROWS

LISTS = [
    "sort=email",
    "sort=createdAt",
    "sort=-createdAt",
    "sort=usedBytes",
    "sort=-usedBytes",
    "type=cabinet",
    "status=suspended",
    "domain=b.example",
    "domain=b.example&status=suspended&type=personal",
    "domain=c.example&status=suspended",
    "status=suspended&sort=-createdAt",
    "type=cabinet&sort=-usedBytes",
    "q=box99",
    "q=nowhere",
    "q=nowhere&sort=-usedBytes",
    "domain=b.example&q=777&sort=createdAt",
    "owner=user%d" % (ROWS // 2),
]


def sql(database, statements):
    subprocess.run(["tests/postgres.sh", "sql", f"{POSTGRES}/{database}"], input=statements.encode(), check=True, stdout=subprocess.DEVNULL)


def fill(site):
    if POSTGRES:
        sql(DATABASES[0], FILL.format(series=POSTGRES_SERIES) + "ANALYZE;")
        return
    file = os.path.join(site["data_dir"], "vaguemestre.db")
    subprocess.run(["sqlite3", file], input=("PRAGMA busy_timeout=60000; BEGIN;" + FILL.format(series=SQLITE_SERIES) + "COMMIT;").encode(), check=True, stdout=subprocess.DEVNULL)


def page(connection, token, query):
    began = time.perf_counter()
    connection.request("GET", f"/api/v1/mailboxes?limit=50&{query}", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    body = answer.read()
    took = (time.perf_counter() - began) * 1000
    if answer.status != 200:
        sys.exit(f"{query}: {answer.status} {body[:300]!r}")
    return took, json.loads(body)


def measure(site):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", site["ports"]["https"], context=context, timeout=60)
    worst = 0.0
    for query in LISTS:
        times, cursor, rows = [], "", 0
        while len(times) < PAGES:
            took, body = page(connection, site["admin_token"], query + cursor)
            times.append(took)
            rows += len(body["items"])
            # After the last page, from the beginning again.
            cursor = f"&cursor={body['nextCursor']}" if "nextCursor" in body else ""
        times.sort()
        worst = max(worst, times[-1])
        print(f"{query:52} p50 {times[len(times) // 2]:6.1f}  p95 {times[len(times) * 95 // 100]:6.1f}  max {times[-1]:6.1f} ms  {rows} rows", flush=True)
    print(f"slowest page: {worst:.1f} ms")


def main():
    print(f"== {'PostgreSQL' if POSTGRES else 'SQLite'}, {ROWS} mailboxes, {PAGES} pages of 50 of each list", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        describe = os.path.join(folder, "describe.json")
        command = [BINARY, "demo", "--data", os.path.join(folder, "demo"), "--port-base", "0", "--describe", describe]
        if POSTGRES:
            for database in DATABASES:
                sql("postgres", f"CREATE DATABASE {database};")
            command += ["--store-url", f"{POSTGRES}/{{operator}}"]
        with open(os.path.join(folder, "log"), "wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while not os.path.exists(describe):
                if server.poll() is not None or time.monotonic() > deadline:
                    sys.exit("the demo did not start:\n" + open(os.path.join(folder, "log")).read())
                time.sleep(0.1)
            site = json.load(open(describe))["operators"][0]
            fill(site)
            measure(site)
        finally:
            server.terminate()
            server.wait()


main()
