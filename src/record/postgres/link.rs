//! Connections: how they are made, what limits they have, and a few that read.
//!
//! A connection is taken out of its place while it is used and put back when all went well. Whatever
//! else happens (a fault, a time limit, a caller that goes away in the middle) closes it, so that
//! nothing ever begins on a connection whose state nobody knows.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::{StoreError, error};
use crate::model::database::{Access, Encryption, Server};

/// How long making a connection may take, authentication included.
const CONNECT: Duration = Duration::from_secs(5);
/// How long anything may take that the server is asked for, before the connection is given up.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long a page or report waits for what it reads, which may be a lot.
const READING: Duration = Duration::from_secs(35);
/// How long a farewell may take.
pub const FAREWELL: Duration = Duration::from_secs(1);
/// Connections that read for pages and reports.
const READERS: usize = 3;
/// The oldest server that can let go of a partition without locking out readers.
const OLDEST: u32 = 14;

/// What a connection is for, which sets its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The store's commits.
    Write {
        /// Wait for the disk at every commit.
        full_sync: bool,
    },
    /// Pages and reports.
    Read,
    /// What has to be on disk when it returns, whatever the store does: the ledger, decisions.
    Promise,
    /// Reading or writing all there is: takes the time it takes.
    Copy,
    /// Dropping what is old: rather later than in anybody's way.
    Prune,
}

impl Purpose {
    fn limits(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Write { full_sync: true } => {
                &[("statement_timeout", "30s"), ("lock_timeout", "5s"), ("synchronous_commit", "on")]
            }
            Self::Write { full_sync: false } => {
                &[("statement_timeout", "30s"), ("lock_timeout", "5s"), ("synchronous_commit", "off")]
            }
            Self::Read => &[
                ("statement_timeout", "30s"),
                ("lock_timeout", "5s"),
                ("default_transaction_read_only", "on"),
            ],
            Self::Promise => {
                &[("statement_timeout", "10s"), ("lock_timeout", "2s"), ("synchronous_commit", "on")]
            }
            Self::Copy => &[
                ("statement_timeout", "0"),
                ("lock_timeout", "5s"),
                ("idle_in_transaction_session_timeout", "0"),
                ("synchronous_commit", "off"),
            ],
            Self::Prune => &[("statement_timeout", "60s"), ("lock_timeout", "2s")],
        }
    }
}

/// What every session is told first, whatever it is for.
const SESSION: &[(&str, &str)] = &[
    // So that a server notices within half a minute that nobody is there any more.
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "25s"),
    // Shorter than a lease: whoever is stopped in a transaction keeps nobody from taking over.
    ("idle_in_transaction_session_timeout", "10s"),
    ("extra_float_digits", "2"),
];

/// The schemas that the role, the database or the server chose, in the order in which PostgreSQL heeds them.
const CHOSEN_SCHEMAS: &str = "SELECT set_config('search_path', coalesce(\
    (SELECT substr(setting, 13) FROM pg_db_role_setting, unnest(setconfig) AS setting \
     WHERE setting LIKE 'search\\_path=%' \
       AND setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user)) \
       AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
     ORDER BY setrole <> 0 DESC, setdatabase <> 0 DESC LIMIT 1), \
    (SELECT boot_val FROM pg_settings WHERE name = 'search_path')), false);";

/// The way to one database.
pub struct Link {
    pub access: Access,
    options: PgConnectOptions,
}

impl fmt::Debug for Link {
    // The library's options show the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.access.place())
    }
}

impl Link {
    pub fn new(access: Access) -> Self {
        Self::from(PgConnectOptions::new_without_pgpass(), access)
    }

    /// With what the library took from the environment, all of which is set here instead.
    pub(super) fn from(options: PgConnectOptions, access: Access) -> Self {
        let options = options
            .username(&access.user)
            .password(access.password.as_ref().map_or("", |password| password.expose()))
            .database(&access.database)
            // A pooler refuses to pass it on at the start, so it is told to the session.
            .extra_float_digits(None)
            .application_name("portalwatch");
        let options = match &access.server {
            Server::Tcp { host, port } => options.host(host).port(*port),
            Server::Socket { folder, port } => options.socket(folder).port(*port),
        };
        let options = match &access.encryption {
            Encryption::Off => options.ssl_mode(PgSslMode::Disable),
            Encryption::Verified { ca_pem } => {
                let ca_pem = ca_pem.as_deref().unwrap_or_default();
                options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert_from_pem(ca_pem.into())
            }
        };
        Self { options: options.disable_statement_logging(), access }
    }

    /// A connection, made directly: a pool would say of every fault that it timed out.
    pub async fn connect(&self, purpose: Purpose) -> Result<PgConnection, StoreError> {
        let connection = self.try_connect(purpose).await;
        let connection = connection.map_err(|why| error::connecting(&self.access, &why))?;
        self.refuse_old(&connection)?;
        Ok(connection)
    }

