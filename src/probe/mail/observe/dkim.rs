//! The key record of each declared selector.

use futures_util::future::join_all;

use super::Look;
use crate::formats::dns::RecordType;
use crate::probe::mail::facts::{Dkim, Key};

pub(super) async fn look(look: &Look<'_>) -> Dkim {
    let below = format!("_domainkey.{}", look.spec.name());
    let key = |selector: String| {
        let name = format!("{selector}.{below}");
        async move { Key { texts: look.ask(&name, RecordType::TXT).await, selector } }
    };
    let keys = look.spec.dkim_selectors.iter().map(|selector| key(selector.0.clone()));
    let (selectors, below) = tokio::join!(join_all(keys), look.ask(&below, RecordType::TXT));
    Dkim { selectors, below }
}
