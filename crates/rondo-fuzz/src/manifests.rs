//! Reads checkpoint manifests.

use std::error::Error;
use std::path::Path;

use rondo_checkpoint::{Checkpoint, CheckpointError, Manifest, Which, open, open_newest_good};

use crate::scratch;

/// The name and the content of the file in the same folder as the manifest.
const FILE: (&str, &[u8]) = ("progress.json", b"{}");
/// The checkpoint's folder.
const FOLDER: &str = "run/checkpoints/step-00000007";

/// Opens a checkpoint with the given bytes as its manifest. Its only other file is `progress.json`
/// with two bytes. Then opens the checkpoint again with a corrected seal.
///
/// If the checkpoint is accepted by its path, it must also be accepted as the newest of its run,
/// and every file of its manifest must be readable. If it is refused, the error must have a
/// message.
///
/// # Panics
///
/// Panics if one of these properties does not hold.
pub fn manifest(bytes: &[u8]) {
    opened(bytes);
    if let Some(sealed) = sealed(bytes) {
        opened(&sealed);
    }
}

/// Returns the printed manifest with a correct seal.
fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let manifest: Manifest = serde_json::from_slice(bytes).ok()?;
    let text = printed(&manifest);
    // The seal is the last field.
    let start = text.rfind("\"seal\": ")?;
    let with = |seal: &str| format!("{}\"seal\": \"{seal}\"\n}}\n", &text[..start]);
    let seal = blake3::hash(with("").as_bytes());
    Some(with(&seal.to_hex()).into_bytes())
}

fn printed(manifest: &Manifest) -> String {
    let text = serde_json::to_string_pretty(manifest).expect("a manifest has a form in JSON");
    text + "\n"
}

fn opened(bytes: &[u8]) {
    let folder = Path::new(FOLDER);
    scratch::file(folder.join(FILE.0), FILE.1);
    scratch::file(folder.join("manifest.json"), bytes);
    let by_path = open(Path::new(""), &Which::Path(scratch::path(folder)));
    let newest = open_newest_good(&scratch::path("run"));
    match (by_path, newest) {
        (Ok(checkpoint), Ok(Some((newest, _)))) => {
            assert_eq!(checkpoint.manifest(), newest.manifest());
            accepted(&checkpoint, bytes);
        }
        (Err(error), Err(CheckpointError::NoneGood { rejected, .. })) => {
            assert_eq!(rejected.len(), 1);
            assert!(tells(&error) && tells(&rejected[0].why));
        }
        (by_path, newest) => panic!("by its path {by_path:?}, as the newest {newest:?}"),
    }
}

fn accepted(checkpoint: &Checkpoint, bytes: &[u8]) {
    let manifest = checkpoint.manifest();
    for record in &manifest.files {
        let read = checkpoint
            .read(&record.name)
            .expect("a file that was verified");
        assert_eq!(read.len() as u64, record.size);
    }
    let again: Manifest = serde_json::from_str(&printed(manifest)).expect("what was printed");
    assert_eq!(&again, manifest, "{}", bytes.escape_ascii());
}

/// Whether an error and each of its causes have a message.
fn tells(error: &dyn Error) -> bool {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.all(|error| !error.to_string().is_empty())
}
