//! Reading a TOML table key by key, noting every fault and every key that nobody asked for.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// One fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The key, dotted; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what would be right.
    pub text: String,
}

impl Fault {
    pub(crate) fn of_file(file: &Path, text: &str) -> Self {
        Self { file: file.to_owned(), key: String::new(), text: text.to_owned() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.key.is_empty() { "" } else { " " };
        write!(f, "{}: {}{space}{}", self.file.display(), self.key, self.text)
    }
}

struct Shared {
    file: PathBuf,
    base: PathBuf,
    faults: RefCell<Vec<Fault>>,
}

/// A table being read. Dropping it notes what is left over.
pub(crate) struct Section {
    path: String,
    table: toml::Table,
    shared: Rc<Shared>,
}

impl Section {
    pub(crate) fn root(file: &Path, base: PathBuf, table: toml::Table) -> Self {
        let shared = Shared { file: file.to_owned(), base, faults: RefCell::default() };
        Self { path: String::new(), table, shared: Rc::new(shared) }
    }

    /// The table under `key`, empty when absent.
    pub(crate) fn section(&mut self, key: &str) -> Self {
        let table = match self.table.remove(key) {
            None => toml::Table::new(),
            Some(toml::Value::Table(table)) => table,
            Some(_) => {
                self.fault(key, "must be a table");
                toml::Table::new()
            }
        };
        Self { path: self.dotted(key), table, shared: self.shared.clone() }
    }

    /// The names of all keys.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    pub(crate) fn fault(&self, key: &str, text: &str) {
        let fault = Fault { file: self.shared.file.clone(), key: self.dotted(key), text: text.to_owned() };
        self.shared.faults.borrow_mut().push(fault);
    }

    fn dotted(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn string(&mut self, key: &str) -> Option<String> {
        match self.table.remove(key)? {
            toml::Value::String(text) => Some(text),
            _ => {
                self.fault(key, "must be a string");
                None
            }
        }
    }

    pub(crate) fn required_string(&mut self, key: &str) -> String {
        if !self.table.contains_key(key) {
            self.fault(key, "is missing");
        }
        self.string(key).unwrap_or_default()
    }

    pub(crate) fn strings(&mut self, key: &str) -> Vec<String> {
        let texts = match self.table.remove(key) {
            None => Some(Vec::new()),
            Some(toml::Value::String(one)) => Some(vec![one]),
            Some(toml::Value::Array(many)) => {
                many.into_iter().map(|v| v.as_str().map(str::to_owned)).collect()
            }
            Some(_) => None,
        };
        texts.unwrap_or_else(|| {
            self.fault(key, "must be a list of strings");
            Vec::new()
        })
    }

    pub(crate) fn path(&mut self, key: &str, default: Option<&str>) -> PathBuf {
        let text = match default {
            Some(default) => self.string(key).unwrap_or_else(|| default.to_owned()),
            None => self.required_string(key),
        };
        self.shared.base.join(text)
    }

    pub(crate) fn optional_path(&mut self, key: &str) -> Option<PathBuf> {
        self.string(key).map(|text| self.shared.base.join(text))
    }

    pub(crate) fn paths(&mut self, key: &str) -> Vec<PathBuf> {
        let texts = self.strings(key);
        texts.into_iter().map(|text| self.shared.base.join(text)).collect()
    }

    /// A whole number from `min` to `max`.
    pub(crate) fn number(&mut self, key: &str, default: u64, min: u64, max: u64) -> u64 {
        match self.table.remove(key) {
            None => default,
            Some(toml::Value::Integer(n)) if u64::try_from(n).is_ok_and(|n| (min..=max).contains(&n)) => {
                n.unsigned_abs()
            }
            Some(_) => {
                self.fault(key, &format!("must be a whole number from {min} to {max}"));
                default
            }
        }
    }

    /// The same, where it is given.
    pub(crate) fn number_if_any(&mut self, key: &str, min: u64, max: u64) -> Option<u64> {
        self.table.contains_key(key).then(|| self.number(key, max, min, max))
    }

    pub(crate) fn boolean(&mut self, key: &str, default: bool) -> bool {
        match self.table.remove(key) {
            None => default,
            Some(toml::Value::Boolean(value)) => value,
            Some(_) => {
                self.fault(key, "must be true or false");
                default
            }
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&mut self, key: &str, default: T, words: &[(&str, T)]) -> T {
        let Some(text) = self.string(key) else { return default };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => *value,
            None => {
                let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
                self.fault(key, &format!("must be one of {}", all.join(", ")));
                default
            }
        }
    }

    pub(crate) fn address(&mut self, key: &str) -> SocketAddr {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let is_there = self.table.contains_key(key);
        let text = self.required_string(key);
        text.parse().unwrap_or_else(|_| {
            if is_there {
                self.fault(key, "must be ADDRESS:PORT, for instance \"0.0.0.0:25\" or \"[::]:25\"");
            }
            nowhere
        })
    }

    /// All faults, once the root and every section of it were read.
    pub(crate) fn finish(self) -> Vec<Fault> {
        let shared = self.shared.clone();
        drop(self);
        shared.faults.take()
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        for key in self.keys() {
            self.fault(&key, "is not a known key");
        }
    }
}
