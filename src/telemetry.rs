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
    /// What checks wrote in portals, by how it ended: see [`CANARY_OUTCOMES`].
    pub canaries: IntCounterVec,
    /// Whether this daemon leads; see [`Telemetry::show_leader`].
    pub leader: IntGauge,
    /// Work that was dropped, late or skipped, by reason.
    pub dropped: IntCounterVec,
}

/// The buckets of run durations, seconds.
pub const RUN_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// What becomes of due times.
pub const RUN_OUTCOMES: [&str; 3] = ["started", "skipped", "missed"];
/// What becomes of messages.
pub const NOTIFICATION_OUTCOMES: [&str; 4] = ["sent", "retried", "dead", "collapsed"];

/// What becomes of what checks write in portals; `failed` is an attempt to remove it.
pub const CANARY_OUTCOMES: [&str; 4] = ["cleaned", "swept", "absent", "failed"];

static TELEMETRY: LazyLock<Telemetry> = LazyLock::new(Telemetry::new);

/// The instruments of this process.
pub fn telemetry() -> &'static Telemetry {
    &TELEMETRY
}

impl Telemetry {
    /// Makes the series of these kinds and channels exist at zero, so that the first event is seen
    /// as an increase.
    pub fn announce<'n>(
        &self,
        kinds: impl IntoIterator<Item = &'n str>,
        channels: impl IntoIterator<Item = &'n str>,
    ) {
        for kind in kinds {
            self.probe_duration.with_label_values(&[kind]);
        }
        for channel in channels {
            for outcome in NOTIFICATION_OUTCOMES {
                self.notifications.with_label_values(&[channel, outcome]);
            }
        }
    }

    /// Makes the series of the lead exist: only where daemons share a database there is one.
    pub fn show_leader(&self) {
        // Registered already is as good.
        let _ = self.registry.register(Box::new(self.leader.clone()));
    }

    fn new() -> Self {
        let registry = Registry::new();
        macro_rules! valid {
            ($instrument:expr) => {
                $instrument.expect("a valid instrument")
            };
        }
        macro_rules! register {
            ($instrument:expr) => {{
                let instrument = valid!($instrument);
                registry.register(Box::new(instrument.clone())).expect("a name used once");
                instrument
            }};
        }
        let fast = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
        let made = Self {
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
            canaries: register!(IntCounterVec::new(
                Opts::new(
                    "portalwatch_canaries_total",
                    "What checks wrote in portals, by how it ended, and failed attempts to remove it."
                ),
                &["outcome"],
            )),
            leader: valid!(IntGauge::new(
                "portalwatch_leader",
                "Whether this daemon leads, and does not stand by.",
            )),
            dropped: register!(IntCounterVec::new(
                Opts::new("portalwatch_dropped_total", "Work that was dropped, by what and why."),
                &["what", "reason"],
            )),
            registry,
        };
        for outcome in RUN_OUTCOMES {
            made.scheduler_runs.with_label_values(&[outcome]);
        }
        for outcome in CANARY_OUTCOMES {
            made.canaries.with_label_values(&[outcome]);
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series_of(name: &str) -> usize {
        let families = telemetry().registry.gather();
        families.iter().find(|family| family.name() == name).map_or(0, |family| family.get_metric().len())
    }

    #[test]
    fn every_outcome_of_a_due_time_stands_at_zero_before_the_first() {
        assert_eq!(series_of("portalwatch_scheduler_runs_total"), 3);
    }

    #[test]
    fn the_first_canary_that_could_not_be_removed_is_an_increase() {
        assert_eq!(series_of("portalwatch_canaries_total"), 4);
    }

    #[test]
    fn the_first_message_of_a_channel_is_an_increase() {
        let before = series_of("portalwatch_notifications_total");
        telemetry().announce(["telemetry-test"], ["telemetry-test"]);
        assert!(series_of("portalwatch_notifications_total") >= before + 4);
        assert!(series_of("portalwatch_probe_duration_seconds") >= 1);
    }
}
