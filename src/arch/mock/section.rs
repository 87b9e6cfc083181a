//! Sections that rely on masked interrupts, and saved states: they nest.

use std::collections::BTreeMap;
use std::vec::Vec;

use super::run::stop;
use super::state::{self, State};
use super::{Misuse, Place};

/// A section that is under way, or a state that was saved.
#[derive(Clone, Copy)]
struct Mark {
    /// Those that come later have greater ones.
    number: u32,
    place: Place,
}

/// The sections and the saved states of the code under test, or of a handler; the last one is the innermost.
#[derive(Default)]
pub(super) struct Sections {
    open: Vec<Mark>,
    saved: Vec<Mark>,
    /// States that can no longer be restored: where they were saved, and where the section ended that they were
    /// saved in.
    ended: BTreeMap<u32, (Place, Place)>,
    /// The sections among those that are open which `critical-section` has begun.
    #[cfg(feature = "critical-section")]
    critical: Vec<Section>,
}

impl Sections {
    /// Where the innermost section began.
    pub fn innermost(&self) -> Option<Place> {
        self.open.last().map(|section| section.place)
    }

    /// Remembers that a state was saved.
    pub fn save(&mut self, number: u32, place: Place) {
        self.saved.push(Mark { number, place });
    }

    /// Ends the states that were saved from `number` on: what they were saved in ends at `place`.
    fn end_states(&mut self, number: u32, place: Place) {
        let first = self.saved.partition_point(|saved| saved.number < number);
        let ended = self.saved.drain(first..);
        self.ended.extend(ended.map(|saved| (saved.number, (saved.place, place))));
    }
}

/// Finds what has this number.
fn find(marks: &[Mark], number: u32) -> Option<Mark> {
    let index = marks.binary_search_by_key(&number, |mark| mark.number).ok()?;
    Some(marks[index])
}

/// Looks whether the state with `number` may be restored now, and ends those that were saved later.
pub(super) fn check_restore(state: &mut State, number: u32, place: Place) -> Result<(), Misuse> {
    let sections = &mut state.frame().sections;
    if find(&sections.saved, number).is_some() {
        sections.end_states(number + 1, place);
        return Ok(());
    }
    if let Some((saved, ended)) = sections.ended.get(&number) {
        return Err(Misuse::RestoreOutOfOrder { place, saved: *saved, ended: Some(*ended) });
    }
    match state.frames.iter().find_map(|frame| find(&frame.sections.saved, number)) {
        Some(saved) => Err(Misuse::RestoreOutOfOrder { place, saved: saved.place, ended: None }),
        None => Ok(()),
    }
}

/// A section that relies on masked interrupts: what a [`Guard`](crate::irq::Guard) knows of itself here.
pub(crate) struct Section(Mark);

impl Section {
    /// A section begins; interrupts are masked.
    #[track_caller]
    pub(crate) fn begin() -> Self {
        let place = Place::caller();
        state::with(|state| {
            let section = Mark { number: state.next_number(), place };
            state.frame().sections.open.push(section);
            Self(section)
        })
    }

    /// The section ends. If it `unmasks` interrupts, this is what the next call does.
    pub(crate) fn end(&self, unmasks: bool) {
        let Self(Mark { number, place: dropped }) = *self;
        let misuse = state::with(|state| {
            let sections = &mut state.frame().sections;
            sections.end_states(number, dropped);
            // It is not there if the processor was reset meanwhile.
            let index = sections.open.binary_search_by_key(&number, |section| section.number).ok()?;
            sections.open.remove(index);
            let inner = sections.open[index..].last()?.place;
            Some(Misuse::GuardOutOfOrder { dropped, inner })
        });
        if let Some(misuse) = misuse {
            stop(misuse.into());
        }
        if unmasks {
            state::with(|state| state.ending = Some(dropped));
        }
    }
}

/// A section of `critical-section` begins; interrupts are masked.
#[cfg(feature = "critical-section")]
#[track_caller]
pub(super) fn begin_critical() {
    let section = Section::begin();
    state::with(|state| state.frame().sections.critical.push(section));
}

/// The section of `critical-section` that began last ends. If it `unmasks` interrupts, this is what the next call
/// does.
#[cfg(feature = "critical-section")]
pub(super) fn end_critical(unmasks: bool) {
    let section = state::with(|state| state.frame().sections.critical.pop());
    if let Some(section) = section {
        section.end(unmasks);
    }
}

/// Where something began whose end is a call made by a drop, which has no place of its own.
#[derive(Debug)]
pub(crate) struct Origin(Place);

impl Origin {
    /// It begins at the caller's place.
    #[track_caller]
    pub(crate) fn caller() -> Self {
        Self(Place::caller())
    }

    /// The next call is its end.
    pub(crate) fn end(&self) {
        state::with(|state| state.ending = Some(self.0));
    }
}
