//! What is clear, and what may be chance: exact binomial bounds, for few samples and many.

/// How unlikely chance must be before something counts as clear.
pub const SIGNIFICANCE: f64 = 0.01;

/// The chance that at least `hits` of `count` events happen when each happens with `share`
/// (the upper tail of the binomial distribution).
pub fn at_least(hits: u64, count: u64, share: f64) -> f64 {
    if hits == 0 || share >= 1.0 {
        return 1.0;
    }
    if hits > count || share <= 0.0 {
        return 0.0;
    }
    // Of the two tails the one that does not hold the peak is summed, outward from its largest term.
    if hits as f64 > count as f64 * share {
        tail(hits, count, share)
    } else {
        1.0 - tail(count - hits + 1, count, 1.0 - share)
    }
}

/// The upper tail where `hits` lies above the mean.
fn tail(hits: u64, count: u64, share: f64) -> f64 {
    let odds = share / (1.0 - share);
    // ln of the chance of exactly `hits`, built up from that of none.
    let mut log = count as f64 * (1.0 - share).ln();
    for hit in 0..hits {
        log += ((count - hit) as f64 / (hit + 1) as f64 * odds).ln();
    }
    let (mut term, mut sum) = (log.exp(), 0.0);
    for hit in hits..=count {
        sum += term;
        term *= (count - hit) as f64 / (hit + 1) as f64 * odds;
        if term < sum * 1e-12 {
            break;
        }
    }
    sum.min(1.0)
}

/// Whether more than `share` happen, beyond doubt, when `hits` of `count` did.
pub fn clearly_more(hits: u64, count: u64, share: f64) -> bool {
    at_least(hits, count, share) < SIGNIFICANCE
}

/// The rank, from 1, of the order statistic that lies, beyond doubt, not above the quantile `q` of
/// what `count` samples were taken from; `None` if they are too few to say.
pub fn lower_rank(count: u64, q: f64) -> Option<u64> {
    // The quantile lies below the order statistic of rank r when fewer than r samples do.
    let below = |rank: u64| 1.0 - at_least(rank, count, q);
    let fits = |rank: u64| below(rank) <= SIGNIFICANCE;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    (low > 0).then_some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-4 * b.max(1e-9)
    }

    #[test]
    fn tails_are_those_of_the_tables() {
        // scipy.stats.binom.sf(k - 1, n, p)
        for (hits, count, share, expected) in [
            (3, 20, 0.05, 0.075_483_674),
            (4, 20, 0.05, 0.015_901_526),
            (5, 20, 0.05, 0.002_573_940),
            (10, 10, 0.5, 0.000_976_562_5),
            (1, 1, 0.01, 0.01),
            (60, 1_000, 0.05, 0.086_732_178),
            (5_400, 100_000, 0.05, 4.6e-9),
        ] {
            let found = at_least(hits, count, share);
            let close = if expected < 1e-6 { found < 1e-7 } else { near(found, expected) };
            assert!(close, "{hits} of {count}: {found}");
        }
        assert_eq!((at_least(0, 9, 0.5), at_least(10, 9, 0.5)), (1.0, 0.0));
    }

    #[test]
    fn one_slow_run_of_twenty_proves_nothing_and_five_do() {
        assert!(!clearly_more(1, 20, 0.05) && !clearly_more(4, 20, 0.05));
        assert!(clearly_more(5, 20, 0.05));
        assert!(clearly_more(1_300, 20_000, 0.05) && !clearly_more(1_050, 20_000, 0.05));
    }

    #[test]
    fn the_lower_bound_of_a_quantile_rises_with_the_samples() {
        assert_eq!(lower_rank(3, 0.5), None);
        let share = |count: u64| lower_rank(count, 0.95).unwrap() as f64 / count as f64;
        assert!(share(20) < share(200) && share(200) < share(2_000) && share(2_000) < 0.95);
        for count in [5, 20, 57, 300] {
            let rank = lower_rank(count, 0.95).unwrap_or(0);
            assert!(1.0 - at_least(rank, count, 0.95) <= SIGNIFICANCE);
            assert!(1.0 - at_least(rank + 1, count, 0.95) > SIGNIFICANCE);
        }
    }
}
