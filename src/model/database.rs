//! Where a PostgreSQL database is, and how it is reached.

use std::path::PathBuf;
use std::sync::Arc;

use super::Secret;

/// A PostgreSQL database, as whom it is used, and how the way there is protected.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where the server listens.
    pub server: Server,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// The schema, if it is not the role's own choice.
    pub schema: Option<String>,
    /// The password, if the server wants one.
    pub password: Option<Secret>,
    /// Whether the connection is encrypted.
    pub encryption: Encryption,
}

/// Where a PostgreSQL server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// At a port of a host.
    Tcp {
        /// Name or address, an IPv6 address without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// At a Unix socket.
    Socket {
        /// The folder it stands in.
        folder: PathBuf,
        /// The port, which is a part of the socket's name.
        port: u16,
    },
}

/// Whether a connection is encrypted. There is no encryption without verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// It is not: the server is on this machine, or somebody said so.
    Off,
    /// The server's certificate is verified, its name included.
    Verified {
        /// Trusted beside the usual authorities, PEM.
        ca_pem: Option<Arc<str>>,
    },
}

impl Access {
    /// How messages name it: as a URL without the password.
    pub fn place(&self) -> String {
        let (user, database) = (&self.user, &self.database);
        match &self.server {
            Server::Tcp { host, port } if host.contains(':') => {
                format!("postgres://{user}@[{host}]:{port}/{database}")
            }
            Server::Tcp { host, port } => format!("postgres://{user}@{host}:{port}/{database}"),
            Server::Socket { folder, .. } => {
                format!("postgres:///{database}?host={}&user={user}", folder.display())
            }
        }
    }
}

impl Server {
    /// What is connected to, as it is said to people.
    pub fn address(&self) -> String {
        match self {
            Self::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port } => format!("{host}:{port}"),
            Self::Socket { folder, port } => format!("{}/.s.PGSQL.{port}", folder.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_shows_the_password() {
        let mut access = Access {
            server: Server::Tcp { host: "db.example".into(), port: 5432 },
            user: "monitor".into(),
            database: "portalwatch".into(),
            schema: None,
            password: Some(Secret::new("hunter2", "env:PGPASS")),
            encryption: Encryption::Off,
        };
        assert_eq!(access.place(), "postgres://monitor@db.example:5432/portalwatch");
        access.server = Server::Socket { folder: "/run/postgresql".into(), port: 5432 };
        assert_eq!(access.place(), "postgres:///portalwatch?host=/run/postgresql&user=monitor");
        assert!(!format!("{access:?}").contains("hunter2"));
    }
}
