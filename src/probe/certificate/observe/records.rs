//! What DNS says of hosts' certificates and of their TLS, as the check's resolvers tell it.

use std::net::IpAddr;

use futures_util::FutureExt as _;

use super::hosts::Target;
use super::{AT_ONCE, Look, out_of_time, some_at_once};
use crate::formats::caa::climb;
use crate::formats::dns::{Data, Message, Name, Outcome, RecordType, Svcb};
use crate::formats::tlsa;
use crate::judge::clip;
use crate::model::Cause;
use crate::net::TransportError;
use crate::probe::certificate::records::{
    Asked, CaaRecord, CaaSet, HttpsRecord, HttpsSet, Records, TlsaRecord, TlsaSet,
};
use crate::probe::web::facts::{Skipped, our_side};

/// So many records of a set are kept.
const MOST_RECORDS: usize = 32;
/// Records longer than this are left out; a whole certificate in a TLSA record fits.
const MOST_DATA: usize = 8 * 1024;
/// Aliases of HTTPS records are followed so often (RFC 9460 section 3).
const MOST_ALIASES: usize = 4;
/// So many protocols and addresses of a record are kept.
const MOST_VALUES: usize = 16;
/// So many bytes of a protocol's name are kept; ALPN allows 255.
const MOST_PROTOCOL: usize = 32;
/// The port of HTTPS, whose records have no prefix (RFC 9460 section 9.1).
const HTTPS: u16 = 443;

/// Whose records, by which names.
pub(super) struct Wanted {
    /// The name that certificates are for.
    certified: Option<Name>,
    /// The host's own.
    host: Option<Name>,
    port: u16,
    /// Browsers go there.
    web: bool,
}

impl Wanted {
    pub(super) fn of(target: &Target) -> Self {
        let facts = &target.facts;
        Self {
            certified: facts.server_name.as_deref().and_then(name),
            host: name(&facts.host),
            port: facts.port,
            web: facts.starttls.is_none(),
        }
    }
}

/// A name that the DNS may know: no address, and not a bare label.
fn name(text: &str) -> Option<Name> {
    let name: Name = text.parse().ok().filter(|_| text.parse::<IpAddr>().is_err())?;
    let is_bare = name.labels().len() < 2;
    (!is_bare).then_some(name)
}

/// The records of every host, in their order.
pub(super) async fn records(look: &Look<'_>, all: &[Wanted]) -> Vec<Option<Records>> {
    let looks = all.iter().map(|wanted| of_host(look, wanted).boxed()).collect();
    some_at_once(looks, AT_ONCE).await
}

async fn of_host(look: &Look<'_>, wanted: &Wanted) -> Option<Records> {
    let ((caa, caa_above), tlsa, https) = tokio::join!(
        async {
            match &wanted.certified {
                Some(name) => caa(look, name).await,
                None => (None, None),
            }
        },
        async {
            let name = tlsa::name_of(wanted.host.as_ref()?, wanted.port).ok()?;
            Some(Asked::of(tlsa(look, &name).await))
        },
        async {
            let name = https_name(wanted.host.as_ref().filter(|_| wanted.web)?, wanted.port)?;
            Some(Asked::of(https(look, &name).await))
        },
    );
    let records = Records { caa, caa_above, tlsa, https };
    (records != Records::default()).then_some(records)
}

/// Why there is no answer.
enum Missed {
    Unanswered(String),
    Skipped(Skipped),
}

impl<T> Asked<T> {
    fn of(came: Result<T, Missed>) -> Self {
        match came {
            Ok(answer) => Self::Answered(answer),
            Err(Missed::Unanswered(why)) => Self::Unanswered(why),
            Err(Missed::Skipped(skipped)) => Self::Skipped(skipped),
        }
    }
}

/// The records of a type that stand at a name, or where it leads.
struct Answer {
    authentic: bool,
    /// Where it leads.
    alias: Option<Name>,
    data: Vec<Data>,
    left_out: usize,
}

async fn ask(look: &Look<'_>, name: &Name, kind: RecordType) -> Result<Answer, Missed> {
    let patience = look.patience().ok_or_else(|| Missed::Skipped(out_of_time()))?;
    let resolvers = &look.ctx.scope.resolvers;
    match look.ctx.net.lookup(name, kind, resolvers, patience.timeout).await {
        Ok(reply) => answered(&reply.message, name, kind),
        Err(_) if patience.cut => Err(Missed::Skipped(out_of_time())),
        Err(error) => Err(missed(&error)),
    }
}

fn missed(error: &TransportError) -> Missed {
    match our_side(error) {
        Some(skipped) => Missed::Skipped(skipped),
        None => Missed::Unanswered(clip(&error.detail)),
    }
}

fn answered(message: &Message, name: &Name, kind: RecordType) -> Result<Answer, Missed> {
    match message.outcome(name, kind) {
        Outcome::Records | Outcome::NoData | Outcome::NxDomain => {}
        Outcome::ServFail => return Err(Missed::Unanswered(clip(&failed(message)))),
        // Resolvers that will not be asked such things; the domain has no part in that.
        Outcome::Refused | Outcome::Referral | Outcome::Other(_) => {
            let why = format!("the resolver does not answer for {kind} records: {}", message.rcode);
            return Err(Missed::Skipped(Skipped { cause: Cause::LocalDns, why, no_route: false }));
        }
    }
    let followed = message.follow(name, kind);
    let all = followed.records.len();
    let fits = followed.records.into_iter().filter(|record| record.rdata.len() <= MOST_DATA);
    let data: Vec<Data> = fits.filter_map(|record| record.data.clone().ok()).take(MOST_RECORDS).collect();
    Ok(Answer {
        authentic: message.authentic_data,
        alias: (!followed.aliases.is_empty()).then_some(followed.name),
        left_out: all - data.len(),
        data,
    })
}

