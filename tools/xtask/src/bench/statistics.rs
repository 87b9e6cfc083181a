//! Medians and quartiles: half of all measurements lie between the quartiles, and neither is moved by the few that an
//! interrupt made long.

use std::fmt;

/// What many measurements of one thing say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The median.
    pub median: f64,
    /// The lower quartile.
    pub low: f64,
    /// The upper quartile.
    pub high: f64,
}

impl Summary {
    /// Of measurements, of which there is one at least; of none it is not a number.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let [low, median, high] = [0.25, 0.5, 0.75].map(|part| quantile(&sorted, part));
        Self { median, low, high }
    }

    /// Of the ratios of two things that were measured together, round by round.
    pub fn of_ratios(values: &[f64], against: &[f64]) -> Self {
        Self::of(&values.iter().zip(against).map(|(value, other)| value / other).collect::<Vec<_>>())
    }

    /// A number without spread.
    pub fn exact(value: f64) -> Self {
        Self { median: value, low: value, high: value }
    }

    /// The quotient of two things that were not measured together: its spread is the widest that theirs allow.
    pub fn over(self, other: Self) -> Self {
        let [median, low, high] = [self.median / other.median, self.low / other.high, self.high / other.low];
        Self { median, low, high }
    }
}

/// Writes the quartiles.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high {
            f.write_str("exact")
        } else {
            write!(f, "{} to {}", short(self.low), short(self.high))
        }
    }
}

/// A number with three digits that say something, or all in front of the point.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A quantile of sorted values, between two of them in proportion.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = part * last as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_quartiles_do_not_move_with_one_outlier() {
        let summary = Summary::of(&[3.0, 1.0, 2.0, 5.0, 4.0]);
        assert_eq!(summary, Summary { median: 3.0, low: 2.0, high: 4.0 });
        assert_eq!(Summary::of(&[3.0, 1.0, 2.0, 5e9, 4.0]), summary);
    }

    #[test]
    fn a_quantile_between_two_values_is_in_proportion() {
        let summary = Summary::of(&[1.0, 2.0]);
        assert_eq!((summary.low, summary.median, summary.high), (1.25, 1.5, 1.75));
        assert_eq!(Summary::of(&[7.0]), Summary::exact(7.0));
        assert!(Summary::of(&[]).median.is_nan());
    }

    #[test]
    fn ratios_are_formed_round_by_round() {
        let summary = Summary::of_ratios(&[2.0, 40.0, 6.0], &[1.0, 20.0, 3.0]);
        assert_eq!(summary, Summary::exact(2.0));
    }

    #[test]
    fn the_quotient_of_two_summaries_has_the_widest_spread() {
        let [a, b] =
            [[4.0, 2.0, 8.0], [2.0, 1.0, 4.0]].map(|[median, low, high]| Summary { median, low, high });
        assert_eq!(a.over(b), Summary { median: 2.0, low: 0.5, high: 8.0 });
    }

    #[test]
    fn numbers_are_written_with_three_digits() {
        let written = [0.0, 0.983, 9.999, 12.34, 1234.5].map(short);
        assert_eq!(written, ["0.00", "0.98", "10.00", "12.3", "1234"]);
        assert_eq!(Summary::exact(2.0).to_string(), "exact");
        assert_eq!(Summary { median: 2.0, low: 1.0, high: 30.0 }.to_string(), "1.00 to 30.0");
    }
}
