//! The integration tests: one binary, against real peers on loopback.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod ask;
mod bad_config;
mod bad_journeys;
mod bad_servers;
mod caa;
mod certificates;
mod chains;
mod cli;
mod command;
mod contracts;
mod dns_drift;
mod dns_reach;
mod dnssec;
mod faults;
mod import;
mod inspect_cert;
mod inspect_dns;
mod inspect_spf;
mod journeys;
mod journeys_docs;
mod journeys_secrets;
mod journeys_writes;
mod layers;
mod limbo;
mod mail;
mod metrics;
mod peers;
mod plans;
mod portals;
mod reload;
mod resume;
mod secrets;
mod telling;
mod tls;
mod vectors;
