//! How a result becomes a few bytes: an uneventful row is what most of the database consists of.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use crate::model::{Cause, Finding, Outcome, Phase, StepTime, Timings, Verdict};
use crate::stats::budget::is_too_slow_alone;

/// Steps of one result, and bytes of one name: what is read back is bounded by what is written.
const STEPS: usize = 1_000;
const NAME: usize = 1_000;
/// Bytes of one unpacked text.
const LONGEST: u64 = 16 * 1024 * 1024;

const CAUSES: [Cause; 6] = [
    Cause::LocalNetwork,
    Cause::LocalDns,
    Cause::LocalStorage,
    Cause::Overload,
    Cause::Blocked,
    Cause::Config,
];

/// Marks a re-check.
const RECHECK: i64 = 64;

/// Marks a run that failed by its latency budgets alone.
const TOO_SLOW: i64 = 128;

/// What more is to be known of a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// It was a re-check.
    pub recheck: bool,
    /// It failed by its latency budgets alone.
    pub too_slow: bool,
}

impl Marks {
    pub fn of(outcome: &Outcome) -> Self {
        let too_slow = is_too_slow_alone(outcome.verdict, &outcome.findings);
        Self { recheck: outcome.recheck, too_slow }
    }
}

/// Verdict, cause and marks in one small integer.
pub fn verdict(verdict: Verdict, cause: Option<Cause>, marks: Marks) -> i64 {
    let verdict = Verdict::ALL.iter().position(|known| *known == verdict).unwrap_or(3);
    let cause = cause.and_then(|cause| CAUSES.iter().position(|known| *known == cause));
    let packed = verdict + 8 * cause.map_or(0, |position| position + 1);
    let mark = |is_so, bit| if is_so { bit } else { 0 };
    i64::try_from(packed).unwrap_or(3) + mark(marks.recheck, RECHECK) + mark(marks.too_slow, TOO_SLOW)
}

/// The reverse of [`verdict`]; what no version wrote reads as `unknown`.
pub fn unpack_verdict(packed: i64) -> (Verdict, Option<Cause>, Marks) {
    let part = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
    let verdict = Verdict::ALL.get(part(packed & 7)).copied().unwrap_or(Verdict::Unknown);
    let cause = part(packed >> 3 & 7).checked_sub(1).and_then(|position| CAUSES.get(position)).copied();
    let marks = Marks { recheck: packed & RECHECK != 0, too_slow: packed & TOO_SLOW != 0 };
    (verdict, cause, marks)
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// Duration, phases and steps, in microseconds. A result without steps has nothing of them.
pub fn times(took: Duration, timings: &Timings, steps: &[StepTime]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20);
    put(&mut bytes, micros(took));
    let present = timings.iter().fold(0u8, |bits, (phase, _)| bits | 1 << (phase as u8));
    bytes.push(present);
    for (_, took) in timings.iter() {
        put(&mut bytes, micros(took));
    }
    for step in steps.iter().take(STEPS) {
        let name = step.name.get(..step.name.floor_char_boundary(NAME)).unwrap_or_default();
        put(&mut bytes, name.len() as u64);
        bytes.extend_from_slice(name.as_bytes());
        put(&mut bytes, micros(step.took));
    }
    bytes
}

