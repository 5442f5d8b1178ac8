//! Reads sweep files.

use std::collections::BTreeSet;

use rondo_config::{Document, to_toml};
use rondo_sweep::SweepFile;

/// The maximum number of runs of a sweep whose layout is checked.
const LAID_OUT: usize = 1000;
/// The number of runs of a sweep that are checked in detail.
const CLOSELY: usize = 8;

/// Reads a sweep file and expands it.
///
/// An accepted sweep, printed as a file, must read back equal. It must expand to runs with distinct
/// names, and a configuration must accept their assignments. If the sweep has a layout that fits,
/// the layout must contain each run once.
///
/// # Panics
///
/// Panics if one of these properties does not hold.
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

    let runs = file.runs();
    // The names must differ even without case, because some file systems ignore it.
    let names: BTreeSet<String> = runs.iter().map(|run| run.name.to_lowercase()).collect();
    assert!(!runs.is_empty() && names.len() == runs.len(), "{printed}");
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "._+-=,".contains(c);
    for name in &names {
        assert!(name.len() < 200 && name.chars().all(is_safe), "{name}");
    }
    let sheet = file.sheet().filter(|_| runs.len() <= LAID_OUT);
    if let Some(Ok(arranged)) = sheet.map(|sheet| sheet.arrange(&runs)) {
        let mut places: Vec<usize> = arranged.cells.concat().concat();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..runs.len()), "{printed}");
    }
    for run in runs.iter().take(CLOSELY) {
        let mut document = Document::parse("base.toml", "").expect("no text is TOML");
        for assignment in run.assignments() {
            document.set(&assignment);
        }
        let read = document.table();
        assert!(read.is_ok(), "{run:?}: {read:?}");
    }
}
