//! What the checks say, as metric families. Computed from the present state at each scrape, so a
//! removed check's series are gone with the next one.

use std::collections::{BTreeMap, BTreeSet};

use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::labels;
use crate::model::{CheckId, Finding, Labels, Series, Severity, StepTime, Verdict};
use crate::record::live::Present;
use crate::stats::recent::{Figures, QUANTILES};

/// Above this many checks per-check series are written only if the config asks for them.
pub const PER_CHECK_LIMIT: usize = 5_000;
/// Pairs of finding id and severity with a series of their own, per check. What goes beyond is
/// counted under the id `other`, so that a check stays within its forty series.
pub const FINDING_SERIES: usize = 6;
/// Steps with a series of their own, per check.
pub const STEP_SERIES: usize = 64;

/// Series of its kind that a check may have.
pub const KIND_SERIES: usize = 1_000;

/// One family of gauges under construction.
struct Gauges {
    name: &'static str,
    help: &'static str,
    metrics: Vec<Metric>,
}

impl Gauges {
    fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, metrics: Vec::new() }
    }

    fn push(&mut self, labels: Vec<LabelPair>, value: f64) {
        if !value.is_finite() {
            return;
        }
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::from_label(labels);
        metric.set_gauge(gauge);
        self.metrics.push(metric);
    }

    fn family(self) -> Option<MetricFamily> {
        if self.metrics.is_empty() {
            return None;
        }
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(MetricType::GAUGE);
        family.set_metric(self.metrics);
        Some(family)
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value.to_owned());
    label
}

fn of(id: &CheckId, more: &[(&str, &str)]) -> Vec<LabelPair> {
    let mut labels = vec![pair("portal", id.portal()), pair("check", id.name())];
    labels.extend(more.iter().map(|(name, value)| pair(name, value)));
    labels
}

/// How many checks say what, and how many incidents are open; written however many checks there are.
pub fn totals<'p>(presents: impl Iterator<Item = &'p Present>) -> Vec<MetricFamily> {
    let mut verdicts: BTreeMap<&str, u32> =
        Verdict::ALL.iter().map(|verdict| (verdict.as_str(), 0)).collect();
    verdicts.insert("pending", 0);
    let mut incidents = BTreeMap::from([("critical", 0_u32), ("warning", 0)]);
    for present in presents {
        *verdicts.entry(present.verdict.map_or("pending", Verdict::as_str)).or_default() += 1;
        if let Some(incident) = present.incident.as_ref().filter(|incident| incident.is_open()) {
            let severity = if incident.severity == Severity::Critical { "critical" } else { "warning" };
            *incidents.entry(severity).or_default() += 1;
        }
    }
    let mut checks =
        Gauges::new("portalwatch_checks", "Checks by their present verdict; pending before the first run.");
    verdicts
        .iter()
        .for_each(|(verdict, count)| checks.push(vec![pair("verdict", verdict)], f64::from(*count)));
    let mut open = Gauges::new("portalwatch_incidents_open", "Open incidents by severity.");
    incidents
        .iter()
        .for_each(|(severity, count)| open.push(vec![pair("severity", severity)], f64::from(*count)));
    [checks.family(), open.family()].into_iter().flatten().collect()
}

/// The version of this program.
pub fn build_info() -> Vec<MetricFamily> {
    let mut info = Gauges::new("portalwatch_build_info", "The version of this program; always 1.");
    info.push(
        vec![
            pair("version", env!("CARGO_PKG_VERSION")),
            pair("os", std::env::consts::OS),
            pair("arch", std::env::consts::ARCH),
        ],
        1.0,
    );
    info.family().into_iter().collect()
}

/// The families with one or more series per check, under construction.
pub struct PerCheck {
    verdict: Gauges,
    up: Gauges,
    duration: Gauges,
    phase: Gauges,
    step: Gauges,
    last_run: Gauges,
    findings: Gauges,
    coverage: Gauges,
    uptime: Gauges,
    quantile: Gauges,
    samples: Gauges,
    info: Gauges,
    /// What the kinds expose, by family.
    kinds: BTreeMap<&'static str, Gauges>,
}

impl PerCheck {
    /// No series yet.
    pub fn new() -> Self {
        Self {
            verdict: Gauges::new(
                "portalwatch_check_verdict",
                "The present verdict: 1 on the series that holds, 0 on the others.",
            ),
            up: Gauges::new(
                "portalwatch_check_up",
                "1 if the check passes or warns, 0 if it fails; absent while it is unknown.",
            ),
            duration: Gauges::new(
                "portalwatch_check_last_duration_seconds",
                "Duration of the last run, waiting for permits left out.",
            ),
            phase: Gauges::new(
                "portalwatch_check_phase_seconds",
                "Duration of each phase of the last run; absent if the phase did not happen.",
            ),
            step: Gauges::new(
                "portalwatch_step_duration_seconds",
                "Duration of each step of the last run; absent if the step was not begun.",
            ),
            last_run: Gauges::new(
                "portalwatch_check_last_run_timestamp_seconds",
                "When the last run started, since the epoch.",
            ),
            findings: Gauges::new(
                "portalwatch_findings",
                "Findings of the last run by id and severity, those that could not be measured left out.",
            ),
            coverage: Gauges::new(
                "portalwatch_coverage_ratio",
                "Share of the window that results cover, from 0 to 1.",
            ),
            uptime: Gauges::new(
                "portalwatch_uptime_ratio",
                "Share of the known time of the window that was up, from 0 to 1; absent if nothing is known.",
            ),
            quantile: Gauges::new(
                "portalwatch_latency_quantile_seconds",
                "Quantile q of the durations in the window, of the whole run (step is empty) or of a step.",
            ),
            samples: Gauges::new(
                "portalwatch_latency_samples",
                "How many durations the quantiles of the window rest on.",
            ),
            info: Gauges::new(
                "portalwatch_check_info",
                "The check's kind and its labels from the config; always 1.",
            ),
            kinds: BTreeMap::new(),
        }
    }

