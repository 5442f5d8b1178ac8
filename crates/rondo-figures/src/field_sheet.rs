//! A sheet of runs: each row is an arm, each column a condition, each dot a seed.

use crate::axis::Axis;
use crate::error::FigureError;
use crate::field_sheet::place::{Placed, Places};
use crate::font::{self, Anchor};
use crate::grid;
use crate::legend::{Entry, Legend};
use crate::marker::Marker;
use crate::page::Page;
use crate::palette::{Colour, FRAME, GRID, INK, RED, SERIES, SOFT_INK};
use crate::panel::{GAP, LABEL_SIZE, LABELS, Panel, TICK_SIZE};
use crate::picture::Picture;
use crate::scene::{Area, Path, Scene, Stroke};
use crate::table::Table;

mod place;
mod sheet;

pub use self::sheet::{Better, FieldSheet, SheetCell, SheetDot, SheetRow};

const NAME: &str = "field-sheet";
/// Height of a row in pixels.
const ROW: f64 = 124.0;
/// The distance from the top of a panel to its frame, in pixels.
const ABOVE: f64 = 44.0;
/// The maximum number of columns side by side. More columns are broken into several lines of
/// panels.
const ABREAST: usize = 4;
/// The maximum width of a row's name, in pixels.
const WIDEST: f64 = 330.0;
const MARK: f64 = 9.5;
const TEXT: f64 = 19.0;
/// The place of a cell's numbers, in row heights below the middle of the row.
const NUMBERS: f64 = -0.24;
/// The places of a cell's first and last dot, in the same unit as `NUMBERS`.
const DOTS: (f64, f64) = (0.0, 0.32);
/// The distance in pixels from an edge to the dots that are drawn at this edge.
const INSIDE: f64 = 16.0;

/// Draws a panel for each column, with a band for each row. All panels have the same axis of
/// values. A dot is a seed, and a red mark is a failed run. Each cell shows its mean and standard
/// deviation, which include failed runs, and the number of failed runs. A failed run far from all
/// others, or a run without a finite value, is drawn at the edge of the panel; the caption counts
/// these runs.
///
/// Its table has the columns `row,column,run,seed,value,failure`.
///
/// # Errors
/// [`FigureError::Length`] if a row does not have a cell for each column; [`FigureError::Empty`]
/// if no dot has a finite value.
pub fn field_sheet(sheet: &FieldSheet) -> Result<Picture, FigureError> {
    for row in &sheet.rows {
        if row.cells.len() != sheet.columns.len() {
            return Err(FigureError::Length {
                picture: NAME,
                what: format!("cells of `{}`", row.name),
                expected: sheet.columns.len(),
                found: row.cells.len(),
            });
        }
    }
    let places = Places::of(sheet.dots());
    let Some(x) = Axis::log_over_a_decade(&sheet.quantity, &places.shown, 0.06)
        .or_else(|| Axis::linear(&sheet.quantity, places.shown.iter().copied(), 0.06))
    else {
        return Err(FigureError::empty(NAME, "no run has a finite value"));
    };
    let caption = caption(sheet, &places);
    Ok(Picture::new(
        NAME,
        draw(sheet, &x, &places, &caption),
        table(sheet),
    ))
}

fn draw(sheet: &FieldSheet, x: &Axis, places: &Places, caption: &[String]) -> Scene {
    let failures = sheet.failures();
    let abreast = sheet.columns.len().min(ABREAST);
    let lines = sheet.columns.len().div_ceil(abreast);
    let line = ABOVE + ROW * sheet.rows.len() as f64 + LABELS + 2.0 * GAP;
    let title = format!("{} by arm and condition", sheet.quantity);
    let legend = legend(&failures);
    let page = Page::new(
        &title,
        line * lines as f64,
        caption,
        &Legend::default(),
        &legend,
    );
    let Page { mut scene, body } = page;
    let names = names_width(sheet);
    let area = Area {
        left: body.left + (names - LABEL_SIZE - GAP).max(0.0),
        ..body
    };
    for (column, place) in grid::places(area, sheet.columns.len(), abreast)
        .into_iter()
        .enumerate()
    {
        let y = Axis::listed("", sheet.rows.len(), Vec::new());
        let mut panel = Panel::fit(place, x.clone(), y);
        panel = panel.with_heading(&sheet.columns[column], String::new());
        if font::width(&panel.x.label, LABEL_SIZE) > panel.frame.width() {
            panel.x.label.clear();
        }
        panel.draw_grid(&mut scene);
        for (index, row) in sheet.rows.iter().enumerate() {
            band(&mut scene, &panel, index);
            if column % abreast == 0 {
                name(&mut scene, &panel, (index, row), sheet.better);
            }
            cell(
                &mut scene,
                &panel,
                (index, &row.cells[column]),
                (places, &failures),
            );
        }
        panel.draw_frame(&mut scene);
    }
    scene
}

