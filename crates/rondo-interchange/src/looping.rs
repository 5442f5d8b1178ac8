//! Conversion of a stack of layers into a loop. Layers share weights. For each iteration, pairs of
//! low-rank matrices approximate the difference between the stack's layers and the shared weights.
//!
//! Iteration i of a loop over b layers replaces layers i·b, …, i·b + b − 1 of the stack. Each
//! matrix of the core is shared by a group of layers ([`Tying`]). The pair of iteration i is the
//! best low-rank approximation of the difference between the stack's layer and the shared matrix.
//! Norms and biases are shared without pairs. If the first and the last layer are not shared, they
//! become prelude and coda.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use rondo_files::{DType, TensorStream};
use rondo_model::config::{
    Beyond, InjectionKind, LayersConfig, LoraConfig, LoraMatrix, ModelConfig,
};
use rondo_model::init::table;
use rondo_model::lora;

use crate::error::InterchangeError;
use crate::import::Import;
use crate::low_rank::{LowRank, nearest};
use crate::tying::{Group, Shares, Start, Tying, mean};

/// An imported stack, converted into a loop.
pub struct Looping<'a> {
    import: &'a Import,
    model: ModelConfig,
    shares: Shares,
    /// The pair that was computed last, and the matrix to which it belongs. The two halves of a
    /// pair are requested one after the other.
    last: RefCell<Option<(Place, LowRank)>>,
}

/// A matrix of one layer of the core.
type Place = (usize, LoraMatrix);

impl<'a> Looping<'a> {
    /// Prepares the conversion of an imported stack into `loops` iterations. `rank` is the rank of
    /// the pairs; with `None` there are no pairs.
    ///
    /// # Errors
    ///
    /// Returns the reason why the model cannot be converted.
    pub fn new(
        import: &'a Import,
        tying: Tying,
        loops: usize,
        rank: Option<usize>,
    ) -> Result<Self, String> {
        let stack = import.model();
        if stack.injection != InjectionKind::None || stack.recurrence.planned().total() != 1 {
            return Err(
                "the model is already a loop; only a stack that runs once can become one"
                    .to_owned(),
            );
        }
        if tying == Tying::SequenceAverage {
            return Err(
                "sequence-average runs each layer several times before the next one, but a loop here \
                 runs its layers in turn; use cycle-average"
                    .to_owned(),
            );
        }
        let shares = tying.share(stack.layers.core, loops)?;
        let mut model = stack.clone();
        let end = usize::from(shares.ends_alone);
        model.layers = LayersConfig {
            prelude: end,
            core: shares.groups.len(),
            coda: end,
        };
        (model.recurrence.mean, model.recurrence.backprop_depth) = (loops, loops);
        model.lora = rank.map(|rank| LoraConfig {
            rank,
            iterations: Some(loops),
            beyond: Beyond::Repeat,
            matrices: LoraMatrix::ALL.into(),
        });
        Ok(Self {
            import,
            model,
            shares,
            last: RefCell::new(None),
        })
    }

    /// Returns the configuration of the loop.
    pub fn model(&self) -> &ModelConfig {
        &self.model
    }

