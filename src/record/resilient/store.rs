//! The store's face: writes go to the disk or are held, reads join what both know.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{Late, Marked, Resilient};
use crate::model::{CheckId, Incident};
use crate::record::{
    Claimed, Cutoffs, Figures, Gap, Judged, Judgements, KeptFacts, KnownCheck, LastFacts, Ran, ResultRow,
    Resumed, RolledRow, Settled, Store, StoreError, Transition, UptimeRow,
};
use crate::stats::rollup::Grain;
use crate::stats::samples::Rules;
use crate::stats::uptime::Standing;

type Answer<T> = Option<Result<T, StoreError>>;

async fn answer<T>(asked: Option<BoxFuture<'_, T>>) -> Option<T> {
    match asked {
        Some(asked) => Some(asked.await),
        None => None,
    }
}

/// The disk's answer with memory's for what is not on it; memory's alone if the disk has none.
fn join<T: Default>(
    kept: Answer<T>,
    held: Answer<T>,
    merge: impl FnOnce(T, T) -> T,
) -> Result<T, StoreError> {
    match (kept, held) {
        (Some(Ok(kept)), Some(held)) => Ok(merge(kept, held?)),
        (_, Some(held)) => held,
        (Some(kept), None) => kept,
        (None, None) => Ok(T::default()),
    }
}

fn by_id(kept: Vec<Incident>, held: Vec<Incident>) -> Vec<Incident> {
    let mut merged: HashMap<_, _> = kept.into_iter().map(|one| (one.id.clone(), one)).collect();
    merged.extend(held.into_iter().map(|one| (one.id.clone(), one)));
    let mut merged: Vec<_> = merged.into_values().collect();
    merged.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
    merged
}

