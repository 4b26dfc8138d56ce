//! One scratch PostgreSQL for the test process, started on first use and gone with the process.
//!
//! A shell that holds the other end of a pipe supervises the server: when the test process ends, however it ends, the pipe closes
//! and the shell stops the server by its pid and removes the scratch folder. The server listens on a unix socket in that folder, which
//! only its user (and root) can enter.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// `$1` binaries, `$2` scratch folder. ICU's French order on purpose: nothing may lean on the order of octets.
const SUPERVISOR: &str = r#"
cd "$2" || exit 1
if ! "$1/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --locale-provider=icu --icu-locale=fr-FR -N >initdb.log 2>&1; then
    tail -n 3 initdb.log | tr '\n' ' '; rm -rf "$2"; exit 1
fi
"$1/postgres" -D data -k "$2" -c listen_addresses= -c max_connections=300 -c fsync=off -c synchronous_commit=off \
    -c full_page_writes=off -c autovacuum=off >postgres.log 2>&1 &
server=$!
tries=0
until grep -qs ready data/postmaster.pid; do
    tries=$((tries + 1))
    if [ $tries -gt 600 ] || ! kill -0 $server 2>/dev/null; then
        tail -n 3 postgres.log | tr '\n' ' '; kill -QUIT $server 2>/dev/null; rm -rf "$2"; exit 1
    fi
    sleep 0.05
done
echo ready
cat >/dev/null
kill -QUIT $server
wait $server
cd /
rm -rf "$2"
"#;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    socket_dir: PathBuf,
    databases: AtomicU32,
    /// Holds the write end of the supervisor's pipe.
    _supervisor: Child,
}

/// The server of this process, or a sentence that says why there is none.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    SERVER.get_or_init(start).as_ref().unwrap_or_else(|reason| {
        panic!("{reason}. Install PostgreSQL 15, or set VAGUEMESTRE_TEST_ENGINES=sqlite to leave PostgreSQL out on purpose")
    })
}

impl Server {
    /// The URL of a database that no other test of this process uses; not yet made.
    pub(crate) fn fresh_name(&self) -> String {
        format!("contract_{}", self.databases.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}&port=5432", self.socket_dir.display())
    }
}

fn start() -> Result<Server, String> {
    let binaries =
        binaries().ok_or("PostgreSQL is not installed: no folder holds both `initdb` and `postgres`")?;
    let dir = tempfile::Builder::new()
        .prefix("vgm-pg-")
        .tempdir_in("/tmp")
        .map_err(|e| format!("no scratch folder: {e}"))?;
    let mut command = supervisor(dir.path())?;
    command.args(["-c", SUPERVISOR, "contract-postgres"]).arg(binaries).arg(dir.path());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|e| format!("PostgreSQL cannot be started: {e}"))?;
    let mut said = String::new();
    let stdout = child.stdout.take().ok_or("the supervisor has no output")?;
    BufReader::new(stdout).read_line(&mut said).map_err(|e| e.to_string())?;
    if said.trim() != "ready" {
        return Err(format!("PostgreSQL did not start: {}", said.trim()));
    }
    Ok(Server { socket_dir: dir.keep(), databases: AtomicU32::new(0), _supervisor: child })
}

/// A shell as this user; root gives way to `postgres` or `nobody`, because `initdb` refuses root.
fn supervisor(dir: &Path) -> Result<Command, String> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0);
    if !is_root {
        return Ok(Command::new("/bin/sh"));
    }
    let (name, uid, gid) = unprivileged()
        .ok_or("PostgreSQL refuses root, and neither `postgres` nor `nobody` is a user here")?;
    std::os::unix::fs::chown(dir, Some(uid), Some(gid))
        .map_err(|e| format!("the scratch folder cannot be given to {name}: {e}"))?;
    let mut command = Command::new("/bin/sh");
    command.uid(uid).gid(gid).current_dir("/");
    Ok(command)
}

fn unprivileged() -> Option<(String, u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|wanted| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| name == wanted)?;
            Some((name.to_owned(), fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        })
    })
}

/// The folder of the newest installed server.
fn binaries() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            Some((entry.as_ref().ok()?.file_name().to_str()?.parse().ok()?, entry.ok()?.path().join("bin")))
        })
        .collect();
    versions.sort();
    let on_path = super::variable("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&on_path).collect::<Vec<_>>();
    let holds_server = |dir: &PathBuf| ["initdb", "postgres"].iter().all(|name| dir.join(name).exists());
    versions.into_iter().rev().map(|(_, dir)| dir).chain(on_path).find(holds_server)
}
