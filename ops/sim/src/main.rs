//! `davy-sim` runs simulated histories of the archive, and prints the first one that violates an invariant.

use clap::Parser;
use davy_base::Clock;
use davy_sim::{Detail, Histories, Mutant, Outcome, run, run_all};
use std::io::Write;
use std::process::ExitCode;

/// Simulate histories of the archive on a faulty object store
#[derive(Debug, Parser)]
#[command(name = "davy-sim", version)]
struct Arguments {
    /// Seed of the first history
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of histories; the seed of each is one more than that of the last
    #[arg(long, default_value_t = 10_000)]
    histories: u64,
    /// Break a rule on purpose: no-grace, no-step-two, no-window-ids and others
    #[arg(long, value_parser = mutant)]
    mutant: Option<Mutant>,
    /// Print all events of the first history, and run no other
    #[arg(long)]
    trace: bool,
    /// Number of lines that are printed of a failed history
    #[arg(long, default_value_t = 40)]
    lines: usize,
}

fn mutant(name: &str) -> Result<Mutant, String> {
    let found = Mutant::ALL.into_iter().find(|of| of.name() == name);
    found.ok_or_else(|| {
        let names = Mutant::ALL.map(Mutant::name);
        format!("unknown; expected one of {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic becomes the failure of its history, so the default message would be a duplicate.
    std::panic::set_hook(Box::new(|_| {}));
    match report(&arguments, &mut std::io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot print the report: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints the result. Returns whether all histories passed.
fn report(arguments: &Arguments, out: &mut impl Write) -> std::io::Result<bool> {
    let Arguments {
        seed,
        histories,
        mutant,
        ..
    } = *arguments;
    if arguments.trace {
        let outcome = run(seed, mutant, Detail::Lines);
        print(&outcome, usize::MAX, mutant, out)?;
        return Ok(outcome.failure.is_none());
    }
    let clock = Clock::system();
    let found = run_all(&Histories {
        seeds: seed..seed.saturating_add(histories),
        mutant,
    });
    let totals = found.totals;
    writeln!(
        out,
        "davy-sim: {} histories in {:.1} s: {} windows acknowledged, {} queries answered ({} partially), {} failed, {} steps, {} histories with a month block",
        found.histories,
        clock.monotonic().as_secs_f64(),
        totals.acknowledged,
        totals.answers,
        totals.partial,
        totals.failed,
        totals.steps,
        totals.months,
    )?;
    if let Some(failed) = &found.failed {
        // The same history again, with its trace.
        let outcome = run(failed.seed, mutant, Detail::Lines);
        print(&outcome, arguments.lines, mutant, out)?;
    }
    Ok(found.failed.is_none())
}

/// Prints a failed history: the last lines of its trace, the failure, and the command that reproduces it.
fn print(
    outcome: &Outcome,
    lines: usize,
    mutant: Option<Mutant>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let first = outcome.lines.len().saturating_sub(lines);
    for line in &outcome.lines[first..] {
        writeln!(out, "{line}")?;
    }
    writeln!(
        out,
        "davy-sim: seed {}, hash {:032x}",
        outcome.seed, outcome.hash
    )?;
    if let Some(why) = &outcome.failure {
        let mutant = mutant.map_or_else(String::new, |of| format!(" MUTANT={}", of.name()));
        writeln!(out, "davy-sim: {why}")?;
        writeln!(
            out,
            "davy-sim: reproduce it with: make sim SEED={} TRACE=1{mutant}",
            outcome.seed
        )?;
    }
    Ok(())
}
