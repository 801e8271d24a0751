//! `portalwatch inspect dns`: one record set, asked of each server by itself.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::StreamExt as _;
use serde::Serialize;

use super::super::{Answer, Failure, Format, Overrides, print};
use super::{TIMEOUT, tree};
use crate::app;
use crate::clock::{Clock as _, SystemClock};
use crate::formats::dns::written::Listed;
use crate::formats::dns::{Name, Outcome as Came, Query, QueryEdns, RecordType};
use crate::model::{Cause, CheckId, Finding, Outcome, Timings, Verdict};
use crate::net::{Asked, FailReason, Net, Origin, Reply, Transport, TransportError};
use crate::probe::dns::{ANSWERS_DIFFER, NO_ANSWER};

#[derive(Args)]
pub struct DnsArgs {
    /// The name; an address stands for its reverse name
    name: String,
    /// The type: A, MX, TXT, …; PTR for an address
    #[arg(value_name = "TYPE")]
    kind: Option<RecordType>,
    /// Ask this server, and no others (repeatable)
    #[arg(long, value_name = "IP:PORT")]
    server: Vec<SocketAddr>,
    #[command(flatten)]
    overrides: Overrides,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// So many servers are asked, so many at a time.
const MOST: usize = 32;
const AT_ONCE: usize = 8;

/// One server and what it said.
#[derive(Debug, Serialize)]
struct Row {
    /// The address, or the resolver as written.
    server: String,
    /// The name server's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rcode: Option<String>,
    flags: Vec<&'static str>,
    /// The values, sorted; aliases on the way stand before them.
    rrset: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ede: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nsid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    over: Option<&'static str>,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// It answered: with records, or that there are none.
    #[serde(skip)]
    answered: bool,
    /// Our own side failed.
    #[serde(skip)]
    ours: bool,
}

#[derive(Serialize)]
struct Observation<'a> {
    question: Asks<'a>,
    servers: &'a [Row],
}

#[derive(Serialize)]
struct Asks<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: String,
}

pub async fn inspect(args: DnsArgs) -> Answer {
    let begun = Instant::now();
    let (name, kind) = question(&args)?;
    let timeout = args.overrides.timeout.unwrap_or(TIMEOUT);
    let resolvers = match args.overrides.resolver.as_slice() {
        [] => vec!["system".to_owned()],
        some => some.to_vec(),
    };
    let desk = Desk { net: &app::plain_net(), name: &name, kind, timeout };
    let rows = if args.server.is_empty() {
        let mut rows = desk.each_resolver(&resolvers).await;
        rows.extend(desk.each_authority(&resolvers).await);
        rows
    } else {
        desk.each_server(args.server.iter().map(|server| (None, *server, true)).collect()).await
    };
    let outcome = outcome(&name, kind, &rows, begun)?;
    match args.format {
        Format::Text => print::out(&text(&name, kind, &rows, &outcome))?,
        format => print::inspection(&outcome, format)?,
    }
    Ok(outcome.verdict.exit_code())
}

fn question(args: &DnsArgs) -> Result<(Name, RecordType), Failure> {
    if let Ok(address) = args.name.parse::<IpAddr>() {
        return Ok((Name::reverse(address), args.kind.unwrap_or(RecordType::PTR)));
    }
    let name = args.name.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    Ok((name, args.kind.unwrap_or(RecordType::A)))
}

struct Desk<'a> {
    net: &'a Net,
    name: &'a Name,
    kind: RecordType,
    timeout: Duration,
}

