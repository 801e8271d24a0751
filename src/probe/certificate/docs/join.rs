//! Several lists as one, while compiling.

use crate::model::{FindingDoc, Severity};

const NONE: FindingDoc = FindingDoc {
    id: "",
    severity: Severity::Info,
    broken: false,
    meaning: "",
    why: "",
    fix: "",
    reference: None,
    confirm: None,
};

/// How many there are in all.
pub const fn count(lists: &[&[FindingDoc]]) -> usize {
    let (mut all, mut list) = (0, 0);
    while list < lists.len() {
        all += lists[list].len();
        list += 1;
    }
    all
}

/// All of them, in order. `N` is their [`count`].
pub const fn join<const N: usize>(lists: &[&[FindingDoc]]) -> [FindingDoc; N] {
    let mut all = [NONE; N];
    let (mut at, mut list) = (0, 0);
    while list < lists.len() {
        let mut one = 0;
        while one < lists[list].len() {
            all[at] = copy(&lists[list][one]);
            (at, one) = (at + 1, one + 1);
        }
        list += 1;
    }
    all
}

const fn copy(doc: &FindingDoc) -> FindingDoc {
    FindingDoc {
        id: doc.id,
        severity: doc.severity,
        broken: doc.broken,
        meaning: doc.meaning,
        why: doc.why,
        fix: doc.fix,
        reference: doc.reference,
        confirm: doc.confirm,
    }
}
