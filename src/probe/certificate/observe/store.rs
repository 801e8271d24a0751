//! The certificates of a run, kept once each and bounded: hostile servers could show a hundred others
//! in each handshake.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::probe::certificate::facts::{Der, key_of};

/// So many bytes of certificates are kept of a run; a usual chain has 4 KiB.
const MOST: usize = 4 << 20;

#[derive(Default)]
pub(super) struct Store(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    certificates: BTreeMap<String, Der>,
    bytes: usize,
}

impl Store {
    /// Keeps a chain and gives its keys, and how many more there were.
    pub(super) fn keep(&self, chain: Vec<Vec<u8>>) -> (Vec<String>, usize) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut keys, sent) = (Vec::new(), chain.len());
        for der in chain {
            let key = key_of(&der);
            if !kept.certificates.contains_key(&key) {
                if kept.bytes.saturating_add(der.len()) > MOST {
                    break;
                }
                kept.bytes += der.len();
                kept.certificates.insert(key.clone(), Der(der));
            }
            keys.push(key);
        }
        let left_out = sent - keys.len();
        (keys, left_out)
    }

    /// Keeps what our own settings hold, however much it is.
    pub(super) fn keep_all(&self, ders: impl Iterator<Item = Vec<u8>>) -> Vec<String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = |der: Vec<u8>| {
            let key = key_of(&der);
            kept.certificates.entry(key.clone()).or_insert(Der(der));
            key
        };
        ders.map(keep).collect()
    }

    /// One of them.
    pub(super) fn get(&self, key: &str) -> Option<Der> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).certificates.get(key).cloned()
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeMap<String, Der> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).certificates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_again_takes_no_room_and_what_is_too_much_is_counted() {
        let store = Store::default();
        let big = |byte| vec![byte; MOST / 2];
        let (first, none) = store.keep(vec![big(1), big(2)]);
        assert_eq!((first.len(), none), (2, 0));
        let (again, left_out) = store.keep(vec![big(2), vec![3], big(1)]);
        assert_eq!((again, left_out), (vec![first[1].clone()], 2));
        assert_eq!(store.all().len(), 2);
    }
}
