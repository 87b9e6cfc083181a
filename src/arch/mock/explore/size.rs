//! How many runs there are within a bound, as far as it can be told from the run without interrupts.

use std::vec::Vec;

/// A point, for counting.
#[derive(Clone, Copy)]
pub(super) struct Countable {
    /// So many interrupts could arrive there.
    pub alternatives: usize,
    /// Whether another one can arrive behind the first: not in a halt, which ends with it.
    pub repeats: bool,
}

/// Up to so many interrupts runs are counted in any case.
const CLEAR: usize = 20;

/// How many runs there are with up to so many interrupts, if handlers have no points and do not change the way of the
/// test: for 0, 1, 2, and so on up to `bound`; or only so far that it is clear that there are more than `limit`.
pub(super) fn cumulated(points: &[Countable], bound: usize, limit: u128) -> Vec<u128> {
    // In how many ways the points up to each one can be interrupted exactly so many times.
    let mut ways = std::vec![1_u128; points.len()];
    let mut runs = 1_u128;
    let mut result = std::vec![runs];
    while result.len() <= bound && (runs <= limit || result.len() < CLEAR) {
        let (mut sum, mut before) = (0_u128, u128::from(result.len() == 1));
        for (point, ways) in points.iter().zip(&mut ways) {
            let fewer = if point.repeats { *ways } else { before };
            before = *ways;
            sum = sum.saturating_add(fewer.saturating_mul(point.alternatives as u128));
            *ways = sum;
        }
        if sum == 0 {
            break;
        }
        runs = runs.saturating_add(sum);
        result.push(runs);
    }
    result
}