impl Store for Resilient {
    fn commit<'a>(&'a self, batch: &'a [Transition]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut core = self.core.lock().await;
            self.leads()?;
            if !core.degraded
                && let Some(disk) = core.disk.clone()
            {
                match disk.commit(batch).await {
                    Ok(()) => {
                        self.memory.follow(batch);
                        return Ok(());
                    }
                    Err(why) => self.refused(&mut core, why)?,
                }
            }
            self.hold(&mut core, batch);
            Ok(())
        })
    }

    fn resume(&self) -> BoxFuture<'_, Result<Vec<Resumed>, StoreError>> {
        Box::pin(async move {
            let (disk, memory) = self.sources().await;
            let kept = answer(disk.as_ref().map(|disk| disk.resume())).await;
            if let (Some(Err(why)), None) = (&kept, memory) {
                self.degrade(&mut *self.core.lock().await, why);
                return self.memory.resume().await;
            }
            if let Some(Ok(kept)) = &kept {
                self.core.lock().await.blind = false;
                self.memory.remember(kept);
            }
            let held = answer(memory.map(Store::resume)).await;
            join(kept, held, |kept, held| {
                let mut merged: HashMap<_, _> =
                    kept.into_iter().map(|one| (one.check.clone(), one)).collect();
                merged.extend(held.into_iter().map(|one| (one.check.clone(), one)));
                merged.into_values().collect()
            })
        })
    }

    fn claim(&self, now: Timestamp, lease: Duration) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(async move {
            let mut core = self.core.lock().await;
            self.leads()?;
            if !core.degraded
                && let Some(disk) = core.disk.clone()
            {
                match disk.claim(now, lease).await {
                    Ok(mut claimed) => {
                        // What memory leased while the disk refused may be on its way.
                        self.memory.without_leased(&mut claimed, now);
                        self.memory.lease(&claimed, now.saturating_add(lease).unwrap_or(Timestamp::MAX));
                        return Ok(claimed);
                    }
                    Err(why) => self.refused(&mut core, why)?,
                }
            }
            self.surely_leads()?;
            self.memory.claim(now, lease).await
        })
    }

    fn mark<'a>(&'a self, batch: &'a str, keys: &'a [String]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut core = self.core.lock().await;
            self.leads()?;
            self.memory.mark(batch, keys).await?;
            if !core.degraded
                && let Some(disk) = core.disk.clone()
            {
                match disk.mark(batch, keys).await {
                    Ok(()) => return Ok(()),
                    Err(why) => self.refused(&mut core, why)?,
                }
            }
            self.surely_leads()?;
            core.backlog.push(Late::Marked(Marked { batch: batch.to_owned(), keys: keys.to_vec() }));
            self.tell(&core, 0);
            Ok(())
        })
    }

    fn settle<'a>(&'a self, settled: &'a [Settled]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut core = self.core.lock().await;
            self.leads()?;
            self.memory.settle(settled).await?;
            if !core.degraded
                && let Some(disk) = core.disk.clone()
            {
                match disk.settle(settled).await {
                    Ok(()) => return Ok(()),
                    Err(why) => self.refused(&mut core, why)?,
                }
            }
            self.hold_settled(&mut core, settled);
            Ok(())
        })
    }

    fn drop_leases(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut core = self.core.lock().await;
            self.memory.drop_leases().await?;
            if !core.degraded
                && let Some(disk) = core.disk.clone()
                && let Err(why) = disk.drop_leases().await
            {
                self.refused(&mut core, why)?;
            }
            Ok(())
        })
    }

    fn pending(&self) -> BoxFuture<'_, Result<(u64, Option<Timestamp>), StoreError>> {
        Box::pin(async move { self.memory.pending().await })
    }

    fn open_incidents(&self) -> BoxFuture<'_, Result<Vec<Incident>, StoreError>> {
        Box::pin(async move { self.memory.open_incidents().await })
    }

    fn incidents(&self, from: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Vec<Incident>, StoreError>> {
        Box::pin(async move {
            let (disk, memory) = self.sources().await;
            let kept = answer(disk.as_ref().map(|disk| disk.incidents(from, to))).await;
            join(kept, answer(memory.map(|memory| memory.incidents(from, to))).await, by_id)
        })
    }

    fn history<'a>(
        &'a self,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ResultRow>, StoreError>> {
        Box::pin(async move {
            let (disk, memory) = self.sources().await;
            let kept = answer(disk.as_ref().map(|disk| disk.history(check, from, to, limit))).await;
            let held = answer(memory.map(|memory| memory.history(check, from, to, limit))).await;
            join(kept, held, |kept, held| {
                let rows = kept.into_iter().chain(held).map(|row| (row.at, row));
                rows.collect::<BTreeMap<_, _>>().into_values().take(limit).collect()
            })
        })
    }

    fn last_facts<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<LastFacts, StoreError>> {
        Box::pin(async move {
            let (disk, memory) = self.sources().await;
            let kept = answer(disk.as_ref().map(|disk| disk.last_facts(check))).await;
            let held = answer(memory.map(|memory| memory.last_facts(check))).await;
            join(kept, held, |kept, held| held.or(kept))
        })
    }

    fn prune<'a>(&'a self, cutoffs: &'a Cutoffs) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let held = self.memory.prune(cutoffs).await?;
            match self.disk().await {
                Some(disk) => self.noticed(disk.prune(cutoffs).await),
                None => Ok(held),
            }
        })
    }

    fn waiting(&self) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(async move { self.memory.waiting().await })
    }

    fn begin(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<Gap>, StoreError>> {
        Box::pin(async move {
            let mut core = self.core.lock().await;
            if !core.degraded
                && let Some(disk) = core.disk.clone()
            {
                match disk.begin(now).await {
                    Ok(gap) => return Ok(gap),
                    Err(why) => self.refused(&mut core, why)?,
                }
            }
            core.begun = Some(now);
            Ok(None)
        })
    }

    fn note_gaps<'a>(&'a self, gaps: &'a [Gap]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut core = self.core.lock().await;
            if !core.degraded
                && let Some(disk) = core.disk.clone()
            {
                match disk.note_gaps(gaps).await {
                    Ok(()) => return Ok(()),
                    Err(why) => self.refused(&mut core, why)?,
                }
            }
            gaps.iter().cloned().map(Late::Gap).for_each(|gap| core.backlog.push(gap));
            self.memory.note_gaps(gaps).await
        })
    }

    fn gaps(&self, from: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Vec<Gap>, StoreError>> {
        Box::pin(async move {
            let (disk, memory) = self.sources().await;
            let kept = answer(disk.as_ref().map(|disk| disk.gaps(from, to))).await;
            join(kept, answer(memory.map(|memory| memory.gaps(from, to))).await, |mut kept, held| {
                kept.extend(held);
                kept.sort_by(|a, b| (a.from, &a.check).cmp(&(b.from, &b.check)));
                kept.dedup();
                kept
            })
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.leads().is_err() {
                self.drop_held(&mut *self.core.lock().await);
            } else if let Err(why) = self.try_recover().await {
                let core = self.core.lock().await;
                tracing::error!(%why, lost = core.backlog.len(), "what was held in memory is lost");
            }
            if let Some(disk) = self.core.lock().await.disk.take() {
                disk.close().await;
            }
        })
    }
}

