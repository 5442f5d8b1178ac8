//! The names of all pictures that `trainer figure` can draw.

use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::outcomes::OutcomesFigure;
use super::runs::FigureName;
use super::sheets::SheetFigure;

/// A picture, by the source of its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PictureName {
    /// A picture of the metrics of runs.
    Metrics(FigureName),
    /// A picture of the outcomes of benchmark items.
    Outcomes(OutcomesFigure),
    /// A picture of a whole sweep: the metrics of all its runs, and its file.
    Sweep(SheetFigure),
}

/// Every picture. Pictures of metrics come first.
static ALL: LazyLock<Vec<PictureName>> = LazyLock::new(|| {
    let metrics = FigureName::value_variants().iter().copied();
    let outcomes = OutcomesFigure::value_variants().iter().copied();
    let metrics = metrics.map(PictureName::Metrics);
    let sweeps = SheetFigure::value_variants().iter().copied();
    metrics
        .chain(outcomes.map(PictureName::Outcomes))
        .chain(sweeps.map(PictureName::Sweep))
        .collect()
});

impl ValueEnum for PictureName {
    fn value_variants<'a>() -> &'a [Self] {
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Metrics(name) => name.to_possible_value(),
            Self::Outcomes(name) => name.to_possible_value(),
            Self::Sweep(name) => name.to_possible_value(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_picture_has_a_name_of_its_own() {
        let name = |picture: &PictureName| {
            let value = picture.to_possible_value().expect("a value");
            value.get_name().to_owned()
        };
        let names: BTreeSet<String> = ALL.iter().map(name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(names.contains("training-dynamics") && names.contains("benchmarks"));
        assert!(names.contains("field-sheet"));
    }
}
