//! [`Schedule`]: where a run is interrupted; as text, the seed by which it is replayed.

use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;
use std::string::{String, ToString};
use std::vec::Vec;

use super::super::Flavour;

/// One interrupt of a [`Schedule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Injection {
    /// The number of the point in the run, from 1. The same gap is another point after an interrupt.
    pub point: u32,
    /// The vector.
    pub vector: u8,
}

/// On what a run runs, and where it is interrupted.
///
/// As text the flavour, and for each interrupt its point in decimal and its vector in hexadecimal digits:
///
/// ```
/// use paravirt_vmi::mock::{Flavour, Schedule};
///
/// let schedule: Schedule = "vmi:3=20,7=21".parse()?;
/// assert_eq!(schedule.flavour(), Flavour::Vmi);
/// assert_eq!((schedule.injections()[0].point, schedule.injections()[0].vector), (3, 0x20));
/// assert_eq!(schedule.to_string(), "vmi:3=20,7=21");
/// assert_eq!("native".parse::<Schedule>()?.injections(), []);
/// # Ok::<(), paravirt_vmi::mock::ScheduleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Schedule {
    flavour: Flavour,
    injections: Vec<Injection>,
}

impl Schedule {
    /// A schedule.
    ///
    /// # Errors
    ///
    /// If the points are not in ascending order, or there is a point 0.
    pub fn new(flavour: Flavour, injections: Vec<Injection>) -> Result<Self, ScheduleError> {
        let mut last = 0;
        for injection in &injections {
            if injection.point <= last {
                return Err(ScheduleError::Order { point: injection.point, last });
            }
            last = injection.point;
        }
        Ok(Self { flavour, injections })
    }

    /// On what the run runs.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The interrupts, in the order in which they come.
    pub fn injections(&self) -> &[Injection] {
        &self.injections
    }
}

/// What a flavour is called in a seed.
const NAMES: [(Flavour, &str); 2] = [(Flavour::Native, "native"), (Flavour::Vmi, "vmi")];

/// What a flavour is called in a seed.
pub(super) fn name(flavour: Flavour) -> &'static str {
    NAMES.iter().find_map(|(named, name)| (*named == flavour).then_some(*name)).unwrap_or_default()
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(self.flavour))?;
        for (number, Injection { point, vector }) in self.injections.iter().enumerate() {
            write!(f, "{}{point}={vector:02x}", if number == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (flavour, list) = match text.split_once(':') {
            Some((flavour, list)) => (flavour, Some(list)),
            None => (text, None),
        };
        let known = NAMES.iter().find_map(|(known, name)| (*name == flavour).then_some(*known));
        let known = known.ok_or_else(|| ScheduleError::Flavour { found: flavour.to_string() })?;
        let injections = list.into_iter().flat_map(|list| list.split(',')).map(injection);
        Self::new(known, injections.collect::<Result<_, _>>()?)
    }
}

/// Reads `point=vector`.
fn injection(text: &str) -> Result<Injection, ScheduleError> {
    let (point, vector) =
        text.split_once('=').ok_or_else(|| ScheduleError::Form { found: text.to_string() })?;
    // Nothing but digits: the standard parsers take a sign, too.
    if [point, vector].iter().any(|number| !number.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Err(ScheduleError::Form { found: text.to_string() });
    }
    let number = |error| ScheduleError::Number { found: text.to_string(), error };
    Ok(Injection {
        point: point.parse().map_err(number)?,
        vector: u8::from_str_radix(vector, 16).map_err(number)?,
    })
}

/// Why a text is no [`Schedule`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScheduleError {
    /// It does not begin with a flavour.
    Flavour {
        /// With what it begins.
        found: String,
    },
    /// Something is not `point=vector`.
    Form {
        /// What.
        found: String,
    },
    /// The point or the vector cannot be read.
    Number {
        /// Both.
        found: String,
        /// Why.
        error: ParseIntError,
    },
    /// The points are not in ascending order from 1.
    Order {
        /// The point.
        point: u32,
        /// The point before it, or 0.
        last: u32,
    },
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flavour { found } => {
                write!(f, "a schedule begins with `native` or `vmi`, not with `{found}`")
            }
            Self::Form { found } => {
                write!(f, "`{found}` is not point=vector, as in `vmi:3=20,7=21`")
            }
            Self::Number { found, error } => write!(f, "`{found}`: {error}"),
            Self::Order { point, last } => {
                write!(f, "point {point} behind point {last}: points ascend, and the first one is 1")
            }
        }
    }
}

impl core::error::Error for ScheduleError {}
