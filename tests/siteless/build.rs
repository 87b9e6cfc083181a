//! Links by the script of the example kernel.

#[path = "../../examples/kernel/link.rs"]
mod link;

fn main() {
    link::with_script("../../examples/kernel/kernel.ld");
}
