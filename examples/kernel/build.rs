//! Links the kernel.

mod link;

fn main() {
    link::with_script("kernel.ld");
}
