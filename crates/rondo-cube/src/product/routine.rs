//! cubek's routines that multiply f32 numbers without rounding them and without tensor cores.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::DType;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
use cubek::matmul::launch::launch_ref;
use cubek::matmul::multi_level::Strategy;
use cubek::matmul::multi_level::routines::TileSizeSelection;
use cubek::matmul::multi_level::routines::batch::double_unit::DoubleUnitSelectionArgs;
use cubek::matmul::multi_level::routines::batch::simple_unit::SimpleUnitSelectionArgs;
use cubek::matmul::routine::BlueprintStrategy;
use cubek::std::InputBinding;

use crate::tensor::CubeTensor;

/// A way to compute a product of f32 tensors. Each routine adds in its own order, which is the same
/// in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Routine {
    /// The routine that Burn chooses, perhaps by tuning.
    Burns,
    /// Each unit keeps a tile of the result in registers and reads both factors from shared memory.
    Units(Stages, Tile),
}

/// The number of parts of the factors that are in shared memory at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stages {
    /// One part: the part that is being multiplied.
    One,
    /// Two parts: the part that is being multiplied and the next part. Routines with two parts have
    /// half as many units and smaller tiles.
    Two,
}

/// The tile of the result that a unit computes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tile {
    /// Several rows and columns.
    Large,
    /// One row, or one step of the inner dimension.
    Small,
}

impl Routine {
    /// The routine that Burn uses in builds without tuning. Every device can run this routine.
    pub const LARGE: Self = Self::Units(Stages::One, Tile::Large);

    /// Every routine that this module itself can choose. [`Self::LARGE`] comes first.
    pub const ALL: [Self; 4] = [
        Self::LARGE,
        Self::Units(Stages::One, Tile::Small),
        Self::Units(Stages::Two, Tile::Large),
        Self::Units(Stages::Two, Tile::Small),
    ];

    /// Returns the name that benchmarks print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Burns => "burn",
            Self::Units(Stages::One, Tile::Large) => "large",
            Self::Units(Stages::One, Tile::Small) => "small",
            Self::Units(Stages::Two, Tile::Large) => "double-large",
            Self::Units(Stages::Two, Tile::Small) => "double-small",
        }
    }

    /// Writes the product to `out` and returns it. Returns `None` if the device has too little
    /// shared memory or too few units for the routine.
    ///
    /// # Panics
    ///
    /// Panics if the shapes do not fit.
    pub(super) fn launch(
        self,
        a: CubeTensor,
        b: CubeTensor,
        out: CubeTensor,
    ) -> Option<CubeTensor> {
        let Some(strategy) = self.strategy() else {
            return matmul(a, b, Some(out), MatmulStrategy::default(), DType::F32).ok();
        };
        let number = dtype_to_storage_type(DType::F32);
        let [a, b] = [a, b].map(|x| InputBinding::new(x.binding(), number));
        let mut types = MatmulElems::from_globals(&MatmulGlobalElems {
            lhs: number,
            rhs: number,
            out: number,
        });
        let target = out.clone().binding();
        let launched = launch_ref(&strategy.into(), &out.client, a, b, target, &mut types);
        launched.ok().map(|()| out)
    }

    /// Returns cubek's strategy for the routine; `None` if Burn chooses the routine.
    fn strategy(self) -> Option<Strategy> {
        Some(match self {
            Self::Burns => return None,
            Self::Units(Stages::One, tile) => {
                let tile_size = tile.size();
                let args = SimpleUnitSelectionArgs { tile_size };
                Strategy::SimpleUnit(BlueprintStrategy::Inferred(args))
            }
            Self::Units(Stages::Two, tile) => {
                let tile_size = tile.size();
                let args = DoubleUnitSelectionArgs { tile_size };
                Strategy::DoubleUnit(BlueprintStrategy::Inferred(args))
            }
        })
    }
}

impl Tile {
    fn size(self) -> TileSizeSelection {
        match self {
            Self::Large => TileSizeSelection::MaxTileSize,
            Self::Small => TileSizeSelection::MinTileSize,
        }
    }
}
