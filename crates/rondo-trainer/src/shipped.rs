//! The configurations inside the program, and the texts that they read. They work without the
//! repository.
//!
//! The configurations are copied from configs/ at build time. In their comments, `trainer` replaces
//! `cargo run`, because an installed program is not built with cargo.

use std::fs;
use std::path::{Path, PathBuf};

use rondo_train::error::{Error, Result};

include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The folder in which configurations are written.
const FOLDER: &str = "configs";
/// The texts that configurations read, each with its path.
const TEXTS: [(&str, &str); 2] = [
    ("data/first.txt", include_str!("../../../data/first.txt")),
    ("data/sample.txt", include_str!("../../../data/sample.txt")),
];

/// A configuration inside the program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shipped {
    /// The path below configs/ without its extension: `main`, `gpu/main`, `sweeps/depth`,
    /// `field/sheets/injections`.
    pub(crate) name: &'static str,
    text: &'static str,
}

/// The result of writing a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// The file was written.
    Wrote(PathBuf),
    /// The file existed and was not changed.
    Kept(PathBuf),
}

impl Shipped {
    /// Returns every configuration, sorted by name.
    pub(crate) fn all() -> &'static [Self] {
        CONFIGURATIONS
    }

    /// Finds a configuration by its name.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such configuration. The message proposes the nearest name.
    pub(crate) fn find(name: &str) -> Result<Self> {
        let mut all = Self::all().iter();
        all.find(|one| one.name == name).copied().ok_or_else(|| {
            let names = Self::all().iter().map(|one| one.name);
            let hint = match rondo_config::nearest(name, names) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "`trainer configs` lists them".to_owned(),
            };
            Error::Usage(format!(
                "no configuration in the program is called `{name}`; {hint}"
            ))
        })
    }

    /// Returns the configuration for a path such as `configs/main.toml` or `main.toml`; `None` if
    /// there is none.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let mut all = Self::all().iter();
        all.find(|one| one.path() == path || one.path().strip_prefix(FOLDER) == Ok(path))
            .copied()
    }

    /// Returns the path at which the configuration is written, relative to the current folder.
    pub(crate) fn path(self) -> PathBuf {
        Path::new(FOLDER).join(format!("{}.toml", self.name))
    }

    /// Whether the configuration is a sweep file, which `trainer sweep` runs.
    pub(crate) fn is_sweep(self) -> bool {
        self.text.lines().any(|line| line.starts_with("base ="))
    }

    /// Returns the first sentence of the comment at the top of the file.
    pub(crate) fn about(self) -> String {
        let comments = self.text.lines().filter(|line| !line.starts_with("#:"));
        let head = comments.map_while(|line| line.strip_prefix('#'));
        let head = head.map(str::trim).take_while(|line| !line.is_empty());
        let text = head.collect::<Vec<_>>().join(" ");
        // The dots in `main.toml` and `et al. 2025` do not end the sentence.
        let ends = |at: &usize| match text[at + 1..].strip_prefix(' ') {
            Some(rest) => !rest.starts_with(|c: char| c.is_ascii_digit()),
            None => at + 1 == text.len(),
        };
        let mut marks = text.match_indices([':', '.']).map(|(at, _)| at);
        let end = marks.find(ends);
        text[..end.unwrap_or(text.len())].to_owned()
    }

    /// Returns the text with the commands of an installed program. The line that names the schema
    /// is left out, because the schema is not inside the program.
    fn written(self) -> String {
        let lines = self
            .text
            .lines()
            .filter(|line| !line.starts_with("#:schema"));
        lines
            .flat_map(|line| [installed(line), "\n".to_owned()])
            .collect()
    }

    /// Writes the configuration below `folder`. Also writes the text that it reads, and the
    /// configuration that it is based on. Existing files are kept.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be written.
    pub(crate) fn write(self, folder: &Path) -> Result<Vec<Put>> {
        let mut put = vec![put(folder, &self.path(), &self.written())?];
        for (path, text) in TEXTS {
            if self.names(path) {
                put.push(self::put(folder, Path::new(path), text)?);
            }
        }
        for other in Self::all() {
            if self.names(&other.path().to_string_lossy()) {
                put.extend(other.write(folder)?);
            }
        }
        Ok(put)
    }

    /// Whether a value in the configuration is the path `path`.
    fn names(self, path: &str) -> bool {
        let values = self.text.lines().filter(|line| !line.starts_with('#'));
        let quoted = format!("\"{path}\"");
        values.into_iter().any(|line| line.contains(&quoted))
    }
}

/// Replaces the `cargo run` command in a line, with or without features, by `trainer`.
fn installed(line: &str) -> String {
    const BUILT: &str = "cargo run ";
    const ARGUMENTS: &str = " -- ";
    let command = line.split_once(BUILT);
    let parts = command.and_then(|(before, rest)| Some((before, rest.split_once(ARGUMENTS)?.1)));
    match parts {
        Some((before, arguments)) => format!("{before}trainer {arguments}"),
        None => line.to_owned(),
    }
}

/// Writes a file if it does not exist.
fn put(folder: &Path, path: &Path, text: &str) -> Result<Put> {
    let path = folder.join(path);
    if path.exists() {
        return Ok(Put::Kept(path));
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(rondo_files::at("create", parent))?;
    }
    rondo_files::atomic_write(&path, text.as_bytes())?;
    Ok(Put::Wrote(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_says_what_it_is_and_is_found_by_name_and_path() {
        for one in Shipped::all() {
            let about = one.about();
            assert!(
                about.len() > 10 && !about.contains('#'),
                "{}: {about}",
                one.name
            );
            assert_eq!(Shipped::at(&one.path()).map(|it| it.name), Some(one.name));
            let alone = format!("{}.toml", one.name);
            assert_eq!(
                Shipped::at(Path::new(&alone)).map(|it| it.name),
                Some(one.name)
            );
            assert!(!one.written().contains("cargo run"), "{}", one.name);
        }
        let sweeps = Shipped::all().iter().filter(|one| one.is_sweep());
        let names: Vec<&str> = sweeps.map(|one| one.name).collect();
        let expected = [
            "field/sheets/fixed-or-random",
            "field/sheets/injections",
            "sweeps/depth",
            "sweeps/lr-schedules",
        ];
        assert_eq!(names, expected);
        let unknown = Shipped::find("firs").expect_err("no such name").to_string();
        assert!(unknown.ends_with("did you mean `first`?"), "{unknown}");
    }

    #[test]
    fn a_configuration_is_written_with_what_it_needs_and_nothing_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str| {
            let shipped = Shipped::find(name).expect("it is there");
            let put = shipped.write(folder.path()).expect("writable");
            put.into_iter()
                .map(|put| match put {
                    Put::Wrote(path) => ("wrote", path),
                    Put::Kept(path) => ("kept", path),
                })
                .map(|(what, path)| {
                    let path = path.strip_prefix(folder.path()).expect("below it");
                    format!("{what} {}", path.display())
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(
            write("first"),
            ["wrote configs/first.toml", "wrote data/first.txt"]
        );
        assert_eq!(
            write("first"),
            ["kept configs/first.toml", "kept data/first.txt"]
        );
        assert_eq!(
            write("sweeps/depth"),
            [
                "wrote configs/sweeps/depth.toml",
                "wrote configs/sweeps/lr-schedules-base.toml"
            ]
        );
        assert_eq!(
            write("field/sheets/injections"),
            [
                "wrote configs/field/sheets/injections.toml",
                "wrote configs/field/sheet-base.toml",
                "kept data/first.txt"
            ]
        );
    }
}
