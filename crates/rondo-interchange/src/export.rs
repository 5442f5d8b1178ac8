//! Export of a model in the layout of a family, or in this program's layout with another number
//! type.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rondo_files::{DType, TensorStream};
use rondo_model::config::ModelConfig;
use rondo_model::init::{Role, table};
use serde_json::Value;

use crate::archive::Archive;
use crate::copying::{Conversion, Part, copy};
use crate::element::Element;
use crate::error::InterchangeError;
use crate::family::Family;
use crate::layout::{Counterpart, Stored};
use crate::special::SpecialTokens;
use crate::vanished::Vanished;

/// A model that the layout of a family can express, and the file that holds its weights. In this
/// file, tensors have this program's names.
#[derive(Debug)]
pub struct Export {
    family: Family,
    /// The model, changed to the form that the layout of `family` can express.
    model: ModelConfig,
    warnings: Vec<String>,
    path: PathBuf,
    archive: Archive,
    element: Element,
    /// The parameter that each exported tensor is made from, by the tensor's name in the layout.
    /// Tables are not included.
    parameters: BTreeMap<String, Parameter>,
}

#[derive(Debug)]
struct Parameter {
    /// The parameter's name in this program.
    name: String,
    /// The shape of the layout's tensor.
    shape: Vec<usize>,
    transposed: bool,
    /// The part of the parameter that the layout's tensor holds; `None` for the whole parameter.
    part: Option<Part>,
    /// The divisor of the numbers. Only token embeddings have a divisor, namely if the layout and
    /// this program multiply them by different factors.
    divisor: Option<f64>,
}

impl Export {
    /// Checks that the layout of `family` can express `model`, and that the file at `path` contains
    /// all its weights.
    ///
    /// # Errors
    ///
    /// Returns every reason why the layout cannot express the model, or an error if the file cannot
    /// be read or belongs to another model.
    pub fn new(
        family: Family,
        model: &ModelConfig,
        path: &Path,
        element: Element,
    ) -> Result<Self, InterchangeError> {
        let layout = family.layout();
        let expressed = layout
            .express(model)
            .map_err(|reasons| InterchangeError::Inexpressible { family, reasons })?;
        let factor = expressed.model.embedding_scale() / model.embedding_scale();
        let divisor = ((factor - 1.0).abs() > f64::EPSILON).then_some(factor);
        let archive = Archive::of_file(path)?;
        let mut parameters = BTreeMap::new();
        let mut problems = Vec::new();
        for row in table(model) {
            let entry = archive.entries.get(&row.name);
            if entry.is_none_or(|entry| entry.located.shape != row.shape) {
                let (name, shape) = (&row.name, &row.shape);
                problems.push(format!("tensor {name} {shape:?} is missing"));
            } else if let Some(counterpart) = layout.counterpart(model, &row) {
                let mut first = 0;
                for stored in counterpart.parts() {
                    let count = match counterpart {
                        Counterpart::Same(_) | Counterpart::Transposed(_) => None,
                        Counterpart::SideBySide(_) => stored.shape.first().copied(),
                        Counterpart::Joined(_) => Some(stored.shape.iter().product()),
                    };
                    let parameter = Parameter {
                        name: row.name.clone(),
                        shape: stored.shape.clone(),
                        transposed: counterpart.is_transposed(),
                        part: count.map(|count| Part { first, count }),
                        divisor: divisor.filter(|_| row.role == Role::Embedding),
                    };
                    first += count.unwrap_or_default();
                    parameters.insert(stored.name.clone(), parameter);
                }
            }
        }
        if !problems.is_empty() {
            return Err(InterchangeError::malformed(path, problems.join(", ")));
        }
        Ok(Self {
            family,
            model: expressed.model,
            warnings: expressed.warnings,
            path: path.to_owned(),
            archive,
            element,
            parameters,
        })
    }

    /// Returns warnings: how other programs that read the layout will treat this model differently
    /// than this program does.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the contents of `config.json`.
    pub fn config(&self, special: &SpecialTokens) -> Value {
        let layout = self.family.layout();
        layout.describe(&self.model, self.element, special)
    }

    /// Returns the weights with the layout's names, shapes and transpositions. The tensors are
    /// read, converted and checked one at a time when the stream is written. Weights that become 0
    /// are counted in `vanished`.
    ///
    /// The layout may also require tables: tensors that are computed from the configuration and are
    /// not parameters. Tables are written in f32, whatever the number type of the weights is. A
    /// tied head is left out.
    ///
    /// # Errors
    ///
    /// Returns an error if there are too many tensors for one file.
    pub fn weights<'w>(
        &'w self,
        vanished: &'w Vanished,
    ) -> Result<TensorStream<'w>, InterchangeError> {
        let tables = self.family.layout().tables(&self.model);
        let parameters = self
            .parameters
            .iter()
            .map(|(name, parameter)| (name.clone(), self.element.dtype(), parameter.shape.clone()));
        let derived = tables.iter().map(|table| {
            let Stored { name, shape } = &table.stored;
            (name.clone(), DType::F32, shape.clone())
        });
        let tensors: Vec<_> = parameters.chain(derived).collect();
        let write = move |name: &str, out: &mut dyn io::Write| {
            if let Some(table) = tables.iter().find(|table| table.stored.name == name) {
                return (table.write)(&self.model, out);
            }
            let parameter = &self.parameters[name];
            let into = Conversion {
                element: self.element,
                transposed: parameter.transposed,
                part: parameter.part,
                divisor: parameter.divisor,
                vanished,
            };
            copy(&self.archive.entries[&parameter.name], into, out)
        };
        stream(&self.path, tensors, write)
    }
}

/// Returns the weights of the file at `path` in the number type `element`. The names and shapes of
/// the tensors do not change. Weights that become 0 are counted in `vanished`.
///
/// # Errors
///
/// Returns an error if the file cannot be read.
pub fn plain<'w>(
    path: &Path,
    element: Element,
    vanished: &'w Vanished,
) -> Result<TensorStream<'w>, InterchangeError> {
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
            part: None,
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
) -> Result<TensorStream<'w>, InterchangeError> {
    // Python's loader refuses a file without this entry.
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    TensorStream::new(tensors, &metadata, write).map_err(InterchangeError::file(path))
}
