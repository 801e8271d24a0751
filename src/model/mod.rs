//! Plain data that every other module speaks: no tokio, no sqlx, no I/O, no opinion.
//!
//! Read in this order: [`check`] (what is watched), [`finding`] and [`outcome`] (what was seen),
//! [`incident`] (what is wrong for a while), [`notification`] (what is told to whom), [`ledger`] (what
//! checks leave in portals).

pub mod baseline;
pub mod check;
pub mod database;
pub mod duration;
pub mod finding;
pub mod glob;
pub mod host;
pub mod identity;
pub mod incident;
pub mod latency;
pub mod ledger;
pub mod mail_server;
pub mod masker;
pub mod matcher;
pub mod notification;
pub mod outcome;
pub mod secret;
pub mod series;
pub mod text;

pub use baseline::{Baseline, BaselineError, Baselines, Decision};
pub use check::{CheckId, Labels, OBJECTIVE};
pub use duration::{HumanDuration, Span};
pub use finding::{Confirm, Finding, FindingDoc, FindingId, Severity};
pub use host::Host;
pub use identity::{Grant, Identity, OAuth2, totp_key};
pub use incident::{Closed, Incident, IncidentId};
pub use latency::{LatencyKeys, Part};
pub use ledger::{Budget, Canary, CanaryState, Entry, LONGEST_WAIT, Ledger, LedgerError};
pub use mail_server::{MailSecurity, MailServer};
pub use masker::Masker;
pub use matcher::Matcher;
pub use notification::{Delivery, HttpMessage, Mail, Notice, Notification, OutboxRow, Outgoing, Reason};
pub use outcome::{Cause, Outcome, Phase, StepTime, Timings, Verdict};
pub use secret::Secret;
pub use series::{Series, SeriesDoc};
pub use text::Text;
