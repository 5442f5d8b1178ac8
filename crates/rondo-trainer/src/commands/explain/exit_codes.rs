//! Generates the book's page on exit codes.

use rondo_train::exit_code::ExitCode;

const HEAD: &str = "\
# Exit codes

The page is written by `trainer explain --markdown=exit-codes` from the program's own list ([exit_code.rs](../../../rondo-train/src/exit_code.rs)); a test
compares it with the program. Scripts and schedulers can rely on these numbers: 75 and 7 mean that the same command resumes.

| code | meaning | what to do |
|---:|---|---|
";

/// Returns the whole page.
pub(super) fn page() -> String {
    let rows = ExitCode::ALL.map(|code| {
        format!(
            "| {} | {} | {} |",
            code.number(),
            code.meaning(),
            code.next()
        )
    });
    let slurm = "[Many processes, one run](ranks.md#slurm) has a job script that puts itself back into the queue on 75 and 7.";
    format!("{HEAD}{}\n\n{slurm}", rows.join("\n"))
}
