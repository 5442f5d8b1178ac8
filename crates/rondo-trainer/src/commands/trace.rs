//! `trainer trace`: writes the state and the logits of every iteration.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, s};
use rondo_data::DataError;
use rondo_files::{DType, NamedTensor, TensorFile, atomic_save};
use rondo_model::attention::Segments;
use rondo_model::looped::{LoopedTransformer, Readout};
use rondo_model::pass::Pass;
use rondo_train::device;
use rondo_train::error::{Error, Result};
use rondo_train::evaluate::depths::refuse_depths;
use rondo_train::initial_states::InitialStates;
use rondo_train::open_run::OpenRun;
use rondo_train::weights::named;
use serde_json::json;

use crate::cli::TraceArgs;
use crate::{pictures, terminal};

/// Runs the model, and writes the states and the logits of every iteration.
///
/// # Errors
///
/// Returns an error if the run, the tokens or the states are missing or damaged, or the file cannot
/// be written.
pub(crate) fn command(args: &TraceArgs) -> Result<()> {
    let (listed, _) = device::choose_kind(args.device.into())?;
    let run = OpenRun::open(&args.run, args.checkpoint, &listed)?;
    let source = &args.source;
    let rows = run.rows(
        source.tokens.as_deref(),
        source.prompt.as_deref(),
        args.prompting.prompting(),
    )?;
    let [batch, seq] = rectangle(&rows)?;
    let model = &run.model_config;
    refuse_depths(model, [args.recurrence])?;
    let states = InitialStates::open(&args.initial_state, model, run.config.run.seed)?;
    let state = states.at(model, 0, 0, [batch, seq], &listed.device)?;
    let pass = Pass::new(model, seq, &listed.device);
    let pass = match run.document_end()? {
        Some(end) => pass.within(Segments::behind(&rows.concat(), seq, |id| id == end)),
        None => pass,
    };
    let mut traced = Traced {
        tensors: vec![ids(&rows)],
        figures: args.figures.is_some(),
        states: Vec::new(),
    };
    let (tokens, last) = (run.on_device(&rows), args.recurrence);
    let depths: Vec<usize> = match args.last_only && !traced.figures {
        true => vec![last],
        false => {
            let start = run.model.start(&tokens, state.clone(), &pass);
            traced.follow(&start)?;
            if !args.last_only {
                traced.keep("raw_state.0".to_owned(), start);
            }
            (1..=last).collect()
        }
    };
    if let Some(note) = model.conditioning.note(&depths) {
        terminal::note(&format!("model.conditioning: {note}"));
    }
    let mut failed = Ok(());
    run.model
        .forward_at_depths(tokens, state, &pass, &depths, |i, readout| {
            let wanted = !args.last_only || i == last;
            failed = std::mem::replace(&mut failed, Ok(()))
                .and_then(|()| traced.take(i, readout, &run.model, wanted));
        });
    failed?;
    let count = traced.tensors.len();
    let metadata = BTreeMap::from([
        ("run".to_owned(), args.run.display().to_string()),
        ("step".to_owned(), run.step.to_string()),
        ("recurrence".to_owned(), last.to_string()),
    ]);
    let file = TensorFile::new(std::mem::take(&mut traced.tensors), metadata)
        .map_err(|error| Error::Other(error.into()))?;
    atomic_save(&args.out, &file)?;
    let drawn = match &args.figures {
        None => Vec::new(),
        Some(dir) => {
            let tokenizer = run.tokenizer_beside_ids(&mut terminal::note);
            let (states, row) = (&traced.states, &rows[0]);
            pictures::of_trace(states, row, model.d_model, tokenizer.as_ref(), dir)?
        }
    };
    if args.json.json {
        return terminal::print_json(&json!({
            "out": args.out,
            "recurrence": last,
            "batch": batch,
            "seq": seq,
            "tensors": count,
            "figures": drawn,
        }));
    }
    terminal::print(&format!(
        "{}: {count} tensors of {batch} × {seq} tokens at {last} iterations",
        args.out.display()
    ))?;
    for picture in drawn {
        terminal::print(&picture.display().to_string())?;
    }
    Ok(())
}

/// The results of the iterations so far.
struct Traced {
    tensors: Vec<NamedTensor<'static>>,
    figures: bool,
    /// The raw states of the first row, one for each iteration, for the pictures.
    states: Vec<Vec<f32>>,
}

impl Traced {
    fn take(
        &mut self,
        i: usize,
        readout: Readout,
        model: &LoopedTransformer,
        wanted: bool,
    ) -> Result<()> {
        self.follow(&readout.latent)?;
        if wanted {
            self.keep(format!("raw_state.{i}"), readout.latent);
            self.keep(format!("state.{i}"), readout.state);
            self.keep(format!("logits.{i}"), model.logits(readout.hidden));
        }
        Ok(())
    }

    fn keep(&mut self, name: String, tensor: Tensor<3>) {
        self.tensors.push(named(name, tensor));
    }

    /// Stores the raw states of the first row if pictures are requested.
    fn follow(&mut self, state: &Tensor<3>) -> Result<()> {
        if self.figures {
            let [_, seq, width] = state.dims();
            let row = state.clone().slice(s![0..1, .., ..]).reshape([seq * width]);
            self.states.push(rondo_train::step::read(row)?);
        }
        Ok(())
    }
}

/// Returns the number of rows and their length. Returns an error if the lengths differ.
fn rectangle(rows: &[Vec<u32>]) -> Result<[usize; 2]> {
    let seq = rows.first().map_or(0, Vec::len);
    match rows.iter().position(|row| row.len() != seq) {
        None => Ok([rows.len(), seq]),
        Some(odd) => Err(DataError::Corpus(format!(
            "--tokens: a trace takes rows of one length; row 0 has {seq} tokens, row {odd} has {}",
            rows[odd].len()
        ))
        .into()),
    }
}

fn ids(rows: &[Vec<u32>]) -> NamedTensor<'static> {
    let bytes: Vec<u8> = rows
        .iter()
        .flatten()
        .flat_map(|id| i64::from(*id).to_le_bytes())
        .collect();
    NamedTensor {
        name: "input_ids".to_owned(),
        dtype: DType::I64,
        shape: vec![rows.len(), rows.first().map_or(0, Vec::len)],
        bytes: bytes.into(),
    }
}
