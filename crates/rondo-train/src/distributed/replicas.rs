//! Sends weights and moments from rank 0 to all ranks, and checks that the weights of all ranks
//! stay equal.

use burn::tensor::Device;
use rondo_model::init::Weights;
use rondo_model::looped::LoopedTransformer;

use super::zero::Owners;
use super::{Agreed, World};
use crate::config::ResolvedConfig;
use crate::device::Listed;
use crate::error::{Error, Result};
use crate::optim::Optimizer;
use crate::step::read;
use crate::weights::{Stored, each_parameter, vector};

/// The header that is sent before a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// No tensor follows.
    Nothing = 0,
    /// The values of the tensor follow.
    Values = 1,
    /// No tensor follows, because rank 0 could not read it.
    Failed = 2,
}

/// Copies the weights of rank 0 to every rank. `first` is the model on rank 0, and `None` on the
/// other ranks. One tensor is sent at a time, in the order of the parameter table.
///
/// # Errors
///
/// When a rank is missing, or the device fails.
pub(crate) fn model_of_first(
    world: &World,
    config: &ResolvedConfig,
    listed: &Listed,
    first: Option<LoopedTransformer>,
) -> Result<LoopedTransformer> {
    if let Some(model) = first {
        if !world.is_alone() {
            let mut sent = Ok(());
            each_parameter(&model, |_, weights| {
                if sent.is_ok() {
                    let values = read(weights).map(Some);
                    let count = values
                        .as_ref()
                        .map_or(0, |v| v.as_ref().map_or(0, Vec::len));
                    sent = from_first(world, values, count).map(drop);
                }
            });
            sent?;
        }
        return Ok(model);
    }
    let device = listed.device.clone().autodiff();
    let weights = Weights::given(&config.model, &device, |row| -> Result<_> {
        let values = from_first(world, Ok(None), row.count())?;
        Ok(values.unwrap_or_default())
    })?;
    let weights = weights.with_precision(listed.precision);
    Ok(LoopedTransformer::with_weights(&config.model, &weights))
}

/// Restores the moments that rank 0 reads from a checkpoint. With `owners`, each moment is restored
/// only on the rank that owns its parameter. Without `owners`, all ranks restore all moments.
///
/// # Errors
///
/// When the file cannot be read, or a rank is missing.
pub(crate) fn moments_of_first(
    world: &World,
    owners: Option<&Owners>,
    optimizer: &mut Optimizer,
    updates: u64,
    stored: Option<&Stored>,
    device: &Device,
) -> Result<()> {
    let mut failed = None;
    optimizer.restore(updates, |moment| {
        if failed.is_some() {
            return None;
        }
        let read = stored.map_or(Ok(None), |stored| stored.read(&moment.name));
        let values = from_first(world, read, moment.count).unwrap_or_else(|error| {
            failed = Some(error);
            None
        });
        let is_mine = owners.is_none_or(|owners| owners.owner(moment.parameter) == world.rank());
        values
            .filter(|_| is_mine)
            .map(|values| vector(values, device))
    });
    failed.map_or(Ok(()), Err)
}

/// Copies `read`, a vector of `count` numbers or `None`, from rank 0 to every rank.
fn from_first(
    world: &World,
    read: Result<Option<Vec<f32>>>,
    count: usize,
) -> Result<Option<Vec<f32>>> {
    if world.is_alone() {
        return read;
    }
    let collective = world.collective();
    let mine = match &read {
        Ok(None) => Header::Nothing,
        Ok(Some(_)) => Header::Values,
        Err(_) => Header::Failed,
    };
    let mut header = [mine as u32];
    world.told(collective.broadcast_numbers(0, &mut header))?;
    let read = read?;
    match header[0] {
        0 => Ok(None),
        1 => {
            let mut values = read.unwrap_or_else(|| vec![0.0; count]);
            world.told(collective.broadcast_numbers(0, &mut values))?;
            Ok(Some(values))
        }
        // Rank 0 returns the reason as its own error and ends all ranks.
        _ => Err(Error::Agreed(Agreed {
            code: Error::Foreign(String::new()).exit_code(),
            message: "rank 0 cannot read a tensor of the checkpoint".to_owned(),
        })),
    }
}

/// Copies `own`, a vector of `count` numbers or `None`, from rank `owner` to every rank.
///
/// # Errors
///
/// When a rank is missing.
pub(super) fn from_owner(
    world: &World,
    owner: usize,
    own: Option<Vec<f32>>,
    count: usize,
) -> Result<Option<Vec<f32>>> {
    let collective = world.collective();
    let mut header = [u32::from(own.is_some())];
    world.told(collective.broadcast_numbers(owner, &mut header))?;
    if header[0] == 0 {
        return Ok(None);
    }
    let mut values = own.unwrap_or_else(|| vec![0.0; count]);
    world.told(collective.broadcast_numbers(owner, &mut values))?;
    Ok(Some(values))
}

/// Compares the weights of all ranks after step `step`, bit by bit.
///
/// # Errors
///
/// [`Error::Drifted`] on every rank if the weights of a rank differ from those of rank 0. The
/// message names the hosts and CPUs of both ranks.
pub(crate) fn refuse_drift(world: &World, model: &LoopedTransformer, step: u64) -> Result<()> {
    let mut hasher = blake3::Hasher::new();
    let mut failed = Ok(());
    each_parameter(model, |_, weights| match read(weights) {
        Ok(values) => {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            hasher.update(&bytes);
        }
        Err(error) => failed = Err(error),
    });
    failed?;
    let mine = *hasher.finalize().as_bytes();
    let all = world.told(world.collective().all_gather_numbers(&mine))?;
    let hashes: Vec<&[u8]> = all.chunks_exact(mine.len()).collect();
    let drifted = (1..hashes.len()).find(|rank| hashes[*rank] != hashes[0]);
    let Some(drifted) = drifted else {
        return Ok(());
    };
    let processors = world.all_gather_bytes(processor().as_bytes())?;
    let name = |rank: usize| {
        let processor = String::from_utf8_lossy(&processors[rank]);
        format!("{} ({processor})", world.name(rank))
    };
    Err(Error::Drifted(format!(
        "step {step}: the weights of {} are not those of {}: unequal processors or devices add in different orders; \
         nothing of this step was saved; resume from the newest checkpoint on equal ones, or with \
         --set distributed.shard_optimizer=true, which takes each weight from one rank",
        name(drifted),
        name(0),
    )))
}

/// Returns the name of the CPU of this host.
fn processor() -> String {
    let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let row = known.lines().find(|line| line.starts_with("model name"));
    let name = row.and_then(|row| Some(row.split_once(':')?.1.trim().to_owned()));
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
