//! Refusals of the store, as problems.

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
            DirectoryError::UnknownMailbox => Self::new(Code::NotFound),
            _ => Self::new(Code::Conflict).detail(text.clone(), text),
        }
    }
}
