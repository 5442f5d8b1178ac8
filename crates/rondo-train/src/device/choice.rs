//! Chooses the device of a run.

use burn::tensor::Device;
use rayon::ThreadPoolBuilder;

use super::{DeviceConfig, DeviceKind, Listed, list};
use crate::distributed::{Place, cores};
use crate::error::{Error, Result};

/// Returns the device that `config` asks for, with the reason for the choice.
///
/// # Errors
///
/// When there is no such device. The message lists the available devices.
pub fn choose(config: DeviceConfig) -> Result<(Listed, String)> {
    choose_at(config, Place::alone())
}

/// Returns the device for the rank at `place`, with the reason for the choice. Each rank has its
/// own GPU. On a CPU, each rank has a part of the threads.
///
/// # Errors
///
/// The errors of [`choose`]. Also when a host has fewer GPUs than ranks.
pub fn choose_at(config: DeviceConfig, place: Place) -> Result<(Listed, String)> {
    if let Some(threads) = config.threads.or_else(|| threads_at(place)) {
        // Building a second pool fails. A process that starts another run keeps the pool of the
        // first one.
        let _ = ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    if config.kind == DeviceKind::Auto {
        let (listed, why) = automatic(place)?;
        return Ok((listed.with_precision(config.precision)?, why));
    }
    let found = config.kind.list();
    // All ranks of a host use the same CPU or software driver. Only GPUs are counted by rank.
    let is_shared = found.iter().all(|listed| !listed.gpu);
    let index = match is_shared {
        true => config.index,
        false => config.index + place.local_rank,
    };
    match found.into_iter().find(|listed| listed.index == index) {
        Some(listed) => Ok((
            listed.with_precision(config.precision)?,
            "asked for".to_owned(),
        )),
        None => Err(Error::Device(absent(DeviceConfig { index, ..config }))),
    }
}

/// Returns the number of threads for a rank that shares its host. `None` if the host has no other
/// rank, or if the environment variable `RAYON_NUM_THREADS` is set.
fn threads_at(place: Place) -> Option<usize> {
    let is_set = std::env::var_os("RAYON_NUM_THREADS").is_some();
    let (allowed, online) = cores();
    place.threads(allowed, online).filter(|_| !is_set)
}

/// Returns a device of this kind in f32, with the reason for the choice. The rest of the
/// configuration is the default.
///
/// # Errors
///
/// The errors of [`choose`].
pub fn choose_kind(kind: DeviceKind) -> Result<(Listed, String)> {
    choose(DeviceConfig {
        kind,
        ..DeviceConfig::default()
    })
}

/// Returns the first real GPU, or flex if there is none. Native runtimes are preferred to wgpu.
/// Each rank of a host gets its own GPU.
fn automatic(place: Place) -> Result<(Listed, String)> {
    let order = [
        DeviceKind::Cuda,
        DeviceKind::Rocm,
        DeviceKind::Metal,
        DeviceKind::Vulkan,
        DeviceKind::Wgpu,
    ];
    let mut gpus: Vec<Listed> = order
        .into_iter()
        .map(|kind| {
            kind.list()
                .into_iter()
                .filter(|listed| listed.gpu)
                .collect()
        })
        .find(|gpus: &Vec<Listed>| !gpus.is_empty())
        .unwrap_or_default();
    Ok(match gpus.len() {
        found if found > place.local_rank => {
            let why = match place.local_size {
                1 => "auto: the first GPU found".to_owned(),
                ranks => format!(
                    "auto: GPU {} of {ranks} ranks on this host",
                    place.local_rank
                ),
            };
            (gpus.swap_remove(place.local_rank), why)
        }
        found @ 1.. => {
            return Err(Error::Device(format!(
                "{} ranks on this host, and {found} of its devices are GPUs: start {found} ranks there, or train on its \
                 processor with --device flex",
                place.local_size
            )));
        }
        0 => {
            let why = match order.into_iter().any(DeviceKind::is_built) {
                true => "auto: no GPU found",
                false => "auto: built for the CPU only",
            };
            (DeviceKind::Flex.processor(Device::flex()), why.to_owned())
        }
    })
}

fn absent(config: DeviceConfig) -> String {
    let kind = config.kind.name();
    let why = match config.kind.is_built() {
        false => format!("this build has no {kind}; rebuild with `--features {kind}`"),
        true if config.index > 0 => format!("no {kind} device number {} was found", config.index),
        true => format!("no {kind} device was found"),
    };
    let there: Vec<String> = list()
        .iter()
        .map(|listed| format!("  {} {}  {}", listed.kind.name(), listed.index, listed.name))
        .collect();
    format!(
        "device.kind = {kind}: {why}; these are there:\n{}",
        there.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_answered_with_those_that_are() {
        let error = choose_kind(DeviceKind::Rocm)
            .expect_err("no test machine has an AMD card and the feature");
        assert_eq!(error.exit_code(), 6);
        assert!(error.to_string().contains("flex 0"), "{error}");
    }
}
