//! Synthetic letters: invented patients, plausible wording, the shapes that real mail has.

use mail_types::Timestamp;
use message::date;

/// A letter and when it came.
pub(super) struct Letter {
    pub(super) at: Timestamp,
    pub(super) content: String,
}

const HOUR_MS: i64 = 3_600_000;

/// The letters of the mailbox `to`, the `index`-th of its domain.
pub(super) fn of(to: &str, index: usize, domain: &str, now: Timestamp) -> Vec<Letter> {
    let letters = [discharge as fn(&Head<'_>) -> String, laboratory, referral];
    (0i64..)
        .zip(letters)
        .map(|(age, letter)| {
            let at =
                now.plus_millis(-HOUR_MS * (50 - 20 * age) - HOUR_MS * i64::try_from(index).unwrap_or(0));
            let head = Head { to, domain, at, number: index * 10 + usize::try_from(age).unwrap_or(0) };
            Letter { at, content: letter(&head).replace('\n', "\r\n") }
        })
        .collect()
}

struct Head<'h> {
    to: &'h str,
    domain: &'h str,
    at: Timestamp,
    number: usize,
}

impl Head<'_> {
    fn fields(&self, from: &str, subject: &str) -> String {
        let Self { to, domain, at, number } = self;
        format!(
            "Received: by mx.{domain} (demonstration); {date}\nFrom: {from}\nTo: <{to}>\nSubject: {subject}\nDate: {date}\nMessage-ID: <demo-{number}-{stamp}@{domain}>\nMIME-Version: 1.0\nX-MSS-NIL: 00.00.00\n",
            date = date::rfc5322(*at),
            stamp = at.0,
        )
    }
}

fn discharge(head: &Head<'_>) -> String {
    let fields = head.fields(
        "=?utf-8?Q?Dr_H=C3=A9l=C3=A8ne_MERCIER?= <helene.mercier@hopital-exemple.mssante.test>",
        "=?utf-8?Q?Lettre_de_liaison_=C3=A0_la_sortie?=",
    );
    format!(
        "{fields}Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\
         Chère consœur, cher confrère,\n\nVotre patiente, Mme Exemple TEST (née le 01/01/1950), a été hospitalisée trois jours pour une\n\
         décompensation cardiaque d'évolution favorable sous traitement diurétique.\n\nTraitement de sortie : furosémide 40 mg le matin, bisoprolol 2,5 mg.\n\
         Contrôle de la créatininémie et du potassium à 7 jours.\n\nBien confraternellement,\nDr Hélène MERCIER\n"
    )
}

fn laboratory(head: &Head<'_>) -> String {
    let fields = head.fields(
        "Laboratoire Exemple <resultats@laboratoire-exemple.mssante.test>",
        "=?utf-8?B?UsOpc3VsdGF0cyBkZSBiaW9sb2dpZQ==?=",
    );
    format!(
        "{fields}X-MSS-CODECDA: CR-BIO\nX-MSS-INS: N\nContent-Type: multipart/mixed; boundary=\"demo-{0}\"\n\n--demo-{0}\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nR=C3=A9sultats de M. Essai MODELE ci-joints.\n\n--demo-{0}\n\
         Content-Type: text/csv; name=\"resultats.csv\"\nContent-Disposition: attachment; filename=\"resultats.csv\"\nContent-Transfer-Encoding: base64\n\n\
         YW5hbHlzZTt2YWxldXI7dW5pdGUKUG90YXNzaXVtOzQsMTttbW9sL0wKQ3LDqWF0aW5pbmU7ODg7\nwrVtb2wvTAo=\n\n--demo-{0}--\n",
        head.number
    )
}

fn referral(head: &Head<'_>) -> String {
    let fields =
        head.fields("Dr Marc NOEL <marc.noel@cabinet-exemple.mssante.test>", "Demande d'avis cardiologique");
    format!(
        "{fields}Content-Type: multipart/alternative; boundary=\"avis-{0}\"\n\n--avis-{0}\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\
         Bonjour,\n\nMerci de recevoir M. Fictif PATIENT pour un avis sur un souffle systolique découvert à l'examen.\n\n--avis-{0}\n\
         Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n<p>Bonjour,</p><p>Merci de recevoir <b>M. Fictif PATIENT</b> pour un avis sur un souffle systolique découvert à l'examen.</p>\n\n--avis-{0}--\n",
        head.number
    )
}
