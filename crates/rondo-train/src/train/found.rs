//! Sends to every rank what rank 0 has found in the run directory. Only rank 0 needs access to this
//! directory.

use std::path::{Path, PathBuf};

use rondo_files::atomic_write;

use super::start::{Going, Start};
use crate::distributed::World;
use crate::distributed::message::{Reader, Writer};
use crate::error::Result;
use crate::own_tokenizer::OwnTokenizer;
use crate::run_dir::companions::TOKENIZER_CONFIG_FILE;
use crate::run_dir::{RunDir, TOKENIZER_FILE};

/// How a run starts.
pub(super) enum Found {
    /// The run had already been trained to its configured length, which is this step.
    Finished(u64),
    /// The run must be trained.
    Begins(Beginning),
}

/// The state with which a run begins.
pub(super) struct Beginning {
    /// The checkpoint to resume from. `None` for a new run, and on ranks other than 0.
    pub(super) going: Option<Box<Going>>,
    /// The tokenizer that belongs to the run's weights. `None` for a new run.
    pub(super) own: Option<OwnTokenizer>,
    /// The folder with the tokenizer, on ranks other than 0.
    _received: Option<Received>,
}

impl Found {
    /// Calls `find` on rank 0. Returns the result on every rank.
    ///
    /// # Errors
    ///
    /// The errors of `find`, on every rank.
    pub(super) fn by_first(
        world: &World,
        run_dir: &RunDir,
        find: impl FnOnce() -> Result<Start>,
    ) -> Result<Self> {
        let found = world.by_first(|| {
            Ok(match find()? {
                Start::Finished(step) => Self::Finished(step),
                Start::New => Self::Begins(Beginning {
                    going: None,
                    own: None,
                    _received: None,
                }),
                Start::Continue(going) => Self::Begins(Beginning {
                    own: OwnTokenizer::of_run(run_dir, &going.progress.data)?,
                    going: Some(going),
                    _received: None,
                }),
            })
        })?;
        if world.is_alone() {
            return Ok(found.expect("rank 0 has looked"));
        }
        let message = found.as_ref().map_or(Ok(Vec::new()), Self::told);
        let message = world.broadcast_bytes(0, world.agree(message)?)?;
        world.agree(match found {
            Some(found) => Ok(found),
            None => Self::heard(&message, run_dir, world.rank()),
        })
    }

    fn told(&self) -> Result<Vec<u8>> {
        let mut message = Writer::default();
        match self {
            Self::Finished(step) => {
                message.flag(true);
                message.count(*step as usize);
            }
            Self::Begins(Beginning { own, .. }) => {
                message.flag(false);
                message.flag(own.is_some());
                if let Some(own) = own {
                    message.bytes(own.hash().unwrap_or_default().as_bytes());
                    let file = own.file().map(std::fs::read).transpose();
                    let file = file.map_err(anyhow::Error::from)?;
                    message.flag(file.is_some());
                    message.bytes(&file.unwrap_or_default());
                    let beside = own
                        .file()
                        .map(|file| file.with_file_name(TOKENIZER_CONFIG_FILE));
                    let beside = beside.filter(|path| path.is_file()).map(std::fs::read);
                    let beside = beside.transpose().map_err(anyhow::Error::from)?;
                    message.flag(beside.is_some());
                    message.bytes(&beside.unwrap_or_default());
                }
            }
        }
        Ok(message.finish())
    }

    fn heard(message: &[u8], run_dir: &RunDir, rank: usize) -> Result<Self> {
        let mut message = Reader::new(message);
        if message.flag() {
            return Ok(Self::Finished(message.count() as u64));
        }
        if !message.flag() {
            return Ok(Self::Begins(Beginning {
                going: None,
                own: None,
                _received: None,
            }));
        }
        let hash = String::from_utf8_lossy(message.bytes()).into_owned();
        let hash = Some(hash).filter(|hash| !hash.is_empty());
        let has_file = message.flag();
        let file = message.bytes();
        let has_config = message.flag();
        let config = Some(message.bytes()).filter(|_| has_config);
        let received = match has_file {
            true => Some(Received::write(file, config, rank)?),
            false => None,
        };
        let path = received.as_ref().map(|it| it.0.join(TOKENIZER_FILE));
        Ok(Self::Begins(Beginning {
            going: None,
            own: Some(OwnTokenizer::received(run_dir.path(), path, hash)),
            _received: received,
        }))
    }
}

/// A temporary folder with the tokenizer that rank 0 has sent. The folder is removed when this
/// value is dropped.
struct Received(PathBuf);

impl Received {
    fn write(file: &[u8], config: Option<&[u8]>, rank: usize) -> Result<Self> {
        let name = format!("rondo-tokenizer-{}-{rank}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0)
            .map_err(|error| anyhow::anyhow!("cannot create {}: {error}", folder.0.display()))?;
        let put = |name: &str, bytes: &[u8]| atomic_write(&Path::join(&folder.0, name), bytes);
        put(TOKENIZER_FILE, file)?;
        if let Some(config) = config {
            put(TOKENIZER_CONFIG_FILE, config)?;
        }
        Ok(folder)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        // A folder that cannot be removed only uses some space, so the error is ignored.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
