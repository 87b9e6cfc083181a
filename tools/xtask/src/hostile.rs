//! What the hostile guest lists and reports.
//!
//! ```text
//! @list NAME MUST,MUST... BARE NEEDS WHAT...
//! @try NAME
//! @attempt NAME refused HOW
//! @attempt NAME SUCCEEDED HOW
//! @attempt NAME UNEXPECTED HOW
//! ```
//!
//! What stands in the log behind `@try` and before the next one belongs to that attempt.

use crate::counters;

/// One way to try to break out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its name.
    pub name: String,
    /// Whether it counts as refused if the hypervisor stops the guest.
    pub may_be_stopped: bool,
    /// What it comes to on bare metal.
    pub bare: Bare,
    /// What the processor must do right, so that it can be refused.
    pub needs: Needs,
    /// What is tried.
    pub what: String,
}

/// What an attempt comes to on bare metal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// It succeeds.
    Succeeds,
    /// The machine is reset.
    Resets,
    /// It is refused there as well, or has no effect.
    Harmless,
    /// That is left to chance.
    Chance,
}

/// What the processor must do right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing out of the ordinary.
    Nothing,
    /// The limits of segments.
    Limits,
    /// IRET outside of ring 0 ignores VM.
    IretWithoutVm,
}

/// What the guest and the hypervisor said about an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The guest: it was refused in a way that counts.
    Refused(String),
    /// The guest: it did what was intended.
    Succeeded(String),
    /// The guest: it was refused, but not in a way that counts.
    Unexpected(String),
    /// The hypervisor: the guest was stopped.
    Stopped(String),
    /// Nothing: the machine came to an end first.
    Nothing,
    /// It was not even begun.
    NotBegun,
}

impl Attempt {
    /// The attempts that a log lists.
    pub fn list(log: &str) -> Vec<Self> {
        log.lines().filter_map(|line| Self::parse(line.trim_end().strip_prefix("@list ")?)).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.splitn(5, ' ');
        let name = words.next()?.to_owned();
        let may_be_stopped = words.next()?.split(',').any(|must| must == "stopped");
        let bare = match words.next()? {
            "succeeds" => Bare::Succeeds,
            "resets" => Bare::Resets,
            "harmless" => Bare::Harmless,
            "chance" => Bare::Chance,
            _ => return None,
        };
        let needs = match words.next()? {
            "nothing" => Needs::Nothing,
            "limits" => Needs::Limits,
            "iret-without-vm" => Needs::IretWithoutVm,
            _ => return None,
        };
        Some(Self { name, may_be_stopped, bare, needs, what: words.next()?.to_owned() })
    }

    /// What a log says about it.
    pub fn said(&self, log: &str) -> Said {
        let mut lines = log.lines().map(str::trim_end);
        let is_begin = |line: &str| line.strip_prefix("@try ") == Some(&self.name);
        if !lines.by_ref().any(is_begin) {
            return Said::NotBegun;
        }
        let mut said = Said::Nothing;
        for line in lines.take_while(|line| !line.starts_with("@try ")) {
            if let Some(found) = self.record(line) {
                return found;
            }
            if let Some(why) = line.strip_prefix(counters::STOPPED).filter(|why| !counters::is_exit(why)) {
                said = Said::Stopped(why.to_owned());
            }
        }
        said
    }

    fn record(&self, line: &str) -> Option<Said> {
        let rest = line.strip_prefix("@attempt ")?.strip_prefix(&self.name)?.strip_prefix(' ')?;
        let (word, how) = rest.split_once(' ')?;
        let how = how.to_owned();
        match word {
            "refused" => Some(Said::Refused(how)),
            "SUCCEEDED" => Some(Said::Succeeded(how)),
            "UNEXPECTED" => Some(Said::Unexpected(how)),
            _ => None,
        }
    }

    /// What is wrong with what was said under a hypervisor.
    pub fn complaint(&self, said: &Said) -> Option<String> {
        match said {
            Said::Refused(_) => None,
            Said::Stopped(_) if self.may_be_stopped => None,
            said => Some(said.describe()),
        }
    }
}

impl Said {
    /// One line for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Refused(how) => format!("refused: {how}"),
            Self::Succeeded(how) => format!("SUCCEEDED: {how}"),
            Self::Unexpected(how) => format!("refused in another way than expected: {how}"),
            Self::Stopped(why) => format!("stopped: {why}"),
            Self::Nothing => "the machine came to an end".to_owned(),
            Self::NotBegun => "not begun: the machine came to an end before".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "@list a fault-14,no-effect succeeds nothing a page of the hypervisor\r\n\
        text\r\n@list b stopped resets limits a reset\r\n@list c fault-13 never nothing x\r\n";

    const LOG: &str = "@hv.guest x\r\n@try a\r\n@attempt a refused fault 14 code 3 at 00200000\r\n\
        @hv.stopped exit with code 0x10\r\n\
        @try b\r\n@hv.stopped reset\r\n\
        @try c\r\n@attempt c SUCCEEDED the memory was written\r\n\
        @try d\r\n@attempt d UNEXPECTED fault 6\r\n\
        @try e\r\n";

    fn attempt(name: &str) -> Attempt {
        Attempt { name: name.to_owned(), ..Attempt::list(LIST).remove(0) }
    }

    #[test]
    fn the_list_is_read() {
        let list = Attempt::list(LIST);
        assert_eq!(list.len(), 2, "a word that is none is no attempt");
        assert_eq!(
            (list[0].bare, list[0].needs, list[0].may_be_stopped),
            (Bare::Succeeds, Needs::Nothing, false)
        );
        assert_eq!(
            (list[1].bare, list[1].needs, list[1].may_be_stopped),
            (Bare::Resets, Needs::Limits, true)
        );
        assert_eq!(list[0].what, "a page of the hypervisor");
    }

    #[test]
    fn each_attempt_has_its_own_part_of_the_log() {
        for (name, said) in [
            ("a", Said::Refused("fault 14 code 3 at 00200000".to_owned())),
            ("b", Said::Stopped("reset".to_owned())),
            ("c", Said::Succeeded("the memory was written".to_owned())),
            ("d", Said::Unexpected("fault 6".to_owned())),
            ("e", Said::Nothing),
            ("f", Said::NotBegun),
        ] {
            assert_eq!(attempt(name).said(LOG), said, "{name}");
        }
    }

    #[test]
    fn only_a_refusal_that_counts_is_good() {
        let stopped = Said::Stopped("reset".to_owned());
        assert_eq!(Attempt::list(LIST)[1].complaint(&stopped), None);
        assert_eq!(attempt("a").complaint(&stopped).as_deref(), Some("stopped: reset"));
        assert_eq!(attempt("a").complaint(&Said::Refused(String::new())), None);
        for name in ["c", "d", "e", "f"] {
            assert!(attempt(name).complaint(&attempt(name).said(LOG)).is_some(), "{name}");
        }
    }
}
