//! The lease: of the daemons on one database one leads, and the others stand by.
//!
//! Whoever leads holds the one row of `lease` for [`LEASE`], renewed every [`RENEW`]. Each take-over
//! counts its token up; each transaction of the leader begins with a look at the token, which keeps a
//! take-over waiting until the transaction has ended. So what a daemon does after it was replaced is
//! refused, however long it was stopped in between.
//!
//! A lease that ran out is taken only by who has seen it so for [`GRACE`] on a server that answers and
//! takes writes: a server that was away for everybody is given back to the one that led before, which
//! holds back what it could not write.
//!
//! Nobody brings the schema up to date while another daemon leads. The lease is taken in the schema that
//! is there, and who leads migrates.
//!
//! A token smaller than one's own means that the database is another one, such as a restored backup:
//! nobody took over there.

use std::time::Duration;

use sqlx::postgres::Postgres as Db;
use sqlx::{Connection as _, PgConnection, Transaction};

use super::link::{Heard, Link, Purpose, heard, part, within};
use super::session::{State, is_newer, migrate, newer, state, version};
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

const SIGN: &str =
    "INSERT INTO daemons (name, seen) VALUES ($1, now()) ON CONFLICT (name) DO UPDATE SET seen = now()";

/// A name that no other daemon has.
pub fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut random = [0; 4];
    // Without it the name is still told apart by host and process.
    let _ = aws_lc_rs::rand::fill(&mut random);
    format!("{}:{}:{:08x}", host.trim(), std::process::id(), u32::from_be_bytes(random))
}

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
    /// It is this daemon's own: the answer to its take was lost.
    Ours,
    /// Somebody else leads.
    Held(String),
}

/// Why the lease could not be seen or taken.
#[derive(Debug)]
pub struct Unseen {
    /// Why, and the way out.
    pub why: StoreError,
    /// The server is there and refuses: whoever else it lets in may lead.
    pub refused: bool,
}

impl Unseen {
    /// Whether waiting does not help, and going on would do harm.
    pub fn is_final(&self) -> bool {
        matches!(self.why, StoreError::Newer { .. } | StoreError::Unfinished { .. })
    }
}

impl From<Unseen> for StoreError {
    fn from(unseen: Unseen) -> Self {
        unseen.why
    }
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
    /// Ours, but somebody brought the schema up to a version that this one does not know.
    Newer(StoreError),
    /// The server is down for everybody.
    Down,
    /// The server is there and does not take the write, as it takes none of anybody's: its disk is full,
    /// say, or somebody holds the row.
    Refused(StoreError),
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

    /// Looks at it, and leaves a sign of life. A database without a lease is free, and left as it is.
    ///
    /// # Errors
    /// What the server says, and [`StoreError::Newer`] and [`StoreError::Unfinished`].
    pub async fn look(&mut self) -> Result<Standing, Unseen> {
        let mut connection = self.sit().await?;
        let (found, standing) =
            within(PATIENCE, look(&mut connection, &self.holder)).await.map_err(|why| self.unseen(&why))?;
        self.fits(&found)?;
        self.connection = Some(connection);
        Ok(standing)
    }

    /// Takes it, if it is free, has expired or is this daemon's already; the token. A database without a
    /// lease gets one first, with all that belongs to the schema, which may take minutes.
    ///
    /// # Errors
    /// As [`Lease::look`], and [`StoreError::Locked`] while a transaction of the one before goes on, or a
    /// daemon that knows no lease is at work.
    pub async fn take(&mut self) -> Result<Option<i64>, Unseen> {
        let mut connection = self.sit().await?;
        let found = within(PATIENCE, state(&mut connection)).await.map_err(|why| self.unseen(&why))?;
        self.fits(&found)?;
        if !found.leased {
            let made = migrate(&self.link, &mut connection).await;
            made.map_err(|why| Unseen { why, refused: true })?;
        }
        // Who is replaced is gone, or comes back with a sign of life.
        let sql = "WITH before AS (SELECT holder FROM lease WHERE id = 1), \
                   won AS (UPDATE lease SET holder = $1, token = token + 1, taken = now(), until = now() + $2 \
                           WHERE id = 1 AND (until < now() OR holder = $1) RETURNING token), \
                   gone AS (DELETE FROM daemons USING before, won WHERE name = before.holder AND name <> $1) \
                   SELECT token FROM won";
        let token = sqlx::query_scalar::<_, i64>(sql).bind(&self.holder).bind(LEASE);
        let taken = within(PATIENCE, token.fetch_optional(&mut connection)).await;
        let taken = taken.map_err(|why| self.unseen(&why))?;
        self.connection = Some(connection);
        Ok(taken)
    }

