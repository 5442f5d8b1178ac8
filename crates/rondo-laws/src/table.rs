//! Points of a curve from the text of a table `step,lr,loss`.

use crate::curve::Point;
use crate::error::LawError;

/// Reads a CSV table with the columns `step`, `lr` and `loss`, in any order and among others; empty lines
/// are passed over. `name` is the curve's, for errors.
///
/// # Errors
/// [`LawError::Table`] for a missing header or column, and for a cell that is no number.
pub fn read(name: &str, text: &str) -> Result<Vec<Point>, LawError> {
    let wrong = |line: usize, problem: String| LawError::Table {
        curve: name.to_owned(),
        line,
        problem,
    };
    let mut lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    let Some((number, header)) = lines.next() else {
        return Err(wrong(1, "expected the header step,lr,loss".into()));
    };
    let names: Vec<&str> = header.split(',').map(str::trim).collect();
    let column = |wanted: &str| {
        let found = names.iter().position(|name| *name == wanted);
        found.ok_or_else(|| wrong(number, format!("no column `{wanted}` in `{header}`")))
    };
    let (step, rate, loss) = (column("step")?, column("lr")?, column("loss")?);
    lines
        .map(|(number, line)| {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let cell = |column: usize| cells.get(column).copied().unwrap_or_default();
            let real = |column: usize| {
                let text = cell(column);
                let name = names[column];
                let value = text.parse::<f64>();
                value.map_err(|_| {
                    wrong(number, format!("{name}: expected a number, found `{text}`"))
                })
            };
            let text = cell(step);
            let whole = text.parse::<u64>();
            Ok(Point {
                step: whole.map_err(|_| {
                    wrong(
                        number,
                        format!("step: expected a whole number, found `{text}`"),
                    )
                })?,
                rate: real(rate)?,
                loss: real(loss)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_line_ends_do_not_matter() {
        let text = "loss,step,tokens,lr\r\n3.5,10,5120,3e-4\r\n\r\n3.25,20,10240,0.0002\n";
        let point = |step, rate, loss| Point { step, rate, loss };
        let expected = [point(10, 3e-4, 3.5), point(20, 2e-4, 3.25)];
        assert_eq!(read("a", text).expect("points"), expected);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        let refused = |text: &str| read("a", text).expect_err("a refusal").to_string();
        assert_eq!(
            refused(""),
            "curve `a`, line 1: expected the header step,lr,loss"
        );
        assert_eq!(
            refused("step,loss\n"),
            "curve `a`, line 1: no column `lr` in `step,loss`"
        );
        let header = "step,lr,loss\n";
        assert_eq!(
            refused(&format!("{header}\n1,x,3")),
            "curve `a`, line 3: lr: expected a number, found `x`"
        );
        assert!(refused(&format!("{header}1.5,1,3")).ends_with("whole number, found `1.5`"));
        assert!(refused(&format!("{header}1,1")).ends_with("loss: expected a number, found ``"));
    }
}
