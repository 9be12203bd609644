//! `davy-fuzz list` prints the names of the targets, `davy-fuzz seeds FOLDER` writes the seeds of each target
//! into a folder of its own.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list"] => {
            for target in davy_fuzz::TARGETS {
                println!("{}", target.name);
            }
            ExitCode::SUCCESS
        }
        ["seeds", folder] => match write_seeds(Path::new(folder)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("cannot write the seeds to {folder}: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: davy-fuzz list | davy-fuzz seeds FOLDER");
            ExitCode::from(2)
        }
    }
}

fn write_seeds(folder: &Path) -> std::io::Result<()> {
    for target in davy_fuzz::TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (index, seed) in (target.seeds)().into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{index}")), seed)?;
        }
    }
    Ok(())
}
