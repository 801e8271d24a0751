//! Permits: how many connections may be open at once, to one host and in all. The time that a run
//! waits for a permit is not counted as the target's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::waits::Waiting;

/// The permits of one process.
pub(super) struct Limits {
    per_host: usize,
    global: Arc<Semaphore>,
    hosts: Arc<Hosts>,
}

/// The hosts somebody holds or waits for a permit of; others are not kept.
#[derive(Default)]
struct Hosts(Mutex<HashMap<String, Host>>);

struct Host {
    semaphore: Arc<Semaphore>,
    users: usize,
}

impl Hosts {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one connection. Keep it until the connection is closed.
#[must_use = "the connection counts only while its permit is held"]
pub struct Permit {
    _global: Option<OwnedSemaphorePermit>,
    _host: Option<OwnedSemaphorePermit>,
    _seat: Seat,
}

/// Counts one user of a host and forgets the host with the last.
struct Seat {
    hosts: Arc<Hosts>,
    name: String,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut hosts = self.hosts.lock();
        if let Some(host) = hosts.get_mut(&self.name) {
            host.users -= 1;
            if host.users == 0 {
                hosts.remove(&self.name);
            }
        }
    }
}

impl Limits {
    /// At most `per_host` and `global` connections; each at least one.
    pub(super) fn new(per_host: usize, global: usize) -> Self {
        let bounded = |count: usize| count.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            per_host: bounded(per_host),
            global: Arc::new(Semaphore::new(bounded(global))),
            hosts: Arc::default(),
        }
    }

    /// Waits for a permit. The host's comes first, so that those who queue for one slow host do
    /// not hold what others need.
    pub(super) async fn acquire(&self, host: &str) -> Permit {
        let (seat, semaphore) = self.seat(host);
        let _waiting = Waiting::begin();
        // The semaphores are never closed, so `None` does not happen; it would only lift the limit.
        let host = semaphore.acquire_owned().await.ok();
        let global = Arc::clone(&self.global).acquire_owned().await.ok();
        Permit { _global: global, _host: host, _seat: seat }
    }

    fn seat(&self, name: &str) -> (Seat, Arc<Semaphore>) {
        let mut hosts = self.hosts.lock();
        let host = hosts
            .entry(name.to_owned())
            .or_insert_with(|| Host { semaphore: Arc::new(Semaphore::new(self.per_host)), users: 0 });
        host.users += 1;
        let semaphore = Arc::clone(&host.semaphore);
        (Seat { hosts: Arc::clone(&self.hosts), name: name.to_owned() }, semaphore)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_host_cannot_take_more_than_its_share() {
        let limits = Limits::new(2, 10);
        let first = limits.acquire("a.example").await;
        let _second = limits.acquire("a.example").await;
        assert!(limits.acquire("a.example").now_or_never().is_none());
        assert!(limits.acquire("b.example").now_or_never().is_some());
        drop(first);
        assert!(limits.acquire("a.example").now_or_never().is_some());
    }

    #[tokio::test]
    async fn all_hosts_together_stay_below_the_global_limit() {
        let limits = Limits::new(5, 2);
        let _first = limits.acquire("a.example").await;
        let second = limits.acquire("b.example").await;
        assert!(limits.acquire("c.example").now_or_never().is_none());
        drop(second);
        assert!(limits.acquire("c.example").now_or_never().is_some());
    }

    #[tokio::test]
    async fn hosts_nobody_talks_to_cost_no_memory() {
        let limits = Limits::new(1, 10);
        for index in 0..100 {
            drop(limits.acquire(&format!("{index}.example")).await);
        }
        let held = limits.acquire("held.example").await;
        assert!(limits.acquire("held.example").now_or_never().is_none());
        assert_eq!(limits.hosts.lock().len(), 1);
        drop(held);
        assert!(limits.hosts.lock().is_empty());
    }
}
