//! What the daemon asks of the operating system: descriptors, signals, the service manager.

use std::sync::atomic::{AtomicI64, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Raises the soft limit of open descriptors to the hard one, and returns it.
pub fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.maximum;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open descriptors cannot be raised");
            limit.current
        }
    }
}

/// The signals the daemon listens to.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To stop; the signal's name.
    Stop(&'static str),
    /// To read the config again.
    Reload,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    /// When the operating system does not let us.
    pub fn take() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal.
    pub async fn asked(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

/// Tells the service manager; without one (no `$NOTIFY_SOCKET`) nothing happens.
pub fn tell_service_manager(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// Feeds the service manager's watchdog, at most once a second.
#[derive(Default)]
pub struct Watchdog {
    fed: AtomicI64,
}

impl Watchdog {
    /// The loop turned at this instant (milliseconds since the epoch).
    pub fn feed(&self, now: i64) {
        let fed = self.fed.load(Ordering::Relaxed);
        if (now - fed).abs() >= 1_000 {
            self.fed.store(now, Ordering::Relaxed);
            tell_service_manager(&[sd_notify::NotifyState::Watchdog]);
        }
    }
}
