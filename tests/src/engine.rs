//! Which engine the scenarios run on, and databases for those that run on PostgreSQL.

use crate::postgres::{self, Postgres};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The operators of a demo, as `{operator}` in the URL of its store names them.
const DEMO_OPERATORS: [&str; 2] = ["chu_nord", "clinique_sud"];

/// What keeps the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file in the operator's folder.
    Sqlite,
    /// A database of a scratch server.
    Postgres,
}

impl Engine {
    /// The engine of this run: `VAGUEMESTRE_TEST_ENGINE`, SQLite unless it is set.
    ///
    /// # Panics
    /// When the variable names no engine.
    pub fn of_this_run() -> Self {
        match variable("VAGUEMESTRE_TEST_ENGINE").as_deref() {
            None | Some("sqlite") => Self::Sqlite,
            Some("postgres") => Self::Postgres,
            Some(other) => panic!("VAGUEMESTRE_TEST_ENGINE is `sqlite` or `postgres`, not `{other}`"),
        }
    }

    /// Whether this run is on the engine that a scenario is about. Such a scenario bears the engine in its name, so that `run.sh` leaves it out of the other's count.
    pub fn is_of_this_run(self) -> bool {
        let is_it = self == Self::of_this_run();
        if !is_it {
            eprintln!("left out: this scenario is about {self:?}");
        }
        is_it
    }
}

/// Where one operator or one demo keeps its rows. Its databases are dropped with it.
#[derive(Debug)]
pub(crate) struct Rows {
    /// For `--store-url`, unless it is the default.
    pub(crate) url: Option<String>,
    server: String,
    databases: Vec<String>,
}

impl Rows {
    /// For an operator.
    pub(crate) fn of_operator() -> Self {
        Self::on_engine(&[], "")
    }

    /// For a demo.
    pub(crate) fn of_demo() -> Self {
        Self::on_engine(&DEMO_OPERATORS, "_{operator}")
    }

    /// For a demo whose server, at `server`, belongs to the scenario and reaches its databases by way of `door`, a port of this machine.
    pub(crate) fn of_demo_on(server: &Postgres, door: u16) -> Self {
        let mut rows = Self::create(server.url(), &DEMO_OPERATORS, "_{operator}");
        rows.url =
            rows.url.take().map(|url| url.replace(&format!(":{}/", server.port()), &format!(":{door}/")));
        // They end with their server, which may be down by then.
        rows.databases.clear();
        rows
    }

    fn on_engine(operators: &[&str], placeholder: &str) -> Self {
        match Engine::of_this_run() {
            Engine::Sqlite => Self { url: None, server: String::new(), databases: Vec::new() },
            Engine::Postgres => Self::create(server_of_this_run(), operators, placeholder),
        }
    }

    fn create(server: &str, operators: &[&str], placeholder: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("scenario_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let databases: Vec<String> = match operators {
            [] => vec![name.clone()],
            _ => operators.iter().map(|operator| format!("{name}_{operator}")).collect(),
        };
        let statements: String =
            databases.iter().map(|database| format!("CREATE DATABASE {database};\n")).collect();
        postgres::sql(&format!("{server}/postgres"), &statements);
        Self { url: Some(format!("{server}/{name}{placeholder}")), server: server.to_owned(), databases }
    }

    /// The argument of `init` and `demo`.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        self.url.iter().flat_map(|url| ["--store-url", url.as_str()]).collect()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        let statements: String = self
            .databases
            .iter()
            .map(|database| format!("DROP DATABASE IF EXISTS {database} WITH (FORCE);\n"))
            .collect();
        if !statements.is_empty() {
            // It takes a second or two, and nobody needs to wait for it.
            let mut psql = postgres::begin_sql(&format!("{}/postgres", self.server), &statements);
            std::thread::spawn(move || psql.wait());
        }
    }
}

/// The server that the whole run shares, or one of this process.
fn server_of_this_run() -> &'static str {
    static GIVEN: OnceLock<Option<String>> = OnceLock::new();
    static OWN: OnceLock<Postgres> = OnceLock::new();
    match GIVEN.get_or_init(|| variable("VAGUEMESTRE_TEST_POSTGRES")) {
        Some(url) => url,
        None => OWN.get_or_init(Postgres::start).url(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a run of the scenarios is configured by its environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
