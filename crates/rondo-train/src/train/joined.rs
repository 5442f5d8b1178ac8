//! The state from which every rank takes its next step. Rank 0 reads this state from the run
//! directory and sends it to the other ranks.

use rondo_files::RunLock;
use rondo_schedule::control::ControllerState;
use serde::{Deserialize, Serialize};

use super::control::Control;
use super::setup::{Resumed, Setting, Taken};
use crate::distributed::World;
use crate::distributed::replicas::model_of_first;
use crate::error::Result;
use crate::progress::RunProgress;
use crate::step::Learner;

/// The state from which a run takes its next step. All ranks have the same state.
pub(super) struct Setup {
    pub(super) learner: Learner,
    pub(super) progress: RunProgress,
    pub(super) control: Option<Control>,
    /// The step after which the run resumes; `None` for a new run.
    pub(super) resumed_at: Option<u64>,
}

/// The state without its tensors, in the form in which rank 0 sends it.
#[derive(Serialize, Deserialize)]
struct Known {
    progress: RunProgress,
    control: Option<ControllerState>,
    resumed_at: Option<u64>,
}

/// The parts of the state that only rank 0 keeps.
pub(super) struct First {
    pub(super) lock: RunLock,
    pub(super) origin: Option<String>,
    pub(super) resumed: Option<Resumed>,
}

impl Setting<'_> {
    /// Returns the state for the next step on every rank. Rank 0 provides the state in `taken`;
    /// `None` on the other ranks.
    ///
    /// # Errors
    ///
    /// When the moments cannot be read, the device fails, or a rank is missing.
    pub(super) fn share(
        self,
        world: &World,
        taken: Option<Taken>,
    ) -> Result<(Setup, Option<First>)> {
        let Self { config, listed, .. } = self;
        let known = taken.as_ref().map(|taken| Known {
            progress: taken.progress.clone(),
            control: taken.control.as_ref().map(Control::state),
            resumed_at: taken.resumed.as_ref().map(|resumed| resumed.step),
        });
        let known = known_to_all(world, known)?;
        let (taken, first) = match taken {
            Some(Taken {
                lock,
                model,
                moments,
                origin,
                control,
                resumed,
                ..
            }) => {
                let first = First {
                    lock,
                    origin,
                    resumed,
                };
                (Some((model, moments, control)), Some(first))
            }
            None => (None, None),
        };
        let (model, moments, control) = match taken {
            Some((model, moments, control)) => (Some(model), moments, control),
            None => (
                None,
                None,
                self.control(known.progress.step, known.control)?,
            ),
        };
        let model = model_of_first(world, config, listed, model)?;
        let mut learner = Learner::new(config, listed, model);
        learner.share_with(world, config);
        if known.resumed_at.is_some() {
            learner.restore(world, config, &known.progress, moments.as_ref())?;
        }
        let setup = Setup {
            learner,
            progress: known.progress,
            control,
            resumed_at: known.resumed_at,
        };
        Ok((setup, first))
    }
}

/// Copies `known` from rank 0 to every rank.
fn known_to_all(world: &World, known: Option<Known>) -> Result<Known> {
    if world.is_alone() {
        return Ok(known.expect("rank 0 knows"));
    }
    let message = serde_json::to_vec(&known).map_err(anyhow::Error::from)?;
    let message = world.broadcast_bytes(0, message)?;
    let told: Option<Known> = serde_json::from_slice(&message).map_err(anyhow::Error::from)?;
    Ok(known.or(told).expect("rank 0 knows"))
}