    /// Returns the weights with this program's names and layout, as f32. The tensors are computed
    /// one at a time when the stream is written.
    ///
    /// # Errors
    ///
    /// Returns an error if there are too many tensors for one file.
    pub fn weights(&self) -> Result<TensorStream<'_>, InterchangeError> {
        let rows = table(&self.model).into_iter();
        let tensors = rows.map(|row| (row.name, DType::F32, row.shape));
        let write = move |name: &str, out: &mut dyn io::Write| {
            let values = self.values(name).map_err(io::Error::other)?;
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            out.write_all(&bytes)
        };
        let config = self
            .import
            .files()
            .next()
            .unwrap_or(std::path::Path::new(""));
        TensorStream::new(tensors, &BTreeMap::new(), write).map_err(InterchangeError::file(config))
    }

    /// Computes the values of the parameter `name`, row major.
    ///
    /// # Errors
    ///
    /// Returns an error if a file of the stack cannot be read or contains a number that is not
    /// finite.
    ///
    /// # Panics
    ///
    /// Panics if the model has no such parameter.
    pub fn values(&self, name: &str) -> Result<Vec<f32>, InterchangeError> {
        let last = self.import.model().layers.core - 1;
        if let Some(rest) = name.strip_prefix("lora.layers.") {
            return self.half_of_pairs(rest);
        }
        let Some((stack, rest)) = name.split_once('.') else {
            return self.stored(name);
        };
        let Some((layer, part)) = rest.split_once('.') else {
            return self.stored(name);
        };
        match (stack, layer.parse()) {
            ("prelude", Ok(0)) => self.of_layer(0, part),
            ("coda", Ok(0)) => self.of_layer(last, part),
            ("core", Ok(layer)) => self.shared(layer, part),
            _ => self.stored(name),
        }
    }

    /// Returns the shared weights of a layer of the core, for one part of the layer.
    fn shared(&self, layer: usize, part: &str) -> Result<Vec<f32>, InterchangeError> {
        let Group { layers, start } = &self.shares.groups[layer];
        match start {
            Start::Layer(layer) => self.of_layer(*layer, part),
            Start::Mean => {
                let all: Result<Vec<_>, _> = layers
                    .iter()
                    .map(|layer| self.of_layer(*layer, part))
                    .collect();
                Ok(mean(&all?))
            }
        }
    }

    /// Returns one half of the pairs of all iterations. `rest` names the layer, the matrix and the
    /// half.
    fn half_of_pairs(&self, rest: &str) -> Result<Vec<f32>, InterchangeError> {
        let place = (0..self.model.layers.core)
            .flat_map(|layer| LoraMatrix::ALL.map(|matrix| (layer, matrix)))
            .find(|(layer, matrix)| rest.starts_with(&format!("{layer}.{}.", matrix.name())));
        let place =
            place.unwrap_or_else(|| panic!("the model has no parameter `lora.layers.{rest}`"));
        let known = self
            .last
            .borrow()
            .as_ref()
            .is_some_and(|(of, _)| *of == place);
        if !known {
            let pairs = self.pairs(place)?;
            *self.last.borrow_mut() = Some((place, pairs));
        }
        let (layer, matrix) = place;
        let is_a = format!("lora.layers.{rest}") == lora::name(layer, matrix, "a");
        let last = self.last.borrow();
        let halves = last
            .as_ref()
            .map(|(_, LowRank { a, b })| if is_a { a } else { b });
        Ok(halves.cloned().unwrap_or_default())
    }

    /// Computes the pairs of a matrix, one iteration after another.
    fn pairs(&self, (layer, matrix): Place) -> Result<LowRank, InterchangeError> {
        let (part, columns, width) = self.columns(matrix);
        let [d_in, d_out] = matrix.shape(&self.model);
        let rank = self
            .model
            .lora
            .as_ref()
            .map_or(0, |lora| lora.rank_of(matrix, &self.model));
        let shared = self.shared(layer, part)?;
        let mut all = LowRank {
            a: Vec::new(),
            b: Vec::new(),
        };
        for of_stack in &self.shares.groups[layer].layers {
            let own = self.of_layer(*of_stack, part)?;
            let rows = own.chunks(width).zip(shared.chunks(width));
            let differences: Vec<f32> = rows
                .flat_map(|(own, shared)| {
                    let pairs = own[columns.clone()].iter().zip(&shared[columns.clone()]);
                    pairs.map(|(own, shared)| own - shared)
                })
                .collect();
            let LowRank { a, b } = nearest(&differences, [d_in, d_out], rank);
            all.a.extend(a);
            all.b.extend(b);
        }
        Ok(all)
    }

    /// Returns the name of the parameter that contains a matrix, the columns of the matrix in this
    /// parameter, and the parameter's total number of columns.
    fn columns(&self, matrix: LoraMatrix) -> (&'static str, std::ops::Range<usize>, usize) {
        let of = |matrix: LoraMatrix| matrix.shape(&self.model)[1];
        let (part, beside) = match matrix {
            LoraMatrix::Query | LoraMatrix::Key | LoraMatrix::Value => (
                "attention.qkv",
                &[LoraMatrix::Query, LoraMatrix::Key, LoraMatrix::Value][..],
            ),
            LoraMatrix::Output => ("attention.proj", &[LoraMatrix::Output][..]),
            LoraMatrix::Gate | LoraMatrix::Up => (
                "feed_forward.in_proj",
                &[LoraMatrix::Gate, LoraMatrix::Up][..],
            ),
            LoraMatrix::Down => ("feed_forward.out_proj", &[LoraMatrix::Down][..]),
        };
        let before = beside.iter().take_while(|other| **other != matrix);
        let first: usize = before.map(|other| of(*other)).sum();
        let width = beside.iter().map(|other| of(*other)).sum();
        (part, first..first + of(matrix), width)
    }

    fn of_layer(&self, layer: usize, part: &str) -> Result<Vec<f32>, InterchangeError> {
        self.stored(&format!("core.{layer}.{part}"))
    }

    fn stored(&self, name: &str) -> Result<Vec<f32>, InterchangeError> {
        let values = self.import.values(name)?;
        Ok(values.unwrap_or_else(|| panic!("the stack has no parameter `{name}`")))
    }
}

#[cfg(test)]
mod tests;
