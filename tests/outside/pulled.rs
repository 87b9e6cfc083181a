//! The same with `critical-section`'s own code in the program: without optimisation it comes with that of `std`.

mod sections;

#[test]
fn the_other_implementation_is_linked_too() {
    let state = std::hint::black_box(critical_section::RestoreState::invalid());
    assert_eq!(format!("{state:?}"), "RestoreState(false)");
}
