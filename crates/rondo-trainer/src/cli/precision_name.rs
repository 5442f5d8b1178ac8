//! Names of precisions on the command line.

use clap::ValueEnum;
use rondo_train::device::PrecisionKind;

/// How matrix products round their inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionName {
    /// Numbers are not rounded.
    F32,
    /// Numbers may be rounded to TF32; only NVIDIA GPUs, through CUDA.
    Tf32,
    /// Numbers are rounded to bf16; only flex.
    Bf16,
}

impl From<PrecisionName> for PrecisionKind {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Tf32 => Self::Tf32,
            PrecisionName::Bf16 => Self::Bf16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_precision_is_typed_as_a_configuration_writes_it() {
        let typed = PrecisionName::value_variants();
        let kinds = typed.iter().map(|name| PrecisionKind::from(*name));
        assert_eq!(kinds.collect::<Vec<_>>(), PrecisionKind::ALL);
        for name in typed {
            let value = name.to_possible_value().expect("no name is skipped");
            assert_eq!(value.get_name(), PrecisionKind::from(*name).name());
        }
    }
}
