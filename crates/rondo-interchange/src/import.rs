//! Import of a folder in the layout of a family.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rondo_files::{DType, Misshaped, TensorStream, compare};
use rondo_model::config::ModelConfig;
use rondo_model::init::table;

use crate::archive::{Archive, Entry};
use crate::copying::{Conversion, Source, copy, same_numbers};
use crate::element::Element;
use crate::error::InterchangeError;
use crate::layout::{Counterpart, Derived, Layout, Stored};
use crate::settings::{self, CONFIG_FILE, Settings};
use crate::special::{self, SpecialTokens};
use crate::vanished::Vanished;

/// A checked folder: every key and every tensor is supported.
#[derive(Debug)]
pub struct Import {
    model: ModelConfig,
    warnings: Vec<String>,
    archive: Archive,
    /// The parameters by this program's names.
    parameters: BTreeMap<String, Parameter>,
    config: PathBuf,
    special: SpecialTokens,
}

#[derive(Debug)]
struct Parameter {
    shape: Vec<usize>,
    counterpart: Counterpart,
}

impl Import {
    /// Reads the configuration and the headers of the tensors, and checks that they fit together.
    /// Elements are not read, except to compare a tied head with the embedding.
    ///
    /// # Errors
    ///
    /// Returns all unsupported keys and tensors at once, or an error if a file cannot be read.
    pub fn open(dir: &Path) -> Result<Self, InterchangeError> {
        let Settings {
            family,
            model,
            problems,
            mut warnings,
            mut special,
        } = settings::read(dir)?;
        let config = dir.join(CONFIG_FILE);
        let mut problems: Vec<String> = problems
            .into_iter()
            .map(|problem| format!("{CONFIG_FILE}: {problem}"))
            .collect();
        let refused = |problems| InterchangeError::Refused {
            dir: dir.to_owned(),
            problems,
        };
        let Some(model) = model else {
            return Err(refused(problems));
        };
        if model.d_model == 0 || model.n_heads == 0 {
            // A parameter table needs at least one head and a width.
            return Err(refused(problems));
        }
        let layout = family.layout();
        let mut archive = match Archive::of_folder(dir, layout) {
            Err(_) if !problems.is_empty() => return Err(refused(problems)),
            archive => archive?,
        };
        let parameters = parameters(&model, layout);
        let mut told = (&mut problems, &mut warnings);
        drop_derived(&mut archive, &model, layout, &mut told)?;
        check(&archive, &parameters, &mut problems);
        if !problems.is_empty() {
            return Err(refused(problems));
        }
        special.generation_eos_token_id =
            special::of_generation(dir, model.vocab_size, &mut warnings);
        Ok(Self {
            model,
            warnings,
            archive,
            parameters,
            config,
            special,
        })
    }

    /// Returns the model.
    pub fn model(&self) -> &ModelConfig {
        &self.model
    }

    /// Returns warnings about ignored keys and tensors.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the ids of special tokens.
    pub fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// Returns every file of the model.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let files = self.archive.files.iter().map(PathBuf::as_path);
        std::iter::once(self.config.as_path()).chain(files)
    }

    /// Returns the types of the stored weights, each once.
    pub fn elements(&self) -> Vec<Element> {
        let stored: BTreeSet<DType> = self
            .archive
            .entries
            .values()
            .map(|entry| entry.located.dtype)
            .collect();
        stored.into_iter().rev().filter_map(Element::of).collect()
    }

    /// Returns the weights with this program's names and layout, as f32. The tensors are read,
    /// converted and checked one at a time when the stream is written.
    ///
    /// # Errors
    ///
    /// Returns an error if there are too many tensors for one file.
    pub fn weights(&self) -> Result<TensorStream<'_>, InterchangeError> {
        let tensors = self
            .parameters
            .iter()
            .map(|(name, parameter)| (name.clone(), DType::F32, parameter.shape.clone()));
        let write = move |name: &str, out: &mut dyn io::Write| {
            let parameter = &self.parameters[name];
            self.write(parameter, out)
        };
        TensorStream::new(tensors, &BTreeMap::new(), write)
            .map_err(InterchangeError::file(&self.config))
    }

    /// Reads the values of the parameter `name` in this program's layout, as f32; `None` if the
    /// model has no such parameter.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or contains a number that is not finite.
    pub fn values(&self, name: &str) -> Result<Option<Vec<f32>>, InterchangeError> {
        let Some(parameter) = self.parameters.get(name) else {
            return Ok(None);
        };
        let mut bytes: Vec<u8> = Vec::new();
        self.write(parameter, &mut bytes).map_err(|error| {
            let parts = parameter.counterpart.parts();
            let entry = parts.first().map(|part| &self.archive.entries[&part.name]);
            let file = entry.map_or(self.config.as_path(), |entry| &entry.file);
            InterchangeError::from_stream(error).unwrap_or_else(InterchangeError::io(file))
        })?;
        let (quads, _) = bytes.as_chunks::<4>();
        let values = quads.iter().map(|quad| f32::from_le_bytes(*quad));
        Ok(Some(values.collect()))
    }

    /// Writes the elements of a parameter in this program's layout, as f32.
    fn write(&self, parameter: &Parameter, out: &mut dyn io::Write) -> io::Result<()> {
        // Every stored type fits into f32, so nothing vanishes.
        let vanished = Vanished::default();
        let copied = |stored: &Stored, out: &mut dyn io::Write| {
            let into = Conversion {
                element: Element::F32,
                transposed: parameter.counterpart.is_transposed(),
                part: None,
                divisor: None,
                vanished: &vanished,
            };
            copy(&self.archive.entries[&stored.name], into, out)
        };
        match &parameter.counterpart {
            Counterpart::Same(stored) | Counterpart::Transposed(stored) => copied(stored, out),
            Counterpart::Joined(parts) => parts.iter().try_for_each(|part| copied(part, out)),
            Counterpart::SideBySide(parts) => {
                let mut matrices = Vec::with_capacity(parts.len());
                for part in parts {
                    let mut bytes = Vec::new();
                    copied(part, &mut bytes)?;
                    // The transposed matrix has as many columns as the stored matrix has rows.
                    let row = part.shape.first().copied().unwrap_or_default() * size_of::<f32>();
                    matrices.push((bytes, row));
                }
                let rows = parameter.shape.first().copied().unwrap_or_default();
                for index in 0..rows {
                    for (bytes, row) in &matrices {
                        out.write_all(&bytes[index * row..][..*row])?;
                    }
                }
                Ok(())
            }
        }
    }
}

