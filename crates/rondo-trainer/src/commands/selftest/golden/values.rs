//! Reads the file with the results of the reference. Tensors are read one at a time, and each must
//! have the expected type and shape.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use rondo_files::{DType, NamedTensor, StoredTensors};
use rondo_model::depth::{MAX_RECURRENCE, Unroll};
use rondo_train::error::{Error, Result};

/// The name of the file in a golden folder.
const FILE: &str = "io.safetensors";

/// The prefix that turns the name of a parameter into the name of its gradient.
pub(super) const GRADIENT: &str = "grad.";

/// The tensors of the golden file.
#[derive(Debug)]
pub(super) struct Values {
    path: PathBuf,
    tensors: StoredTensors,
}

impl Values {
    /// Opens the file of a golden folder and reads its header.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is missing or damaged.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let file = File::open(&path);
        let file = file.map_err(|error| refused(&path, &format!("cannot be read: {error}")))?;
        let tensors = StoredTensors::open(file);
        let tensors = tensors.map_err(|error| refused(&path, &error.to_string()))?;
        Ok(Self { path, tensors })
    }

    /// Returns an error about the file.
    pub(super) fn refuse(&self, message: &str) -> Error {
        refused(&self.path, message)
    }

    /// Returns the batch size and the sequence length of a tensor of tokens.
    pub(super) fn rows(&self, name: &str) -> Result<[usize; 2]> {
        let shape = self.shape(name).ok_or_else(|| self.missing(name))?;
        match shape[..] {
            [batch, seq] if batch > 0 && seq > 0 => Ok([batch, seq]),
            _ => Err(self.refuse(&format!(
                "tensor {name} must be [batch, seq], neither of them 0, is {shape:?}"
            ))),
        }
    }

    /// Reads token ids, which must be below `vocab`.
    pub(super) fn ids(&self, name: &str, shape: [usize; 2], vocab: usize) -> Result<Vec<i32>> {
        let ids = self.integers(name, &shape)?;
        let known = |id: i64| usize::try_from(id).is_ok_and(|id| id < vocab);
        match ids.iter().position(|id| !known(*id)) {
            None => Ok(ids.iter().map(|id| *id as i32).collect()),
            Some(place) => Err(self.refuse(&format!(
                "tensor {name} has {} at element {place}; the vocabulary has {vocab} tokens",
                ids[place]
            ))),
        }
    }

    /// Reads one integer.
    pub(super) fn integer(&self, name: &str) -> Result<i64> {
        Ok(self.integers(name, &[1])?[0])
    }

    /// Reads floats, which must be finite.
    pub(super) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let values = self.any_floats(name, shape)?;
        match values.iter().position(|x| !x.is_finite()) {
            None => Ok(values),
            Some(place) => Err(self.refuse(&format!(
                "tensor {name} has {} at element {place}",
                values[place]
            ))),
        }
    }

    /// Reads one float for each iteration; they may be NaN. Returns `None` if the file has no such
    /// tensor.
    pub(super) fn series(&self, name: &str) -> Result<Option<Vec<f32>>> {
        let Some(shape) = self.shape(name) else {
            return Ok(None);
        };
        let [iterations] = shape[..] else {
            let message = format!("tensor {name} must be [iterations], is {shape:?}");
            return Err(self.refuse(&message));
        };
        self.check_iterations(name, iterations)?;
        self.any_floats(name, &shape).map(Some)
    }

    /// Returns the recurrence depths for which the file has logits.
    pub(super) fn depths(&self) -> Result<BTreeSet<usize>> {
        let depth = |name: &str| name.strip_prefix("logits_r")?.parse::<usize>().ok();
        let depths = self.names().filter_map(depth);
        let depths: BTreeSet<usize> = depths.collect();
        for r in &depths {
            self.check_iterations(&format!("logits_r{r}"), *r)?;
        }
        Ok(depths)
    }

    /// Returns the iterations of the pass from which the gradients come; `None` if the file has no
    /// gradients.
    pub(super) fn unroll(&self) -> Result<Option<Unroll>> {
        let mut unrolls = self.names().filter_map(unroll_of);
        let (unroll, another) = (unrolls.next(), unrolls.next());
        match unroll {
            None if self.gradients().next().is_none() => Ok(None),
            None => Err(self.refuse("has gradients, but no loss_n…_k… of their iterations")),
            Some(_) if another.is_some() => {
                Err(self.refuse("has more than one loss_n…_k…; gradients are of one"))
            }
            Some(unroll) => {
                let name = loss_of(unroll);
                self.check_iterations(&name, unroll.with_grad)?;
                self.check_iterations(&name, unroll.no_grad.saturating_add(unroll.with_grad))?;
                Ok(Some(unroll))
            }
        }
    }

    /// Returns the names of the gradients.
    pub(super) fn gradients(&self) -> impl Iterator<Item = &str> {
        self.names().filter(|name| name.starts_with(GRADIENT))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.types().map(|(name, _)| name)
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let mut shapes = self.tensors.shapes().into_iter();
        shapes
            .find(|(known, _)| known == name)
            .map(|(_, shape)| shape)
    }

    fn integers(&self, name: &str, shape: &[usize]) -> Result<Vec<i64>> {
        let tensor = self.tensor(name, DType::I64, shape)?;
        let (words, _) = tensor.bytes.as_chunks::<8>();
        Ok(words.iter().map(|word| i64::from_le_bytes(*word)).collect())
    }

    fn any_floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let values = self.tensor(name, DType::F32, shape)?.f32_values();
        values.map_err(|error| self.refuse(&error.to_string()))
    }

    /// Reads a tensor, which must have the given type and shape.
    fn tensor(&self, name: &str, dtype: DType, shape: &[usize]) -> Result<NamedTensor<'static>> {
        let read = self.tensors.read(name);
        let read = read.map_err(|error| self.refuse(&format!("tensor {name}: {error}")))?;
        let tensor = read.ok_or_else(|| self.missing(name))?;
        if tensor.dtype != dtype {
            let found = tensor.dtype;
            return Err(self.refuse(&format!("tensor {name} must be {dtype}, is {found}")));
        }
        if tensor.shape != shape {
            let found = &tensor.shape;
            return Err(self.refuse(&format!("tensor {name} must be {shape:?}, is {found:?}")));
        }
        Ok(tensor)
    }

    fn missing(&self, name: &str) -> Error {
        self.refuse(&format!("holds no tensor {name}"))
    }

    /// Returns an error if a run could not have this number of iterations.
    fn check_iterations(&self, name: &str, iterations: usize) -> Result<()> {
        if (1..=MAX_RECURRENCE).contains(&iterations) {
            return Ok(());
        }
        Err(self.refuse(&format!(
            "tensor {name}: iterations must be 1 to {MAX_RECURRENCE}, found {iterations}"
        )))
    }
}

fn refused(path: &Path, message: &str) -> Error {
    Error::Foreign(format!("{}: {message}", path.display()))
}

/// Returns the name of the loss of a pass with gradient that has the iterations `unroll`.
pub(super) fn loss_of(unroll: Unroll) -> String {
    format!("loss_n{}_k{}", unroll.no_grad, unroll.with_grad)
}

/// Parses a name that [`loss_of`] returns; `None` for other names.
fn unroll_of(name: &str) -> Option<Unroll> {
    let (n, k) = name.strip_prefix("loss_n")?.split_once("_k")?;
    Some(Unroll {
        no_grad: n.parse().ok()?,
        with_grad: k.parse().ok()?,
    })
}

#[cfg(test)]
mod tests;
