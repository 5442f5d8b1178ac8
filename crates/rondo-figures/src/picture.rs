//! A finished picture, and the three files it becomes.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{FigureError, at};
use crate::scene::Scene;
use crate::table::Table;
use crate::{raster, svg};

/// A picture with the numbers it shows.
#[derive(Clone, Debug)]
pub struct Picture {
    name: &'static str,
    scene: Scene,
    table: Table,
}

impl Picture {
    /// Joins a scene and its table under a name.
    pub(crate) fn new(name: &'static str, scene: Scene, table: Table) -> Self {
        Self { name, scene, table }
    }

    /// Returns the picture's name, which its files carry.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the picture as SVG.
    pub fn svg(&self) -> String {
        svg::document(&self.scene)
    }

    /// Returns the numbers that the picture shows, as CSV.
    pub fn csv(&self) -> &str {
        self.table.as_str()
    }

    /// Writes `NAME.svg`, `NAME.png` and `NAME.csv` into `dir`, which is made where it is missing, and
    /// returns their paths in this order.
    ///
    /// Each file is written aside and synced; once all three are, they are renamed into place. Files of
    /// an earlier picture of this name are replaced.
    ///
    /// # Errors
    /// [`FigureError::Io`] where the system refuses, [`FigureError::Raster`] where the picture is too
    /// large for a PNG. What was written aside is removed.
    pub fn save(&self, dir: &Path) -> Result<Vec<PathBuf>, FigureError> {
        let path = |ending| dir.join(format!("{}.{ending}", self.name));
        let [svg, png, csv] = ["svg", "png", "csv"].map(path);
        let pixels = raster::png(&self.scene).map_err(|message| FigureError::Raster {
            path: png.clone(),
            message,
        })?;
        let drawing = self.svg();
        let files = [
            (svg, drawing.as_bytes()),
            (png, pixels.as_slice()),
            (csv, self.csv().as_bytes()),
        ];
        fs::create_dir_all(dir).map_err(at("create", dir))?;
        let written = files
            .iter()
            .try_for_each(|(path, bytes)| write_aside(path, bytes))
            .and_then(|()| {
                files.iter().try_for_each(|(path, _)| {
                    fs::rename(aside(path), path).map_err(at("rename", path))
                })
            });
        if written.is_err() {
            // The first error is the one worth reporting.
            files.iter().for_each(|(path, _)| {
                let _ = fs::remove_file(aside(path));
            });
        }
        written.map(|()| files.into_iter().map(|(path, _)| path).collect())
    }
}

/// Returns `.FILE.aside` next to `FILE`.
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.aside"))
}

fn write_aside(path: &Path, bytes: &[u8]) -> Result<(), FigureError> {
    let aside = aside(path);
    let mut file = File::create(&aside).map_err(at("create", &aside))?;
    file.write_all(bytes).map_err(at("write", &aside))?;
    file.sync_all().map_err(at("sync", &aside))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        Picture::new("dot", Scene::new(8, 8), Table::new(["x"]))
    }

    #[test]
    fn three_files_appear_in_a_new_folder_and_nothing_else() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let dir = scratch.path().join("a/b");
        let files = picture().save(&dir).expect("a picture");
        assert_eq!(
            files,
            ["dot.svg", "dot.png", "dot.csv"].map(|name| dir.join(name))
        );
        assert_eq!(fs::read_dir(&dir).expect("the folder").count(), 3);
        assert_eq!(fs::read(&files[2]).expect("the table"), b"x\n");
    }

    #[test]
    fn a_refused_write_names_the_file_and_leaves_no_leftover() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let blocked = scratch.path().join("dot.png");
        fs::create_dir_all(blocked.join("inside")).expect("a folder in the way");
        let error = picture().save(scratch.path()).expect_err("a refusal");
        assert!(error.to_string().contains("dot.png"), "{error}");
        let leftovers = fs::read_dir(scratch.path())
            .expect("the folder")
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".aside"))
            .count();
        assert_eq!(leftovers, 0);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let file = scratch.path().join("file");
        fs::write(&file, "").expect("a file");
        let error = picture().save(&file.join("sub")).expect_err("a refusal");
        assert!(error.to_string().starts_with("cannot create "), "{error}");
    }
}