fn parameters(model: &ModelConfig, layout: &dyn Layout) -> BTreeMap<String, Parameter> {
    let rows = table(model).into_iter();
    rows.filter_map(|row| {
        let counterpart = layout.counterpart(model, &row)?;
        let shape = row.shape;
        Some((row.name, Parameter { shape, counterpart }))
    })
    .collect()
}

/// Removes tensors that need not be imported: tables, unsupported tensors, and a head that equals
/// the embedding.
fn drop_derived(
    archive: &mut Archive,
    model: &ModelConfig,
    layout: &dyn Layout,
    (problems, warnings): &mut (&mut Vec<String>, &mut Vec<String>),
) -> Result<(), InterchangeError> {
    let names = archive.entries.keys();
    let derived: Vec<(String, Derived)> = names
        .filter_map(|name| Some((name.clone(), layout.derived(name)?)))
        .collect();
    for (name, derived) in derived {
        let (embedding, key) = match derived {
            Derived::Table => {
                archive.entries.remove(&name);
                continue;
            }
            Derived::LeftOut { why } => {
                archive.entries.remove(&name);
                warnings.push(format!("tensor {name} is left out: {why}"));
                continue;
            }
            Derived::TiedHead { .. } if !model.tied_head => continue,
            Derived::TiedHead { embedding, key } => (embedding, key),
        };
        let Some(head) = archive.entries.remove(&name) else {
            continue;
        };
        if repeats(&head, archive.entries.get(embedding))? == Some(false) {
            problems.push(format!(
                "{}: tensor {name} differs from {embedding}, though {key} is true",
                file_name(&head)
            ));
        }
    }
    Ok(())
}

/// Returns whether a head equals the embedding; `None` if one of the two is missing or has a type
/// that weights cannot have.
fn repeats(head: &Entry, embedding: Option<&Entry>) -> Result<Option<bool>, InterchangeError> {
    let (Some(embedding), Some(tied)) = (embedding.and_then(Source::new), Source::new(head)) else {
        return Ok(None);
    };
    same_numbers(&embedding, &tied).map(Some).map_err(|error| {
        InterchangeError::from_stream(error).unwrap_or_else(InterchangeError::io(&head.file))
    })
}

/// Compares the tensors of a folder with those that the configuration requires.
fn check(archive: &Archive, parameters: &BTreeMap<String, Parameter>, problems: &mut Vec<String>) {
    let expected: Vec<_> = parameters
        .values()
        .flat_map(|parameter| parameter.counterpart.parts())
        .map(|stored| (stored.name.clone(), stored.shape.clone()))
        .collect();
    let found: Vec<_> = archive
        .entries
        .iter()
        .map(|(name, entry)| (name.clone(), entry.located.shape.clone()))
        .collect();
    let whole = archive.files.first().and_then(|path| path.file_name());
    let whole = whole.unwrap_or_default().to_string_lossy();
    let file = |name: &str| archive.entries.get(name).map(file_name).unwrap_or_default();
    let mismatch = compare(&expected, &found);
    for (name, shape) in &mismatch.missing {
        problems.push(format!("{whole}: tensor {name} {shape:?} is missing"));
    }
    for (name, shape) in &mismatch.unexpected {
        problems.push(format!(
            "{}: tensor {name} {shape:?} is unexpected",
            file(name)
        ));
    }
    for Misshaped {
        name,
        expected,
        found,
    } in &mismatch.misshaped
    {
        let file = file(name);
        problems.push(format!(
            "{file}: tensor {name} must be {expected:?}, is {found:?}"
        ));
    }
    for (name, entry) in &archive.entries {
        if Source::new(entry).is_none() {
            let (file, dtype) = (file_name(entry), entry.located.dtype);
            problems.push(format!(
                "{file}: tensor {name} must be F32, BF16 or F16, is {dtype}"
            ));
        }
    }
}

fn file_name(entry: &Entry) -> String {
    let name = entry.file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_read_by_our_name_and_in_our_layout() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/raven-tiny");
        let import = Import::open(&dir).expect("the golden model is whole");
        let adapter = import.values("injection.adapter").expect("readable");
        let adapter = adapter.expect("the model has an adapter");
        let bytes = std::fs::read(dir.join("model.safetensors")).expect("readable");
        let file = rondo_files::TensorFile::parse(&bytes).expect("whole");
        let there = file.get("transformer.adapter.weight").expect("an adapter");
        let stored = there.f32_values().expect("f32");
        let (rows, cols) = (there.shape[0], there.shape[1]);
        assert_eq!((adapter.len(), rows, cols), (stored.len(), 64, 128));
        for (i, value) in adapter.iter().enumerate() {
            let (col, row) = (i / rows, i % rows);
            assert_eq!(value.to_bits(), stored[row * cols + col].to_bits());
        }
        assert_eq!(import.values("adapter").expect("readable"), None);
    }
}
