//! What waits to be written, in order: its front in memory, the rest in a temporary file without a name.
//!
//! The file keeps a long outage from filling the memory; it goes with the process, as memory does.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::record::{Gap, Settled, Transition};
use crate::telemetry::telemetry;

/// Entries held in memory before the file is used, and read back from it at once.
const FRONT: usize = 5_000;
/// Bytes the file may take.
const BYTES: u64 = 1 << 30;
/// Where the file is made: on a disk if there is one, since `/tmp` is often memory.
const FOLDER: &str = "/var/tmp";

#[derive(Clone, Serialize, Deserialize)]
pub enum Late {
    Transition(Box<Transition>),
    Marked(Marked),
    Settled(Settled),
    Gap(Gap),
}

/// The keys of rows, and the message they went out in.
#[derive(Clone, Serialize, Deserialize)]
pub struct Marked {
    pub batch: String,
    pub keys: Vec<String>,
}

/// What is dropped when it must not be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    pub results: u64,
    pub messages: u64,
}

impl Dropped {
    fn add(&mut self, late: &Late) {
        if let Late::Transition(one) = late {
            self.results += u64::from(one.result.is_some());
            self.messages += u64::try_from(one.outbox.len()).unwrap_or(u64::MAX);
        }
    }
}

/// The file: entries behind one another, each its length and its JSON.
struct Spill {
    file: File,
    entries: usize,
    read_at: u64,
    write_at: u64,
}

impl Spill {
    fn new() -> std::io::Result<Self> {
        let file =
            if Path::new(FOLDER).is_dir() { tempfile::tempfile_in(FOLDER) } else { tempfile::tempfile() };
        let file = file.or_else(|_| tempfile::tempfile())?;
        Ok(Self { file, entries: 0, read_at: 0, write_at: 0 })
    }

    fn push(&mut self, late: &Late) -> std::io::Result<()> {
        let mut bytes = vec![0; 4];
        serde_json::to_writer(&mut bytes, late)?;
        let length = u32::try_from(bytes.len() - 4).map_err(std::io::Error::other)?;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        // What fails half way is written over by the next.
        self.file.write_all_at(&bytes, self.write_at)?;
        self.write_at += bytes.len() as u64;
        self.entries += 1;
        Ok(())
    }

    fn pop(&mut self) -> std::io::Result<Option<Late>> {
        if self.entries == 0 {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.file.read_exact_at(&mut length, self.read_at)?;
        let mut bytes = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, self.read_at + 4)?;
        let late = serde_json::from_slice(&bytes)?;
        self.read_at += 4 + bytes.len() as u64;
        self.entries -= 1;
        if self.entries == 0 {
            (self.read_at, self.write_at) = (0, 0);
            self.file.set_len(0)?;
        }
        Ok(Some(late))
    }
}

/// What waits to be written.
#[derive(Default)]
pub struct Backlog {
    front: VecDeque<Late>,
    /// Behind the front.
    spill: Option<Spill>,
    /// Behind the file, once that takes no more.
    behind: VecDeque<Late>,
    is_refused: bool,
    /// A part of it could not be read back.
    is_torn: bool,
    held: Dropped,
}