    /// Renews it, also after it ran out if nobody took it.
    pub async fn renew(&mut self, token: i64) -> Renewal {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match self.link.try_connect(Purpose::Promise).await {
                Ok(connection) => connection,
                Err(why) if heard(&why) == Heard::Down => return Renewal::Down,
                // Somebody else may be let in.
                Err(why) => return Renewal::Unclear(error::connecting(&self.link.access, &why)),
            },
        };
        let renewed = match within(PATIENCE, renew(&mut connection, &self.holder, token)).await {
            Ok(renewed) => renewed,
            Err(why) => {
                return match heard(&why) {
                    Heard::Down => Renewal::Down,
                    Heard::Refusal => Renewal::Refused(self.link.fault(&why)),
                    Heard::Nothing => Renewal::Unclear(self.link.fault(&why)),
                };
            }
        };
        let renewed = match renewed {
            Renewed::Kept => match within(PATIENCE, others(&mut connection, &self.holder)).await {
                Ok(others) => Renewal::Kept { others },
                // It is renewed all the same.
                Err(_) => return Renewal::Kept { others: true },
            },
            Renewed::Taken(by) => Renewal::Taken(by),
            Renewed::Newer(found) => Renewal::Newer(newer(&self.link, found)),
        };
        self.connection = Some(connection);
        renewed
    }

    /// Gives it back, so that another need not wait until it has run out.
    ///
    /// # Errors
    /// What the server says.
    pub async fn release(&mut self, token: i64) -> Result<(), StoreError> {
        let mut connection = self.sit().await?;
        let released = within(PATIENCE, give_back(&mut connection, &self.holder, token)).await;
        released.map_err(|why| self.link.fault(&why))?;
        self.connection = Some(connection);
        Ok(())
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

    /// A connection that waits for the disk: a take-over that a crash of the server undid would be a token
    /// given twice.
    async fn sit(&mut self) -> Result<PgConnection, Unseen> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let connection = self.link.try_connect(Purpose::Promise).await.map_err(|why| Unseen {
            why: error::connecting(&self.link.access, &why),
            refused: heard(&why) == Heard::Refusal,
        })?;
        self.link.refuse_old(&connection).map_err(|why| Unseen { why, refused: true })?;
        Ok(connection)
    }

    /// Refuses a database of a newer version, and one that is being filled.
    fn fits(&self, found: &State) -> Result<(), Unseen> {
        let why = match &found.unfinished {
            _ if is_newer(found.schema) => newer(&self.link, found.schema),
            Some(from) => StoreError::Unfinished { path: self.link.access.place(), from: from.clone() },
            None => return Ok(()),
        };
        Err(Unseen { why, refused: true })
    }

    fn unseen(&self, why: &sqlx::Error) -> Unseen {
        Unseen { why: self.link.fault(why), refused: heard(why) == Heard::Refusal }
    }
}

async fn look(connection: &mut PgConnection, holder: &str) -> Result<(State, Standing), sqlx::Error> {
    let found = state(connection).await?;
    if !found.leased || is_newer(found.schema) || found.unfinished.is_some() {
        return Ok((found, Standing::Free));
    }
    sqlx::query(SIGN).bind(holder).execute(&mut *connection).await?;
    let lease = sqlx::query_as::<_, (Option<String>, bool)>("SELECT holder, until < now() FROM lease");
    let standing = match lease.fetch_one(connection).await? {
        (Some(by), false) if by == holder => Standing::Ours,
        (Some(by), false) => Standing::Held(by),
        (Some(_), true) => Standing::Expired,
        (None, _) => Standing::Free,
    };
    Ok((found, standing))
}

/// What came of the statement that renews.
enum Renewed {
    Kept,
    Taken(String),
    /// The schema of the database.
    Newer(i64),
}

async fn renew(connection: &mut PgConnection, holder: &str, token: i64) -> Result<Renewed, sqlx::Error> {
    let found = version(connection).await?;
    if is_newer(found) {
        return Ok(Renewed::Newer(found));
    }
    let sql = "UPDATE lease SET holder = $1, until = now() + $2, token = $3 \
               WHERE id = 1 AND (token = $3 OR token < $3 AND until < now())";
    let renewed = sqlx::query(sql).bind(holder).bind(LEASE).bind(token).execute(&mut *connection).await?;
    if renewed.rows_affected() == 0 {
        let (_, by) = current(connection).await?;
        return Ok(Renewed::Taken(by));
    }
    Ok(Renewed::Kept)
}

/// Leaves a sign of life, and tells whether another daemon left one within the last minute.
async fn others(connection: &mut PgConnection, holder: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query(SIGN).bind(holder).execute(&mut *transaction).await?;
    let old = "DELETE FROM daemons WHERE seen < now() - interval '1 hour'";
    sqlx::query(old).execute(&mut *transaction).await?;
    let sql = "SELECT EXISTS (SELECT 1 FROM daemons WHERE name <> $1 AND seen > now() - interval '1 minute')";
    let others = sqlx::query_scalar::<_, bool>(sql).bind(holder).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(others)
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
