//! `storage`: a file, or a PostgreSQL.

mod postgres;

use std::time::Duration;

use super::{Build, DAY};
use crate::config::keys::{StorageKeys, SynchronousKey};
use crate::config::secrets::SecretPolicy;
use crate::config::settings::{Database, Retention, Storage};
use crate::formats::yaml::{Fault, Node, Position};
use crate::model::database::{Access, Encryption};
use crate::model::{Secret, Span};

const PASSWORD: &str = "storage.password";
const CA_FILE: &str = "storage.tls.ca_file";

impl Build<'_> {
    pub(super) fn storage(&mut self, node: Node) -> Option<Storage> {
        let keys: StorageKeys = self.read(&node, "storage")?;
        let url = keys.url.as_deref().unwrap_or("sqlite://portalwatch.db");
        let at = node.get("url").map_or(&node.at, |url| &url.at).clone();
        let mut faults = Vec::new();
        let database = match url.split_once("://") {
            Some(("postgres" | "postgresql", _)) => match postgres::parse(url) {
                Ok(access) => self.access(access, &keys, &node, &at, &mut faults),
                Err(message) => {
                    self.say(&at, "storage.url", message);
                    Database::Sqlite(std::path::PathBuf::new())
                }
            },
            _ => self.file(url, &keys, &node, &at),
        };
        let span =
            |span: Option<Span>, days: u64| span.map_or(Duration::from_secs(days * DAY), |span| span.0);
        Some(Storage {
            database,
            retention: Retention {
                results: span(keys.retention.results, 35),
                hours: span(keys.retention.hours, 400),
                days: span(keys.retention.days, 5 * 365),
                incidents: span(keys.retention.incidents, 5 * 365),
            },
            synchronous_full: keys.synchronous != Some(SynchronousKey::Normal),
            faults,
        })
    }

    fn file(&mut self, url: &str, keys: &StorageKeys, node: &Node, at: &Position) -> Database {
        let written = [("password", keys.password.is_some()), ("tls", keys.tls.is_some())];
        for (key, _) in written.iter().filter(|(_, written)| *written) {
            let at = node.get(key).map_or(at, |node| &node.at);
            self.say(at, &format!("storage.{key}"), "belongs to postgres:// alone; remove it");
        }
        let path = match url.strip_prefix("sqlite://") {
            Some("") => {
                self.say(at, "storage.url", "names no file; write sqlite://portalwatch.db");
                ""
            }
            Some(path) => path,
            None => {
                self.say(at, "storage.url", "must be sqlite://PATH or postgres://USER@HOST/DATABASE");
                ""
            }
        };
        Database::Sqlite(self.secrets.path(path))
    }

    /// Adds what does not stand in the URL. What cannot be read of it is said at once, or, where only
    /// some checks are wanted, to whoever uses the database.
    fn access(
        &mut self,
        (mut access, way): (Access, postgres::Way),
        keys: &StorageKeys,
        node: &Node,
        at: &Position,
        faults: &mut Vec<Fault>,
    ) -> Database {
        let ca_file = keys.tls.as_ref().and_then(|tls| tls.ca_file.as_deref());
        let verified = way.is_verified(ca_file.is_some());
        if !verified && ca_file.is_some() {
            let at = node.get("tls").map_or(at, |tls| &tls.at);
            let message = "has no effect, since storage.url says sslmode=disable; remove one of the two";
            self.say(at, "storage.tls", message);
        }
        if access.password.is_some() && keys.password.is_some() {
            let at = node.get("password").map_or(at, |password| &password.at);
            self.say(at, PASSWORD, "storage.url holds a password, too; remove it there");
        }
        self.secrets.resolved.extend(access.password.clone());
        let policy = std::mem::replace(&mut self.secrets.policy, SecretPolicy::Resolve);
        if let Some(password) = &keys.password {
            access.password = match policy {
                SecretPolicy::Resolve => Some(password.clone()),
                SecretPolicy::Leave => self.own_secret(node, faults),
            };
        }
        if verified {
            let ca_pem = ca_file.and_then(|file| match self.secrets.read_file(file) {
                Ok(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => Some(pem.into()),
                read => {
                    let message = read.map_or_else(|why| why, |_| format!("{file} holds no PEM certificate"));
                    let tls = node.get("tls");
                    let at = tls.and_then(|tls| tls.get("ca_file")).map_or(at, |file| &file.at).clone();
                    faults.push(Fault { at: Some(at), path: CA_FILE.into(), message });
                    None
                }
            });
            access.encryption = Encryption::Verified { ca_pem };
        }
        self.secrets.policy = policy;
        if policy == SecretPolicy::Resolve {
            self.faults.append(faults);
        }
        Database::Postgres(Box::new(access))
    }

    /// The password, although other secrets are left alone.
    fn own_secret(&mut self, node: &Node, faults: &mut Vec<Fault>) -> Option<Secret> {
        let before = self.faults.len();
        let secret = node.get("password").and_then(|password| self.read::<Secret>(password, PASSWORD));
        faults.extend(self.faults.drain(before..));
        secret
    }
}

/// A database that is named outside a config.
///
/// # Errors
/// What is wrong with the URL, without any password.
pub fn database(
    url: &str,
    password: Option<Secret>,
    ca_pem: Option<std::sync::Arc<str>>,
) -> Result<Database, String> {
    if let Some(path) = url.strip_prefix("sqlite://").filter(|path| !path.is_empty()) {
        return match (password, ca_pem) {
            (None, None) => Ok(Database::Sqlite(path.into())),
            _ => Err("is a file, which takes no password and no authority".to_owned()),
        };
    }
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("must be sqlite://PATH or postgres://USER@HOST/DATABASE".to_owned());
    }
    let (mut access, way) = postgres::parse(url)?;
    if way.is_verified(ca_pem.is_some()) {
        access.encryption = Encryption::Verified { ca_pem };
    } else if ca_pem.is_some() {
        return Err("says sslmode=disable, and so needs no authority".to_owned());
    }
    if password.is_some() {
        access.password = password;
    }
    Ok(Database::Postgres(Box::new(access)))
}
