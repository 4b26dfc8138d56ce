//! An MX of the auditor: behaves as its case says, and remembers everything that it was told.

use super::case::Behaviour;
use super::dialogue::{Broken, Dialogue};
use pki::AuditorTls;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How long the server keeps a client waiting that might believe a reply it was given in clear.
const SILENCE: Duration = Duration::from_millis(700);
/// What one server remembers at most; more comes from no mail server.
const COMMANDS_MAX: usize = 10_000;

/// What a handshake ends with in which the client showed none.
pub(super) const NO_CERTIFICATE: &str = "no certificate";

/// What a server saw so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// Connections that were opened.
    pub(super) opened: usize,
    /// Connections that are over.
    pub(super) ended: usize,
    /// Handshakes that came to their end, with the subject that the client showed and the version.
    pub(super) handshakes: Vec<String>,
    /// Why handshakes failed.
    pub(super) failures: Vec<String>,
    /// Every command line, in clear or under TLS.
    pub(super) commands: Vec<String>,
    /// Contents that were accepted.
    pub(super) messages: Vec<String>,
    /// A client went on under TLS before it was answered there.
    pub(super) believed_clear: bool,
}

impl Sight {
    /// Commands that tell of a message.
    pub(super) fn leaks(&self) -> Vec<&str> {
        const HARMLESS: [&str; 6] = ["EHLO", "HELO", "STARTTLS", "QUIT", "RSET", "NOOP"];
        let verb = |line: &str| line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let lines = self.commands.iter().map(String::as_str);
        lines.filter(|line| !HARMLESS.contains(&verb(line).as_str()) || line.contains('@')).collect()
    }
}

/// A listening server; it is gone when dropped.
pub(super) struct Server {
    sight: Arc<Mutex<Sight>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens. The handshake is done with `tls`.
    pub(super) async fn start(
        address: (&str, u16),
        tls: AuditorTls,
        behaviour: Behaviour,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let sight = Arc::new(Mutex::new(Sight::default()));
        let shared = sight.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = Session { sight: shared.clone(), tls: tls.clone(), behaviour };
                session.sight().opened += 1;
                tokio::spawn(async move {
                    // A client that hangs up ends its session only.
                    let _ = session.run(Dialogue::new(stream)).await;
                    session.sight().ended += 1;
                });
            }
        });
        Ok(Self { sight, task })
    }

    pub(super) fn sight(&self) -> Sight {
        lock(&self.sight).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(sight: &Mutex<Sight>) -> MutexGuard<'_, Sight> {
    sight.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Session {
    sight: Arc<Mutex<Sight>>,
    tls: AuditorTls,
    behaviour: Behaviour,
}

impl Session {
    fn sight(&self) -> MutexGuard<'_, Sight> {
        lock(&self.sight)
    }

    async fn run(&self, mut dialogue: Dialogue) -> Result<(), Broken> {
        dialogue.send(b"220 mx.auditeur.invalid ESMTP\r\n").await?;
        while let Some(line) = self.hear(&mut dialogue).await? {
            if verb(&line) == "STARTTLS"
                && matches!(self.behaviour, Behaviour::Usual | Behaviour::InjectsReplies)
            {
                return self.under_tls(dialogue).await;
            }
            let answer = self.in_clear(&line);
            dialogue.send(answer.as_bytes()).await?;
            if answer.starts_with("354") {
                self.content(&mut dialogue).await?;
            }
        }
        Ok(())
    }

    /// Whoever speaks in clear is answered as if nothing were amiss: what it says is what is to be found out.
    fn in_clear(&self, line: &str) -> String {
        let verb = verb(line);
        let hello = match self.behaviour {
            Behaviour::WithoutStarttls => "250-mx.auditeur.invalid\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            Behaviour::StarttlsStripped => {
                "250-mx.auditeur.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 XXXXXXXX\r\n"
            }
            _ => "250-mx.auditeur.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 STARTTLS\r\n",
        };
        match verb.as_str() {
            "EHLO" => hello.to_owned(),
            "STARTTLS" if self.behaviour == Behaviour::StarttlsRefused => {
                "454 4.7.0 TLS not available\r\n".to_owned()
            }
            "STARTTLS" => "502 5.5.1 Not known\r\n".to_owned(),
            _ => usual(&verb),
        }
    }

    async fn under_tls(&self, mut dialogue: Dialogue) -> Result<(), Broken> {
        let injects = self.behaviour == Behaviour::InjectsReplies;
        let reply: &[u8] = if injects {
            b"220 Go\r\n250-mx.auditeur.invalid\r\n250 PIPELINING\r\n250 2.1.0 OK\r\n250 2.1.5 OK\r\n354 Go\r\n"
        } else {
            b"220 Go\r\n"
        };
        dialogue.send(reply).await?;
        let (mut dialogue, subject, protocol) = match dialogue.accepted(&self.tls).await {
            Ok(accepted) => accepted,
            Err(broken) => {
                self.sight().failures.push(broken.to_string());
                return Err(broken);
            }
        };
        let shown = subject.unwrap_or_else(|| NO_CERTIFICATE.to_owned());
        self.sight().handshakes.push(format!("{protocol}, {shown}"));
        let mut first = true;
        while let Some(line) = self.hear(&mut dialogue).await? {
            if injects && first && dialogue.goes_on_within(SILENCE).await {
                self.sight().believed_clear = true;
            }
            first = false;
            let verb = verb(&line);
            let answer = match verb.as_str() {
                "EHLO" => "250-mx.auditeur.invalid\r\n250-PIPELINING\r\n250 8BITMIME\r\n".to_owned(),
                _ => usual(&verb),
            };
            dialogue.send(answer.as_bytes()).await?;
            if answer.starts_with("354") {
                self.content(&mut dialogue).await?;
            }
        }
        Ok(())
    }

    async fn content(&self, dialogue: &mut Dialogue) -> Result<(), Broken> {
        let mut content = String::new();
        loop {
            let line = dialogue.line().await?;
            if line == "." {
                break;
            }
            content.push_str(&line);
            content.push('\n');
        }
        self.sight().messages.push(content);
        dialogue.send(b"250 2.0.0 Taken\r\n").await
    }

    /// The next command; `None` after QUIT.
    async fn hear(&self, dialogue: &mut Dialogue) -> Result<Option<String>, Broken> {
        let line = dialogue.line().await?;
        let mut sight = self.sight();
        if sight.commands.len() < COMMANDS_MAX {
            sight.commands.push(line.clone());
        }
        Ok((verb(&line) != "QUIT").then_some(line))
    }
}

fn verb(line: &str) -> String {
    line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase()
}

fn usual(verb: &str) -> String {
    let answer = match verb {
        "MAIL" => "250 2.1.0 OK",
        "RCPT" => "250 2.1.5 OK",
        "DATA" => "354 Go",
        "RSET" | "NOOP" => "250 2.0.0 OK",
        _ => "500 5.5.1 Not known",
    };
    format!("{answer}\r\n")
}
