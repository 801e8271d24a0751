//! Down from the root, server by server, to those who delegate the zone.

use std::net::{IpAddr, SocketAddr};

use futures_util::future::join_all;

use super::ask::{Place, Way, bound, plain, question};
use super::{LONGEST_LOOKUP, Look, hints};
use crate::formats::dns::{Data, Name, Outcome, Record, RecordType};
use crate::probe::dns::facts::{Answer, Asked, Parent, Server};
use crate::probe::web::facts::Skipped;

/// The most questions on the way down.
const MOST_STEPS: usize = 32;
/// So many silent servers of one zone are waited for: where none of them answers, it is the network.
const MOST_SILENT: usize = 5;
/// The most servers of the parent zone that are asked.
const MOST_SERVERS: usize = 32;

/// A zone on the way and its servers.
struct Level {
    zone: Name,
    places: Vec<Place>,
    /// Servers whose address is not known yet.
    unglued: Vec<Name>,
}

/// What a server on the way says.
enum Step {
    /// Ask the servers of a zone below.
    Down(Level),
    /// Its zone, or one it serves too, is the one that delegates the zone, or does not.
    Here(Name),
    /// It is of no help.
    Nothing,
}

/// The servers of the parent zone and what they say.
pub(super) async fn parent(look: &Look<'_>) -> Parent {
    if !look.spec.parent.is_empty() {
        let places = look.spec.parent.iter().map(|address| Place::of(*address, look.written())).collect();
        let mut parent = Parent { servers: ask(look, places).await, ..Parent::default() };
        parent.zone = said_zone(look, &parent.servers).or_else(|| look.spec.zone.0.parent());
        return parent;
    }
    let mut parent = Parent::default();
    let mut level = roots(look);
    let mut steps = MOST_STEPS;
    loop {
        match step(look, &mut level, &mut steps, &mut parent.passed_over).await {
            Step::Down(below) => level = below,
            Step::Here(zone) => {
                add_unglued(look, &mut level, &mut parent.unresolved).await;
                parent.servers = ask(look, level.places).await;
                // A server of several zones on the way passes those in between over.
                parent.zone = said_zone(look, &parent.servers).or(Some(zone));
                return parent;
            }
            Step::Nothing => {
                parent.failure = Some(match steps {
                    0 => format!(
                        "{MOST_STEPS} questions led to no end, the last to the servers of {}",
                        level.zone
                    ),
                    _ => format!("no server of {} leads further", level.zone),
                });
                return parent;
            }
        }
    }
}

fn roots(look: &Look<'_>) -> Level {
    let places = if look.spec.roots.is_empty() {
        let all = hints::ROOTS
            .iter()
            .flat_map(|(name, addresses)| hints::addresses(addresses).map(move |ip| (name.parse().ok(), ip)));
        let mut places: Vec<Place> = all
            .map(|(name, ip)| Place { name, address: SocketAddr::new(ip, 53), origin: look.written() })
            .collect();
        // Without IPv6, no step is lost on it.
        places.sort_by_key(|place| place.address.is_ipv6());
        places
    } else {
        look.spec.roots.iter().map(|address| Place::of(*address, look.written())).collect()
    };
    Level { zone: Name::root(), places, unglued: Vec::new() }
}

/// Asks the servers of a level in turn until one leads on.
async fn step(look: &Look<'_>, level: &mut Level, steps: &mut usize, passed_over: &mut Vec<Server>) -> Step {
    let query = plain(&question(&look.spec.zone.0, RecordType::NS));
    let (mut next, mut silent) = (0, 0);
    while silent < MOST_SILENT {
        if next == level.places.len() {
            if level.unglued.is_empty() {
                return Step::Nothing;
            }
            add_unglued(look, level, &mut Vec::new()).await;
        }
        let Some(place) = level.places.get(next) else { return Step::Nothing };
        next += 1;
        let Some(left) = steps.checked_sub(1) else { return Step::Nothing };
        *steps = left;
        let asked = look.ask_whole(place, &query, Way::Usual).await;
        let answer = asked.as_ref().ok().and_then(|asked| asked.answer.as_ref());
        match answer.map_or(Step::Nothing, |answer| read(look, level, answer)) {
            Step::Nothing => {
                silent += usize::from(asked.as_ref().is_ok_and(|asked| asked.failure.is_some()));
                passed_over.push(of_no_help(place, asked));
            }
            step => return step,
        }
    }
    Step::Nothing
}

fn of_no_help(place: &Place, asked: Result<Asked, Skipped>) -> Server {
    let mut server = place.server();
    match asked {
        Ok(asked) => server.asked.push(asked),
        Err(skipped) => server.unmeasured = Some(skipped),
    }
    server
}

fn read(look: &Look<'_>, level: &Level, answer: &Answer) -> Step {
    let zone = &look.spec.zone.0;
    match answer.outcome(&question(zone, RecordType::NS)) {
        Outcome::Records => Step::Here(level.zone.clone()),
        Outcome::NoData | Outcome::NxDomain if answer.authoritative => Step::Here(above(level, zone, answer)),
        Outcome::Referral => {
            let Some(below) = referral(&answer.authorities) else { return Step::Nothing };
            // Sideways or up is no way on, and would go round for ever.
            if !zone.is_within(below) || !below.is_within(&level.zone) || *below == level.zone {
                Step::Nothing
            } else if below == zone {
                Step::Here(level.zone.clone())
            } else {
                Step::Down(down(look, below, answer))
            }
        }
        _ => Step::Nothing,
    }
}

