//! `trainer devices`: lists the devices that this build can reach, and the precisions that each
//! device supports in training.

use rondo_metrics::Table;
use rondo_train::device::{self, DeviceKind, Listed, PrecisionKind};
use rondo_train::error::Result;
use serde_json::json;

use crate::cli::JsonArg;
use crate::terminal;

/// Lists every device, and shows which device `auto` selects.
///
/// # Errors
///
/// Returns an error if standard output cannot be written.
pub(crate) fn command(args: JsonArg) -> Result<()> {
    let devices = device::list();
    let (auto, why) = device::choose_kind(DeviceKind::Auto)?;
    let type_of = |listed: &Listed| if listed.gpu { "gpu" } else { "cpu" };
    let precisions = |listed: &Listed| -> Vec<&str> {
        let all = listed.precisions().into_iter();
        all.map(PrecisionKind::name).collect()
    };
    if args.json {
        let row = |listed: &Listed| {
            json!({
                "kind": listed.kind.name(),
                "index": listed.index,
                "type": type_of(listed),
                "name": listed.name,
                "precisions": precisions(listed),
            })
        };
        let devices: Vec<_> = devices.iter().map(row).collect();
        return terminal::print_json(&json!({
            "devices": devices,
            "auto": auto.kind.name(),
            "why": why,
            "speed": auto.speed(),
        }));
    }
    let mut table = Table::new(&["device", "index", "type", "precisions", "name"])
        .left(0)
        .left(2)
        .left(3)
        .left(4);
    for listed in &devices {
        let kind = listed.kind.name();
        table.row([
            kind,
            &listed.index.to_string(),
            type_of(listed),
            &precisions(listed).join(", "),
            &listed.name,
        ]);
    }
    terminal::print(&table.to_string())?;
    terminal::print(&format!(
        "\n--device auto takes {} ({why}): {}",
        auto.kind.name(),
        auto.speed()
    ))
}
