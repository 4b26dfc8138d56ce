//! The program under test, as a process. It is killed by its id when dropped.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program: `VAGUEMESTRE_BIN`, or the one built beside the scenarios.
///
/// # Panics
/// When there is none.
#[expect(clippy::disallowed_methods, reason = "a test may be told which program to judge")]
pub fn program() -> PathBuf {
    if let Some(told) = std::env::var_os("VAGUEMESTRE_BIN") {
        return told.into();
    }
    let own = std::env::current_exe().expect("a test has a path");
    let beside =
        own.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps").join("vaguemestre");
    assert!(beside.is_file(), "{} is missing: run `cargo build -p vaguemestre` first", beside.display());
    beside
}

/// A command that ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit code zero.
    pub is_success: bool,
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// Standard output, of a command that succeeded.
    ///
    /// # Panics
    /// When it failed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.is_success, "the command failed: {self:?}");
        self.stdout
    }

    /// Standard output as JSON, whether it succeeded or not.
    ///
    /// # Panics
    /// When it is not JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }
}

/// Runs a command of the program to its end.
pub fn run(arguments: &[&str]) -> Finished {
    run_with_input(arguments, "")
}

/// Runs a command of the program to its end, with this standard input.
pub fn run_with_input(arguments: &[&str], input: &str) -> Finished {
    finish(Command::new(program()).args(arguments), input)
}

/// Runs a command that was made ready to its end, with this standard input.
pub fn finish(command: &mut Command, input: &str) -> Finished {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // A command that reads no input may have ended already.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the command ends");
    Finished {
        is_success: output.status.success(),
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A running server of the program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; its output goes to `log`.
    pub fn start(arguments: &[&str], log: &Path) -> Self {
        Self::start_with(arguments, log, &[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn start_with(arguments: &[&str], log: &Path, environment: &[(&str, PathBuf)]) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("the log can be opened");
        let mut command = Command::new(program());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Self { child: command.spawn().expect("the program starts"), log: log.to_owned() }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, KiB (`VmRSS` of proc(5)).
    pub fn resident_kib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Everything it wrote to standard error, earlier runs with the same log included.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Whether it ended by itself, and well.
    pub fn ended(&mut self) -> Option<bool> {
        self.child.try_wait().expect("a child can be asked").map(|status| status.success())
    }

    /// Sends a signal: `HUP`, `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.pid())).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} could not be sent");
    }

    /// SIGTERM; how long it took to end.
    ///
    /// # Panics
    /// When it did not end within fifteen seconds, or ended badly.
    pub fn terminate(&mut self) -> Duration {
        let begin = Instant::now();
        self.signal("TERM");
        while begin.elapsed() < Duration::from_secs(15) {
            if let Some(well) = self.ended() {
                assert!(well, "ended badly at SIGTERM:\n{}", self.log());
                return begin.elapsed();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("still running fifteen seconds after SIGTERM:\n{}", self.log());
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
