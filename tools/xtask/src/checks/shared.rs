//! In a kernel the types of `paravirt_vmi::sync` cost nothing: the machine code of the functions `shared_*` in the
//! package `codegen`.

use anyhow::{Context as _, Result};
use object::{File, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget};

use super::codegen::each_object;
use crate::suite::Finding;
use crate::toolchain::Compiler;
use vmi_audit::disassembly;

/// What the functions' names begin with.
const PREFIX: &str = "shared_";

/// The functions, what they access, and their instructions; the address is filled in by the linker.
const EXPECTED: [(&str, &str, &str); 5] = [
    ("shared_atomic_load", "SHARED_ATOMIC", "mov eax, [0]; ret"),
    ("shared_atomic_store", "SHARED_ATOMIC", "mov dword ptr [0], 7; ret"),
    ("shared_atomic_add", "SHARED_ATOMIC", "lock add dword ptr [0], 7; ret"),
    ("shared_cell_load", "SHARED_CELL", "mov eax, [0]; ret"),
    ("shared_cell_store", "SHARED_CELL", "mov dword ptr [0], 7; ret"),
];

/// A function: its name, what it refers to, and its instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    name: String,
    accesses: Vec<String>,
    code: String,
}

/// Looks at the machine code of each function.
pub fn shared(compiler: &Compiler) -> Result<Vec<Finding>> {
    let mut functions = Vec::new();
    each_object(compiler, |file| {
        functions.extend(functions_of(file)?);
        Ok(())
    })?;
    Ok(findings(&functions))
}

/// Compares the functions with those that are expected.
fn findings(functions: &[Function]) -> Vec<Finding> {
    let unexpected = functions.iter().filter(|found| EXPECTED.iter().all(|(name, ..)| found.name != *name));
    let unexpected =
        unexpected.map(|found| Finding::new(&*found.name, &["nothing is expected of it".to_owned()]));
    let expected = EXPECTED.iter().map(|(name, variable, code)| {
        let complaint = match functions.iter().find(|found| found.name == *name) {
            None => Some("the library does not have it".to_owned()),
            Some(found) if found.code != *code || found.accesses != [*variable] => Some(format!(
                "found `{}`, which accesses {:?}; expected `{code}`",
                found.code, found.accesses
            )),
            Some(_) => None,
        };
        Finding::new(*name, complaint.as_slice())
    });
    expected.chain(unexpected).collect()
}

/// The functions of an object file.
fn functions_of(file: &File<'_>) -> Result<Vec<Function>> {
    let mut functions = Vec::new();
    for symbol in file.symbols() {
        let name = symbol.name().unwrap_or_default();
        if !name.starts_with(PREFIX) || !symbol.is_definition() {
            continue;
        }
        let index = symbol.section_index().with_context(|| format!("{name} has no section"))?;
        let section = file.section_by_index(index)?;
        let (start, end) = (symbol.address(), symbol.address() + symbol.size());
        let range = usize::try_from(start)?..usize::try_from(end)?;
        let code = section.data()?.get(range).context("a function does not lie in its section")?;
        let mut accesses = Vec::new();
        for (offset, relocation) in section.relocations() {
            if let RelocationTarget::Symbol(index) = relocation.target()
                && (start..end).contains(&offset)
            {
                accesses.push(file.symbol_by_index(index)?.name()?.to_owned());
            }
        }
        functions.push(Function { name: name.to_owned(), accesses, code: disassembly::line(code, 0) });
    }
    Ok(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions() -> Vec<Function> {
        let function = |(name, variable, code): &(&str, &str, &str)| Function {
            name: (*name).to_owned(),
            accesses: vec![(*variable).to_owned()],
            code: (*code).to_owned(),
        };
        EXPECTED.iter().map(function).collect()
    }

    fn complaints(functions: &[Function]) -> Vec<String> {
        findings(functions).into_iter().filter_map(|finding| finding.failure).collect()
    }

    #[test]
    fn the_plain_instructions_are_accepted() {
        assert!(complaints(&functions()).is_empty());
    }

    #[test]
    fn other_instructions_other_variables_and_other_functions_are_refused() {
        let mut slow = functions();
        slow[0].code = "push ebp; mov eax, [0]; pop ebp; ret".to_owned();
        let [complaint] = &complaints(&slow)[..] else { panic!() };
        assert!(complaint.starts_with("found `push ebp;"), "{complaint}");
        let mut other = functions();
        other[1].accesses.push("panic".to_owned());
        assert_eq!(complaints(&other).len(), 1);
        let mut missing = functions();
        missing[2].name = "shared_new".to_owned();
        assert_eq!(complaints(&missing), ["the library does not have it", "nothing is expected of it"]);
    }
}
