//! Links the hypervisor.

#[path = "../kernel/link.rs"]
mod link;

fn main() {
    link::with_script("hypervisor.ld");
}
