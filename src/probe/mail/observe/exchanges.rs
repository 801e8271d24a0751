//! The mail exchanges: their addresses, their TLSA records, and the certificate behind STARTTLS.

use std::net::{IpAddr, SocketAddr};

use futures_util::future::join_all;

use super::Look;
use super::ask::out_of_time;
use crate::formats::dns::{Data, Record, RecordType, Tlsa};
use crate::formats::starttls::Protocol;
use crate::formats::tlsa::{self, Match};
use crate::formats::x509::{Certificate, hex};
use crate::net::{Handshake, TlsTarget};
use crate::probe::mail::facts::{Came, DaneRow, DaneSaid, Exchange, Mx, Reached, Shown};
use crate::probe::web::facts::{failure, our_side};

/// The most hosts that are looked at …
const HOSTS: usize = 10;
/// … and the most addresses of each.
const ADDRESSES: usize = 4;
/// So much of a record's data is shown.
const SHOWN: usize = 8;

pub(super) async fn look(look: &Look<'_>) -> Mx {
    let records = look.ask(&look.spec.name(), RecordType::MX).await;
    let mut hosts: Vec<(u16, String)> = records.values.iter().filter_map(|value| parted(value)).collect();
    hosts.sort();
    hosts.retain(|(_, name)| name != ".");
    hosts.truncate(HOSTS);
    let hosts = join_all(hosts.into_iter().map(|(preference, name)| exchange(look, preference, name))).await;
    Mx { records, hosts }
}

/// Preference and name.
pub fn parted(value: &str) -> Option<(u16, String)> {
    let (preference, name) = value.split_once(' ')?;
    Some((preference.parse().ok()?, name.to_owned()))
}

async fn exchange(look: &Look<'_>, preference: u16, name: String) -> Exchange {
    let port = look.spec.ports.smtp;
    let tlsa_name = format!("_{port}._tcp.{name}");
    let (v4, v6, (tlsa, records)) = tokio::join!(
        look.ask(&name, RecordType::A),
        look.ask(&name, RecordType::AAAA),
        look.ask_with(&tlsa_name, RecordType::TLSA),
    );
    let vouched: Vec<Tlsa> = records.iter().filter_map(tlsa_of).collect();
    let addresses = v4.values.iter().take(ADDRESSES).chain(v6.values.iter().take(ADDRESSES));
    let addresses: Vec<IpAddr> = addresses.filter_map(|text| text.parse().ok()).collect();
    let reach = |ip: IpAddr| {
        let (name, vouched) = (&name, &vouched);
        async move { reached(look, name, SocketAddr::new(ip, port), vouched).await }
    };
    // Nobody sends mail to a domain that says it takes none.
    let reached =
        if look.spec.parked { Vec::new() } else { join_all(addresses.into_iter().map(reach)).await };
    Exchange { name, preference, addresses: vec![v4, v6], tlsa, reached }
}

fn tlsa_of(record: &Record) -> Option<Tlsa> {
    match &record.data {
        Ok(Data::Tlsa(tlsa)) => Some(tlsa.clone()),
        _ => None,
    }
}

async fn reached(look: &Look<'_>, name: &str, address: SocketAddr, vouched: &[Tlsa]) -> Reached {
    let Ok(_turn) = look.turns.acquire().await else {
        return Reached { address, came: Came::Unmeasured(out_of_time()) };
    };
    let Some(timeout) = look.patience() else {
        return Reached { address, came: Came::Unmeasured(out_of_time()) };
    };
    let target = TlsTarget {
        host: name.to_owned(),
        address,
        origin: look.answered(),
        server_name: Some(name.to_owned()),
        starttls: Some(Protocol::Smtp),
        timeout,
    };
    let came = match look.ctx.net.handshake(&Handshake::with(target)).await {
        Ok(shaken) => Came::Shown(shown(look, name, &shaken.chain.ders, vouched)),
        Err(error) => match our_side(&error) {
            Some(skipped) => Came::Unmeasured(skipped),
            None => Came::Failed(failure(&error)),
        },
    };
    Reached { address, came }
}

fn shown(look: &Look<'_>, name: &str, chain: &[Vec<u8>], vouched: &[Tlsa]) -> Shown {
    let certificates: Vec<Certificate> =
        chain.iter().filter_map(|der| Certificate::parse(der).ok()).collect();
    let sha256 = |der: &[u8]| hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref());
    let at = look.ctx.at;
    let verified = look.ctx.net.verify_chain(chain, name, &look.ctx.scope.tls, at);
    let row = |record: &Tlsa| {
        let said = match tlsa::matches(record, &certificates) {
            Match::Unusable(why) => DaneSaid::Unusable(why.to_owned()),
            // RFC 7672 section 3.1.3: their paths end at roots that mail servers do not share.
            _ if record.usage < 2 => {
                DaneSaid::Unusable("mail servers do not use PKIX-TA and PKIX-EE".to_owned())
            }
            Match::Nowhere => DaneSaid::Nowhere,
            Match::At(_) if record.usage == 3 => DaneSaid::Matches,
            Match::At(position) => {
                let anchor = chain.get(position).map(Vec::as_slice).unwrap_or_default();
                match look.ctx.net.verify_below(chain, name, anchor, at) {
                    Ok(()) => DaneSaid::Matches,
                    Err(why) => DaneSaid::Invalid(why),
                }
            }
        };
        let data = hex(record.data.get(..SHOWN).unwrap_or(&record.data));
        let record = format!("{} {} {} {data}…", record.usage, record.selector, record.matching);
        DaneRow { record, said }
    };
    Shown {
        sha256: chain.first().map(|der| sha256(der)).unwrap_or_default(),
        invalid: verified.err(),
        not_after: certificates.first().and_then(|leaf| leaf.not_after.seconds),
        dane: vouched.iter().map(row).collect(),
    }
}