impl Figures for Resilient {
    fn facts<'a>(
        &'a self,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<KeptFacts, StoreError>> {
        Box::pin(async move {
            let (disk, memory) = self.sources().await;
            let kept = answer(disk.as_ref().map(|disk| disk.facts(check, from, to, limit))).await;
            let held = answer(memory.map(|memory| memory.facts(check, from, to, limit))).await;
            join(kept, held, |kept, held| {
                kept.into_iter().chain(held).collect::<BTreeMap<_, _>>().into_iter().take(limit).collect()
            })
        })
    }

    fn note_rules<'a>(&'a self, rules: &'a [(CheckId, Rules)]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.noticed(self.figures().await.store().note_rules(rules).await) })
    }

    fn known_checks(&self) -> BoxFuture<'_, Result<Vec<KnownCheck>, StoreError>> {
        Box::pin(async move { self.figures().await.store().known_checks().await })
    }

    fn ran<'a>(
        &'a self,
        check: Option<&'a CheckId>,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Ran>, StoreError>> {
        Box::pin(async move {
            let (disk, memory) = self.sources().await;
            let kept = answer(disk.as_ref().map(|disk| disk.ran(check, from, to))).await;
            let held = answer(memory.map(|memory| memory.ran(check, from, to))).await;
            join(kept, held, |kept, held| {
                let all = kept.into_iter().chain(held).map(|ran| ((ran.at, ran.check.clone()), ran));
                all.collect::<BTreeMap<_, _>>().into_values().collect()
            })
        })
    }

    fn judged(&self, from: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Judgements, StoreError>> {
        Box::pin(async move {
            let (disk, memory) = self.sources().await;
            let kept = answer(disk.as_ref().map(|disk| disk.judged(from, to))).await;
            let held = answer(memory.map(|memory| memory.judged(from, to))).await;
            join(kept, held, |mut kept, held| {
                for (check, more) in held {
                    let all: &mut Vec<Judged> = kept.entry(check).or_default();
                    all.extend(more);
                    all.sort_by_key(|judged| judged.at);
                    all.dedup_by_key(|judged| judged.at);
                }
                kept
            })
        })
    }

    fn next_result(&self, from: Timestamp) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(async move { self.figures().await.store().next_result(from).await })
    }

    fn rolled_from(&self, grain: Grain) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(async move { self.figures().await.store().rolled_from(grain).await })
    }

    fn rolled_until(&self, grain: Grain) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(async move { self.figures().await.store().rolled_until(grain).await })
    }

    fn standings(&self, before: Timestamp) -> BoxFuture<'_, Result<Vec<(CheckId, Standing)>, StoreError>> {
        Box::pin(async move { self.figures().await.store().standings(before).await })
    }

    fn put_rolled<'a>(
        &'a self,
        grain: Grain,
        rows: &'a [RolledRow],
        expected: Option<Timestamp>,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.noticed(self.figures().await.store().put_rolled(grain, rows, expected, until).await)
        })
    }

    fn rolled<'a>(
        &'a self,
        grain: Grain,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<RolledRow>, StoreError>> {
        Box::pin(async move { self.figures().await.store().rolled(grain, check, from, to).await })
    }

    fn uptimes(
        &self,
        grain: Grain,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<UptimeRow>, StoreError>> {
        Box::pin(async move { self.figures().await.store().uptimes(grain, from, to).await })
    }
}