/// Draws the line above a row.
fn band(scene: &mut Scene, panel: &Panel, row: usize) {
    if let Some(y) = panel.down(row as f64 - 0.5).filter(|_| row > 0) {
        let ends = [(panel.frame.left, y), (panel.frame.right, y)];
        scene.stroke(Path::line(&ends), Stroke::solid(FRAME, 1.0));
    }
}

/// Returns the width of the rows' names and of the texts under them.
fn names_width(sheet: &FieldSheet) -> f64 {
    let width = |row: &SheetRow| {
        let under = under_name(row, sheet.better);
        let under = under.iter().map(|(text, _)| font::width(text, TICK_SIZE));
        under.fold(
            font::width(&font::drawable(&row.name), LABEL_SIZE),
            f64::max,
        )
    };
    sheet.rows.iter().map(width).fold(0.0, f64::max).min(WIDEST)
}

/// Returns the texts under the name of a row. The flag of a text is true if the text is about
/// failures.
fn under_name(row: &SheetRow, better: Better) -> Vec<(String, bool)> {
    let (runs, failed) = row.failed();
    let mut under = Vec::new();
    if let Some((_, best)) = row.best(better).filter(|_| row.cells.len() > 1) {
        under.push((format!("best {}", spread(best, None)), false));
    }
    if failed > 0 {
        under.push((format!("{failed} of {runs} failed"), true));
    }
    under
}

/// Writes the name of a row beside the first panel, and under it the row's best mean and its
/// number of failed runs.
fn name(scene: &mut Scene, panel: &Panel, (index, row): (usize, &SheetRow), better: Better) {
    let Some(middle) = panel.down(index as f64) else {
        return;
    };
    let under = under_name(row, better);
    let right = panel.frame.left - GAP;
    let mut baseline = middle + 0.36 * LABEL_SIZE - 0.5 * under.len() as f64 * 1.25 * TICK_SIZE;
    let text = font::fitted(&font::drawable(&row.name), LABEL_SIZE, WIDEST);
    scene.text(&text, (right, baseline), LABEL_SIZE, Anchor::End, INK);
    for (text, of_failures) in under {
        baseline += 1.25 * TICK_SIZE;
        let colour = if of_failures { RED } else { SOFT_INK };
        scene.text(&text, (right, baseline), TICK_SIZE, Anchor::End, colour);
    }
}

/// Draws the dots of a cell, a line at the mean of their values with the standard deviation, and
/// the numbers above the dots.
fn cell(
    scene: &mut Scene,
    panel: &Panel,
    (index, cell): (usize, &SheetCell),
    (places, failures): (&Places, &[&str]),
) {
    let row = index as f64;
    let frame = panel.frame;
    let (Some(numbers), Some(top), Some(bottom)) = (
        panel.down(row + NUMBERS),
        panel.down(row + DOTS.0),
        panel.down(row + DOTS.1),
    ) else {
        return;
    };
    if let Some(mean) = cell.mean {
        let text = spread(mean, cell.deviation);
        let at = (frame.left + GAP, numbers);
        scene.text(&text, at, TEXT, Anchor::Start, INK);
        let deviation = cell.deviation.unwrap_or(0.0);
        let ends = [mean - deviation, mean + deviation].map(|x| panel.across(x));
        let middle = f64::midpoint(top, bottom);
        let inside = |x: f64| x.clamp(frame.left, frame.right);
        if let [Some(low), Some(high)] = ends {
            let line = Path::line(&[(inside(low), middle), (inside(high), middle)]);
            scene.stroke(line, Stroke::solid(GRID, 12.0));
        }
        if let Some(x) = panel.across(mean).map(inside) {
            let reach = 0.11 * ROW;
            let line = Path::line(&[(x, top - reach), (x, bottom + reach)]);
            scene.stroke(line, Stroke::solid(INK, 2.0));
        }
    }
    if cell.failed() > 0 {
        let text = format!("{} of {} failed", cell.failed(), cell.dots.len());
        let at = (frame.right - GAP, numbers);
        scene.text(&text, at, TEXT, Anchor::End, RED);
    }
    for (number, dot) in cell.dots.iter().enumerate() {
        let share = match cell.dots.len() {
            1 => 0.5,
            dots => number as f64 / (dots - 1) as f64,
        };
        let y = top + share * (bottom - top);
        let x = match places.of_dot(dot) {
            Placed::At(value) => panel.across(value),
            Placed::Below => Some(frame.left + INSIDE),
            Placed::Above => Some(frame.right - INSIDE),
        };
        let Some(x) = x else { continue };
        match &dot.failure {
            None => Marker::Circle.draw(scene, (x, y), MARK, colour(index)),
            Some(word) => failed_marker(failures, word).draw(scene, (x, y), MARK, RED),
        }
    }
}

