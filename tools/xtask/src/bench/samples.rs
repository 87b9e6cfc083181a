//! What programs measure: `@ticks NAME TIMES TICKS...`.

use anyhow::{Context as _, Result};

use super::statistics::Summary;

/// What a form took in each round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// The form.
    pub name: String,
    /// How often it was run in a round.
    pub times: u32,
    /// Ticks of the time-stamp counter, by round.
    pub ticks: Vec<u64>,
}

impl Samples {
    /// Reads what stands behind `@ticks`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let name = words.next()?.to_owned();
        let times = words.next()?.parse().ok().filter(|times| *times > 0)?;
        let ticks: Vec<_> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        (!ticks.is_empty()).then_some(Self { name, times, ticks })
    }

    /// What one run of the form took, by round.
    pub fn each(&self) -> Vec<f64> {
        self.ticks.iter().map(|ticks| *ticks as f64 / f64::from(self.times)).collect()
    }
}

/// All that a program has measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured(pub Vec<Samples>);

impl Measured {
    /// Reads a program's output.
    ///
    /// # Errors
    ///
    /// If a record cannot be read, or there is none.
    pub fn parse(output: &str) -> Result<Self> {
        let records = output.lines().filter_map(|line| line.strip_prefix("@ticks "));
        let samples = records.map(|record| {
            Samples::parse(record)
                .with_context(|| format!("the program wrote {record:?}, which is no record"))
        });
        let samples = samples.collect::<Result<Vec<_>>>()?;
        anyhow::ensure!(!samples.is_empty(), "the program has measured nothing");
        Ok(Self(samples))
    }

    /// What a form took, each run of it, by round.
    ///
    /// # Errors
    ///
    /// If it was not measured.
    pub fn each(&self, name: &str) -> Result<Vec<f64>> {
        let found = self.0.iter().find(|samples| samples.name == name);
        Ok(found.with_context(|| format!("{name} was not measured"))?.each())
    }

    /// The same of the form that was run so many times in a round; none if it was not.
    pub fn each_of(&self, name: &str, times: u32) -> Option<Vec<f64>> {
        self.0.iter().find(|samples| samples.name == name && samples.times == times).map(Samples::each)
    }

    /// The summary of what a form took.
    ///
    /// # Errors
    ///
    /// If it was not measured.
    pub fn summary(&self, name: &str) -> Result<Summary> {
        Ok(Summary::of(&self.each(name)?))
    }

    /// The ratio of two forms: that of each round, since what disturbs one disturbs the other.
    ///
    /// # Errors
    ///
    /// If one of them was not measured.
    pub fn ratio(&self, name: &str, against: &str) -> Result<Summary> {
        Ok(Summary::of_ratios(&self.each(name)?, &self.each(against)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_a_name_a_number_of_runs_and_ticks() {
        let samples = Samples::parse("section.inline 4 8 12").unwrap();
        assert_eq!((samples.name.as_str(), samples.each()), ("section.inline", vec![2.0, 3.0]));
        for record in ["", "a", "a 4", "a 0 8", "a x 8", "a 4 8 x", "a 4 -8"] {
            assert_eq!(Samples::parse(record), None, "{record}");
        }
    }

    #[test]
    fn what_was_not_measured_is_an_error_that_names_it() {
        let measured = Measured::parse("text\n@ticks a 1 5 7 9\n@ticks b 1 1 1 3\n").unwrap();
        assert_eq!(measured.summary("a").unwrap().median, 7.0);
        assert_eq!(measured.ratio("a", "b").unwrap().median, 5.0);
        assert_eq!(measured.each_of("a", 2), None);
        let error = measured.summary("c").unwrap_err().to_string();
        assert_eq!(error, "c was not measured");
        assert!(Measured::parse("no records\n").is_err());
        assert!(Measured::parse("@ticks a 1 x\n").is_err());
    }
}
