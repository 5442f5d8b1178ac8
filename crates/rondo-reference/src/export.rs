//! A model of ours in the reference's layout, or as it is in another type.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rondo_checkpoint::{DType, TensorStream};
use rondo_model::config::ModelConfig;
use rondo_model::init::table;
use serde_json::Value;

use crate::archive::Archive;
use crate::copying::copy;
use crate::description::{describe, differences, inexpressible};
use crate::element::Element;
use crate::error::ReferenceError;
use crate::names::{Counterpart, counterpart};

/// A model that the layout can express, and the file of its weights under our names.
#[derive(Debug)]
pub struct Export<'a> {
    model: &'a ModelConfig,
    path: PathBuf,
    archive: Archive,
    element: Element,
    /// Our name and counterpart by the reference's name.
    parameters: BTreeMap<String, (String, Counterpart)>,
}

impl<'a> Export<'a> {
    /// Checks that the layout can express `model`, whose weights are in the file at `path`, and
    /// that all of them are there.
    ///
    /// # Errors
    ///
    /// With every reason why it cannot, or where the file cannot be read or is of another model.
    pub fn new(
        model: &'a ModelConfig,
        path: &Path,
        element: Element,
    ) -> Result<Self, ReferenceError> {
        let reasons = inexpressible(model);
        if !reasons.is_empty() {
            return Err(ReferenceError::Inexpressible { reasons });
        }
        let archive = Archive::of_file(path)?;
        let mut parameters = BTreeMap::new();
        let mut problems = Vec::new();
        for row in table(model) {
            let entry = archive.entries.get(&row.name);
            if entry.is_none_or(|entry| entry.located.shape != row.shape) {
                let (name, shape) = (&row.name, &row.shape);
                problems.push(format!("tensor {name} {shape:?} is missing"));
            } else if let Some(there) = counterpart(&row) {
                parameters.insert(there.name.clone(), (row.name, there));
            }
        }
        if !problems.is_empty() {
            return Err(ReferenceError::malformed(path, problems.join(", ")));
        }
        Ok(Self {
            model,
            path: path.to_owned(),
            archive,
            element,
            parameters,
        })
    }

    /// Returns what the reference would do otherwise with this model.
    pub fn warnings(&self) -> Vec<String> {
        differences(self.model)
    }

    /// Returns `config.json`; `end_of_text` is the token that ends a text, where there is a
    /// tokenizer.
    pub fn config(&self, end_of_text: Option<u32>) -> Value {
        describe(self.model, self.element, end_of_text)
    }

    /// Returns the weights under the reference's names and in its layout; they are read, converted
    /// and checked one tensor at a time when the stream is written.
    ///
    /// The rotary tables and a tied head are left out: the reference computes them.
    ///
    /// # Errors
    ///
    /// Where there are too many tensors for one file.
    pub fn weights(&self) -> Result<TensorStream<'_>, ReferenceError> {
        let tensors = self
            .parameters
            .iter()
            .map(|(name, (_, there))| (name.clone(), self.element.dtype(), there.shape.clone()));
        let write = |name: &str, out: &mut dyn io::Write| {
            let (ours, there) = &self.parameters[name];
            let entry = &self.archive.entries[ours];
            copy(entry, self.element, there.transposed, out)
        };
        stream(&self.path, tensors, write)
    }
}

/// Hands the weights of the file at `path` on as they are, in another type.
///
/// # Errors
///
/// Where the file cannot be read.
pub fn plain(path: &Path, element: Element) -> Result<TensorStream<'static>, ReferenceError> {
    let archive = Archive::of_file(path)?;
    let tensors: Vec<_> = archive
        .entries
        .iter()
        .map(|(name, entry)| (name.clone(), element.dtype(), entry.located.shape.clone()))
        .collect();
    let write = move |name: &str, out: &mut dyn io::Write| {
        copy(&archive.entries[name], element, false, out)
    };
    stream(path, tensors, write)
}

fn stream<'w>(
    path: &Path,
    tensors: impl IntoIterator<Item = (String, DType, Vec<usize>)>,
    write: impl Fn(&str, &mut dyn io::Write) -> io::Result<()> + 'w,
) -> Result<TensorStream<'w>, ReferenceError> {
    // Python's loader refuses a file that does not say this.
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    TensorStream::new(tensors, &metadata, write).map_err(ReferenceError::file(path))
}