    /// Adds the series of one check; `user` are its labels.
    pub fn add(&mut self, id: &CheckId, present: &Present, user: Option<&Labels>) {
        self.info(id, present.kind, user);
        self.of_kind(id, &present.series);
        if let Some(coverage) = present.coverage_1h {
            self.coverage.push(of(id, &[("window", "1h")]), coverage);
        }
        self.figures(id, &present.figures);
        let Some(verdict) = present.verdict else { return };
        for each in Verdict::ALL {
            self.verdict.push(of(id, &[("verdict", each.as_str())]), f64::from(u8::from(each == verdict)));
        }
        match verdict {
            Verdict::Pass | Verdict::Warn => self.up.push(of(id, &[]), 1.0),
            Verdict::Fail => self.up.push(of(id, &[]), 0.0),
            Verdict::Unknown => {}
        }
        if let Some(at) = present.at {
            self.duration.push(of(id, &[]), present.took.as_secs_f64());
            let millis = u32::try_from(at.as_millisecond().rem_euclid(1_000)).unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "whole seconds fit a float for aeons")]
            let seconds = at.as_millisecond().div_euclid(1_000) as f64;
            self.last_run.push(of(id, &[]), seconds + f64::from(millis) / 1_000.0);
        }
        for (phase, took) in present.timings.iter() {
            self.phase.push(of(id, &[("phase", phase.as_str())]), took.as_secs_f64());
        }
        self.steps(id, &present.steps);
        self.findings(id, &present.findings);
    }

    fn figures(&mut self, id: &CheckId, figures: &Figures) {
        for (window, ratio, coverage) in &figures.uptimes {
            self.coverage.push(of(id, &[("window", window)]), *coverage);
            if let Some(ratio) = ratio {
                self.uptime.push(of(id, &[("window", window)]), *ratio);
            }
        }
        let mut seen = BTreeSet::new();
        for latency in figures.latencies.iter().filter(|one| seen.insert((&one.step, &one.window))) {
            let (step, window) = (latency.step.as_deref().unwrap_or_default(), &*latency.window);
            #[expect(clippy::cast_precision_loss, reason = "counts of samples fit a float")]
            let samples = latency.samples as f64;
            self.samples.push(of(id, &[("step", step), ("window", window)]), samples);
            for (q, value) in QUANTILES.iter().zip(latency.quantiles) {
                let labels = [("step", step), ("q", &*q.to_string()), ("window", window)];
                self.quantile.push(of(id, &labels), value.as_secs_f64());
            }
        }
    }

    /// Names are unique in a check; masking may have made them equal, and one page must not have two
    /// series of one name.
    fn steps(&mut self, id: &CheckId, steps: &[StepTime]) {
        let mut seen = BTreeSet::new();
        for step in steps.iter().take(STEP_SERIES).filter(|step| seen.insert(&step.name)) {
            self.step.push(of(id, &[("step", &step.name)]), step.took.as_secs_f64());
        }
    }

    /// A kind that made two equal label sets would cost the whole page: the first stands.
    fn of_kind(&mut self, id: &CheckId, series: &[Series]) {
        let mut seen = BTreeSet::new();
        for one in series.iter().filter(|one| seen.insert((one.doc.name, &one.labels))).take(KIND_SERIES) {
            let labels: Vec<(&str, &str)> =
                one.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let family = self.kinds.entry(one.doc.name);
            family
                .or_insert_with(|| Gauges::new(one.doc.name, one.doc.help))
                .push(of(id, &labels), one.value);
        }
    }

    fn findings(&mut self, id: &CheckId, findings: &[Finding]) {
        let mut counts: BTreeMap<(Severity, &str), u32> = BTreeMap::new();
        for finding in findings.iter().filter(|finding| finding.measured) {
            *counts.entry((finding.severity, finding.id.as_str())).or_default() += 1;
        }
        let mut other: BTreeMap<Severity, u32> = BTreeMap::new();
        for (position, ((severity, finding), count)) in counts.iter().rev().enumerate() {
            if position < FINDING_SERIES {
                let labels = of(id, &[("id", finding), ("severity", severity.as_str())]);
                self.findings.push(labels, f64::from(*count));
            } else {
                *other.entry(*severity).or_default() += count;
            }
        }
        for (severity, count) in other {
            let labels = of(id, &[("id", "other"), ("severity", severity.as_str())]);
            self.findings.push(labels, f64::from(count));
        }
    }

    fn info(&mut self, id: &CheckId, kind: &str, user: Option<&Labels>) {
        let mut series = of(id, &[("kind", kind)]);
        let user = user.map(labels::for_metrics).unwrap_or_default();
        series.extend(user.iter().map(|(name, value)| pair(name, value)));
        self.info.push(series, 1.0);
    }

    /// The families that have series.
    pub fn finish(self) -> Vec<MetricFamily> {
        [
            self.verdict,
            self.up,
            self.duration,
            self.phase,
            self.step,
            self.last_run,
            self.findings,
            self.coverage,
            self.uptime,
            self.quantile,
            self.samples,
            self.info,
        ]
        .into_iter()
        .chain(self.kinds.into_values())
        .filter_map(Gauges::family)
        .collect()
    }
}
