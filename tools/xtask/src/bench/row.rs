//! A row of the result: what was measured, against what, and whether a goal holds.

use super::statistics::{Summary, short};

/// What is wanted of a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Ours over theirs is at most this.
    AtMost(f64),
    /// Theirs over ours is at least this.
    AtLeast(f64),
    /// Theirs over ours is reported, and nothing wanted.
    Reported,
}

/// A quantity that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What.
    pub what: String,
    /// In which unit.
    pub unit: &'static str,
    /// This crate's.
    pub ours: f64,
    /// What it is compared with.
    pub against: String,
    /// The same of that.
    pub theirs: f64,
    /// The ratio: ours over theirs for [`Goal::AtMost`], else theirs over ours.
    pub ratio: Summary,
    /// What is wanted of it.
    pub goal: Goal,
}

/// The headings of a table of rows.
pub const HEADINGS: [&str; 9] =
    ["what", "unit", "ours", "against", "theirs", "ratio", "spread", "goal", "holds"];

impl Row {
    /// A row whose numbers are counted, not timed.
    pub fn counted(
        what: &str,
        unit: &'static str,
        ours: f64,
        against: &str,
        theirs: f64,
        goal: Goal,
    ) -> Self {
        let (ours_is_above, what) = (matches!(goal, Goal::AtMost(_)), what.to_owned());
        let ratio = Summary::exact(if ours_is_above { ours / theirs } else { theirs / ours });
        Self { what, unit, ours, against: against.to_owned(), theirs, ratio, goal }
    }

    /// Whether the goal holds, if there is one.
    pub fn holds(&self) -> Option<bool> {
        let ratio = self.ratio.median;
        match self.goal {
            Goal::AtMost(most) => Some(ratio <= most),
            Goal::AtLeast(least) => Some(ratio >= least),
            Goal::Reported => None,
        }
    }

    /// The row as text, as [`HEADINGS`] has it.
    pub fn cells(&self) -> [String; 9] {
        let (goal, unit) = match self.goal {
            Goal::AtMost(most) => (format!("at most {}", trimmed(most)), ""),
            Goal::AtLeast(least) => (format!("at least {}x", trimmed(least)), "x"),
            Goal::Reported => ("-".to_owned(), "x"),
        };
        let holds = match self.holds() {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "-",
        };
        [
            self.what.clone(),
            self.unit.to_owned(),
            short(self.ours),
            self.against.clone(),
            short(self.theirs),
            format!("{}{unit}", short(self.ratio.median)),
            self.ratio.to_string(),
            goal,
            holds.to_owned(),
        ]
    }
}

/// A number without zeros at its end.
fn trimmed(value: f64) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(goal: Goal) -> Row {
        Row::counted("cli", "instructions", 2.0, "by hand", 4.0, goal)
    }

    #[test]
    fn at_most_looks_at_ours_over_theirs_and_includes_the_bound() {
        assert_eq!(row(Goal::AtMost(0.5)).holds(), Some(true));
        assert_eq!(row(Goal::AtMost(0.49)).holds(), Some(false));
    }

    #[test]
    fn at_least_looks_at_theirs_over_ours_and_includes_the_bound() {
        assert_eq!(row(Goal::AtLeast(2.0)).holds(), Some(true));
        assert_eq!(row(Goal::AtLeast(2.1)).holds(), Some(false));
        assert_eq!(row(Goal::Reported).holds(), None);
    }

    #[test]
    fn a_ratio_that_is_no_number_does_not_hold() {
        let mut row = row(Goal::AtMost(1.0));
        row.ratio = Summary::of(&[]);
        assert_eq!(row.holds(), Some(false));
        row.goal = Goal::AtLeast(1.0);
        assert_eq!(row.holds(), Some(false));
    }

    #[test]
    fn a_row_has_a_cell_for_each_heading() {
        assert_eq!(
            row(Goal::AtLeast(3.0)).cells(),
            ["cli", "instructions", "2.00", "by hand", "4.00", "2.00x", "exact", "at least 3x", "NO"]
        );
        assert_eq!(row(Goal::AtMost(1.3)).cells()[5..], ["0.50", "exact", "at most 1.3", "yes"]);
        assert_eq!(row(Goal::Reported).cells()[7..], ["-", "-"]);
    }
}
