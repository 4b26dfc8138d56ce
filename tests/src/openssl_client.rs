//! `openssl s_client` as another operator.

use crate::authority::Certificate;
use crate::wait::DEADLINE;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// `openssl s_client`: SMTP after STARTTLS, or any protocol of lines under TLS from the start.
#[derive(Debug)]
pub struct OpensslClient {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
    errors: thread::JoinHandle<String>,
    _identity: TempDir,
}

impl OpensslClient {
    /// Connects to an MX with the certificate, if any, and these further options: `-tls1_2`, `-sess_out FILE`. Whether the handshake succeeded is
    /// heard with the first reply.
    pub fn connect(port: u16, ca_file: &Path, certificate: Option<&Certificate>, options: &[&str]) -> Self {
        Self::implicit(port, ca_file, certificate, &[&["-starttls", "smtp"][..], options].concat())
    }

    /// The same, under TLS from the start.
    pub fn implicit(port: u16, ca_file: &Path, certificate: Option<&Certificate>, options: &[&str]) -> Self {
        let identity = TempDir::new().expect("a temporary folder");
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "localhost"]);
        command.arg("-connect").arg(format!("127.0.0.1:{port}")).arg("-CAfile").arg(ca_file).args(options);
        if let Some(certificate) = certificate {
            for (option, name, content) in [
                ("-cert", "cert.pem", &certificate.chain_pem),
                ("-cert_chain", "chain.pem", &certificate.chain_pem),
                ("-key", "key.pem", &certificate.key_pem),
            ] {
                let path = identity.path().join(name);
                std::fs::write(&path, content).expect("an identity can be written");
                command.arg(option).arg(path);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("openssl is installed");
        let input = child.stdin.take().expect("stdin is piped");
        let (told, output) = channel();
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| told.send(line)));
        let errors = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let errors = thread::spawn(move || errors.map_while(Result::ok).collect::<Vec<_>>().join("\n"));
        Self { child, input, output, errors, _identity: identity }
    }

    /// Sends a line, and hears the last line of the reply; `None` when the connection is over.
    pub fn ask(&mut self, line: &str) -> Option<String> {
        self.send(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// Sends octets; `None` when the connection is over.
    pub fn send(&mut self, octets: &[u8]) -> Option<()> {
        self.input.write_all(octets).and_then(|()| self.input.flush()).ok()
    }

    /// The last line of the next reply; `None` when the connection is over.
    ///
    /// # Panics
    /// When nothing comes.
    pub fn reply(&mut self) -> Option<String> {
        loop {
            let line = self.line()?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Some(line);
            }
        }
    }

    /// The next line; `None` when the connection is over.
    ///
    /// # Panics
    /// When nothing comes.
    pub fn line(&mut self) -> Option<String> {
        match self.output.recv_timeout(DEADLINE) {
            Ok(line) => Some(line.trim_end().to_owned()),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("openssl s_client heard nothing"),
        }
    }

    /// Sends a line and hears the first line that begins like this; `None` when the connection is over before.
    pub fn until(&mut self, line: &str, beginning: &str) -> Option<String> {
        self.send(format!("{line}\r\n").as_bytes())?;
        loop {
            let heard = self.line()?;
            if heard.starts_with(beginning) {
                return Some(heard);
            }
        }
    }

    /// Ends it, if it has not ended; what it wrote to standard error.
    pub fn end(self) -> String {
        let Self { mut child, input, output, errors, _identity } = self;
        drop(input);
        // With -quiet it does not end with its input.
        while output.recv_timeout(Duration::ZERO).is_ok() {}
        let waits = 20;
        for _ in 0..waits {
            if child.try_wait().expect("a child can be asked").is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
        errors.join().expect("standard error is read")
    }
}

/// The number of the TLS alert that openssl reports, if any.
pub fn alert(errors: &str) -> Option<u8> {
    let after = errors.split("SSL alert number ").nth(1)?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
