//! Refusals of the store, as problems.

use crate::ports::Unable;
use crate::problem::{Code, Problem};
use store::DirectoryError;

impl From<DirectoryError> for Problem {
    fn from(refusal: DirectoryError) -> Self {
        let text = refusal.to_string();
        match refusal {
            DirectoryError::Changed => Self::new(Code::PreconditionFailed),
            DirectoryError::UnknownDomain => Self::invalid(
                "/email",
                "the domain is not one of this operator's",
                "le domaine n'est pas un de ceux de cet opérateur",
            ),
            DirectoryError::UnknownUser => {
                Self::invalid("/owner", "there is no such person", "il n'y a pas de telle personne")
            }
            DirectoryError::Allocation { max, asked } => Self::new(Code::Allocation).detail(
                text,
                format!(
                    "les quotas des boîtes du domaine viendraient à {asked} octets ensemble, et son allocation est de {max} ; donnez moins, ou changez l'allocation du domaine"
                ),
            ),
            DirectoryError::UnknownMailbox => Self::new(Code::NotFound),
            DirectoryError::Tombstone => Self::new(Code::Tombstone),
            DirectoryError::AddressTaken => {
                Self::new(Code::Conflict).detail(text, "il y a déjà une boîte de cette adresse")
            }
            DirectoryError::LoginTaken => {
                Self::new(Code::Conflict).detail(text, "une autre personne a cet identifiant de connexion")
            }
            DirectoryError::RppsTaken => {
                Self::new(Code::Conflict).detail(text, "une autre personne a ce numéro RPPS")
            }
            DirectoryError::AdeliTaken => {
                Self::new(Code::Conflict).detail(text, "une autre personne a ce numéro ADELI")
            }
            DirectoryError::State(status, workflow) => Self::new(Code::Conflict).detail(
                text,
                format!("cela ne se fait pas tant que l'état est {status} et la création {workflow}"),
            ),
            DirectoryError::ApplicationName => Self::invalid(
                "/name",
                text,
                "doit être fait de 1 à 64 lettres, chiffres, « . », « - » et « _ »",
            ),
            DirectoryError::ApplicationTaken => {
                Self::new(Code::Conflict).detail(text, "il y a déjà une application de ce nom")
            }
            DirectoryError::NotRestorable => Self::new(Code::Conflict)
                .detail(text, "le temps pendant lequel elle pouvait être restaurée est écoulé"),
            DirectoryError::LastAdministrator => Self::new(Code::LastAdministrator).detail(
                "nobody else administers one of the person's organizational or cabinet mailboxes for good; give the role admin without an end date to somebody else first (an administrator of the operator may use force=true)",
                "personne d'autre n'administre durablement une des boîtes organisationnelles ou de cabinet de la personne ; donnez d'abord le rôle admin, sans date de fin, à une autre personne (un administrateur de l'opérateur peut utiliser force=true)",
            ),
            _ => Self::new(Code::Conflict).detail(text.clone(), text),
        }
    }
}

impl From<Unable> for Problem {
    fn from(Unable(text): Unable) -> Self {
        Self::new(Code::Unavailable).retry_after(60).detail(text.clone(), text)
    }
}
