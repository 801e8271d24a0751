//! The present: what each check says now, compact, for the page and the metrics.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Cause, CheckId, Finding, Incident, Series, StepTime, Timings, Verdict};
use crate::stats::recent::Figures;

/// What one check says now.
#[derive(Clone, Debug)]
pub struct Present {
    /// The kind's name.
    pub kind: &'static str,
    /// `every`.
    pub every: Duration,
    /// The last verdict; `None` before the first run.
    pub verdict: Option<Verdict>,
    /// Why it is unknown.
    pub cause: Option<Cause>,
    /// One sentence that explains the cause.
    pub why: Option<Box<str>>,
    /// Since when the verdict stands.
    pub since: Option<Timestamp>,
    /// When the last run started.
    pub at: Option<Timestamp>,
    /// How long it took.
    pub took: Duration,
    /// The protocol's status.
    pub status: Option<u16>,
    /// How long its phases took.
    pub timings: Timings,
    /// How long its steps took.
    pub steps: Box<[StepTime]>,
    /// What it found.
    pub findings: Box<[Finding]>,
    /// The open incident.
    pub incident: Option<Box<Incident>>,
    /// The share of the last hour that results cover, `0.0..=1.0`; `None` while nobody knows it.
    pub coverage_1h: Option<f64>,
    /// What its kind exposes.
    pub series: Box<[Series]>,
    /// Its figures over time.
    pub figures: Figures,
}

/// What every check says now. Written by the engine, read by `expose`.
#[derive(Debug, Default)]
pub struct Live {
    checks: RwLock<HashMap<CheckId, Present>>,
}

impl Live {
    /// Sets what a check says.
    pub fn set(&self, check: &CheckId, present: Present) {
        self.checks.write().unwrap_or_else(PoisonError::into_inner).insert(check.clone(), present);
    }

    /// Changes what a check says, if it is known.
    pub fn update(&self, check: &CheckId, change: impl FnOnce(&mut Present)) {
        if let Some(present) = self.checks.write().unwrap_or_else(PoisonError::into_inner).get_mut(check) {
            change(present);
        }
    }

    /// Forgets a check.
    pub fn remove(&self, check: &CheckId) {
        self.checks.write().unwrap_or_else(PoisonError::into_inner).remove(check);
    }

    /// Reads all of it, in no order. Keep it short: the engine waits meanwhile.
    pub fn read<R>(&self, reader: impl FnOnce(&HashMap<CheckId, Present>) -> R) -> R {
        reader(&self.checks.read().unwrap_or_else(PoisonError::into_inner))
    }
}
