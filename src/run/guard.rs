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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::TcpListener;

    use super::*;
    use crate::clock::SystemClock;
    use crate::model::Cause;
    use crate::run::fakes::{Does, Fake, planned, surroundings};
    use crate::run::{Pass, Surroundings, pass};

    const EVERY: Duration = Duration::from_secs(60);

    fn around(reference: &[SocketAddr]) -> Surroundings {
        surroundings(reference, Arc::new(SystemClock))
    }

    fn check(does: Does, private: bool) -> PlannedCheck {
        planned("front", EVERY, private, Fake::new(does, Duration::ZERO))
    }

    async fn run(does: Does, private: bool, around: &Surroundings) -> Pass {
        pass(&check(does, private), &None, around, false).await
    }

    /// Nobody listens there: bound, then released.
    fn closed() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    /// A reference target that works, and how often it was asked.
    async fn open() -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        (address, asked)
    }

    #[tokio::test]
    async fn an_outage_of_our_own_network_is_not_the_targets_downtime() {
        let around = around(&[closed(), closed()]);
        let outcome = run(Does::Refused, false, &around).await.outcome;
        assert_eq!((outcome.verdict, outcome.cause), (Verdict::Unknown, Some(Cause::LocalNetwork)));
        assert!(outcome.findings.is_empty());
        assert!(outcome.why.unwrap().contains("no reference target"));
    }

    #[tokio::test]
    async fn an_answer_is_never_excused() {
        let around = around(&[closed()]);
        assert_eq!(run(Does::Answer502, false, &around).await.outcome.verdict, Verdict::Fail);
    }

    #[tokio::test]
    async fn one_reference_that_answers_leaves_the_failure_a_failure() {
        let (open, asked) = open().await;
        let around = around(&[closed(), open]);
        assert_eq!(run(Does::Refused, false, &around).await.outcome.verdict, Verdict::Fail);
        assert_eq!(run(Does::Pass, false, &around).await.outcome.verdict, Verdict::Pass);
        tokio::task::yield_now().await;
        assert!(asked.load(Ordering::SeqCst) <= 1, "a run that passes asks nobody");
    }

    #[tokio::test]
    async fn a_private_portal_and_a_guard_that_is_off_excuse_nothing() {
        assert_eq!(run(Does::Refused, true, &around(&[closed()])).await.outcome.verdict, Verdict::Fail);
        assert_eq!(run(Does::Refused, false, &around(&[])).await.outcome.verdict, Verdict::Fail);
    }

    #[tokio::test]
    async fn failures_at_once_share_one_question_and_a_later_one_asks_afresh() {
        let (open, asked) = open().await;
        let around = around(&[open]);
        let check = check(Does::Refused, false);
        let failed = run(Does::Refused, true, &around).await.outcome;
        let now = Instant::now();
        let outcome = Outcome { took: Duration::ZERO, ..failed };
        let all = (0..50).map(|_| around.own_network.excuses(&check, &outcome, now));
        assert!(join_all(all).await.iter().all(Option::is_none));
        while asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(around.own_network.excuses(&check, &outcome, Instant::now()).await.is_none());
        while asked.load(Ordering::SeqCst) == 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn the_answer_changes_with_the_network() {
        let reference = closed();
        let around = around(&[reference]);
        assert_eq!(run(Does::Refused, false, &around).await.outcome.verdict, Verdict::Unknown);
        let _back = TcpListener::bind(reference).await.unwrap();
        assert_eq!(run(Does::Refused, false, &around).await.outcome.verdict, Verdict::Fail);
    }
}
