//! Each declared sender: what receivers say of it, the names of its address, and the block lists.

use std::net::IpAddr;

use futures_util::future::join_all;

use super::Look;
use crate::formats::dns::{Name, RecordType};
use crate::probe::mail::facts::{Listing, Sender};
use crate::probe::mail::spec::SenderSpec;
use crate::probe::mail::spf::{self, check_host};

/// The most names of an address that are looked up again.
const NAMES: usize = 5;

pub(super) async fn look(look: &Look<'_>) -> Vec<Sender> {
    join_all(look.spec.senders.iter().map(|sender| one(look, sender))).await
}

async fn one(look: &Look<'_>, sender: &SenderSpec) -> Sender {
    let reverse = Name::reverse(sender.ip).without_dot();
    let names = look.ask(&reverse, RecordType::PTR);
    let lists = join_all(look.spec.dnsbl.iter().map(|list| listing(look, sender.ip, list.text())));
    let (names, lists) = tokio::join!(names, lists);
    let kind = if sender.ip.is_ipv4() { RecordType::A } else { RecordType::AAAA };
    let addresses = join_all(names.values.iter().take(NAMES).map(|name| look.ask(name, kind))).await;
    let named = sender.helo.as_ref().map(|helo| helo.text());
    let helo = named.or_else(|| names.values.first().cloned()).unwrap_or_else(|| sender.mail_from.domain());
    let asked = spf::Sender {
        ip: sender.ip,
        mail_from: &sender.mail_from.0,
        helo: &helo,
        receiver: "unknown",
        time: look.ctx.at.as_second(),
    };
    let spf = check_host(&look.resolver(), &asked).await;
    Sender { ip: sender.ip, mail_from: sender.mail_from.0.clone(), spf, names, addresses, lists }
}

/// What a list says of an address, of the one it always lists and of the one it never does (RFC 5782
/// section 5).
async fn listing(look: &Look<'_>, ip: IpAddr, list: String) -> Listing {
    let list = list.as_str();
    let (always, never) = match ip {
        IpAddr::V4(_) => (IpAddr::from([127, 0, 0, 2]), IpAddr::from([127, 0, 0, 1])),
        IpAddr::V6(_) => {
            let mapped = |last: u16| IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x7f00, last]);
            (mapped(2), mapped(1))
        }
    };
    let (about, always, never) = tokio::join!(
        async { look.ask(&within(ip, list), RecordType::A).await },
        async { look.ask(&within(always, list), RecordType::A).await },
        async { look.ask(&within(never, list), RecordType::A).await },
    );
    let reason = match about.values.is_empty() {
        true => None,
        false => Some(look.ask(&within(ip, list), RecordType::TXT).await),
    };
    Listing { list: list.to_owned(), about, always, never, reason }
}

/// The name of an address in a list: as in reverse zones, below the list.
fn within(ip: IpAddr, list: &str) -> String {
    let reverse = Name::reverse(ip).without_dot();
    let digits = reverse.strip_suffix(".in-addr.arpa").or_else(|| reverse.strip_suffix(".ip6.arpa"));
    format!("{}.{list}", digits.unwrap_or(&reverse))
}
