//! Formats the results of evaluations as tables.

use rondo_metrics::Table;
use rondo_metrics::format::significant;
use rondo_model::sparsity::Sparsity;

use super::DepthResult;
use super::exits::ExitResult;

/// Returns the table of the results at fixed depths.
pub fn depth_table(depths: &[DepthResult]) -> Table {
    let tasks = depths.iter().any(|depth| depth.accuracy.is_some());
    let last = if tasks { "accuracy" } else { "bits/byte" };
    let mut table = Table::new(&["recurrence", "loss", "perplexity", last]);
    for depth in depths {
        let number = |x: f64| format!("{x:.4}");
        table.row([
            depth.recurrence.to_string(),
            number(depth.loss),
            format!("{:.3}", depth.perplexity),
            rondo_metrics::format::or_missing(depth.accuracy.or(depth.bits_per_byte), number),
        ]);
    }
    table
}

/// Returns the table of the results under exit criteria. Its columns are like those for fixed
/// depths.
pub fn exit_table(exits: &[ExitResult]) -> Table {
    let tasks = exits.iter().any(|exit| exit.accuracy.is_some());
    let mut header = vec!["exit", "threshold", "iterations", "loss", "perplexity"];
    header.extend(tasks.then_some("accuracy"));
    let mut table = Table::new(&header).left(0);
    for exit in exits {
        let number = |x: f64| format!("{x:.4}");
        let mut row = vec![
            exit.criterion.name().to_owned(),
            format!("{}", exit.threshold),
            format!("{:.2}", exit.mean_iterations),
            number(exit.loss),
            format!("{:.3}", exit.perplexity),
        ];
        row.extend(exit.accuracy.map(number));
        table.row(row);
    }
    table
}

/// Returns the table of the share of edges that gates keep in each layer.
pub fn sparsity_table(sparsity: &Sparsity) -> Table {
    let mut table = Table::new(&["layer", "edges kept"]).left(0);
    for (layer, kept) in &sparsity.by_layer {
        table.row([layer.name(), significant(*kept, 3)]);
    }
    table.row(["mean".to_owned(), significant(sparsity.kept, 3)]);
    table
}
