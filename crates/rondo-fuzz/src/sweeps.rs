//! Sweep files.

use std::collections::BTreeSet;
use std::path::Path;

use rondo_config::{Document, to_toml};
use rondo_sweep::{SweepDir, SweepFile};

/// How many runs of a sweep are looked at closely.
const CLOSELY: usize = 8;

/// Reads a sweep file and expands it.
///
/// What is accepted prints as a file that reads back equal and expands to runs with names of their
/// own, whose assignments a configuration can take.
///
/// # Panics
///
/// Panics where that is not so.
pub fn sweep(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let file = match SweepFile::parse("sweep.toml", text) {
        Ok(file) => file,
        Err(violations) => {
            assert!(!violations.is_empty(), "refused without a reason");
            return;
        }
    };
    let printed = to_toml(&file).expect("what was read has a form in TOML");
    let again = SweepFile::parse("printed.toml", &printed);
    assert_eq!(again.as_ref(), Ok(&file), "{printed}");

    let sweep = SweepDir::new(Path::new("sweep"), &file);
    let runs = sweep.plan();
    let names: BTreeSet<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    assert!(!runs.is_empty() && names.len() == runs.len(), "{printed}");
    for run in runs.iter().take(CLOSELY) {
        let mut document = Document::parse("base.toml", "").expect("no text is TOML");
        for assignment in run.assignments() {
            document.set(&assignment);
        }
        let read = document.table();
        assert!(read.is_ok(), "{run:?}: {read:?}");
    }
}
