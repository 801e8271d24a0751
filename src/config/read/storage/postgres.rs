//! `postgres://USER@HOST:PORT/DATABASE`, as libpq reads it, as far as it is built.

use std::net::IpAddr;

use url::Url;

use crate::formats::yaml::unknown_key;
use crate::model::Secret;
use crate::model::database::{Access, Encryption, Server};

const FORM: &str = "write postgres://USER@HOST:5432/DATABASE";
const SOCKET: &str = "or postgres:///DATABASE?host=/var/run/postgresql&user=USER";
const PARAMETERS: [&str; 5] = ["host", "port", "user", "sslmode", "search_path"];

/// How the way to the server is to be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `sslmode=disable`.
    Clear,
    /// `sslmode=verify-full`, or a host that is not this one.
    Verified,
    /// This machine, and nothing said.
    Local,
}

impl Way {
    /// Who names an authority for the server of this machine wants it verified.
    pub fn is_verified(self, has_ca_file: bool) -> bool {
        self == Self::Verified || self == Self::Local && has_ca_file
    }
}

/// Reads a URL. What is said about it never holds a part of it that may be a password.
pub fn parse(text: &str) -> Result<(Access, Way), String> {
    let url = Url::parse(text).map_err(|why| format!("is no URL ({why}); {FORM} {SOCKET}"))?;
    let mut told = Told::default();
    for (key, value) in url.query_pairs() {
        told.take(&key, value.into_owned())?;
    }
    let port = url.port().or(told.port).unwrap_or(5432);
    let server = match (url.host_str().filter(|host| !host.is_empty()), told.host) {
        (Some(_), Some(_)) => return Err("names two hosts; remove ?host= or the one before it".into()),
        (Some(host), None) => named(&decoded(host)?, port),
        (None, Some(host)) => named(&host, port),
        (None, None) => return Err(format!("names no host; {FORM} {SOCKET}")),
    };
    let user = match url.username() {
        "" => told.user.ok_or_else(|| format!("names no user; {FORM}"))?,
        user => decoded(user)?,
    };
    let database = decoded(url.path().trim_start_matches('/'))?;
    if database.is_empty() {
        return Err(format!("names no database; {FORM}"));
    }
    let password =
        url.password().map(decoded).transpose()?.map(|password| Secret::new(password, "storage.url"));
    let way = told.way.unwrap_or_else(|| if is_local(&server) { Way::Local } else { Way::Verified });
    let access =
        Access { server, user, database, schema: told.schema, password, encryption: Encryption::Off };
    Ok((access, way))
}

/// What stands behind the question mark.
#[derive(Default)]
struct Told {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    way: Option<Way>,
    schema: Option<String>,
}

impl Told {
    fn take(&mut self, key: &str, value: String) -> Result<(), String> {
        match key {
            "host" => self.host = Some(value),
            "port" => self.port = Some(value.parse().map_err(|_| "?port= is no port".to_owned())?),
            "user" => self.user = Some(value),
            "sslmode" => self.way = Some(way(&value)?),
            "search_path" if is_plain(&value) => self.schema = Some(value),
            "search_path" => {
                return Err(
                    "?search_path= takes one schema, of a-z, 0-9 and _, not beginning with a digit".into()
                );
            }
            "password" => return Err("write the password as storage.password: {env: NAME}".into()),
            "sslrootcert" => return Err("write ?sslrootcert= as storage.tls: {ca_file: PATH}".into()),
            _ => return Err(format!("?{key}=: {}", unknown_key(key, PARAMETERS))),
        }
        Ok(())
    }
}

fn way(mode: &str) -> Result<Way, String> {
    match mode {
        "disable" => Ok(Way::Clear),
        "verify-full" => Ok(Way::Verified),
        "allow" | "prefer" | "require" | "verify-ca" => Err(format!(
            "sslmode={mode} encrypts without making sure of the server; write sslmode=verify-full, with storage.tls.ca_file for an authority of your own"
        )),
        _ => Err("there is no such sslmode; write verify-full or disable".into()),
    }
}

fn named(host: &str, port: u16) -> Server {
    if host.starts_with('/') {
        return Server::Socket { folder: host.into(), port };
    }
    Server::Tcp { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port }
}

fn is_local(server: &Server) -> bool {
    match server {
        Server::Socket { .. } => true,
        Server::Tcp { host, .. } => {
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

/// A name that needs no quotes anywhere.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// RFC 3986 section 2.1.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err("a % stands without its two digits; write a percent sign as %25".into());
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Server {
        Server::Tcp { host: host.into(), port }
    }

    #[test]
    fn a_url_says_who_goes_where_and_how() {
        let (access, way) = parse("postgres://mon%40itor:p%40ss%2Bw@db.example:6543/portal%20watch").unwrap();
        assert_eq!((access.server, way), (tcp("db.example", 6543), Way::Verified));
        assert_eq!((&*access.user, &*access.database), ("mon@itor", "portal watch"));
        assert_eq!(access.password.unwrap().expose(), "p@ss+w");
        let local = |text: &str| parse(text).map(|(access, way)| (access.server, way)).unwrap();
        assert_eq!(local("postgresql://m@localhost/d"), (tcp("localhost", 5432), Way::Local));
        assert_eq!(local("postgres://m@[::1]:5433/d"), (tcp("::1", 5433), Way::Local));
        assert_eq!(
            local("postgres://m@127.0.0.1/d?sslmode=verify-full"),
            (tcp("127.0.0.1", 5432), Way::Verified)
        );
        assert_eq!(local("postgres://m@db/d?sslmode=disable"), (tcp("db", 5432), Way::Clear));
        let socket = Server::Socket { folder: "/var/run/postgresql".into(), port: 5433 };
        let expected = (socket, Way::Local);
        assert_eq!(local("postgres:///d?host=/var/run/postgresql&user=m&port=5433"), expected);
        assert_eq!(local("postgres://m@%2Fvar%2Frun%2Fpostgresql:5433/d"), expected);
        assert_eq!(parse("postgres://m@h/d?search_path=own").unwrap().0.schema.as_deref(), Some("own"));
    }

    #[test]
    fn what_is_refused_is_told_without_the_password() {
        let cases = [
            ("postgres://m:hunter2@/d", "postgres:///DATABASE?host="),
            ("postgres://:hunter2@h/d", "names no user"),
            ("postgres://m:hunter2@h", "names no database"),
            ("postgres://m:hunter2@h/", "names no database"),
            ("postgres://m:hunter2@h/d?sslmode=require", "sslmode=require encrypts without making sure"),
            ("postgres://m:hunter2@h/d?sslmode=prefer", "write sslmode=verify-full"),
            ("postgres://m:hunter2@h/d?sslmode=hunter2", "no such sslmode"),
            ("postgres://m@h/d?password=hunter2", "storage.password: {env: NAME}"),
            ("postgres://m:hunter2@h/d?sslrootcert=x", "storage.tls: {ca_file: PATH}"),
            ("postgres://m:hunter2@h/d?hostt=x", "did you mean \"host\"?"),
            ("postgres://m:hunter2@h/d?host=x", "two hosts"),
            ("postgres://m:hunter2@h/d?search_path=a,b", "takes one schema"),
            ("postgres://m:hunter2%@h/d", "write a percent sign as %25"),
            ("postgres://m:hunter2@h:99999/d", "is no URL"),
        ];
        for (text, expected) in cases {
            let said = parse(text).map(drop).unwrap_err();
            assert!(said.contains(expected) && !said.contains("hunter2"), "{text}: {said}");
        }
    }
}
