//! The folder in which a relative path was looked for.

use std::io::{Error, ErrorKind};
use std::path::Path;

/// Returns text to append to the message that `path` could not be read because of `error`. If
/// `path` is relative and does not exist, the text names the current folder; otherwise it is empty.
pub fn looked_in(path: &Path, error: &Error) -> String {
    let is_missing = error.kind() == ErrorKind::NotFound;
    if path.is_absolute() || path.as_os_str().is_empty() || !is_missing {
        return String::new();
    }
    std::env::current_dir().map_or_else(
        |_| String::new(),
        |folder| {
            format!(
                "; it was looked for in {}, where the program runs: relative paths start there",
                folder.display()
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_that_is_not_there_is_told_with_its_folder() {
        let missing = Error::from(ErrorKind::NotFound);
        let here = std::env::current_dir().expect("a folder");
        let told = looked_in(Path::new("data/sample.txt"), &missing);
        assert!(told.contains(&*here.to_string_lossy()), "{told}");
        assert_eq!(looked_in(&here.join("sample.txt"), &missing), "");
        let denied = Error::from(ErrorKind::PermissionDenied);
        assert_eq!(looked_in(Path::new("data/sample.txt"), &denied), "");
    }
}
