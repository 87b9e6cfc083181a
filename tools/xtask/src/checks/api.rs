//! The public interface of each library is the one that `docs/api` lists.

use anyhow::Result;

use crate::api;
use crate::suite::Finding;
use crate::toolchain::Install;

/// Compares each list with the one that is kept.
pub fn api(install: Install) -> Result<Vec<Finding>> {
    let finding = |listing: &api::Listing| {
        let complaints = match listing.differences() {
            Ok(differences) if differences.is_empty() => Vec::new(),
            Ok(mut differences) => {
                differences.insert(
                    0,
                    "the interface has changed; if it should, run `cargo xtask bless`:".to_owned(),
                );
                differences
            }
            Err(error) => vec![format!("{error:#}; run `cargo xtask bless`")],
        };
        Finding::new(&listing.name, &complaints)
    };
    Ok(api::listings(install)?.iter().map(finding).collect())
}
