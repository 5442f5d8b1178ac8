//! Compares pictures with the approved pictures in tests/golden/figures.

use std::fs;
use std::path::Path;

use crate::picture::Picture;

/// Compares a picture with its golden SVG, or writes the golden SVG if `RONDO_BLESS` is set.
#[track_caller]
pub(crate) fn check(name: &str, picture: &Picture) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/figures");
    let path = Path::new(folder).join(name).with_extension("svg");
    let found = picture.svg();
    if std::env::var_os("RONDO_BLESS").is_some() {
        fs::create_dir_all(folder).expect("a folder can be made");
        fs::write(&path, &found).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&path).expect("the golden file is there");
    let differing = expected.lines().zip(found.lines()).find(|(a, b)| a != b);
    assert!(
        found == expected,
        "{name} differs, first in {differing:?}; RONDO_BLESS=1 writes it anew"
    );
}

/// Returns the contents of the three files of a picture.
pub(crate) fn files(picture: &Picture) -> Vec<Vec<u8>> {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let paths = picture.save(scratch.path()).expect("three files");
    let read = |path| fs::read(path).expect("a file");
    paths.into_iter().map(read).collect()
}
