//! A finished picture, and its three files.

use std::fs;
use std::path::{Path, PathBuf};

use rondo_files::{FileSystem, StagedFile, at};

use crate::error::FigureError;
use crate::scene::Scene;
use crate::table::Table;
use crate::{png, svg};

/// A picture with the numbers that it shows.
#[derive(Clone, Debug)]
pub struct Picture {
    name: &'static str,
    scene: Scene,
    table: Table,
}

impl Picture {
    /// Makes a picture from a name, a scene and its table.
    pub(crate) fn new(name: &'static str, scene: Scene, table: Table) -> Self {
        Self { name, scene, table }
    }

    /// Returns the picture's name, from which the names of its files are made.
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

    /// Writes `NAME.svg`, `NAME.png` and `NAME.csv` into `dir`, and returns their paths in this
    /// order. Creates `dir` if it is missing.
    ///
    /// Each file is staged (written under a temporary name and synced). When all three are staged,
    /// they are renamed into place, and replace the files of an earlier picture with this name.
    ///
    /// # Errors
    /// [`FigureError::Io`] if the system refuses an action, [`FigureError::Raster`] if the picture
    /// is too large for a PNG. In these cases, staged files are removed.
    pub fn save(&self, dir: &Path) -> Result<Vec<PathBuf>, FigureError> {
        let path = |ending| dir.join(format!("{}.{ending}", self.name));
        let [svg_path, png_path, csv_path] = ["svg", "png", "csv"].map(path);
        let drawing = self.svg();
        let pixels = png::file(&drawing, self.scene.width, self.scene.height);
        let pixels = pixels.map_err(|message| FigureError::Raster {
            path: png_path.clone(),
            message,
        })?;
        let files = [
            (svg_path, drawing.as_bytes()),
            (png_path, pixels.as_slice()),
            (csv_path, self.csv().as_bytes()),
        ];
        fs::create_dir_all(dir).map_err(at("create", dir))?;
        let mut staged = Vec::new();
        for (path, bytes) in &files {
            let written = StagedFile::write(&FileSystem, path, |out| out.write_all(bytes));
            staged.push(written?);
        }
        for file in staged {
            file.commit()?;
        }
        Ok(files.into_iter().map(|(path, _)| path).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        Picture::new("dot", Scene::new(8, 8), Table::new("x"))
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
