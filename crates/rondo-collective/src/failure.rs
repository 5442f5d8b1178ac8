//! What can go wrong in a collective.

use crate::deadline::Late;

/// Why a collective failed. The world cannot be used afterwards.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The other ranks did not come in time.
    #[error("{0}")]
    Late(Late),
    /// The engine reports an error.
    #[error("{engine} fails in {operation}: {message}")]
    Engine {
        /// The engine's name.
        engine: String,
        /// The operation, as the trait names it.
        operation: &'static str,
        /// What the engine says.
        message: String,
    },
    /// Another rank ended the world.
    #[error("rank {rank} ended all ranks with code {code}")]
    Aborted {
        /// Who ended it.
        rank: usize,
        /// The exit code.
        code: i32,
    },
}
