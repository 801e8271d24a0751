//! Questions to the DNS. Only an answer says that there is nothing: silence and errors do not.

use crate::formats::dns::{Data, Name, Rcode, Record, RecordType};
use crate::model::Cause;
use crate::net::Reply;
use crate::probe::mail::facts::Looked;
use crate::probe::web::facts::{Skipped, our_side};

use super::Look;

/// The most values of a set that are kept.
const VALUES: usize = 64;
/// Bytes of a record in an answer beside its data, its name compressed.
const FRAME: usize = 12;
/// The longest text that is kept, in bytes.
const LONGEST: usize = 16 * 1024;

impl Look<'_> {
    /// The record set that a name leads to.
    pub(super) async fn ask(&self, name: &str, kind: RecordType) -> Looked {
        self.ask_with(name, kind).await.0
    }

    /// The same, with the records themselves.
    pub(super) async fn ask_with(&self, name: &str, kind: RecordType) -> (Looked, Vec<Record>) {
        let mut looked = Looked {
            name: name.to_owned(),
            kind,
            values: Vec::new(),
            aliases: Vec::new(),
            exists: false,
            secure: false,
            bytes: 0,
            ttl: 0,
            unmeasured: None,
        };
        let Ok(asked) = name.parse::<Name>() else {
            // What can be no name has no records.
            return (looked, Vec::new());
        };
        let Ok(_turn) = self.turns.acquire().await else { return (looked, Vec::new()) };
        let Some(timeout) = self.patience() else {
            looked.unmeasured = Some(out_of_time());
            return (looked, Vec::new());
        };
        let records = match self.ctx.net.lookup(&asked, kind, &self.ctx.scope.resolvers, timeout).await {
            Ok(reply) => take(&mut looked, &asked, &reply),
            Err(error) => {
                looked.unmeasured = Some(our_side(&error).unwrap_or_else(|| silent(error.to_string())));
                Vec::new()
            }
        };
        (looked, records)
    }
}

/// Why something was not asked in time.
pub(super) fn out_of_time() -> Skipped {
    Skipped {
        cause: Cause::Overload,
        why: "the run's time was used up before; raise its deadline".to_owned(),
        no_route: false,
    }
}

/// Those who serve the name give no answer, or an error, while our resolver lives.
fn silent(why: String) -> Skipped {
    Skipped { cause: Cause::Blocked, why, no_route: false }
}

fn take(looked: &mut Looked, asked: &Name, reply: &Reply) -> Vec<Record> {
    let message = &reply.message;
    if message.rcode != Rcode::NOERROR && message.rcode != Rcode::NXDOMAIN {
        looked.unmeasured = Some(silent(format!("the resolver answers {}", message.rcode)));
        return Vec::new();
    }
    looked.exists = message.rcode == Rcode::NOERROR;
    looked.secure = message.authentic_data;
    let followed = message.follow(asked, looked.kind);
    let target = |alias: &&Record| match &alias.data {
        Ok(Data::Name(target)) => Some(bare(target)),
        _ => None,
    };
    looked.aliases = followed.aliases.iter().filter_map(target).collect();
    looked.ttl = followed.records.iter().map(|record| record.ttl).max().unwrap_or_default();
    looked.bytes = followed.records.iter().map(|record| FRAME + record.rdata.len()).sum();
    looked.values = followed.records.iter().take(VALUES).map(|record| value(record)).collect();
    looked.values.sort_unstable();
    followed.records.into_iter().take(VALUES).cloned().collect()
}

fn value(record: &Record) -> String {
    match &record.data {
        Ok(Data::Txt(strings)) => {
            let mut bytes = strings.concat();
            bytes.truncate(LONGEST);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Ok(Data::Mx { preference, exchange }) => format!("{preference} {}", bare(exchange)),
        Ok(Data::Name(name)) => bare(name),
        _ => record.comparable(),
    }
}

/// Without a dot at its end, but for the root.
fn bare(name: &Name) -> String {
    if name.is_root() { ".".to_owned() } else { name.without_dot().to_ascii_lowercase() }
}
