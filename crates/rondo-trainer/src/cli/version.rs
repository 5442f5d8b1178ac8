//! The text that `trainer --version` prints.

/// The version, the commit and the cargo features, written by the build script. `-V` prints only
/// the version.
pub(super) const LONG: &str = include_str!(concat!(env!("OUT_DIR"), "/version.txt"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_names_the_commit_and_the_features_of_the_build() {
        let lines: Vec<&str> = LONG.lines().collect();
        assert_eq!(lines[0], env!("CARGO_PKG_VERSION"));
        assert!(lines[1].starts_with("commit    "), "{LONG}");
        assert!(lines[2].starts_with("features  "), "{LONG}");
        assert_eq!(lines[2].contains("wgpu"), cfg!(feature = "wgpu"), "{LONG}");
        assert_eq!(lines[2].contains("mpi"), cfg!(feature = "mpi"), "{LONG}");
    }
}
