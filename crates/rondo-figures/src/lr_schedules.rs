//! Learning-rate schedules, and the final loss of each.
//!
//! Kaplan et al. 2020, arXiv 2001.08361, appendix D.6, the figure of many schedules on one small
//! model: with warm-up and a final decay, the loss depends on the summed learning rate and on
//! little else.

use crate::axis::Axis;
use crate::error::FigureError;
use crate::grid;
use crate::legend::{Entry, Legend};
use crate::lines::Line;
use crate::marker::Marker;
use crate::page::Page;
use crate::palette::INK;
use crate::panel::Panel;
use crate::picture::Picture;
use crate::rates::{self, Rated};
use crate::scene::{Scene, Stroke};
use crate::table::Table;
use crate::ticks::number;

const NAME: &str = "lr-schedules";
const HEIGHT: f64 = 640.0;
const MARK: f64 = 8.5;

/// A run: its schedule and its final loss.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledRun {
    /// The name of the run.
    pub name: String,
    /// Pairs of step and learning rate, in ascending order of steps.
    pub rates: Vec<(u64, f64)>,
    /// The learning rate summed over all steps.
    pub lr_sum: f64,
    /// The final loss, in nat/token. A run whose loss is not finite has no point.
    pub loss: f64,
}

impl Rated for ScheduledRun {
    fn name(&self) -> &str {
        &self.name
    }

    fn rates(&self) -> impl Iterator<Item = (u64, f64)> {
        self.rates.iter().copied()
    }

    fn rate_sum(&self) -> f64 {
        self.lr_sum
    }
}

/// The loss that a law predicts for each summed learning rate.
#[derive(Clone, Debug, PartialEq)]
pub struct LawLine {
    /// The name of the law.
    pub name: String,
    /// Pairs of summed learning rate and loss, in the order in which they are joined.
    pub points: Vec<(f64, f64)>,
}

/// Spearman's rank correlation of final loss and summed learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// ρ, from −1 to 1.
    pub rho: f64,
    /// The two-sided p value: the probability of such a ρ among unrelated numbers.
    pub p_value: f64,
}

/// Draws two panels with linear axes. The left panel shows the learning rate of every run against
/// the step. The right panel shows a point per run (its final loss against its summed learning
/// rate) and, if a law is given, the line of the law. Up to nine runs have their own colours and a
/// legend; more runs are coloured by their summed learning rate.
///
/// Its table has the columns `series,name,x,y`, with the series `schedule` (step, rate), `run`
/// (summed rate, loss) and `law` (summed rate, loss).
///
/// # Errors
/// [`FigureError::Empty`] without runs, if a run has no rate that is finite, or if no run has a
/// finite sum and loss.
pub fn lr_schedules(
    runs: &[ScheduledRun],
    law: Option<&LawLine>,
    correlation: Option<Correlation>,
) -> Result<Picture, FigureError> {
    let schedules = rates::axes(NAME, runs)?;
    let ends = || {
        runs.iter()
            .map(|run| (run.lr_sum, run.loss))
            .filter(is_finite)
    };
    let shown = || ends().chain(law.into_iter().flat_map(|law| law.points.iter().copied()));
    let sum = Axis::linear("LR Summed Over Steps", shown().map(|(sum, _)| sum), 0.04);
    let loss = Axis::linear("Loss", shown().map(|(_, loss)| loss), 0.06);
    let (Some(sum), Some(loss), Some(_)) = (sum, loss, ends().next()) else {
        let reason = "no run has a finite loss and a finite summed learning rate";
        return Err(FigureError::empty(NAME, reason));
    };
    let scene = draw(runs, law, correlation, [schedules, (sum, loss)]);
    Ok(Picture::new(NAME, scene, table(runs, law)))
}

fn is_finite(point: &(f64, f64)) -> bool {
    point.0.is_finite() && point.1.is_finite()
}

fn draw(
    runs: &[ScheduledRun],
    law: Option<&LawLine>,
    correlation: Option<Correlation>,
    [left, right]: [(Axis, Axis); 2],
) -> Scene {
    let colours = rates::colours(runs);
    let law_stroke = Stroke::solid(INK, 2.6);
    let named = rates::named(runs, &colours).map(|entry| Entry {
        mark: entry.line.map(|stroke| (Marker::Circle, stroke.colour)),
        ..entry
    });
    let fitted = law.map(|law| Entry::line(law.name.clone(), law_stroke));
    let legend = Legend::of(named.chain(fitted));
    let caption = caption(runs, correlation);
    let title = "Learning-rate schedules and the loss they lead to";
    let Page { mut scene, body } = Page::new(title, HEIGHT, &caption, &Legend::default(), &legend);
    let places = grid::places(body, 2, 2);
    let [left, right] =
        [(left, places[0]), (right, places[1])].map(|((x, y), place)| Panel::fit(place, x, y));
    left.plot(&mut scene, &rates::lines(runs, &colours), &[]);
    let law: Vec<Line> = law
        .map(|law| Line::plain(law.points.clone(), law_stroke))
        .into_iter()
        .collect();
    right.plot(&mut scene, &law, &[]);
    for (run, colour) in runs.iter().zip(&colours) {
        if let Some(at) = right.point(run.lr_sum, run.loss) {
            Marker::Circle.draw(&mut scene, at, MARK, *colour);
        }
    }
    scene
}

