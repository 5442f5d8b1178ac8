//! The operations that are single nodes on flex, composed of Burn operations on every device: what the
//! other devices run, and what the nodes are proven and timed against.

pub use super::head::compose_cross_entropy as head_cross_entropy;
pub use super::norm::compose as rms_norm;
pub use super::projection::compose_rows as project_rows;
pub use super::sublayer::compose as around;
