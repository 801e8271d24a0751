//! The composition root: the only place that builds the network, the store, the clock, the kinds and
//! the channels, and ties them together.

mod daemon;
mod figures;
mod house;
mod lead;
mod load;
mod prune;
mod reload;
mod store;
mod system;
mod upkeep;
mod wire;

pub use daemon::{RunError, run};
pub use load::{
    ConfiguredCheck, Memories, Recorded, RecordedError, Target, TestError, baselines, ledger, listen_address,
    lone_check, lone_surroundings, memories, notify_test, pasts, plain_net, plan, plan_for_check,
    plan_for_replay, recorded, schema, show, show_checks, show_json, surroundings,
};
pub use upkeep::{UpkeepError, back_up, check_store, database, migrate, place, vacuum_store};

/// How our traffic names itself: the program, and where its operator can be found if that is public.
fn user_agent(external_url: Option<&url::Url>) -> String {
    let program = concat!("portalwatch/", env!("CARGO_PKG_VERSION"));
    let public = external_url.filter(|url| match url.host() {
        Some(url::Host::Domain(name)) => name != "localhost",
        Some(url::Host::Ipv4(address)) => !address.is_loopback(),
        Some(url::Host::Ipv6(address)) => !address.is_loopback(),
        None => false,
    });
    public.map_or_else(|| program.to_owned(), |url| format!("{program} (+{url})"))
}