fn caption(runs: &[ScheduledRun], correlation: Option<Correlation>) -> Vec<String> {
    let mut caption = Vec::new();
    caption.extend(correlation.map(|Correlation { rho, p_value }| {
        let p = match p_value < 1e-12 {
            true => "p < 10⁻¹²".to_owned(),
            false => format!("p = {}", number(p_value)),
        };
        format!(
            "Spearman's rank correlation of loss and summed rate: {}, {p}.",
            number(rho)
        )
    }));
    caption.extend(rates::colours_note(runs));
    let gone = runs
        .iter()
        .filter(|run| !is_finite(&(run.lr_sum, run.loss)))
        .count();
    match gone {
        0 => {}
        1 => caption.push("One run has no finite loss and no point.".to_owned()),
        _ => caption.push(format!("{gone} runs have no finite loss and no point.")),
    }
    caption
}

fn table(runs: &[ScheduledRun], law: Option<&LawLine>) -> Table {
    let mut table = Table::new("series,name,x,y");
    for run in runs {
        for (step, rate) in &run.rates {
            table.row(&[&"schedule", &run.name, step, rate]);
        }
    }
    for run in runs {
        table.row(&[&"run", &run.name, &run.lr_sum, &run.loss]);
    }
    if let Some(law) = law {
        for (sum, loss) in &law.points {
            table.row(&[&"law", &law.name, sum, loss]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;
    use crate::golden;

    fn run(name: &str, lr_sum: f64, loss: f64) -> ScheduledRun {
        ScheduledRun {
            name: name.into(),
            rates: vec![(1, 1e-4), (10, 1e-3), (100, 0.0)],
            lr_sum,
            loss,
        }
    }

    fn law() -> LawLine {
        LawLine {
            name: "L0 + A / S".into(),
            points: vec![(0.05, 3.5), (0.1, 3.0)],
        }
    }

    #[test]
    fn both_panels_name_their_axes_and_the_table_holds_every_number() {
        let runs = [run("cosine", 0.055, 3.25), run("a, b", 0.1, f64::NAN)];
        let picture = lr_schedules(&runs, Some(&law()), None).expect("a picture");
        golden::check(NAME, &picture);
        let expected = "\
series,name,x,y
schedule,cosine,1,0.0001
schedule,cosine,10,0.001
schedule,cosine,100,0.0
schedule,\"a, b\",1,0.0001
schedule,\"a, b\",10,0.001
schedule,\"a, b\",100,0.0
run,cosine,0.055,3.25
run,\"a, b\",0.1,
law,L0 + A / S,0.05,3.5
law,L0 + A / S,0.1,3.0
";
        assert_eq!(picture.csv(), expected);
    }

    #[test]
    fn many_runs_are_coloured_by_their_sums_and_have_no_legend() {
        let runs: Vec<ScheduledRun> = (1..=24)
            .map(|i| run(&format!("run {i}"), f64::from(i), 3.0 - 0.01 * f64::from(i)))
            .collect();
        let svg = lr_schedules(&runs, None, None).expect("a picture").svg();
        assert!(!svg.contains(">run 1<"));
        assert!(svg.contains("the brighter, the larger"));
    }

    #[test]
    fn a_correlation_is_told_in_the_caption() {
        let told = |rho, p_value| {
            let correlation = Some(Correlation { rho, p_value });
            lr_schedules(&[run("a", 1.0, 3.0)], None, correlation)
                .expect("a picture")
                .svg()
        };
        assert!(told(-0.93, 0.002).contains("summed rate: −0.93, p = 0.002."));
        assert!(told(-1.0, 0.0).contains("−1, p &lt; 10⁻¹²."));
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let drawn = |runs: &[ScheduledRun]| lr_schedules(runs, Some(&law()), None);
        refused(drawn(&[]), "no run is given");
        let infinite = "no run has a finite loss and a finite summed learning rate";
        refused(drawn(&[run("a", 1.0, f64::NAN)]), infinite);
        let mut bare = run("b", 1.0, 1.0);
        bare.rates.clear();
        let lacks = "run `b` has no learning rate that is finite";
        refused(drawn(&[run("a", 1.0, 1.0), bare]), lacks);
    }
}