/// Returns the colour of a row; it is never red, which marks failures.
fn colour(row: usize) -> Colour {
    let others = SERIES.into_iter().filter(|colour| *colour != RED);
    others.cycle().nth(row).unwrap_or(INK)
}

fn failed_marker(failures: &[&str], word: &str) -> Marker {
    /// Shapes, in descending order of their difference from a circle.
    const SHAPES: [Marker; 4] = [
        Marker::Cross,
        Marker::TriangleDown,
        Marker::Plus,
        Marker::Diamond,
    ];
    let index = failures.iter().position(|other| *other == word);
    SHAPES[index.unwrap_or(0) % SHAPES.len()]
}

/// Returns the legend of the marks. It is empty if no run has failed.
fn legend(failures: &[&str]) -> Legend {
    let sound = Entry::mark("no failure".to_owned(), Marker::Circle, INK);
    let failed = failures.iter().map(|word| {
        let marker = failed_marker(failures, word);
        Entry::mark((*word).to_owned(), marker, RED)
    });
    match failures.is_empty() {
        true => Legend::default(),
        false => Legend::of(std::iter::once(sound).chain(failed)),
    }
}

/// Returns a mean with four significant digits, and the standard deviation with as many decimals as
/// the mean.
fn spread(mean: f64, deviation: Option<f64>) -> String {
    let whole = mean.abs().max(1e-9).log10().floor() as i32;
    let decimals = usize::try_from(3 - whole).unwrap_or(0).min(6);
    match deviation {
        None => format!("{mean:.decimals$}"),
        Some(deviation) => format!("{mean:.decimals$} ± {deviation:.decimals$}"),
    }
}

fn caption(sheet: &FieldSheet, places: &Places) -> Vec<String> {
    let failed = sheet.dots().any(|dot| dot.failure.is_some());
    let dots = match failed {
        true => "A dot is a seed; mean ± standard deviation are over seeds, failed ones too.",
        false => "A dot is a seed; the numbers are mean ± standard deviation over seeds.",
    };
    let mut caption = vec![dots.to_owned()];
    if sheet.columns.len() > 1 {
        caption.push("Best is the best mean of a row.".to_owned());
    }
    let beyond = sheet.dots().filter(|dot| places.is_at_an_edge(dot)).count();
    if beyond > 0 {
        let runs = if beyond == 1 { "run has" } else { "runs have" };
        caption.push(format!(
            "{beyond} {runs} a value far from all others or none that is finite, and a mark at the edge."
        ));
    }
    caption
}

fn table(sheet: &FieldSheet) -> Table {
    let mut table = Table::new("row,column,run,seed,value,failure");
    for row in &sheet.rows {
        for (column, cell) in sheet.columns.iter().zip(&row.cells) {
            for dot in &cell.dots {
                table.row(&[
                    &row.name,
                    column,
                    &dot.run,
                    &dot.seed,
                    &dot.value,
                    &dot.failure,
                ]);
            }
        }
    }
    table
}

#[cfg(test)]
mod tests;
