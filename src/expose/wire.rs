//! The JSON of `/healthz` and `/readyz`. Apart from `model`, because what is sent is a promise.

use serde::Serialize;

/// The answer of `/healthz`.
#[derive(Debug, Serialize)]
pub struct Healthz {
    /// `ok`, or `stalled` when the scheduler's loop stands still.
    pub status: &'static str,
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
pub struct Readyz {
    /// `ready`, `not_ready`, or `standby`: another daemon leads.
    pub status: &'static str,
    /// Which of the daemons that share a database leads; null while nobody knows. Left out where the
    /// database is not shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<Option<String>>,
    /// Whether a plan is loaded.
    pub plan_loaded: bool,
    /// `opening`, `open`, or `degraded`: results are kept in memory only.
    pub store: &'static str,
    /// How late the last run started; null before the first.
    pub scheduler_lateness_seconds: Option<f64>,
    /// Messages that wait to be sent.
    pub outbox_pending: u64,
    /// Age of the oldest of them; null when none waits.
    pub outbox_oldest_seconds: Option<f64>,
    /// Whether the last attempt to load the config succeeded; null before the first.
    pub config_last_reload_successful: Option<bool>,
    /// When the daemon started, RFC 3339.
    pub started_at: String,
}
