//! A store that holds open incidents, or fails.

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::model::{CheckId, Incident};
use crate::record::{Claimed, Cutoffs, ResultRow, Resumed, Settled, Store, StoreError, Transition};

/// `None` fails every read.
pub struct Incidents(pub Option<Vec<Incident>>);

type Future<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

fn no<'a, T: Send + 'a>() -> Future<'a, T> {
    Box::pin(async { Err(StoreError::Other { path: "test.db".into(), why: "disk on fire".into() }) })
}

impl Store for Incidents {
    fn open_incidents(&self) -> Future<'_, Vec<Incident>> {
        match &self.0 {
            Some(incidents) => Box::pin(async { Ok(incidents.clone()) }),
            None => no(),
        }
    }

    fn commit<'a>(&'a self, _: &'a [Transition]) -> Future<'a, ()> {
        no()
    }

    fn resume(&self) -> Future<'_, Vec<Resumed>> {
        no()
    }

    fn claim(&self, _: Timestamp, _: Duration) -> Future<'_, Vec<Claimed>> {
        no()
    }

    fn mark<'a>(&'a self, _: &'a str, _: &'a [String]) -> Future<'a, ()> {
        no()
    }

    fn settle<'a>(&'a self, _: &'a [Settled]) -> Future<'a, ()> {
        no()
    }

    fn drop_leases(&self) -> Future<'_, ()> {
        no()
    }

    fn pending(&self) -> Future<'_, (u64, Option<Timestamp>)> {
        no()
    }

    fn incidents(&self, _: Timestamp, _: Timestamp) -> Future<'_, Vec<Incident>> {
        no()
    }

    fn history<'a>(
        &'a self,
        _: &'a CheckId,
        _: Timestamp,
        _: Timestamp,
        _: usize,
    ) -> Future<'a, Vec<ResultRow>> {
        no()
    }

    fn last_facts<'a>(&'a self, _: &'a CheckId) -> Future<'a, Option<(Timestamp, Box<RawValue>)>> {
        no()
    }

    fn prune<'a>(&'a self, _: &'a Cutoffs) -> Future<'a, u64> {
        no()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
