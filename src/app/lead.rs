//! Several daemons on one PostgreSQL: one leads, the others stand by.
//!
//! A daemon stands by ([`standby`]) until it wins the lease, runs everything from what the store holds, and
//! stands by again when another one took over. A daemon that could not reach the database goes on in memory,
//! as a single one does: it knows of no other. One that the database refuses stands by: whoever else it lets
//! in may lead.

mod standby;

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::standby::{Next, Standby};
use super::daemon::{Daemon, RunError};
use super::house::House;
use super::system::{self, Signals};
use crate::config::watch::Fingerprint;
use crate::expose::Role;
use crate::plan::Plan;
use crate::record::StoreError;
use crate::record::postgres::lease::{GRACE, LEASE, Lease, RENEW, Renewal, Standing};
use crate::record::tenure::{Tenure, running};
use crate::telemetry::telemetry;

/// How often a server that does not answer is asked again by the one that leads.
const RETRY: Duration = Duration::from_secs(1);

/// Leads and stands by in turns, until a signal asks to stop.
///
/// # Errors
/// As [`super::run`].
pub async fn run(
    house: &House,
    plan: Arc<Plan>,
    mut lease: Lease,
    signals: &mut Signals,
    read: Fingerprint,
) -> Result<(), RunError> {
    telemetry().show_leader();
    // Whoever takes the lease may have to make the tables first.
    house.tell_migrating();
    let mut standby = Standby::new(house, plan, &read);
    standby.house.exposed().take_up(&standby.plan, house.clock.now());
    loop {
        let tenure = match standby.wait(&mut lease, signals).await? {
            Next::Lead(tenure) => tenure,
            Next::Stop(signal) => {
                tracing::info!(signal, "stopping");
                system::tell_service_manager(&[NotifyState::Stopping]);
                standby.close_pages().await;
                lease.forget().await;
                return Ok(());
            }
        };
        standby.close_pages().await;
        house.health.set_role(Role::Leads(lease.holder().to_owned()));
        let stop_keeping = CancellationToken::new();
        let keeping = tokio::spawn(keep(lease, Arc::clone(&tenure), stop_keeping.clone()));
        let led = lead(&mut standby, &tenure, signals).await;
        stop_keeping.cancel();
        let kept = match keeping.await {
            Ok(kept) => kept,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        lease = kept.lease;
        if let (Ok(Led::Lost), None) = (&led, &kept.refused) {
            tracing::warn!(why = tenure.why(), "this daemon does not lead any more, and stands by");
            house.health.set_role(Role::StandsBy(None));
            continue;
        }
        if (kept.refused.is_some() || !tenure.is_lost())
            && tenure.token() != 0
            && let Err(why) = lease.release(tenure.token()).await
        {
            tracing::warn!(%why, "the lead was not given back: another daemon takes over once it has run out");
        }
        lease.close().await;
        return match (led, kept.refused) {
            (Ok(Led::Lost), Some(why)) => Err(why.into()),
            (led, _) => led.map(drop),
        };
    }
}

/// How leading ended.
enum Led {
    Stopped,
    Lost,
}

async fn lead(
    standby: &mut Standby<'_>,
    tenure: &Arc<Tenure>,
    signals: &mut Signals,
) -> Result<Led, RunError> {
    let house = standby.house;
    let starting = Daemon::start(house, Arc::clone(&standby.plan), Some(Arc::clone(tenure)));
    // It may have to migrate, and reads all states.
    let daemon = match standby.feeding(starting).await {
        Ok(daemon) => daemon,
        Err(RunError::Store(StoreError::Fenced { by, .. })) => {
            tenure.lose(by);
            return Ok(Led::Lost);
        }
        Err(why) => return Err(why),
    };
    house.started();
    tracing::info!("this daemon leads");
    let signal = tokio::select! {
        signal = daemon.serve(signals, &standby.read) => Some(signal),
        _ = tenure.lost() => None,
    };
    match signal {
        Some(signal) => {
            daemon.stop_at(signal, signals).await;
            Ok(Led::Stopped)
        }
        None => {
            standby.plan = daemon.plan();
            daemon.abandon().await;
            Ok(Led::Lost)
        }
    }
}

/// The lease, once nobody keeps it any more.
struct Kept {
    lease: Lease,
    /// Why this daemon may not go on at all.
    refused: Option<StoreError>,
}

/// Renews the lease until `stop`, or until it is lost.
async fn keep(mut lease: Lease, tenure: Arc<Tenure>, stop: CancellationToken) -> Kept {
    let mut others = false;
    let mut expiry = Expiry::default();
    let mut doubt = None;
    loop {
        let begun = running();
        let pause = if tenure.token() == 0 {
            match prove(&mut lease, &tenure, &mut expiry).await {
                Ok(()) => doubt = None,
                Err(Unproven::Doubt(why)) => doubt = Some(why.to_string()),
                Err(Unproven::Final(why)) => {
                    tenure.lose(why.to_string());
                    return Kept { lease, refused: Some(why) };
                }
            }
            RETRY
        } else {
            match lease.renew(tenure.token()).await {
                Renewal::Kept { others: seen } => {
                    others = seen;
                    doubt = None;
                    tenure.extend(begun + LEASE);
                    RENEW
                }
                Renewal::Taken(by) => {
                    tenure.lose(by);
                    return Kept { lease, refused: None };
                }
                Renewal::Newer(why) => {
                    tenure.lose(why.to_string());
                    return Kept { lease, refused: Some(why) };
                }
                // Nobody takes over on a server that is down or takes no writes, nor at once when it does.
                Renewal::Down => {
                    tenure.extend(begun + if others { GRACE } else { LEASE });
                    RETRY
                }
                Renewal::Refused(why) => {
                    tracing::debug!(%why, "the lead could not be renewed");
                    doubt = Some(why.to_string());
                    tenure.extend(begun + if others { GRACE } else { LEASE });
                    RETRY
                }
                Renewal::Unclear(why) => {
                    tracing::debug!(%why, "the lead could not be renewed");
                    doubt = Some(why.to_string());
                    if !others {
                        tenure.extend(begun + LEASE);
                    }
                    RETRY
                }
            }
        };
        if !tenure.is_sure() {
            let why = "the database did not confirm the lead for as long as it lasts";
            tenure.lose(doubt.take().map_or_else(|| why.into(), |doubt| format!("{why}: {doubt}")));
        }
        tokio::select! {
            () = stop.cancelled() => return Kept { lease, refused: None },
            _ = tenure.lost() => return Kept { lease, refused: None },
            () = sleep(pause) => {}
        }
    }
}

/// Why a daemon that began without the database does not know that it leads.
enum Unproven {
    /// The database refuses: another daemon may lead. Enough of that ends the lead.
    Doubt(StoreError),
    /// Waiting does not help.
    Final(StoreError),
}

/// Takes the lease for a daemon that began without the database.
async fn prove(lease: &mut Lease, tenure: &Tenure, expiry: &mut Expiry) -> Result<(), Unproven> {
    let begun = running();
    let mut unseen = match lease.look().await {
        Ok(Standing::Held(by)) => {
            tenure.lose(by);
            return Ok(());
        }
        Ok(standing) if expiry.is_due(&standing, running()) => match lease.take().await {
            Ok(Some(token)) => {
                tenure.proven(token);
                None
            }
            // Somebody was quicker, and is seen next time.
            Ok(None) => None,
            // Somebody is at work there, and knows no lease.
            Err(unseen) if matches!(unseen.why, StoreError::Locked { .. }) => {
                tenure.lose(unseen.why.to_string());
                return Ok(());
            }
            Err(unseen) => Some(unseen),
        },
        Ok(_) => None,
        Err(unseen) => Some(unseen),
    };
    if unseen.is_some() {
        *expiry = Expiry::default();
    }
    match unseen.take_if(|unseen| unseen.refused) {
        Some(unseen) if unseen.is_final() => Err(Unproven::Final(unseen.why)),
        Some(unseen) => Err(Unproven::Doubt(unseen.why)),
        None => {
            tenure.extend(begun + LEASE);
            Ok(())
        }
    }
}

/// Since when a lease is seen expired without a break, by [`running`].
#[derive(Debug, Default)]
struct Expiry(Option<Duration>);

impl Expiry {
    /// Whether a lease that was seen so, with the answer there at `now`, may be taken.
    fn is_due(&mut self, standing: &Standing, now: Duration) -> bool {
        match standing {
            Standing::Expired => now >= *self.0.get_or_insert(now) + GRACE,
            Standing::Free | Standing::Ours | Standing::Held(_) => {
                self.0 = None;
                !matches!(standing, Standing::Held(_))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_ran_out_is_due_once_it_was_seen_so_for_the_whole_grace() {
        let mut expiry = Expiry::default();
        let at = Duration::from_secs;
        assert!(!expiry.is_due(&Standing::Expired, at(100)));
        assert!(!expiry.is_due(&Standing::Expired, at(104)));
        assert!(expiry.is_due(&Standing::Expired, at(105)));
        assert!(!expiry.is_due(&Standing::Held("a".into()), at(106)));
        assert!(!expiry.is_due(&Standing::Expired, at(107)), "it was renewed in between");
        assert!(expiry.is_due(&Standing::Free, at(108)) && expiry.is_due(&Standing::Ours, at(109)));
    }
}
