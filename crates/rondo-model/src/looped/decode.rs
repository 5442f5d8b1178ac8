//! Decoding: a growing sequence with a cache of the keys and values of earlier positions.
//!
//! The cache is keyed by (iteration, layer, position): each iteration of the core attends to the
//! keys and values of the same iteration at earlier positions. If an earlier position stopped
//! before iteration i, the deepest iteration of that position is used instead. With a budget of M,
//! iterations i and i + M share a place, and the later iteration overwrites the earlier one
//! (Geiping et al. 2025, arXiv 2502.05171, §6.2).
//!
//! ```text
//! chunk = begin(tokens, s_0, r)   the prelude on new positions: first a prompt, then one at a time
//! iterate(&mut chunk)             s_i = R(A(s_{i-1}, e)), at most r times if R depends on r
//! read_out(&mut chunk)            the coda on the newest state, after any iteration
//! end(chunk)                      the new positions become earlier positions
//! ```

use burn::tensor::{Device, Int, Tensor};

use super::{LoopedTransformer, Readout};
use crate::adjustment::Adjustment;
use crate::attention::KeyValues;
use crate::block::Block;
use crate::config::ModelConfig;
use crate::injection::Prepared;
use crate::layer::At;
use crate::lora::Additions;
use crate::pass::{Pass, Shared};
use crate::recurrence::LoopState;

/// A sequence that is being decoded.
#[derive(Debug)]
pub struct Decoder<'a> {
    model: &'a LoopedTransformer,
    pass: Pass,
    context: usize,
    budget: Option<usize>,
    positions: usize,
    prelude: Vec<KeyValues>,
    core: Vec<LoopCache>,
    coda: Vec<KeyValues>,
    /// The additions of each row of LoRA to each layer, computed once for all tokens.
    additions: Option<Vec<Vec<Additions>>>,
}

/// Positions that are being decoded.
#[derive(Debug)]
pub struct Chunk {
    prepared: Prepared,
    state: LoopState,
    depth: usize,
    pass: Pass,
    prelude: Vec<KeyValues>,
    /// Keys and values, indexed by place in the cache and then by layer.
    core: Vec<Vec<KeyValues>>,
    read: Option<(Readout, Vec<KeyValues>)>,
}

impl Chunk {
    /// Returns s_i, the input of the next iteration, `[1, new, d_model]`.
    pub fn state(&self) -> &Tensor<3> {
        self.state.state()
    }

    /// Returns i, the number of iterations so far.
    pub fn iterations(&self) -> usize {
        self.state.iterations()
    }
}

/// Keys and values of one core layer, indexed by place. The place of an iteration is (iteration −
/// 1), modulo the budget if there is a budget.
#[derive(Clone, Debug, Default)]
struct LoopCache {
    places: Vec<KeyValues>,
}

impl LoopCache {
    /// Returns the keys and values of earlier positions at `place`. If no earlier position reached
    /// this place, returns the keys and values at the last place, which belong to the deepest
    /// iteration.
    fn at(&self, place: usize) -> Option<&KeyValues> {
        self.places.get(place).or(self.places.last())
    }

    /// Replaces the cache by `reached`, the keys and values of all positions after a chunk of `new`
    /// positions. At places that the chunk did not reach, the chunk's positions get the keys and
    /// values of their deepest iteration.
    fn take(&mut self, reached: Vec<KeyValues>, new: usize) {
        let deepest = reached.last().cloned();
        let beyond = self.places.iter().skip(reached.len());
        let filled: Vec<KeyValues> = beyond
            .zip(deepest.iter().cycle())
            .map(|(past, deepest)| past.with_last_of(deepest, new))
            .collect();
        self.places = reached;
        self.places.extend(filled);
    }
}

impl<'a> Decoder<'a> {
    /// Starts an empty sequence. `budget` limits the number of places in the cache; `None` sets no
    /// limit.
    ///
    /// # Panics
    ///
    /// Panics on a budget of 0.
    pub fn new(
        model: &'a LoopedTransformer,
        config: &ModelConfig,
        budget: Option<usize>,
        device: &Device,
    ) -> Self {
        assert_ne!(budget, Some(0), "a cache has at least one place");
        Self {
            model,
            pass: Pass::new(config, config.context, device),
            context: config.context,
            budget,
            positions: 0,
            prelude: Vec::new(),
            core: vec![LoopCache::default(); model.core.len()],
            coda: Vec::new(),
            additions: model
                .lora
                .as_ref()
                .map(|lora| (0..lora.rows()).map(|row| lora.additions(row)).collect()),
        }
    }

