//! How long a set may be kept by others, watched apart from its values: servers that count it down make
//! single answers worthless, so the largest of several looks counts.

use serde::{Deserialize, Serialize};

/// So many looks make one figure.
const LOOKS: usize = 5;
/// A change by this factor is worth a word.
const FACTOR: u32 = 4;
/// After so many looks a new figure is the usual one.
const USUAL: u32 = 200;

/// What is remembered of it, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ttl {
    usual: u32,
    /// The last looks.
    recent: Vec<u32>,
    /// For so many looks it has been another.
    other: u32,
}

/// It is something else than usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// What it was, in seconds.
    pub from: u32,
    /// What it is.
    pub to: u32,
}

impl Ttl {
    /// Notes what the authorities said at most.
    pub fn look(&mut self, seconds: u32) -> Option<Moved> {
        self.recent.push(seconds);
        let surplus = self.recent.len().saturating_sub(LOOKS);
        self.recent.drain(..surplus);
        let to = self.largest()?;
        if self.usual == 0 {
            self.usual = to;
        }
        let from = self.usual;
        let moved = to >= from.saturating_mul(FACTOR) || to.saturating_mul(FACTOR) <= from;
        if !moved || from == to {
            self.other = 0;
            return None;
        }
        self.other += 1;
        if self.other > USUAL {
            *self = Self { usual: to, recent: std::mem::take(&mut self.recent), other: 0 };
            return None;
        }
        Some(Moved { from, to })
    }

    /// The largest of enough looks.
    pub fn largest(&self) -> Option<u32> {
        self.recent.iter().max().copied().filter(|_| self.recent.len() >= LOOKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_counts_down_changes_nothing_and_a_quarter_is_told_until_it_is_usual() {
        let mut ttl = Ttl::default();
        for look in 0..50 {
            assert_eq!(ttl.look(3_600 - (look % 5) * 700), None);
        }
        let told: Vec<Option<Moved>> = (0..6).map(|_| ttl.look(900)).collect();
        assert_eq!(told[0], None, "one look says nothing");
        assert_eq!(told[5], Some(Moved { from: 3_600, to: 900 }));
        assert_eq!((0..300).map(|_| ttl.look(900)).last(), Some(None));
        assert_eq!(ttl.look(3_600), Some(Moved { from: 900, to: 3_600 }), "up it counts at once");
        for _ in 0..6 {
            ttl.look(1_800);
        }
        assert_eq!(ttl.look(1_800), None, "twice as long is nothing");
    }
}
