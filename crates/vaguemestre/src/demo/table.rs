//! What the demo prints: settings ready to paste.

use super::describe::{Application, Demo, Operator};
use crate::cli::print::line;

pub(super) fn print(demo: &Demo) {
    for operator in &demo.operators {
        print_operator(operator);
    }
    let (Some(first), Some(second)) = (demo.operators.first(), demo.operators.get(1)) else { return };
    let Some(sender) = first.mailboxes.iter().find(|mailbox| mailbox.password.is_some()) else { return };
    let Some(reader) = second.mailboxes.iter().find(|mailbox| mailbox.password.is_some()) else { return };
    let ca = demo.ca_file.display();
    line("Send a letter from one operator to the other, then read it:");
    line(&format!(
        "  printf 'From: <{0}>\\r\\nTo: <{1}>\\r\\nSubject: Bonjour\\r\\n\\r\\nUne lettre.\\r\\n' | curl --cacert {ca} --url smtps://localhost:{2} --mail-from {0} --mail-rcpt {1} --user '{3}:{4}' --upload-file -",
        sender.address,
        reader.address,
        first.ports["submissions"],
        sender.username.as_deref().unwrap_or_default(),
        sender.password.as_deref().unwrap_or_default(),
    ));
    line(&format!(
        "  curl --cacert {ca} --url 'imaps://localhost:{}/INBOX;MAILINDEX=*' --user '{}:{}'",
        second.ports["imaps"],
        reader.username.as_deref().unwrap_or_default(),
        reader.password.as_deref().unwrap_or_default(),
    ));
    line("");
    if let Some(application) = first.applications.first() {
        line("Read as an application, by certificate (SASL EXTERNAL):");
        line(&format!(
            "  curl --cacert {ca} --cert {} --key {} --url 'imaps://localhost:{}/INBOX;MAILINDEX=*' --login-options AUTH=EXTERNAL --user {}:",
            application.cert_file.display(),
            application.key_file.display(),
            first.ports["imaps"],
            application.mailboxes.first().map(String::as_str).unwrap_or_default(),
        ));
    }
    line(&format!(
        "Thunderbird: import {ca} as an authority, then use server localhost, the IMAP and SMTP ports above, SSL/TLS, normal password."
    ));
    line(&format!("Stop with Ctrl-C; reload with `kill -HUP {}`.", demo.pid));
}

fn print_operator(operator: &Operator) {
    line(&format!("{} ({})", operator.domain, operator.hostname));
    let ports = ["smtp", "submission", "submissions", "imap", "imaps", "https"]
        .map(|name| format!("{name} {}", operator.ports[name]));
    line(&format!("  localhost ports: {}", ports.join(", ")));
    for mailbox in &operator.mailboxes {
        let login = match (&mailbox.username, &mailbox.password) {
            (Some(username), Some(password)) => format!("login {username}  password {password}"),
            _ => by_certificate(operator, &mailbox.address),
        };
        line(&format!("  {:<14}  {:<52}  {login}", mailbox.kind, mailbox.address));
    }
    line("");
}

fn by_certificate(operator: &Operator, address: &str) -> String {
    let opens = |application: &&Application| application.mailboxes.iter().any(|each| each == address);
    match operator.applications.iter().find(opens) {
        Some(application) => format!("by certificate {}", application.cert_file.display()),
        None => "by certificate only".to_owned(),
    }
}