impl Backlog {
    pub fn len(&self) -> usize {
        self.front.len() + self.spilled() + self.behind.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn spilled(&self) -> usize {
        self.spill.as_ref().map_or(0, |spill| spill.entries)
    }

    pub fn push(&mut self, late: Late) {
        self.held.add(&late);
        if self.len() < FRONT {
            self.front.push_back(late);
        } else if !self.behind.is_empty() || self.is_refused || !self.spilled_now(&late) {
            self.behind.push_back(late);
        }
    }

    /// Puts it into the file, which is a page of the system's cache and waits for no disk.
    fn spilled_now(&mut self, late: &Late) -> bool {
        if self.spill.as_ref().is_some_and(|spill| spill.write_at >= BYTES) {
            return false;
        }
        let written = match &mut self.spill {
            Some(spill) => spill.push(late),
            spill @ None => Spill::new().and_then(|new| spill.insert(new).push(late)),
        };
        if let Err(why) = &written {
            self.is_refused = true;
            tracing::warn!(%why, "no temporary file takes what is held back: it stays in memory");
        }
        written.is_ok()
    }

    /// The first so many of one sort that stand in a row, at most.
    pub fn run(&mut self, most: usize) -> Vec<Late> {
        self.fill_front();
        let first = self.front.front().map(std::mem::discriminant);
        let same = self.front.iter().take_while(|late| Some(std::mem::discriminant(*late)) == first);
        same.take(most).cloned().collect()
    }

    /// Takes away what was written.
    pub fn written(&mut self, count: usize) {
        for late in self.front.drain(..count.min(self.front.len())) {
            let mut gone = Dropped::default();
            gone.add(&late);
            self.held.results = self.held.results.saturating_sub(gone.results);
            self.held.messages = self.held.messages.saturating_sub(gone.messages);
        }
        if self.is_empty() {
            *self = Self::default();
        }
    }

    fn fill_front(&mut self) {
        if !self.front.is_empty() {
            return;
        }
        while let Some(spill) = self.spill.as_mut().filter(|_| self.front.len() < FRONT) {
            match spill.pop() {
                Ok(Some(late)) => self.front.push_back(late),
                Ok(None) => break,
                Err(why) => {
                    self.spill = None;
                    let mut held = Dropped::default();
                    self.front.iter().chain(&self.behind).for_each(|late| held.add(late));
                    let lost = self.held.results.saturating_sub(held.results);
                    tracing::error!(%why, results = lost, "the temporary file cannot be read: what it held is lost");
                    telemetry().dropped.with_label_values(&["result", "store"]).inc_by(lost);
                    (self.held, self.is_torn) = (held, true);
                }
            }
        }
        if self.front.is_empty() {
            self.front = std::mem::take(&mut self.behind);
        }
    }

    /// Whether a part of it was lost since this was asked last.
    pub fn was_torn(&mut self) -> bool {
        std::mem::take(&mut self.is_torn)
    }

    /// Forgets all of it.
    pub fn clear(&mut self) -> Dropped {
        std::mem::take(self).held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::contract::{outcome, ran, time};

    fn at(late: &Late) -> i64 {
        match late {
            Late::Transition(one) => match &one.result {
                Some(crate::record::Recorded::Ran { outcome, .. }) => outcome.at.as_millisecond(),
                _ => panic!("another result"),
            },
            Late::Settled(_) => -1,
            Late::Marked(_) | Late::Gap(_) => -2,
        }
    }

    fn result(at: i64) -> Late {
        Late::Transition(Box::new(ran(outcome("a/b", at))))
    }

    #[test]
    fn what_does_not_fit_in_memory_comes_back_from_the_file_in_order_and_whole() {
        let mut backlog = Backlog::default();
        let all = i64::try_from(3 * FRONT + 7).unwrap();
        (0..all).for_each(|at| backlog.push(result(at)));
        backlog.push(Late::Settled(Settled::Later {
            key: "k".into(),
            not_before: time(5),
            attempts: 1,
            batch: None,
            why: "refused".into(),
            unsure: false,
        }));
        assert_eq!(backlog.front.len(), FRONT);
        assert_eq!(backlog.spilled(), 2 * FRONT + 8);
        assert!(backlog.behind.is_empty());
        let mut seen = Vec::new();
        // Some come while others are written.
        let mut late = all;
        while !backlog.is_empty() {
            let run = backlog.run(1_000);
            assert!(!run.is_empty() && run.len() <= 1_000);
            seen.extend(run.iter().map(at));
            backlog.written(run.len());
            if late < all + 3 {
                backlog.push(result(late));
                late += 1;
            }
        }
        let expected: Vec<i64> = (0..all).chain([-1]).chain(all..all + 3).collect();
        assert_eq!(seen, expected);
        let first = backlog.clear();
        assert_eq!(first, Dropped::default());
    }

    #[test]
    fn a_result_reads_back_from_the_file_as_it_was() {
        let mut spill = Spill::new().unwrap();
        let before = result(1_000);
        spill.push(&before).unwrap();
        let after = spill.pop().unwrap().unwrap();
        let text = |late: &Late| serde_json::to_string(late).unwrap();
        assert_eq!(text(&before), text(&after));
        let (Late::Transition(before), Late::Transition(after)) = (&before, &after) else { panic!("others") };
        assert_eq!(format!("{before:?}"), format!("{after:?}"));
        assert!(spill.pop().unwrap().is_none());
        assert_eq!(spill.file.metadata().unwrap().len(), 0, "and makes room");
    }

    #[test]
    fn a_file_that_cannot_be_read_back_loses_what_it_held_and_says_so() {
        let mut backlog = Backlog::default();
        let all = i64::try_from(2 * FRONT).unwrap();
        (0..all).for_each(|at| backlog.push(result(at)));
        let spill = backlog.spill.as_ref().unwrap();
        spill.file.set_len(spill.write_at / 2).unwrap();
        let (mut seen, mut torn) = (0, 0);
        while !backlog.is_empty() {
            let run = backlog.run(1_000);
            torn += usize::from(backlog.was_torn());
            seen += run.len();
            backlog.written(run.len());
        }
        assert!((FRONT..2 * FRONT).contains(&seen), "{seen}");
        assert_eq!(torn, 1);
    }

    #[test]
    fn where_no_file_can_be_made_memory_holds_it() {
        let mut backlog = Backlog { is_refused: true, ..Backlog::default() };
        let all = i64::try_from(2 * FRONT).unwrap();
        (0..all).for_each(|at| backlog.push(result(at)));
        assert_eq!((backlog.front.len(), backlog.behind.len()), (FRONT, FRONT));
        let mut seen = 0;
        while !backlog.is_empty() {
            let run = backlog.run(usize::MAX);
            assert!(run.iter().map(at).eq(seen..seen + i64::try_from(run.len()).unwrap()));
            seen += i64::try_from(run.len()).unwrap();
            backlog.written(run.len());
        }
        assert_eq!(seen, all);
        (0..3).for_each(|at| backlog.push(result(at)));
        assert_eq!(backlog.clear(), Dropped { results: 3, messages: 0 });
    }
}