impl Desk<'_> {
    async fn each_resolver(&self, resolvers: &[String]) -> Vec<Row> {
        let mut rows = Vec::new();
        for resolver in resolvers {
            let one = std::slice::from_ref(resolver);
            let came = self.net.lookup(self.name, self.kind, one, self.timeout).await;
            rows.push(self.row(resolver.clone(), None, came));
        }
        rows
    }

    /// The name servers of the zone that the name is in, as the resolvers know them.
    async fn each_authority(&self, resolvers: &[String]) -> Vec<Row> {
        let mut at = Some(self.name.clone());
        let mut servers = Vec::new();
        while let Some(zone) = at.filter(|zone| !zone.is_root()) {
            if let Ok(reply) = self.net.lookup(&zone, RecordType::NS, resolvers, self.timeout).await
                && reply.message.outcome(&zone, RecordType::NS) == Came::Records
            {
                let found = reply.message.follow(&zone, RecordType::NS);
                servers = found
                    .records
                    .iter()
                    .filter_map(|record| record.comparable().parse::<Name>().ok())
                    .collect();
                break;
            }
            at = zone.parent();
        }
        let mut places = Vec::new();
        for server in servers {
            let host = server.without_dot();
            if let Ok(resolved) = self.net.resolve(&host, resolvers, self.timeout).await {
                let of = |ip| (Some(host.clone()), SocketAddr::new(ip, 53), false);
                places.extend(resolved.addresses.into_iter().map(of));
            }
        }
        self.each_server(places).await
    }

    async fn each_server(&self, places: Vec<(Option<String>, SocketAddr, bool)>) -> Vec<Row> {
        let asks = places
            .into_iter()
            .take(MOST)
            .map(|(name, server, recursion)| self.server(name, server, recursion));
        futures_util::stream::iter(asks).buffered(AT_ONCE).collect().await
    }

    async fn server(&self, name: Option<String>, server: SocketAddr, recursion: bool) -> Row {
        let edns = QueryEdns { dnssec_ok: true, nsid: true, ..QueryEdns::default() };
        let query = Query {
            recursion_desired: recursion,
            authentic_data: recursion,
            edns: Some(edns),
            ..Query::new(self.name.clone(), self.kind)
        };
        let asked = Asked {
            host: name.clone().unwrap_or_else(|| server.ip().to_string()),
            server,
            transport: Transport::UdpThenTcp,
            origin: Origin::Operator,
            query,
            timeout: self.timeout,
        };
        let came = self.net.ask(&asked).await;
        let shown = if server.port() == 53 { server.ip().to_string() } else { server.to_string() };
        self.row(shown, name, came)
    }

    fn row(&self, server: String, name: Option<String>, came: Result<Reply, TransportError>) -> Row {
        let mut row = Row {
            server,
            name,
            rcode: None,
            flags: Vec::new(),
            rrset: Vec::new(),
            ttl: None,
            ede: Vec::new(),
            nsid: None,
            over: None,
            took: None,
            failure: None,
            answered: false,
            ours: false,
        };
        match came {
            Ok(reply) => self.answer(&mut row, &reply),
            Err(error) => {
                row.ours = matches!(
                    error.reason,
                    FailReason::OwnResolver
                        | FailReason::NoRoute
                        | FailReason::Exhausted
                        | FailReason::Guarded(_)
                );
                row.failure = Some(print::one_line(&error.to_string()));
            }
        }
        row
    }

    fn answer(&self, row: &mut Row, reply: &Reply) {
        let message = &reply.message;
        let came = message.outcome(self.name, self.kind);
        row.answered = matches!(came, Came::Records | Came::NoData | Came::NxDomain);
        row.rcode = Some(match came {
            Came::NoData => "NODATA".to_owned(),
            Came::Referral => "referral".to_owned(),
            _ => message.rcode.to_string(),
        });
        for (set, flag) in [
            (message.authoritative, "aa"),
            (message.recursion_available, "ra"),
            (message.authentic_data, "ad"),
            (reply.truncated_over_udp, "tc"),
        ] {
            if set {
                row.flags.push(flag);
            }
        }
        let followed = message.follow(self.name, self.kind);
        let mut values: Vec<String> = followed.records.iter().map(|record| record.comparable()).collect();
        values.sort_unstable();
        let aliases = followed.aliases.iter().map(|alias| format!("{} {}", alias.kind, alias.comparable()));
        row.rrset = aliases.chain(values).collect();
        row.ttl = followed.records.iter().chain(&followed.aliases).map(|record| record.ttl).min();
        row.ede = message.errors().iter().map(ToString::to_string).collect();
        let nsid = message.edns.as_ref().and_then(|edns| edns.nsid());
        row.nsid = nsid.map(|nsid| nsid.escape_ascii().to_string());
        row.over = Some(reply.over.as_str());
        row.took = Some(reply.took.as_secs_f64());
    }
}

