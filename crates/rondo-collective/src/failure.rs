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
        /// The operation, by its name in [`Collective`](crate::Collective).
        operation: &'static str,
        /// The engine's own message.
        message: String,
    },
    /// Another rank ended the world.
    #[error("rank {rank} ended all ranks with code {code}")]
    Aborted {
        /// The rank that ended the world.
        rank: usize,
        /// The exit code.
        code: i32,
    },
}
