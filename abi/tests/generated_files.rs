//! The generated files in the repository are those that the crate renders now.

use paravirt_vmi_abi::render;
use std::path::Path;

#[test]
fn the_generated_files_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (path, render) in render::FILES {
        let mut expected = String::new();
        render(&mut expected).expect("a String takes everything");
        let found = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        if let Some(line) = first_difference(&expected, &found) {
            panic!("{path} is stale from line {line} on: run `cargo xtask bless`");
        }
    }
}

#[test]
fn every_generated_file_ends_in_a_newline_and_has_no_blank_at_a_line_end() {
    for (path, render) in render::FILES {
        let mut text = String::new();
        render(&mut text).expect("a String takes everything");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{path}");
        for (index, line) in text.lines().enumerate() {
            assert!(!line.ends_with(char::is_whitespace), "{path}, line {}", index + 1);
        }
    }
}

/// The number of the first line in which the texts differ.
fn first_difference(expected: &str, found: &str) -> Option<usize> {
    if expected == found {
        return None;
    }
    let same = expected.split('\n').zip(found.split('\n')).take_while(|(a, b)| a == b).count();
    Some(same + 1)
}
