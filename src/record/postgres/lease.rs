//! The lease: of the daemons on one database one leads, and the others stand by.
//!
//! Whoever leads holds the one row of `lease` for [`LEASE`], renewed every [`RENEW`]. Each take-over
//! counts its token up; each transaction of the leader begins with a look at the token, which keeps a
//! take-over waiting until the transaction has ended. So what a daemon does after it was replaced is
//! refused, however long it was stopped in between.
//!
//! A lease that ran out is taken only by who has seen it so for [`GRACE`] on a server that answers: a
//! server that was away for everybody is given back to the one that led before, which holds back what
//! it could not write.
//!
//! A token smaller than one's own means that the database is another one, such as a restored backup:
//! nobody took over there.

use std::time::Duration;

use sqlx::postgres::Postgres as Db;
use sqlx::{Connection as _, PgConnection, Transaction};

use super::link::{Link, Purpose, is_down, part, within};
use super::{Postgres, beside, error};
use crate::model::database::Access;
use crate::record::StoreError;

/// How long the lead lasts without a renewal.
pub const LEASE: Duration = Duration::from_secs(15);
/// How often it is renewed.
pub const RENEW: Duration = Duration::from_secs(4);
/// How long a lease has to be seen expired before it is taken.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One daemon's way to the lease.
#[derive(Debug)]
pub struct Lease {
    link: Link,
    holder: String,
    connection: Option<PgConnection>,
}

/// How the lease stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has it, or it was given back.
    Free,
    /// It ran out.
    Expired,
    /// Somebody leads.
    Held(String),
}

/// What came of a renewal.
#[derive(Debug)]
pub enum Renewal {
    /// Still ours.
    Kept {
        /// Whether another daemon was heard of within the last minute.
        others: bool,
    },
    /// Another daemon's: which, and since when.
    Taken(String),
    /// The server is down for everybody.
    Down,
    /// Nobody knows.
    Unclear(StoreError),
}

impl Lease {
    /// That of a database, for a daemon of this name, which nobody else has.
    pub fn new(access: Access, holder: String) -> Self {
        Self { link: Link::new(access), holder, connection: None }
    }

    /// The name of this daemon.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Looks at it, and leaves a sign of life.
    ///
    /// # Errors
    /// What the server says.
    pub async fn look(&mut self) -> Result<Standing, StoreError> {
        let mut connection = self.sit().await?;
        let found = within(PATIENCE, look(&mut connection, &self.holder)).await;
        self.done(connection, found)
    }

    /// Takes it, if it is free or has expired; the token.
    ///
    /// # Errors
    /// What the server says, and [`StoreError::Locked`] while a transaction of the one before goes on.
    pub async fn take(&mut self) -> Result<Option<i64>, StoreError> {
        let mut connection = self.sit().await?;
        let sql = "UPDATE lease SET holder = $1, token = token + 1, taken = now(), until = now() + $2 \
                   WHERE id = 1 AND until < now() RETURNING token";
        let token = sqlx::query_scalar::<_, i64>(sql).bind(&self.holder).bind(LEASE);
        let taken = within(PATIENCE, token.fetch_optional(&mut connection)).await;
        self.done(connection, taken)
    }

    /// Renews it, also after it ran out if nobody took it.
    pub async fn renew(&mut self, token: i64) -> Renewal {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match self.link.try_connect(Purpose::Promise).await {
                Ok(connection) => connection,
                Err(why) if is_down(&why) => return Renewal::Down,
                Err(why) => return Renewal::Unclear(error::connecting(&self.link.access, &why)),
            },
        };
        match within(PATIENCE, renew(&mut connection, &self.holder, token)).await {
            Ok(renewed) => {
                self.connection = Some(connection);
                renewed
            }
            Err(why) if is_down(&why) => Renewal::Down,
            Err(why) => Renewal::Unclear(self.link.fault(&why)),
        }
    }

    /// Gives it back, so that another need not wait until it has run out.
    ///
    /// # Errors
    /// What the server says.
    pub async fn release(&mut self, token: i64) -> Result<(), StoreError> {
        let mut connection = self.sit().await?;
        let released = within(PATIENCE, give_back(&mut connection, &self.holder, token)).await;
        self.done(connection, released)
    }

    /// Leaves for good without having led, so that nobody reckons with this daemon.
    pub async fn forget(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            let gone = sqlx::query("DELETE FROM daemons WHERE name = $1").bind(&self.holder);
            // Else it is forgotten within a minute.
            within(PATIENCE, gone.execute(&mut connection)).await.ok();
            part(connection).await;
        }
    }

    /// Closes its connection; the next use makes another one.
    pub async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            part(connection).await;
        }
    }

    async fn sit(&mut self) -> Result<PgConnection, StoreError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        beside::prepare(&self.link).await?;
        // A take-over that a crash of the server undid would be a token given twice.
        beside::promise(&self.link).await
    }

    fn done<T>(&mut self, connection: PgConnection, done: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        let done = done.map_err(|why| self.link.fault(&why))?;
        self.connection = Some(connection);
        Ok(done)
    }
}