fn step(bytes: &mut &[u8]) -> Option<StepTime> {
    let length = usize::try_from(take(bytes)?).ok().filter(|length| *length <= NAME)?;
    let (name, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let name = std::str::from_utf8(name).ok()?.into();
    Some(StepTime { name, took: Duration::from_micros(take(bytes)?) })
}

/// The reverse of [`times`]; a damaged value reads as far as it goes.
pub fn unpack_times(mut bytes: &[u8]) -> (Duration, Timings, Box<[StepTime]>) {
    let mut timings = Timings::default();
    let took = Duration::from_micros(take(&mut bytes).unwrap_or(0));
    let present = take(&mut bytes).unwrap_or(0);
    for phase in Phase::ALL {
        if present & (1 << (phase as u8)) != 0 {
            let Some(value) = take(&mut bytes) else { break };
            timings.add(phase, Duration::from_micros(value));
        }
    }
    let steps = std::iter::from_fn(|| step(&mut bytes)).take(STEPS).collect();
    (took, timings, steps)
}

/// Text of which there is much, such as facts.
pub fn text(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory does not fail.
    packed.write_all(text.as_bytes()).ok();
    packed.finish().unwrap_or_default()
}

/// The reverse of [`text`], as far as [`LONGEST`] goes; `None` for what is damaged.
pub fn unpack_text(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    flate2::read::ZlibDecoder::new(bytes).take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The findings to keep: whole when the row is kept in full, else ids, subjects and what the
/// verdict rests on; nothing for a run without findings.
pub fn findings(outcome: &Outcome, in_full: bool) -> Vec<Finding> {
    if in_full {
        return outcome.findings.clone();
    }
    let bare = |finding: &Finding| Finding {
        summary: String::new(),
        evidence: serde_json::Map::new(),
        reference: None,
        ..finding.clone()
    };
    outcome.findings.iter().map(bare).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_verdict_and_cause_reads_back() {
        for kept in Verdict::ALL {
            for cause in CAUSES.into_iter().map(Some).chain([None]) {
                for (recheck, too_slow) in [(false, false), (true, false), (false, true), (true, true)] {
                    let marks = Marks { recheck, too_slow };
                    assert_eq!(unpack_verdict(verdict(kept, cause, marks)), (kept, cause, marks));
                }
            }
        }
    }

    #[test]
    fn a_code_no_version_wrote_is_unknown_and_no_downtime() {
        assert_eq!(unpack_verdict(7), (Verdict::Unknown, None, Marks::default()));
        assert_eq!(unpack_verdict(-1).0, Verdict::Unknown);
    }

    #[test]
    fn a_result_without_steps_takes_not_one_byte_for_them() {
        let mut timings = Timings::default();
        timings.add(Phase::Dns, Duration::from_micros(100));
        assert_eq!(times(Duration::from_micros(100), &timings, &[]), [100, 1, 100]);
    }

    #[test]
    fn a_name_longer_than_what_is_kept_costs_no_other_step() {
        let step = |name: String| StepTime { name: name.into(), took: Duration::from_micros(7) };
        let steps = [step("é".repeat(900)), step("next".into())];
        let (.., kept) = unpack_times(&times(Duration::ZERO, &Timings::default(), &steps));
        assert_eq!((kept[0].name.len(), &*kept[1].name), (1_000, "next"));
    }

    #[test]
    fn text_reads_back_and_damage_is_nothing() {
        let facts = "{\"status\": 502, \"subject\": \"é\"}".repeat(50);
        let mut packed = text(&facts);
        assert!(packed.len() < facts.len() / 4);
        assert_eq!(unpack_text(&packed), Some(facts));
        packed[10] ^= 0xff;
        assert_eq!(unpack_text(&packed), None);
    }

    proptest! {
        #[test]
        fn durations_read_back_to_the_microsecond(
            took in 0u64..10_000_000_000,
            phases in proptest::array::uniform5(proptest::option::of(0u64..4_000_000_000)),
            steps in proptest::collection::vec((".{0,40}", 0u64..4_000_000_000), 0..6),
        ) {
            let mut timings = Timings::default();
            for (phase, value) in Phase::ALL.into_iter().zip(phases) {
                if let Some(value) = value {
                    timings.add(phase, Duration::from_micros(value));
                }
            }
            let took = Duration::from_micros(took);
            let step = |(name, took): (String, u64)| StepTime { name: name.into(), took: Duration::from_micros(took) };
            let steps: Box<[StepTime]> = steps.into_iter().map(step).collect();
            prop_assert_eq!(unpack_times(&times(took, &timings, &steps)), (took, timings, steps));
        }

        #[test]
        fn damaged_times_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            unpack_times(&bytes);
        }
    }
}
