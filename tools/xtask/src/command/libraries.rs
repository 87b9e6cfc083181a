//! `cargo xtask api` and `cargo xtask msrv`: what the libraries promise.

use anyhow::{Result, bail};

use crate::checks::{api, oldest};
use crate::suite::Suite;
use crate::toolchain::Install;

/// Compares the public interface of the libraries with the lists in `docs/api`.
pub fn api(install: Install) -> Result<()> {
    finish(|suite| suite.step("public interface", || api::api(install)))
}

/// Checks the libraries with the oldest compiler that they promise to build with.
pub fn msrv(install: Install) -> Result<()> {
    finish(|suite| suite.step("oldest compiler", || oldest::oldest(install)))
}

fn finish(step: impl FnOnce(&mut Suite)) -> Result<()> {
    let mut suite = Suite::default();
    step(&mut suite);
    println!("{suite}");
    match suite.totals() {
        (_, 0) => Ok(()),
        (_, failed) => bail!("{failed} checks failed"),
    }
}