async fn look(connection: &mut PgConnection, holder: &str) -> Result<Standing, sqlx::Error> {
    let alive =
        "INSERT INTO daemons (name, seen) VALUES ($1, now()) ON CONFLICT (name) DO UPDATE SET seen = now()";
    sqlx::query(alive).bind(holder).execute(&mut *connection).await?;
    let found = sqlx::query_as::<_, (Option<String>, bool)>("SELECT holder, until < now() FROM lease");
    let (by, expired) = found.fetch_one(connection).await?;
    Ok(match by {
        Some(by) if !expired => Standing::Held(by),
        Some(_) => Standing::Expired,
        None => Standing::Free,
    })
}

async fn renew(connection: &mut PgConnection, holder: &str, token: i64) -> Result<Renewal, sqlx::Error> {
    let sql = "UPDATE lease SET holder = $1, until = now() + $2, token = $3 \
               WHERE id = 1 AND (token = $3 OR token < $3 AND until < now())";
    let renewed = sqlx::query(sql).bind(holder).bind(LEASE).bind(token).execute(&mut *connection).await?;
    if renewed.rows_affected() == 0 {
        let (_, by) = current(connection).await?;
        return Ok(Renewal::Taken(by));
    }
    let mut transaction = connection.begin().await?;
    let alive =
        "INSERT INTO daemons (name, seen) VALUES ($1, now()) ON CONFLICT (name) DO UPDATE SET seen = now()";
    sqlx::query(alive).bind(holder).execute(&mut *transaction).await?;
    let old = "DELETE FROM daemons WHERE seen < now() - interval '1 hour'";
    sqlx::query(old).execute(&mut *transaction).await?;
    let sql = "SELECT EXISTS (SELECT 1 FROM daemons WHERE name <> $1 AND seen > now() - interval '1 minute')";
    let others = sqlx::query_scalar::<_, bool>(sql).bind(holder).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Renewal::Kept { others })
}

/// Whose the lease is, and since when, held against take-overs until the end of the transaction.
async fn current(connection: &mut PgConnection) -> Result<(i64, String), sqlx::Error> {
    let sql = "SELECT token, coalesce(holder, 'nobody now'), coalesce(to_char(taken AT TIME ZONE 'UTC', \
               'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), 'an unknown time') FROM lease WHERE id = 1 FOR KEY SHARE";
    let found = sqlx::query_as::<_, (i64, String, String)>(sql).fetch_one(connection).await?;
    Ok((found.0, format!("{} at {}", found.1, found.2)))
}

async fn give_back(connection: &mut PgConnection, holder: &str, token: i64) -> Result<(), sqlx::Error> {
    let free = "UPDATE lease SET holder = NULL, until = '-infinity' WHERE id = 1 AND token = $1";
    sqlx::query(free).bind(token).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM daemons WHERE name = $1").bind(holder).execute(connection).await?;
    Ok(())
}

/// Begins a transaction of the leader with this token: nobody takes over before it has ended.
pub async fn begin(connection: &mut PgConnection, token: i64) -> Result<Transaction<'_, Db>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    fence(&mut transaction, token).await?;
    Ok(transaction)
}

/// Refuses whoever has not this token, and keeps it from being taken until the transaction ends.
pub async fn fence(connection: &mut PgConnection, token: i64) -> Result<(), sqlx::Error> {
    if token == 0 {
        return Err(sqlx::Error::Protocol("the lead is not taken yet".into()));
    }
    let (found, by) = current(connection).await?;
    if found > token {
        return Err(error::fenced(by));
    }
    if found < token {
        return Err(sqlx::Error::Protocol("the database is another one, and is not led yet".into()));
    }
    Ok(())
}

impl Postgres {
    /// Whether a daemon leads on this database just now.
    ///
    /// # Errors
    /// What the server says.
    pub async fn daemon_at_work(access: Access) -> Result<bool, StoreError> {
        let link = Link::new(access);
        // An older schema knows no lease, and its daemon holds the lock that a migration needs.
        let Some(mut connection) = beside::reader(&link).await? else { return Ok(false) };
        let held = sqlx::query_scalar::<_, bool>("SELECT until > now() FROM lease");
        let held = within(PATIENCE, held.fetch_one(&mut connection)).await;
        part(connection).await;
        held.map_err(|why| link.fault(&why))
    }
}