    /// Refuses a server of a version that lacks what is needed.
    pub fn refuse_old(&self, connection: &PgConnection) -> Result<(), StoreError> {
        let version = connection.server_version_num().map_or(OLDEST, |version| version / 10_000);
        if version < OLDEST {
            let why = format!("PostgreSQL {version} is too old; {OLDEST} or newer is needed");
            return Err(error::other(&self.access, &why));
        }
        Ok(())
    }

    /// As [`Link::connect`], with the fault as it is.
    pub async fn try_connect(&self, purpose: Purpose) -> Result<PgConnection, sqlx::Error> {
        within(CONNECT, async {
            let mut connection = self.options.connect().await?;
            // Not at the start, where poolers refuse it.
            let settings = sqlx::AssertSqlSafe(self.settings(purpose));
            sqlx::raw_sql(settings).execute(&mut connection).await?;
            Ok(connection)
        })
        .await
    }

    /// The statements that begin a session.
    fn settings(&self, purpose: Purpose) -> String {
        let mut sql = String::new();
        for (name, value) in SESSION.iter().chain(purpose.limits()) {
            // Writing to a string cannot fail.
            let _ = write!(sql, "SET {name} = '{value}';");
        }
        match &self.access.schema {
            Some(schema) => {
                let _ = write!(sql, "SELECT set_config('search_path', {}, false);", literal(schema));
            }
            // The library took over PGOPTIONS.
            None if self.options.get_options().is_some_and(|given| given.contains("search_path")) => {
                sql.push_str(CHOSEN_SCHEMAS);
            }
            None => {}
        }
        sql
    }

    pub fn fault(&self, why: &sqlx::Error) -> StoreError {
        error::of(&self.access, why)
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What a fault tells of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is down, as far as can be seen from here: nobody else uses it either.
    Down,
    /// It is there, and refuses.
    Refusal,
    /// Nothing: no answer, or a connection that broke.
    Nothing,
}

/// What a fault tells of the server.
pub fn heard(why: &sqlx::Error) -> Heard {
    match why {
        sqlx::Error::Io(io) => match io.kind() {
            std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound => Heard::Down,
            // A certificate that is not trusted.
            std::io::ErrorKind::InvalidData => Heard::Refusal,
            _ => Heard::Nothing,
        },
        sqlx::Error::Database(said) => match said.code().as_deref() {
            // It starts, or stops.
            Some("57P03") => Heard::Down,
            // The session was ended with the server, or by an operator.
            Some("57P01" | "57P02") => Heard::Nothing,
            // A pooler does not reach it.
            Some(code) if code.starts_with("08") => Heard::Nothing,
            _ => Heard::Refusal,
        },
        _ => Heard::Refusal,
    }
}

/// Bounds what may wait for the network.
pub async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
}

/// Bounds a few statements.
pub async fn patiently<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    within(PATIENCE, work).await
}

/// Bounds what is read for a page or a report.
pub async fn reading<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    within(READING, work).await
}

/// Whether a connection that lay unused still leads anywhere.
pub async fn is_alive(connection: &mut PgConnection) -> bool {
    within(CONNECT, connection.ping()).await.is_ok()
}

/// Says goodbye, if there is still somebody.
pub async fn part(connection: PgConnection) {
    timeout(FAREWELL, connection.close()).await.ok();
}

/// The connections that read.
#[derive(Debug)]
pub struct Readers {
    link: Arc<Link>,
    permits: Semaphore,
    idle: Mutex<Vec<PgConnection>>,
}

/// One that was taken out.
pub struct Reader<'r> {
    pub connection: PgConnection,
    home: &'r Readers,
    _permit: SemaphorePermit<'r>,
}

impl Readers {
    pub fn new(link: Arc<Link>) -> Self {
        Self { link, permits: Semaphore::new(READERS), idle: Mutex::default() }
    }

    pub async fn take(&self) -> Result<Reader<'_>, StoreError> {
        let permit = match timeout(PATIENCE, self.permits.acquire()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(error::other(&self.link.access, "closed")),
            Err(_) => return Err(error::other(&self.link.access, "every connection that reads is in use")),
        };
        while let Some(mut connection) = self.pop() {
            if is_alive(&mut connection).await {
                return Ok(Reader { connection, home: self, _permit: permit });
            }
        }
        let connection = self.link.connect(Purpose::Read).await?;
        Ok(Reader { connection, home: self, _permit: permit })
    }

    pub async fn close(&self) {
        self.permits.close();
        while let Some(connection) = self.pop() {
            part(connection).await;
        }
    }

    fn pop(&self) -> Option<PgConnection> {
        self.idle().pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// Puts the connection back if all went well.
    pub fn done<T>(self, read: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        match read {
            Ok(read) => {
                if !self.home.permits.is_closed() {
                    self.home.idle().push(self.connection);
                }
                Ok(read)
            }
            Err(why) => Err(self.home.link.fault(&why)),
        }
    }
}
