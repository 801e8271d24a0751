//! How long a run waited for permits, or for something else of our own: time in which nothing was asked of the target, so it counts
//! neither as the target's nor against the run's deadline.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

#[derive(Default)]
struct Waits {
    /// How many operations of the run wait now.
    waiting: Cell<u32>,
    /// Since when at least one does.
    since: Cell<Option<Instant>>,
    /// The time before that in which at least one did.
    total: Cell<Duration>,
}

tokio::task_local! {
    static WAITS: Waits;
}

/// How long the current run has waited for permits so far; zero outside of [`within`].
pub fn waited() -> Duration {
    WAITS
        .try_with(|waits| {
            let present = waits.since.get().map_or(Duration::ZERO, |since| since.elapsed());
            waits.total.get() + present
        })
        .unwrap_or_default()
}

/// Counts the time until it is dropped as waiting.
pub(super) struct Waiting;

impl Waiting {
    pub(super) fn begin() -> Self {
        let _ = WAITS.try_with(|waits| {
            if waits.waiting.get() == 0 {
                waits.since.set(Some(Instant::now()));
            }
            waits.waiting.set(waits.waiting.get() + 1);
        });
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = WAITS.try_with(|waits| {
            let left = waits.waiting.get().saturating_sub(1);
            waits.waiting.set(left);
            if left == 0
                && let Some(since) = waits.since.take()
            {
                waits.total.set(waits.total.get() + since.elapsed());
            }
        });
    }
}

/// Waits for something of our own that the target has no part in: counts as waiting for a permit does.
pub async fn aside<F: Future>(future: F) -> F::Output {
    let _waiting = Waiting::begin();
    future.await
}

/// Runs a future for at most `deadline`, not counting the time it waits for permits. Returns its
/// output, or `None` if it was cut off, and how long it took without the waiting.
pub async fn within<F: Future>(deadline: Duration, future: F) -> (Option<F::Output>, Duration) {
    let limited = async {
        let start = Instant::now();
        let mut future = std::pin::pin!(future);
        loop {
            match tokio::time::timeout_at(start + deadline + waited(), future.as_mut()).await {
                Ok(output) => return (Some(output), start.elapsed().saturating_sub(waited())),
                Err(_) if start.elapsed() >= deadline + waited() => return (None, deadline),
                Err(_) => {}
            }
        }
    };
    WAITS.scope(Waits::default(), limited).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_permit_does_not_use_up_the_deadline() {
        let (output, took) = within(Duration::from_secs(10), async {
            let waiting = Waiting::begin();
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(waiting);
            tokio::time::sleep(Duration::from_secs(9)).await;
        })
        .await;
        assert!(output.is_some());
        assert_eq!(took, Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_our_own_disk_does_not_use_up_the_deadline() {
        let (output, took) =
            within(Duration::from_secs(10), aside(tokio::time::sleep(Duration::from_secs(60)))).await;
        assert_eq!((output, took), (Some(()), Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_works_too_long_is_cut_off() {
        let (output, took) =
            within(Duration::from_secs(10), tokio::time::sleep(Duration::from_secs(11))).await;
        assert_eq!((output, took), (None, Duration::from_secs(10)));
    }
}
