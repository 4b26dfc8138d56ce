//! What a notification says to a person: what happened and what to do, in French, then in English.

use super::{Action, RecipientReport, printable};

/// Sentences for one action.
struct Wording {
    subject: &'static str,
    french: [&'static str; 2],
    english: [&'static str; 2],
}

/// The subject of a notification; the gravest action names it.
pub(super) fn subject(recipients: &[RecipientReport<'_>]) -> &'static str {
    let gravest = ORDER.iter().find(|action| recipients.iter().any(|r| r.action == **action));
    wording(gravest.copied().unwrap_or(Action::Failed)).subject
}

/// The text, with `\n` line ends.
pub(super) fn text(recipients: &[RecipientReport<'_>]) -> String {
    let mut out = String::from("(English below)\n\n");
    language(recipients, |wording| wording.french, "Réponse reçue : ", &mut out);
    out.push_str("Ce message est automatique ; il est inutile d'y répondre.\n\n----------\n\n");
    language(recipients, |wording| wording.english, "Answer received: ", &mut out);
    out.push_str("This message is automatic; please do not reply.\n");
    out
}

const ORDER: [Action; 5] =
    [Action::Failed, Action::Delayed, Action::Relayed, Action::Expanded, Action::Delivered];

fn language(
    recipients: &[RecipientReport<'_>],
    sentences: impl Fn(&Wording) -> [&'static str; 2],
    answer: &str,
    out: &mut String,
) {
    for action in ORDER {
        let [happened, next] = sentences(&wording(action));
        let mut concerned = recipients.iter().filter(|r| r.action == action).peekable();
        if concerned.peek().is_none() {
            continue;
        }
        out.push_str(happened);
        out.push_str("\n\n");
        for recipient in concerned {
            out.push_str(&format!("  {}\n", recipient.final_recipient));
            if let Some(diagnostic) = recipient.diagnostic {
                out.push_str(&format!("    {answer}{}\n", printable(diagnostic.as_bytes(), 300)));
            }
        }
        out.push_str(&format!("\n{next}\n\n"));
    }
}

fn wording(action: Action) -> Wording {
    match action {
        Action::Failed => Wording {
            subject: "Message non remis (Undelivered message)",
            french: [
                "Votre message n'a pas pu être remis aux destinataires suivants :",
                "Il ne leur sera pas présenté de nouveau. Vérifiez les adresses, puis renvoyez le message ou joignez \
                 ces personnes par un autre moyen. Si l'erreur se répète, transmettez cet avis à votre support.",
            ],
            english: [
                "Your message could not be delivered to the following recipients:",
                "No further attempt will be made. Check the addresses, then send the message again or reach these \
                 persons by other means. If the error repeats, forward this notice to your support.",
            ],
        },
        Action::Delayed => Wording {
            subject: "Message retardé (Delayed message)",
            french: [
                "Votre message n'a pas encore pu être remis aux destinataires suivants :",
                "Les tentatives continuent ; vous n'avez pas à renvoyer le message. Si le contenu est urgent, joignez \
                 ces personnes par un autre moyen.",
            ],
            english: [
                "Your message could not yet be delivered to the following recipients:",
                "Attempts go on; you need not send it again. If the content is urgent, reach these persons by other \
                 means.",
            ],
        },
        Action::Relayed => Wording {
            subject: "Message transmis (Relayed message)",
            french: [
                "Votre message a été transmis au serveur des destinataires suivants, qui n'envoie pas d'avis de remise :",
                "Vous n'avez rien à faire. L'absence d'avis ultérieur ne prouve pas la remise.",
            ],
            english: [
                "Your message was handed to the server of the following recipients, which sends no delivery notices:",
                "You need do nothing. That no later notice comes does not prove delivery.",
            ],
        },
        Action::Expanded => Wording {
            subject: "Message remis (Delivered message)",
            french: [
                "Votre message a été remis aux destinataires suivants, qui le transmettent à plusieurs personnes :",
                "Vous n'avez rien à faire.",
            ],
            english: [
                "Your message was delivered to the following recipients, which pass it on to several persons:",
                "You need do nothing.",
            ],
        },
        Action::Delivered => Wording {
            subject: "Message remis (Delivered message)",
            french: [
                "Votre message a été remis aux destinataires suivants :",
                "Vous n'avez rien à faire. Cet avis ne prouve pas que le message a été lu.",
            ],
            english: [
                "Your message was delivered to the following recipients:",
                "You need do nothing. This notice does not prove that the message was read.",
            ],
        },
    }
}
