//! A model of ours in the reference's layout, or as it is in another type.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rondo_files::{DType, TensorStream};
use rondo_model::config::ModelConfig;
use rondo_model::init::table;
use serde_json::Value;

use crate::archive::Archive;
use crate::copying::{Conversion, copy};
use crate::description::{describe, differences, inexpressible, there};
use crate::element::Element;
use crate::error::ReferenceError;
use crate::names::{Counterpart, EMBEDDING, ROTARY, counterpart};
use crate::rotary;
use crate::special::SpecialTokens;
use crate::vanished::Vanished;

/// A model that the layout can express, and the file of its weights under our names.
#[derive(Debug)]
pub struct Export {
    /// The model as the reference has it.
    there: ModelConfig,
    warnings: Vec<String>,
    /// What the token embeddings are divided by, where the two multiply them by different factors.
    divisor: Option<f64>,
    path: PathBuf,
    archive: Archive,
    element: Element,
    /// Our name and counterpart by the reference's name.
    parameters: BTreeMap<String, (String, Counterpart)>,
}

impl Export {
    /// Checks that the layout can express `model`, whose weights are in the file at `path`, and
    /// that all of them are there.
    ///
    /// # Errors
    ///
    /// With every reason why it cannot, or where the file cannot be read or is of another model.
    pub fn new(model: &ModelConfig, path: &Path, element: Element) -> Result<Self, ReferenceError> {
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
            } else if let Some(counterpart) = counterpart(&row) {
                parameters.insert(counterpart.name.clone(), (row.name, counterpart));
            }
        }
        if !problems.is_empty() {
            return Err(ReferenceError::malformed(path, problems.join(", ")));
        }
        let there = there(model);
        let factor = there.embedding_scale() / model.embedding_scale();
        Ok(Self {
            divisor: ((factor - 1.0).abs() > f64::EPSILON).then_some(factor),
            warnings: differences(model),
            there,
            path: path.to_owned(),
            archive,
            element,
            parameters,
        })
    }

    /// Returns what the reference would do otherwise with this model.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns `config.json`.
    pub fn config(&self, special: &SpecialTokens) -> Value {
        describe(&self.there, self.element, special)
    }

    /// Returns the weights under the reference's names and in its layout; they are read, converted
    /// and checked one tensor at a time when the stream is written. Those that become 0 are counted
    /// in `vanished`.
    ///
    /// The rotary tables are written as the reference saves them, in f32. A tied head is left out,
    /// as there.
    ///
    /// # Errors
    ///
    /// Where there are too many tensors for one file.
    pub fn weights<'w>(
        &'w self,
        vanished: &'w Vanished,
    ) -> Result<TensorStream<'w>, ReferenceError> {
        let parameters = self.parameters.iter();
        let parameters = parameters
            .map(|(name, (_, there))| (name.clone(), self.element.dtype(), there.shape.clone()));
        let tables = (ROTARY.to_owned(), DType::F32, rotary::shape(&self.there));
        let tensors = parameters.chain([tables]);
        let write = |name: &str, out: &mut dyn io::Write| {
            let Some((ours, there)) = self.parameters.get(name) else {
                return rotary::write(&self.there, out);
            };
            let into = Conversion {
                element: self.element,
                transposed: there.transposed,
                divisor: self.divisor.filter(|_| name == EMBEDDING),
                vanished,
            };
            copy(&self.archive.entries[ours], into, out)
        };
        stream(&self.path, tensors, write)
    }
}

/// Hands the weights of the file at `path` on as they are, in another type. Those that become 0 are
/// counted in `vanished`.
///
/// # Errors
///
/// Where the file cannot be read.
pub fn plain<'w>(
    path: &Path,
    element: Element,
    vanished: &'w Vanished,
) -> Result<TensorStream<'w>, ReferenceError> {
    let archive = Archive::of_file(path)?;
    let tensors: Vec<_> = archive
        .entries
        .iter()
        .map(|(name, entry)| (name.clone(), element.dtype(), entry.located.shape.clone()))
        .collect();
    let write = move |name: &str, out: &mut dyn io::Write| {
        let into = Conversion {
            element,
            transposed: false,
            divisor: None,
            vanished,
        };
        copy(&archive.entries[name], into, out)
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
