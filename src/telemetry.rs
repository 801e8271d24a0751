//! The daemon's own instruments, which any module may bump. What a check says is not here: see
//! `expose::metrics`.

use std::sync::LazyLock;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

/// The instruments.
pub struct Telemetry {
    /// Where they are registered.
    pub registry: Registry,
    /// Duration of runs, by kind.
    pub probe_duration: HistogramVec,
    /// How late runs started.
    pub scheduler_lateness: Histogram,
    /// Due times by outcome: started, skipped (still running), missed (suspend, clock jump).
    pub scheduler_runs: IntCounterVec,
    /// Duration of commits.
    pub store_commit_duration: Histogram,
    /// Messages by channel and outcome: sent, retried, dead, collapsed.
    pub notifications: IntCounterVec,
    /// From decision to delivery.
    pub notification_delay: Histogram,
    /// Rows waiting in the outbox.
    pub outbox_pending: IntGauge,
    /// Age of the oldest row, seconds.
    pub outbox_oldest: IntGauge,
    /// Whether the last reload of the config succeeded.
    pub config_reload_successful: IntGauge,
    /// When the config was last loaded with success, seconds since the epoch.
    pub config_reload_timestamp: IntGauge,
    /// Work that was dropped, late or skipped, by reason.
    pub dropped: IntCounterVec,
}

/// The buckets of run durations, seconds.
pub const RUN_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

static TELEMETRY: LazyLock<Telemetry> = LazyLock::new(Telemetry::new);

/// The instruments of this process.
pub fn telemetry() -> &'static Telemetry {
    &TELEMETRY
}

impl Telemetry {
    #[expect(clippy::expect_used, reason = "names are constants; a test makes the whole set")]
    fn new() -> Self {
        let registry = Registry::new();
        macro_rules! register {
            ($instrument:expr) => {{
                let instrument = $instrument.expect("a valid instrument");
                registry.register(Box::new(instrument.clone())).expect("a name used once");
                instrument
            }};
        }
        let fast = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
        Self {
            probe_duration: register!(HistogramVec::new(
                HistogramOpts::new(
                    "portalwatch_probe_duration_seconds",
                    "Duration of runs, by kind of check."
                )
                .buckets(RUN_BUCKETS.to_vec()),
                &["kind"],
            )),
            scheduler_lateness: register!(Histogram::with_opts(
                HistogramOpts::new(
                    "portalwatch_scheduler_lateness_seconds",
                    "How long after its due time a run started."
                )
                .buckets(fast.clone()),
            )),
            scheduler_runs: register!(IntCounterVec::new(
                Opts::new("portalwatch_scheduler_runs_total", "Due times by what became of them."),
                &["outcome"],
            )),
            store_commit_duration: register!(Histogram::with_opts(
                HistogramOpts::new(
                    "portalwatch_store_commit_duration_seconds",
                    "Duration of commits to the store."
                )
                .buckets(fast),
            )),
            notifications: register!(IntCounterVec::new(
                Opts::new("portalwatch_notifications_total", "Messages by channel and outcome."),
                &["channel", "outcome"],
            )),
            notification_delay: register!(Histogram::with_opts(
                HistogramOpts::new(
                    "portalwatch_notification_delay_seconds",
                    "From the decision to tell to the delivery."
                )
                .buckets(vec![
                    1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0, 86_400.0
                ]),
            )),
            outbox_pending: register!(IntGauge::new(
                "portalwatch_outbox_pending",
                "Messages that wait to be sent."
            )),
            outbox_oldest: register!(IntGauge::new(
                "portalwatch_outbox_oldest_seconds",
                "Age of the oldest message that waits."
            )),
            config_reload_successful: register!(IntGauge::new(
                "portalwatch_config_last_reload_successful",
                "Whether the last attempt to load the config succeeded.",
            )),
            config_reload_timestamp: register!(IntGauge::new(
                "portalwatch_config_last_reload_timestamp_seconds",
                "When the config was last loaded with success.",
            )),
            dropped: register!(IntCounterVec::new(
                Opts::new("portalwatch_dropped_total", "Work that was dropped, by what and why."),
                &["what", "reason"],
            )),
            registry,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_instrument_registers() {
        assert!(!super::telemetry().registry.gather().is_empty());
    }
}
