//! Reads token files written by other trainers.

use std::fs;
use std::ops::ControlFlow;

use rondo_data::{DataConfig, RawWidth, Source, TokenizerConfig};

use crate::scratch;

/// Opens the bytes as `.bin`, as `.npy`, and as the Megatron index of a token file.
///
/// The training rows and the validation rows of an accepted file must hold no token outside the
/// vocabulary of bytes.
///
/// # Panics
///
/// Panics if one of these properties does not hold.
pub fn token_files(bytes: &[u8]) {
    let index = scratch::path("input.idx");
    let _ = fs::remove_file(&index);
    for name in ["input.bin", "input.npy"] {
        opened(name, bytes);
    }
    if !bytes.is_empty() {
        scratch::file("input.idx", bytes);
        let tokens: Vec<u8> = (0..12_u16).flat_map(u16::to_le_bytes).collect();
        opened("input.bin", &tokens);
    }
}

fn opened(name: &str, bytes: &[u8]) {
    let path = scratch::file(name, bytes);
    for raw in [RawWidth::U16, RawWidth::U32] {
        let config = DataConfig::Tokens {
            train: vec![path.display().to_string()],
            val: Vec::new(),
            tokenizer: TokenizerConfig::Bytes {},
            val_fraction: 0.5,
            raw,
            document_mask: false,
        };
        let source = Source::open(&config, &mut |_| ControlFlow::Continue(()));
        let Ok(Source::Text(text)) = source else {
            continue;
        };
        let train = text.train_rows(1, 0, 2, 1);
        let val = text.val_batches(2, 1, Some(8));
        let batches = train.into_iter().chain(val.into_iter().flatten());
        for batch in batches {
            assert!(
                batch
                    .inputs
                    .iter()
                    .chain(&batch.targets)
                    .all(|&id| id < 257),
                "{name}"
            );
        }
    }
}
