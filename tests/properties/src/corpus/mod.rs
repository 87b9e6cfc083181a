//! The inputs that are kept in `fuzz/corpus/`, and what becomes of each.
//!
//! They are where fuzzing starts, and a test gives them to the properties every time. Most are [made] by this
//! crate; an input that fuzzing has found to be worth keeping is put beside them. `README.md` there says what becomes of
//! every one: [`table`] writes it.

mod seeds;

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::plan::Case;
use crate::{boot, plan, probe, records};

pub use seeds::made;

/// What the inputs of one directory are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// The bytes from C0000 on: a ROM.
    Images,
    /// A [`Case`].
    Plan,
    /// The section `vmi_sites`.
    Records,
}

/// An input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// What it is.
    pub form: Form,
    /// The name of its file.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Images, Self::Plan, Self::Records];

    /// The name of the directory.
    pub const fn directory(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Plan => "plan",
            Self::Records => "records",
        }
    }
}

impl Input {
    /// What becomes of the input, in words.
    ///
    /// # Panics
    ///
    /// If a property does not hold.
    pub fn outcome(&self) -> String {
        let patched = |result: Result<usize, _>| match result {
            Ok(sites) => format!("patched, {sites} sites"),
            Err(refusal) => crate::Refusal::to_string(&refusal),
        };
        match self.form {
            Form::Images => {
                _ = probe::check(&self.bytes);
                boot::check(&self.bytes).to_string()
            }
            Form::Plan => patched(plan::check(&Case::decode(&self.bytes))),
            Form::Records => patched(records::check(&self.bytes)),
        }
    }
}

/// Writes directory and file.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.form.directory(), self.name)
    }
}

/// Where the inputs are kept.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

/// All inputs that are kept in `directory`, in order.
///
/// # Errors
///
/// If they cannot be read.
pub fn kept(directory: &Path) -> io::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for form in Form::ALL {
        for entry in fs::read_dir(directory.join(form.directory()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            inputs.push(Input { form, name, bytes: fs::read(path)? });
        }
    }
    inputs.sort();
    Ok(inputs)
}

/// What becomes of each input: the contents of `README.md` beside them.
///
/// # Panics
///
/// If a property does not hold.
pub fn table(inputs: &[Input]) -> String {
    let mut text = HEAD.to_owned();
    for input in inputs {
        // A string takes everything.
        _ = writeln!(text, "| `{input}` | {} |", input.outcome());
    }
    text
}

/// What stands above the table.
const HEAD: &str = "\
# Kept inputs

Fuzzing starts here, and `cargo test` gives each of them to the properties in
[`tests/properties`](../../tests/properties). `images` are ROMs at C0000, one for each way in which `Bend` of
`paravirt-vmi-rom-image` bends the images of each generation; `plan` are kernels in front of ROMs, `records` sections
`vmi_sites`. An input that shows something new is put beside them. `cargo xtask bless` writes this table and those inputs
that it can make.

| input | what becomes of it |
|---|---|
";