/// The zone that says "no": the owner of the SOA, where the server has several zones on the way.
fn above(level: &Level, zone: &Name, answer: &Answer) -> Name {
    let soa = answer.authorities.iter().find(|record| record.kind == RecordType::SOA);
    let fits = |name: &&Name| zone.is_within(name) && *name != zone && name.is_within(&level.zone);
    soa.map(|soa| &soa.name).filter(fits).unwrap_or(&level.zone).clone()
}

fn referral(records: &[Record]) -> Option<&Name> {
    records.iter().find(|record| record.kind == RecordType::NS).map(|record| &record.name)
}

fn down(look: &Look<'_>, below: &Name, answer: &Answer) -> Level {
    let mut level = Level { zone: below.clone(), places: Vec::new(), unglued: Vec::new() };
    for name in names(&answer.authorities, below) {
        let glue = addresses(&answer.additionals, name);
        if glue.is_empty() {
            level.unglued.push(name.clone());
        }
        level.places.extend(glue.into_iter().map(|ip| found(look, name, ip)));
    }
    level.places.sort_by_key(|place| place.address.is_ipv6());
    level
}

pub(super) fn found(look: &Look<'_>, name: &Name, ip: IpAddr) -> Place {
    let address = SocketAddr::new(ip, look.spec.port);
    Place { name: Some(name.clone()), address, origin: look.answered() }
}

/// The name servers of a zone among the records.
pub(super) fn names<'r>(records: &'r [Record], zone: &'r Name) -> impl Iterator<Item = &'r Name> {
    records.iter().filter_map(move |record| match &record.data {
        Ok(Data::Name(name)) if record.kind == RecordType::NS && record.name == *zone => Some(name),
        _ => None,
    })
}

/// The addresses of a name among the records, IPv4 first.
pub(super) fn addresses(records: &[Record], name: &Name) -> Vec<IpAddr> {
    let of_name = records.iter().filter(|record| record.name == *name);
    let mut addresses: Vec<IpAddr> = of_name
        .filter_map(|record| match record.data {
            Ok(Data::A(ip)) => Some(ip.into()),
            Ok(Data::Aaaa(ip)) => Some(ip.into()),
            _ => None,
        })
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Looks the servers without an address up.
async fn add_unglued(look: &Look<'_>, level: &mut Level, unresolved: &mut Vec<Name>) {
    let names: Vec<Name> = level.unglued.drain(..).take(MOST_SERVERS).collect();
    let found_by_name = join_all(names.iter().map(|name| resolve(look, name))).await;
    for (name, ips) in names.into_iter().zip(found_by_name) {
        match ips {
            Some(ips) if !ips.is_empty() => {
                level.places.extend(ips.into_iter().map(|ip| found(look, &name, ip)));
            }
            _ => unresolved.push(name),
        }
    }
}

async fn resolve(look: &Look<'_>, name: &Name) -> Option<Vec<IpAddr>> {
    let _turn = look.turns.acquire().await;
    let patience = look.patience(LONGEST_LOOKUP)?;
    let resolvers = &look.ctx.scope.resolvers;
    let found = look.ctx.net.resolve(&name.without_dot(), resolvers, patience.timeout).await;
    found.ok().map(|found| found.addresses)
}

/// Asks servers of the parent zone for the zone's NS and DS.
async fn ask(look: &Look<'_>, mut places: Vec<Place>) -> Vec<Server> {
    places.truncate(MOST_SERVERS);
    join_all(places.iter().map(|place| ask_one(look, place))).await
}

async fn ask_one(look: &Look<'_>, place: &Place) -> Server {
    let zone = &look.spec.zone.0;
    let (ns, ds) = (plain(&question(zone, RecordType::NS)), plain(&question(zone, RecordType::DS)));
    let (ns, ds) =
        tokio::join!(look.ask_whole(place, &ns, Way::Usual), look.ask_whole(place, &ds, Way::Usual));
    let mut server = place.server();
    for asked in [ns, ds] {
        match asked {
            Ok(asked) => server.asked.push(asked),
            Err(skipped) => server.unmeasured = Some(skipped),
        }
    }
    if !server.asked.is_empty() {
        server.unmeasured = None;
    }
    bound(&mut server.asked);
    server
}

/// Of which zone the servers are: it signs its answer to DS, or says with its SOA that there is none.
fn said_zone(look: &Look<'_>, servers: &[Server]) -> Option<Name> {
    let zone = &look.spec.zone.0;
    let of_answer = |answer: &Answer| {
        let soas = answer.authorities.iter().filter(|record| record.kind == RecordType::SOA);
        let signers = answer.answers.iter().filter_map(|record| match &record.data {
            Ok(Data::Rrsig(rrsig)) => Some(rrsig.signer.clone()),
            _ => None,
        });
        soas.map(|soa| soa.name.clone()).chain(signers).find(|name| zone.is_within(name) && name != zone)
    };
    servers.iter().filter_map(|server| server.answer(zone, RecordType::DS)).find_map(of_answer)
}
