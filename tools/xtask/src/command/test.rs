//! `cargo xtask test`: everything that must hold before a change is good.

use anyhow::{Result, bail};

use crate::artifact::Package;
use crate::checks::{
    api, audit, boots, builds, codegen, foreign, host, hostile, linux32, oldest, outside, refusals,
    self_test, shared, siteless, soundness, wrong,
};
use crate::environment::Roms;
use crate::suite::Suite;
use crate::toolchain::{Install, Toolchain};

/// Runs all steps and prints what became of them.
pub fn test(only: Option<String>, install: Install) -> Result<()> {
    let toolchain = Toolchain::find(install)?;
    let compiler = &toolchain.compiler;
    let mut roms = Roms::default();
    let mut suite = Suite::new(only);
    eprintln!("Rust: {}\nemulator: {}", compiler.describe(), toolchain.emulator.describe());

    suite.step("formatting", host::formatting);
    suite.step("lints", host::lints);
    suite.step("rules for unsafe code", soundness::soundness);
    suite.step("lints for i386", || host::i386_lints(compiler));
    suite.step("tests on the host", host::tests);
    suite.step("tests on the host, critical-section", host::tests_with_critical_section);
    suite.step("tests on the host, planted bug", host::tests_with_planted_bug);
    suite.step("a user's crate", outside::outside);
    suite.step("tests in a 32-bit process", || linux32::tests(compiler, install));
    suite.step("patched sites in a 32-bit process", || linux32::sites(compiler, install));
    suite.step("lints of the benchmarks", || linux32::benches(compiler, install));
    suite.step("documentation", host::documentation);
    suite.step("oldest compiler", || oldest::oldest(install));
    suite.step("public interface", || api::api(install));
    suite.step("builds for i386", || builds::builds(compiler));
    suite.step("audit: kernels", || audit::kernels(compiler));
    suite.step("audit: planted instructions", || audit::planted(compiler));
    suite.step("audit: damaged kernels", || audit::damaged(compiler));
    suite.step("audit: a foreign kernel", || foreign::foreign(install));
    suite.step("machine code: order of stores", || codegen::codegen(compiler));
    suite.step("machine code: shared memory", || shared::shared(compiler));
    suite.step("boots", || boots::boots(&toolchain, &mut roms, Package::KERNEL));
    suite.step("boots, indirect", || boots::boots(&toolchain, &mut roms, Package::INDIRECT_KERNEL));
    suite.step("wrong ROMs: registers", || wrong::breaches(&toolchain, &mut roms));
    suite.step("wrong ROMs: no effect", || wrong::nothing(&toolchain, &mut roms));
    suite.step("ROMs that lie later", || self_test::self_test(&toolchain, &mut roms));
    suite.step("one processor", || wrong::alone(&toolchain, &mut roms));
    suite.step("hostile guest on bare metal", || hostile::bare(&toolchain, &mut roms));
    suite.step("hostile guest in QEMU", || hostile::hostile(&toolchain, &mut roms));
    suite.step("hostile guest in QEMU, calls", || hostile::with_calls(&toolchain, &mut roms));
    suite.step("hostile guest in Bochs", || hostile::second_opinion(&toolchain, install, &mut roms));
    suite.step("boots without sites", || siteless::siteless(&toolchain, &mut roms));
    suite.step("refusals", || refusals::refusals(&toolchain, &mut roms));

    println!("\n{suite}");
    match suite.totals() {
        (0, 0) => bail!("no step has such a name"),
        (_, 0) => Ok(()),
        (_, failed) => bail!("{failed} checks failed"),
    }
}