    /// Returns the number of positions that have been decoded.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Begins a chunk of new positions: any number of positions in the first chunk, then one at a
    /// time. `depth` is r, the number of iterations that the chunk will run.
    ///
    /// # Shapes
    ///
    /// `tokens`: `[1, new]`; `state`: s_0, `[1, new, d_model]`. A model that starts from its input
    /// does not read s_0.
    ///
    /// # Panics
    ///
    /// Panics if the positions do not fit the model's context.
    pub fn begin(&self, tokens: Tensor<2, Int>, state: Tensor<3>, depth: usize) -> Chunk {
        let [_, new] = tokens.dims();
        let positions = self.positions..self.positions + new;
        assert!(positions.end <= self.context, "the context is full");
        let pass = self.pass.positions(positions);
        let (embedding, prelude) = through(
            &self.model.prelude,
            self.model.look_up(tokens),
            pass.shared(),
            |layer| At::Prelude { layer },
            |layer| self.prelude.get(layer),
            None,
        );
        Chunk {
            state: self.model.started(state.into(), &embedding),
            prepared: self.model.injection.prepare(embedding),
            depth,
            pass,
            prelude,
            core: Vec::new(),
            read: None,
        }
    }

    /// Applies the core once more.
    pub fn iterate(&self, chunk: &mut Chunk) {
        let place = match self.budget {
            None => chunk.iterations(),
            Some(budget) => chunk.iterations() % budget,
        };
        let iteration = chunk.iterations() + 1;
        let parts = self.model.parts();
        let x = parts.enter(&chunk.state, &chunk.prepared);
        let additions = self.additions.as_deref();
        let adjustments = parts.adjustments(&chunk.state, chunk.depth, additions);
        let (y, known) = through(
            parts.blocks,
            x,
            chunk.pass.shared(),
            |layer| At::Core { layer, iteration },
            |layer| self.core[layer].at(place),
            adjustments.as_deref(),
        );
        match chunk.core.get_mut(place) {
            Some(reached) => *reached = known,
            None => chunk.core.push(known),
        }
        chunk.state = parts.leave(chunk.state.clone(), y, chunk.depth);
        chunk.read = None;
    }

    /// Returns the readout of the newest state.
    pub fn read_out<'c>(&self, chunk: &'c mut Chunk) -> &'c Readout {
        let Chunk {
            state, pass, read, ..
        } = chunk;
        let (latent, depth) = (state.state(), state.iterations());
        let (readout, _) = read.get_or_insert_with(|| {
            let read = self.model.before_coda(latent.clone());
            let (y, known) = through(
                &self.model.coda,
                read.clone(),
                pass.shared(),
                |layer| At::Coda { layer, depth },
                |layer| self.coda.get(layer),
                None,
            );
            let readout = Readout {
                latent: latent.clone(),
                state: read,
                hidden: self.model.after_coda(y),
            };
            (readout, known)
        });
        readout
    }

    /// Ends the chunk: its positions become earlier positions. Returns the readout of the chunk.
    pub fn end(&mut self, mut chunk: Chunk) -> Readout {
        let readout = self.read_out(&mut chunk).clone();
        let [_, new, _] = chunk.state().dims();
        self.positions += new;
        self.prelude = chunk.prelude;
        if let Some((_, coda)) = chunk.read {
            self.coda = coda;
        }
        for (layer, cache) in self.core.iter_mut().enumerate() {
            let reached = chunk.core.iter().map(|layers| layers[layer].clone());
            cache.take(reached.collect(), new);
        }
        readout
    }
}

/// Applies a stack to new positions. `past` returns the cached keys and values of a layer, or
/// `None` if there are no earlier positions.
fn through<'p>(
    blocks: &[Block],
    x: Tensor<3>,
    pass: Shared<'_>,
    at: impl Fn(usize) -> At,
    past: impl Fn(usize) -> Option<&'p KeyValues>,
    adjustments: Option<&[Adjustment]>,
) -> (Tensor<3>, Vec<KeyValues>) {
    let mut known = Vec::with_capacity(blocks.len());
    let y = blocks.iter().enumerate().fold(x, |x, (layer, block)| {
        let adjustment = adjustments.map(|all| &all[layer]);
        let (y, all) = block.forward_after(x, pass, at(layer), past(layer), adjustment);
        known.push(all);
        y
    });
    (y, known)
}

#[cfg(test)]
mod tests;
