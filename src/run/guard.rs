//! The own-network guard: while every reference target fails too, a transport failure is ours and
//! not the target's.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::model::{Outcome, Verdict};
use crate::net::Net;
use crate::plan::PlannedCheck;

/// How long a reference target may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the reference targets, afresh for each failure; failures that end while they are being
/// asked share the answer of the next question.
pub struct OwnNetwork {
    targets: RwLock<Arc<[SocketAddr]>>,
    net: Arc<Net>,
    last: Mutex<Option<(Instant, bool)>>,
}

impl OwnNetwork {
    /// Guards by these targets; none turns the guard off.
    pub fn new(targets: Arc<[SocketAddr]>, net: Arc<Net>) -> Self {
        Self { targets: RwLock::new(targets), net, last: Mutex::new(None) }
    }

    /// Goes over to other targets.
    pub fn guard_by(&self, targets: Arc<[SocketAddr]>) {
        *self.targets.write().unwrap_or_else(PoisonError::into_inner) = targets;
    }

    fn targets(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.targets.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the outcome of a run that started at `started` is our own network's fault, and why.
    /// Turns nothing but a transport failure of a target outside into `unknown`, never an answer.
    pub async fn excuses(&self, check: &PlannedCheck, outcome: &Outcome, started: Instant) -> Option<String> {
        let may = outcome.transport && outcome.verdict == Verdict::Fail;
        let targets = self.targets();
        if !may || check.scope.portal.private || targets.is_empty() {
            return None;
        }
        if self.any_reachable(&targets, started + outcome.took).await {
            return None;
        }
        let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
        Some(format!("no reference target can be reached either ({})", targets.join(", ")))
    }

    /// Whether any target answers, asked no earlier than `failed`.
    async fn any_reachable(&self, targets: &[SocketAddr], failed: Instant) -> bool {
        let mut last = self.last.lock().await;
        if let Some((asked, answer)) = *last
            && asked >= failed
        {
            return answer;
        }
        let asked = Instant::now();
        let answers = join_all(targets.iter().map(|target| self.net.reachable(*target, PATIENCE))).await;
        let answer = answers.contains(&true);
        *last = Some((asked, answer));
        answer
    }
}
