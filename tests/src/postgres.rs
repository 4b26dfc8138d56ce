//! A scratch PostgreSQL that does as it is told. `tests/postgres.sh` starts it, and ends it when this process ends, however it ends.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/postgres.sh");

/// A server of the scenario's own.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    line: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    _supervisor: Child,
}

impl Postgres {
    /// Starts one, with an empty cluster.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub fn start() -> Self {
        let mut command = Command::new(SCRIPT);
        // A group of its own: Ctrl-C is for the tests, which end the server by ending themselves.
        command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut supervisor = command.spawn().expect("tests/postgres.sh can be run");
        let stdin = supervisor.stdin.take().expect("stdin is piped");
        let mut stdout = BufReader::new(supervisor.stdout.take().expect("stdout is piped"));
        let said = read_line(&mut stdout);
        let url = said.strip_prefix("ready ").unwrap_or_else(|| panic!("PostgreSQL did not start: {said}"));
        Self { url: url.to_owned(), line: Mutex::new((stdin, stdout)), _supervisor: supervisor }
    }

    /// `postgres://…` without a database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a URL that ends with a port")
    }

    /// Ends it as a crash would (`pg_ctl stop -m immediate`).
    pub fn stop(&self) {
        self.tell("stop", "stopped");
    }

    /// Starts it again on the same port; returns once it answers.
    pub fn start_again(&self) {
        self.tell("start", "started");
    }

    /// SIGSTOP to the server and its backends: connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.tell("freeze", "frozen");
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.tell("thaw", "thawed");
    }

    /// Runs statements on a database; what they bring, a row a line.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        sql(&format!("{}/{database}", self.url), statements)
    }

    /// A session of its own on a database, for transactions that stay open.
    pub fn session(&self, database: &str) -> Session {
        Session::open(&format!("{}/{database}", self.url))
    }

    fn tell(&self, word: &str, expected: &str) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(line.0, "{word}").expect("the supervisor listens");
        let answer = read_line(&mut line.1);
        assert_eq!(answer, expected, "PostgreSQL does not obey");
    }
}

/// A session on a database. Its transaction is rolled back when it is dropped.
#[derive(Debug)]
pub struct Session {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    psql: Child,
}

impl Session {
    fn open(url: &str) -> Self {
        let mut command = Command::new(SCRIPT);
        command.args(["sql", url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = command.spawn().expect("tests/postgres.sh can be run");
        let stdin = psql.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(psql.stdout.take().expect("stdout is piped"));
        Self { stdin, stdout, psql }
    }

    /// Runs statements to their end.
    ///
    /// # Panics
    /// When one fails.
    pub fn run(&mut self, statements: &str) {
        const END: &str = "that was all";
        writeln!(self.stdin, "{statements}\n\\echo {END}").expect("psql reads");
        loop {
            let mut line = String::new();
            let count = self.stdout.read_line(&mut line).expect("psql speaks text");
            assert!(count > 0, "a statement failed: {statements}");
            if line.trim_end() == END {
                return;
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended already, for a statement that failed.
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

fn read_line(stdout: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the supervisor speaks text");
    line.trim_end().to_owned()
}

/// Runs statements on the database of a URL; what they bring, a row a line.
///
/// # Panics
/// When one fails.
pub(crate) fn sql(url: &str, statements: &str) -> String {
    let output = begin_sql(url, statements).wait_with_output().expect("psql ends");
    assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Has statements run without waiting for their end.
pub(crate) fn begin_sql(url: &str, statements: &str) -> Child {
    let mut command = Command::new(SCRIPT);
    command.args(["sql", url]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut psql = command.spawn().expect("tests/postgres.sh can be run");
    psql.stdin.take().expect("stdin is piped").write_all(statements.as_bytes()).expect("psql reads");
    psql
}
