//! The driver says which source it was built from.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use vmi_sampler::source::{SOURCES, hash};

#[test]
fn the_hash_is_fnv_1a() {
    assert_eq!(hash(b""), 0xCBF2_9CE4_8422_2325);
    assert_eq!(hash(b"a"), 0xAF63_DC4C_8601_EC8C);
    assert_eq!(hash(b"foobar"), 0x8594_4171_F739_67E8);
}

#[test]
fn every_file_of_the_source_is_in_the_list_with_the_hash_that_it_has_on_disk() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut on_disk = BTreeMap::new();
    for entry in fs::read_dir(&directory).expect("the source is there") {
        let entry = entry.expect("the directory can be read");
        let file = entry.file_name().into_string().expect("a name in UTF-8");
        assert!(entry.path().is_file(), "{file} is not a file, and cannot be in the list");
        on_disk.insert(file, hash(&fs::read(entry.path()).expect("the file can be read")));
    }
    let listed: BTreeMap<_, _> = SOURCES.map(|source| (source.file.to_owned(), source.hash)).into();
    assert_eq!(listed, on_disk);
}
