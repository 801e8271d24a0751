//! The lead over a database that several daemons share, as the one that leads knows it.
//!
//! The database decides who leads: whoever writes shows its token there. This is for what a daemon
//! does while it cannot ask: it may send from memory only as long as nobody else can have taken over.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// One stretch of leading.
#[derive(Debug)]
pub struct Tenure {
    /// What the database knows it by; 0 while it could not be asked yet.
    token: AtomicI64,
    /// Until when nobody else can lead, by [`running`].
    sure: Mutex<Duration>,
    lost: CancellationToken,
    why: OnceLock<String>,
}

/// The time since the machine was started. It goes on while this process is stopped, and through a
/// suspend.
pub fn running() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

impl Tenure {
    /// Begins with a token, or with 0 where the database could not be asked. Sure until `sure`.
    pub fn new(token: i64, sure: Duration) -> Self {
        Self {
            token: AtomicI64::new(token),
            sure: Mutex::new(sure),
            lost: CancellationToken::new(),
            why: OnceLock::new(),
        }
    }

    /// What the database knows it by; 0 while it could not be asked yet.
    pub fn token(&self) -> i64 {
        self.token.load(Ordering::Acquire)
    }

    /// The database could be asked after all.
    pub fn proven(&self, token: i64) {
        self.token.store(token, Ordering::Release);
    }

    /// Nobody else can lead until then.
    pub fn extend(&self, until: Duration) {
        let mut sure = self.sure.lock().unwrap_or_else(PoisonError::into_inner);
        *sure = until.max(*sure);
    }

    /// Whether nobody else can lead by now.
    pub fn is_sure(&self) -> bool {
        !self.is_lost() && running() < *self.sure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is over; the first reason stays.
    pub fn lose(&self, why: String) {
        self.why.get_or_init(|| why);
        self.lost.cancel();
    }

    /// Whether it is over.
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Waits until it is over, and tells why.
    pub async fn lost(&self) -> String {
        self.lost.cancelled().await;
        self.why()
    }

    /// Why it is over.
    pub fn why(&self) -> String {
        self.why.get().cloned().unwrap_or_else(|| "nobody knows whether another daemon leads".into())
    }
}

/// Does `work` as long as nobody else can lead, which is asked before each of its steps: a process that was
/// stopped takes none before it has looked at the time. None where that ended before the work; all of it
/// where the lead is not shared.
pub async fn while_sure<T>(lead: Option<&Tenure>, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match lead {
        Some(tenure) if !tenure.is_sure() => Poll::Ready(None),
        _ => work.as_mut().poll(context).map(Some),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_lead_that_was_not_confirmed_in_time_is_not_believed_in() {
        let tenure = Tenure::new(1, running() + Duration::from_secs(60));
        assert!(tenure.is_sure());
        tenure.extend(Duration::ZERO);
        assert!(tenure.is_sure(), "what was promised is kept");
        let late = Tenure::new(1, running());
        assert!(!late.is_sure() && !late.is_lost());
        tenure.lose("taken".into());
        tenure.lose("again".into());
        assert!(!tenure.is_sure());
        assert_eq!(tenure.why(), "taken");
    }

    #[tokio::test]
    async fn work_that_is_polled_after_the_lead_has_run_out_takes_no_further_step() {
        let steps = Cell::new(0);
        let work = || {
            poll_fn(|_| {
                steps.set(steps.get() + 1);
                if steps.get() < 2 { Poll::Pending } else { Poll::Ready("sent") }
            })
        };
        let tenure = Tenure::new(1, running() + Duration::from_millis(50));
        let mut sending = pin!(while_sure(Some(&tenure), work()));
        assert!(futures_util::poll!(&mut sending).is_pending());
        // What a stopped process does, too.
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(futures_util::poll!(&mut sending), Poll::Ready(None));
        assert_eq!(steps.get(), 1);
        assert_eq!(while_sure(None, work()).await, Some("sent"));
        tenure.extend(running() + Duration::from_secs(60));
        assert_eq!(while_sure(Some(&tenure), work()).await, Some("sent"));
        tenure.lose("taken".into());
        assert_eq!(while_sure(Some(&tenure), work()).await, None);
    }
}
