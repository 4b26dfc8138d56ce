//! Persons.

use crate::dialect::on;
use crate::directory::admin;
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{ActorId, UserId};

/// A user as an administrator sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// Row.
    pub id: UserId,
    /// The actor that credentials and grants point to.
    pub actor: ActorId,
    /// Login name.
    pub login: String,
}

impl Store {
    /// Makes a user; fine twice.
    pub async fn create_user(
        &self,
        login: &str,
        display_name: &str,
        rpps: Option<&str>,
    ) -> Result<UserRow, Error> {
        let (login, display_name, rpps) =
            (login.to_ascii_lowercase(), display_name.to_owned(), rpps.map(str::to_owned));
        self.write(Touches::nothing(), move |tx| {
            let (login, display_name, rpps) = (login.clone(), display_name.clone(), rpps.clone());
            Box::pin(async move { tx.create_user(&login, &display_name, rpps.as_deref()).await })
        })
        .await
    }

    /// The user of that login.
    pub async fn user(&self, login: &str) -> Result<Option<UserRow>, Error> {
        let mut reader = self.reader().await?;
        let row: Option<(i64, i64, String)> = on!(reader.conn(), c => sqlx::query_as(USER).bind(login.to_ascii_lowercase()).fetch_optional(&mut *c).await)?;
        Ok(row.map(user_row))
    }
}

pub(crate) const USER: &str =
    "SELECT u.id, a.id, u.login FROM users u JOIN actors a ON a.user_id = u.id WHERE u.login = $1";

pub(crate) fn user_row((id, actor, login): (i64, i64, String)) -> UserRow {
    UserRow { id: UserId(id), actor: ActorId(actor), login }
}

impl WriteTx {
    pub(crate) async fn create_user(
        &mut self,
        login: &str,
        display_name: &str,
        rpps: Option<&str>,
    ) -> Result<UserRow, Error> {
        let known: Option<(i64, i64, String)> =
            on!(self.conn(), c => sqlx::query_as(USER).bind(login).fetch_optional(&mut *c).await)?;
        if let Some(row) = known {
            return Ok(user_row(row));
        }
        let now = self.now.0;
        let (user,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO users (login, display_name, rpps, created_at_ms) VALUES ($1, $2, $3, $4) RETURNING id")
            .bind(login).bind(display_name).bind(rpps).bind(now).fetch_one(&mut *c).await)?;
        let (actor,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO actors (kind, user_id, created_at_ms) VALUES ('user', $1, $2) RETURNING id").bind(user).bind(now).fetch_one(&mut *c).await)?;
        self.audit(&admin("user.created", None, String::new()).on("user", user)).await?;
        Ok(UserRow { id: UserId(user), actor: ActorId(actor), login: login.to_owned() })
    }
}
