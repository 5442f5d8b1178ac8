//! An index of the tensors of a folder or of one file. Building the index reads no tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

use rondo_files::{Located, locate, read_capped};
use serde::Deserialize;

use crate::error::InterchangeError;
use crate::layout::Layout;

/// The file with all tensors.
const WHOLE: &str = "model.safetensors";
/// The index, which maps each tensor to its file.
const INDEX: &str = "model.safetensors.index.json";
/// The maximum size of an index, in bytes. The entry of a tensor takes about 100 bytes.
const MAX_INDEX_BYTES: u64 = 64 << 20;

/// A tensor and its file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) file: PathBuf,
    pub(crate) located: Located,
}

impl Entry {
    /// Opens the file at the tensor's first byte and limits reading to the tensor.
    pub(crate) fn open(&self) -> io::Result<Take<File>> {
        let mut file = File::open(&self.file)?;
        file.seek(SeekFrom::Start(self.located.range.start))?;
        Ok(file.take(self.located.range.end - self.located.range.start))
    }
}

/// The tensors of a model, by name.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) entries: BTreeMap<String, Entry>,
    /// Every file; the index, if there is one, is first.
    pub(crate) files: Vec<PathBuf>,
}

impl Archive {
    /// Opens `model.safetensors`, or the shards of its index.
    pub(crate) fn of_folder(dir: &Path, layout: &dyn Layout) -> Result<Self, InterchangeError> {
        let (whole, index) = (dir.join(WHOLE), dir.join(INDEX));
        if whole.is_file() || !index.is_file() {
            return Self::of_file(&whole);
        }
        Self::of_index(dir, &index, layout)
    }

    /// Opens one file.
    pub(crate) fn of_file(path: &Path) -> Result<Self, InterchangeError> {
        let mut entries = BTreeMap::new();
        for located in tensors(path)? {
            let file = path.to_owned();
            entries.insert(located.name.clone(), Entry { file, located });
        }
        Ok(Self {
            entries,
            files: vec![path.to_owned()],
        })
    }

    /// Opens the shards of an index. Programs that save a model often omit a derived tensor from
    /// the shards or from the index. So the index may list a derived tensor that is in no shard,
    /// and a shard may contain a derived tensor that is not in the index.
    fn of_index(dir: &Path, index: &Path, layout: &dyn Layout) -> Result<Self, InterchangeError> {
        let may_be_derived = |name: &str| layout.derived(name).is_some();
        let weight_map = read_index(index)?;
        let refuse = |message: String| InterchangeError::malformed(index, message);
        let listed = weight_map.iter();
        let shards: BTreeSet<&str> = listed
            .filter(|(name, shard)| !may_be_derived(name) || dir.join(shard).is_file())
            .map(|(_, shard)| shard.as_str())
            .collect();
        let mut entries = BTreeMap::new();
        let mut files = vec![index.to_owned()];
        for shard in shards {
            if shard.contains(['/', '\\']) || shard == ".." {
                return Err(refuse(format!(
                    "{shard:?} does not name a file of this folder"
                )));
            }
            let file = dir.join(shard);
            for located in tensors(&file)? {
                let name = located.name.clone();
                match weight_map.get(&name) {
                    Some(place) if place == shard => {}
                    Some(place) => {
                        return Err(refuse(format!(
                            "tensor {name} is in {shard}, not in {place}"
                        )));
                    }
                    None if may_be_derived(&name) => {}
                    None => {
                        return Err(refuse(format!("tensor {name} of {shard} is not listed")));
                    }
                }
                let file = file.clone();
                entries.insert(name, Entry { file, located });
            }
            files.push(file);
        }
        match weight_map
            .iter()
            .find(|(name, _)| !entries.contains_key(*name) && !may_be_derived(name))
        {
            Some((name, shard)) => Err(refuse(format!("tensor {name} is not in {shard}"))),
            None => Ok(Self { entries, files }),
        }
    }
}

fn tensors(path: &Path) -> Result<Vec<Located>, InterchangeError> {
    let mut file = File::open(path).map_err(InterchangeError::io(path))?;
    let bytes = file.metadata().map_err(InterchangeError::io(path))?.len();
    locate(&mut file, bytes).map_err(InterchangeError::file(path))
}

fn read_index(path: &Path) -> Result<BTreeMap<String, String>, InterchangeError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let refuse = |message: String| InterchangeError::malformed(path, message);
    let text = File::open(path)
        .and_then(|file| read_capped(file, MAX_INDEX_BYTES))
        .map_err(InterchangeError::io(path))?
        .ok_or_else(|| refuse(format!("larger than {MAX_INDEX_BYTES} bytes")))?;
    let index: Index = serde_json::from_slice(&text)
        .map_err(|error| refuse(format!("not an index of tensors: {error}")))?;
    if index.weight_map.is_empty() {
        return Err(refuse("lists no tensor".to_owned()));
    }
    Ok(index.weight_map)
}