/// `SERVFAIL`, and why if the resolver says so (RFC 8914).
fn failed(message: &Message) -> String {
    let errors = message.errors();
    let reasons: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if reasons.is_empty() {
        message.rcode.to_string()
    } else {
        format!("{} ({})", message.rcode, reasons.join("; "))
    }
}

/// Who may issue for the name; and for a wildcard that covers it, where that differs.
async fn caa(look: &Look<'_>, name: &Name) -> (Option<Asked<CaaSet>>, Option<Asked<CaaSet>>) {
    let own = caa_from(look, name).await;
    let differs = matches!(&own, Ok(set) if set.at.as_deref() == Some(&*name.without_dot()));
    let above = match name.parent().filter(|above| differs && !above.is_root()) {
        Some(above) => Some(Asked::of(caa_from(look, &above).await)),
        None => None,
    };
    (Some(Asked::of(own)), above)
}

/// What counts for a name (RFC 8659 section 3).
async fn caa_from(look: &Look<'_>, name: &Name) -> Result<CaaSet, Missed> {
    let lookup = async |name: Name| {
        let answer = ask(look, &name, RecordType::CAA).await?;
        let is_there = !answer.data.is_empty() || answer.left_out > 0;
        Ok(is_there.then_some(answer).into_iter().collect::<Vec<Answer>>())
    };
    let found = climb(name, lookup).await.map_err(|(at, missed)| match missed {
        Missed::Unanswered(why) => Missed::Unanswered(format!("{}: {why}", at.without_dot())),
        skipped => skipped,
    })?;
    let Some(answer) = found.records.into_iter().next() else { return Ok(CaaSet::default()) };
    let record = |data| if let Data::Caa(caa) = data { Some(CaaRecord::from(caa)) } else { None };
    Ok(CaaSet {
        at: found.at.map(|at| at.without_dot()),
        alias: answer.alias.map(|alias| alias.without_dot()),
        authentic: answer.authentic,
        records: answer.data.into_iter().filter_map(record).collect(),
        left_out: answer.left_out,
    })
}

async fn tlsa(look: &Look<'_>, name: &Name) -> Result<TlsaSet, Missed> {
    let answer = ask(look, name, RecordType::TLSA).await?;
    let record = |data| if let Data::Tlsa(tlsa) = data { Some(TlsaRecord::from(tlsa)) } else { None };
    Ok(TlsaSet {
        name: name.without_dot(),
        authentic: answer.authentic,
        records: answer.data.into_iter().filter_map(record).collect(),
        left_out: answer.left_out,
    })
}

/// RFC 9460 section 9.1.
fn https_name(host: &Name, port: u16) -> Option<Name> {
    if port == HTTPS { Some(host.clone()) } else { host.child(&format!("_{port}._https")).ok() }
}

/// The descriptions of the service, aliases followed (RFC 9460 section 3).
async fn https(look: &Look<'_>, name: &Name) -> Result<HttpsSet, Missed> {
    let mut set = HttpsSet { name: name.without_dot(), authentic: true, ..HttpsSet::default() };
    let mut next = name.clone();
    for _ in 0..=MOST_ALIASES {
        let answer = ask(look, &next, RecordType::HTTPS).await?;
        let owner = answer.alias.unwrap_or(next);
        set.authentic &= answer.authentic;
        set.alias = (owner != *name).then(|| owner.without_dot());
        set.left_out = answer.left_out;
        let all: Vec<Svcb> = answer
            .data
            .into_iter()
            .filter_map(|data| if let Data::Svcb(svcb) = data { Some(svcb) } else { None })
            .collect();
        let Some(alias) = all.iter().find(|record| record.priority == 0) else {
            set.records = all.iter().map(|record| described(record, &owner)).collect();
            set.records.sort_by_key(|record| record.priority);
            return Ok(set);
        };
        // `.` says that the service is not there (RFC 9460 section 2.5.1).
        if alias.target.is_root() {
            return Ok(set);
        }
        next = alias.target.clone();
    }
    Ok(set)
}

fn described(record: &Svcb, owner: &Name) -> HttpsRecord {
    let alpn = record.alpn().into_iter().take(MOST_VALUES);
    HttpsRecord {
        priority: record.priority,
        target: Some(&record.target)
            .filter(|target| !target.is_root() && *target != owner)
            .map(Name::without_dot),
        alpn: alpn
            .map(|protocol| protocol.escape_ascii().take(MOST_PROTOCOL).map(char::from).collect())
            .collect(),
        no_default_alpn: record.no_default_alpn(),
        port: record.port(),
        ipv4hint: record.ipv4_hints().take(MOST_VALUES).collect(),
        ipv6hint: record.ipv6_hints().take(MOST_VALUES).collect(),
        ech: record.has_ech(),
    }
}
