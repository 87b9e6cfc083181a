//! Host tests of the driver.

#[cfg(not(target_arch = "x86"))]
mod exploration;
mod lateness;
#[cfg(not(target_arch = "x86"))]
mod plain;
mod source;
#[cfg(not(target_arch = "x86"))]
mod support;
