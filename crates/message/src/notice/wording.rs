//! What a letter says to a person: what happened and what to do next, in French, then in English.

use super::{Access, Event};
use crate::date;
use mail_types::Role;

/// The subject.
pub(super) fn subject(event: &Event<'_>) -> &'static str {
    match event {
        Event::Given(_) => "Accès à une boîte accordé (Access to a mailbox given)",
        Event::Changed(_) => "Accès à une boîte modifié (Access to a mailbox changed)",
        Event::Taken(_) => "Accès à une boîte retiré (Access to a mailbox taken away)",
        Event::Ending(_) => "Accès à une boîte bientôt terminé (Access to a mailbox about to end)",
        Event::Hidden { .. } => "Publication dans l'annuaire (Publication in the directory)",
        Event::Suspended { .. } => "Boîte suspendue (Mailbox suspended)",
        Event::Restored { .. } => "Boîte rétablie (Mailbox restored)",
        Event::NearlyFull { .. } => "Boîte presque pleine (Mailbox nearly full)",
        Event::DomainNearlyFull { .. } => "Domaine presque plein (Domain nearly full)",
    }
}

/// The text, with `\n` line ends.
pub(super) fn text(event: &Event<'_>) -> String {
    let (french, english) = sentences(event);
    format!(
        "(English below)\n\n{french}\n\nCe message est automatique ; il est inutile d'y répondre.\n\n----------\n\n\
         {english}\n\nThis message is automatic; please do not reply.\n"
    )
}

fn sentences(event: &Event<'_>) -> (String, String) {
    match event {
        Event::Given(access) => told(
            access,
            "Un accès à la boîte {mailbox} a été accordé à {who}, en tant que {role}{until}.",
            "Access to the mailbox {mailbox} was given to {who}, as {role}{until}.",
        ),
        Event::Changed(access) => told(
            access,
            "L'accès de {who} à la boîte {mailbox} a changé : {role}{until}.",
            "The access of {who} to the mailbox {mailbox} has changed: {role}{until}.",
        ),
        Event::Taken(access) => told(
            access,
            "L'accès de {who} à la boîte {mailbox} a été retiré.",
            "The access of {who} to the mailbox {mailbox} was taken away.",
        ),
        Event::Ending(access) => told(
            access,
            "L'accès de {who} à la boîte {mailbox}, en tant que {role}, se termine{until}. S'il doit durer, demandez à un administrateur de la boîte de le prolonger.",
            "The access of {who} to the mailbox {mailbox}, as {role}, ends{until}. If it is to last, ask an administrator of the mailbox to extend it.",
        ),
        Event::Hidden { mailbox, is_hidden: true } => (
            format!(
                "La boîte {mailbox} n'est plus publiée dans l'annuaire. Elle reçoit et envoie comme avant."
            ),
            format!(
                "The mailbox {mailbox} is not published in the directory any more. It receives and sends as before."
            ),
        ),
        Event::Hidden { mailbox, is_hidden: false } => (
            format!("La boîte {mailbox} est de nouveau publiée dans l'annuaire."),
            format!("The mailbox {mailbox} is published in the directory again."),
        ),
        Event::Suspended { mailbox } => (
            format!(
                "La boîte {mailbox} est suspendue : elle ne peut être ouverte pour le moment, et rien de son contenu n'est perdu. Pour la rétablir, adressez-vous à votre support."
            ),
            format!(
                "The mailbox {mailbox} is suspended: it cannot be opened for now, and nothing of its content is lost. To have it restored, ask your support."
            ),
        ),
        Event::Restored { mailbox } => (
            format!("La boîte {mailbox} est rétablie : elle s'ouvre, reçoit et envoie comme avant."),
            format!("The mailbox {mailbox} is restored: it opens, receives and sends as before."),
        ),
        Event::NearlyFull { mailbox, percent, used_bytes, quota_bytes } => nearly_full(
            (&format!("La boîte {mailbox} est"), &format!("The mailbox {mailbox} is")),
            (*percent, *used_bytes, *quota_bytes),
            "Quand elle sera pleine, les nouveaux messages seront retardés. Supprimez ou archivez ce qui ne sert plus et videz la corbeille, ou demandez un quota plus grand à votre support.",
            "Once it is full, new messages will be delayed. Remove or archive what is no longer used and empty the trash, or ask your support for a larger quota.",
        ),
        Event::DomainNearlyFull { domain, percent, used_bytes, allocation_bytes } => nearly_full(
            (
                &format!("L'ensemble des boîtes du domaine {domain} est"),
                &format!("The mailboxes of the domain {domain} together are"),
            ),
            (*percent, *used_bytes, *allocation_bytes),
            "Demandez une allocation plus grande à l'opérateur, ou faites le tri dans les boîtes les plus remplies.",
            "Ask the operator for a larger allocation, or have the fullest mailboxes tidied up.",
        ),
    }
}

fn told(access: &Access<'_>, french: &str, english: &str) -> (String, String) {
    let (role_fr, role_en) = role(access.role);
    let until =
        |word: &str| access.until.map_or_else(String::new, |at| format!(" {word} {}", date::rfc5322(at)));
    let ends = (until("le"), until("on"));
    let limits = (until("jusqu'au"), until("until"));
    let fill = |text: &str, role: &str, until: &str| {
        text.replace("{mailbox}", &access.mailbox.to_string())
            .replace("{who}", &on_one_line(access.grantee))
            .replace("{role}", role)
            .replace("{until}", until)
    };
    let is_end = french.contains("se termine");
    let (until_fr, until_en) = if is_end { ends } else { limits };
    (fill(french, role_fr, &until_fr), fill(english, role_en, &until_en))
}

/// A name of somebody's, without line ends, at most 200 characters.
fn on_one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

const fn role(role: Option<Role>) -> (&'static str, &'static str) {
    match role {
        Some(Role::Reader) => ("lecteur (lire)", "reader (read)"),
        Some(Role::Editor) => (
            "rédacteur (lire, écrire, envoyer au nom de la boîte)",
            "editor (read, write, send with its address)",
        ),
        Some(Role::Manager) => {
            ("gestionnaire (tout sauf les accès)", "manager (everything but who may open it)")
        }
        Some(Role::Administrator) => {
            ("administrateur (tout, y compris les accès)", "administrator (everything, also who may open it)")
        }
        None => ("droits particuliers", "particular rights"),
    }
}

fn nearly_full(
    (subject_fr, subject_en): (&str, &str),
    (percent, used, whole): (u8, u64, u64),
    next_fr: &str,
    next_en: &str,
) -> (String, String) {
    let figures =
        |unit: [&str; 2], decimal: char| (octets(used, unit, decimal), octets(whole, unit, decimal));
    let (used_fr, whole_fr) = figures(["Mio", "Gio"], ',');
    let (used_en, whole_en) = figures(["MiB", "GiB"], '.');
    (
        format!("{subject_fr} à plus de {percent} % : {used_fr} sur {whole_fr}. {next_fr}"),
        format!("{subject_en} more than {percent} % full: {used_en} of {whole_en}. {next_en}"),
    )
}

/// Octets in binary units, rounded down to a tenth.
fn octets(octets: u64, [mebi, gibi]: [&str; 2], decimal: char) -> String {
    let (unit, name) = if octets >= 1 << 30 { (1_u64 << 30, gibi) } else { (1 << 20, mebi) };
    let tenths = u128::from(octets) * 10 / u128::from(unit);
    format!("{}{decimal}{} {name}", tenths / 10, tenths % 10)
}
