//! The text of `/metrics`: several sources on one page, none of which can spoil it.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use prometheus::TextEncoder;
use prometheus::proto::{LabelPair, Metric, MetricFamily};

use crate::telemetry::telemetry;

/// The content type of the page, Prometheus text format 0.0.4.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A source of metric families.
pub struct Source {
    /// Its name, for the log and for `portalwatch_dropped_total`.
    pub name: &'static str,
    /// Collects its families.
    pub collect: Box<dyn Fn() -> Vec<MetricFamily> + Send + Sync>,
}

impl Source {
    /// A source.
    pub fn new(name: &'static str, collect: impl Fn() -> Vec<MetricFamily> + Send + Sync + 'static) -> Self {
        Self { name, collect: Box::new(collect) }
    }
}

/// The page, families in order of name. A source that panics, a family that two sources claim, and
/// a sample whose label set stands there already are left out, counted and logged.
pub fn render<'s>(sources: impl IntoIterator<Item = &'s Source>) -> String {
    let mut families = BTreeMap::new();
    for source in sources {
        match catch_unwind(AssertUnwindSafe(|| (source.collect)())) {
            Ok(collected) => collected.into_iter().for_each(|family| add(&mut families, source.name, family)),
            Err(_) => left_out(source.name, "panic", ""),
        }
    }
    let mut page = String::new();
    let encoder = TextEncoder::new();
    for (name, family) in families {
        let before = page.len();
        let encoded = catch_unwind(AssertUnwindSafe(|| encoder.encode_utf8(&[family], &mut page)));
        if !matches!(encoded, Ok(Ok(()))) {
            page.truncate(before);
            left_out("encoder", "invalid", &name);
        }
    }
    page
}

fn add(families: &mut BTreeMap<String, MetricFamily>, source: &str, mut family: MetricFamily) {
    let name = family.name().to_owned();
    if families.contains_key(&name) {
        return left_out(source, "family_twice", &name);
    }
    let mut metrics = family.take_metric();
    let mut seen: HashSet<Vec<(String, String)>> = HashSet::with_capacity(metrics.len());
    let before = metrics.len();
    metrics.retain(|metric| seen.insert(label_set(metric)));
    if metrics.len() < before {
        left_out(source, "label_set_twice", &name);
    }
    if metrics.is_empty() {
        return;
    }
    family.set_metric(metrics);
    families.insert(name, family);
}

fn label_set(metric: &Metric) -> Vec<(String, String)> {
    let pair = |label: &LabelPair| (label.name().to_owned(), label.value().to_owned());
    let mut labels: Vec<_> = metric.get_label().iter().map(pair).collect();
    labels.sort_unstable();
    labels
}

fn left_out(source: &str, reason: &'static str, family: &str) {
    telemetry().dropped.with_label_values(&["metrics", reason]).inc();
    tracing::error!(source, reason, family, "part of /metrics is left out; please report this");
}