/// What is thought of the rows.
fn findings(name: &Name, kind: RecordType, rows: &[Row]) -> Vec<Finding> {
    let subject = format!("{name} {kind}");
    let answered: Vec<&Row> = rows.iter().filter(|row| row.answered).collect();
    let mut sets: Vec<&[String]> = answered.iter().map(|row| row.rrset.as_slice()).collect();
    sets.sort_unstable();
    sets.dedup();
    let mut findings = Vec::new();
    if sets.iter().all(|set| set.is_empty()) && rows.iter().any(|row| !row.ours) {
        let said: Vec<String> = rows.iter().map(|row| format!("{} {}", row.server, words(row))).collect();
        findings.push(Finding::of(&NO_ANSWER, subject.clone(), said.join("; ")));
    } else if sets.len() > 1 {
        let of = |set: &&[String]| {
            let who: Vec<&str> =
                answered.iter().filter(|row| row.rrset == **set).map(|row| row.server.as_str()).collect();
            format!("{} at {}", Listed(set), who.join(", "))
        };
        let parts: Vec<String> = sets.iter().map(of).collect();
        findings.push(Finding::of(&ANSWERS_DIFFER, subject, parts.join("; ")));
    }
    findings
}

fn words(row: &Row) -> String {
    let ede = if row.ede.is_empty() { String::new() } else { format!(" ({})", row.ede.join("; ")) };
    match (&row.rcode, &row.failure) {
        (Some(rcode), _) => format!("{rcode}{ede}"),
        (None, Some(failure)) => failure.clone(),
        (None, None) => String::new(),
    }
}

fn outcome(name: &Name, kind: RecordType, rows: &[Row], begun: Instant) -> Result<Outcome, Failure> {
    let asks = Asks { name: &name.to_string(), kind: kind.to_string() };
    let observation = Observation { question: asks, servers: rows };
    let facts =
        serde_json::value::to_raw_value(&observation).map_err(|error| Failure::own(error.to_string()))?;
    let findings = findings(name, kind, rows);
    let unknown = rows.first().filter(|_| rows.iter().all(|row| row.ours));
    Ok(Outcome {
        check: CheckId::new("inspect", "dns"),
        at: SystemClock.now(),
        took: begun.elapsed(),
        verdict: if unknown.is_some() { Verdict::Unknown } else { Verdict::of(&findings) },
        cause: unknown.map(|_| Cause::LocalDns),
        why: unknown.and_then(|row| row.failure.clone()),
        findings,
        status: None,
        timings: Timings::default(),
        steps: Vec::new(),
        facts: Some(facts),
        transport: false,
        recheck: false,
    })
}

fn text(name: &Name, kind: RecordType, rows: &[Row], outcome: &Outcome) -> String {
    let mut text = String::new();
    tree::verdict(&mut text, outcome, &format!("{name} {kind}  "));
    let place = |row: &Row| match &row.name {
        Some(name) => format!("{name} {}", row.server),
        None => row.server.clone(),
    };
    let wide = rows.iter().map(|row| place(row).chars().count()).max().unwrap_or_default();
    for row in rows {
        let mut said = words(row);
        if !row.flags.is_empty() {
            let _ = write!(said, "  {}", row.flags.join(" "));
        }
        if let Some(ttl) = row.ttl {
            let _ = write!(said, "  ttl {ttl}");
        }
        if let (Some(over), Some(took)) = (row.over, row.took) {
            let _ = write!(said, "  {over} {:.1} ms", took * 1_000.0);
        }
        if let Some(nsid) = &row.nsid {
            let _ = write!(said, "  nsid {nsid}");
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {:wide$}  {said}", place(row));
        for value in &row.rrset {
            let _ = writeln!(text, "    {:wide$}    {}", "", print::one_line(value));
        }
    }
    tree::findings(&mut text, &outcome.findings);
    text.trim_end().to_owned()
}
