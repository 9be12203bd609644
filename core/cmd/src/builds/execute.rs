//! `davy execute`.

use super::events;
use super::row::BuildRow;
use crate::client::{Client, from_json};
use crate::failure::Failure;
use crate::operator::operator;
use crate::server::Server;
use crate::stderr;
use davy_model::Task;
use davy_worker::tree;
use serde::Deserialize;
use serde_json::json;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The size of the file of a task, at most.
const TASK_BYTES_MAX: u64 = 256 << 10;
/// The size of part of an input, in bytes.
const PART_BYTES: usize = 512 << 10;

/// Options of `davy execute`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExecuteOptions {
    /// File that describes the task: YAML with `run: {path, args, dir}`, and optionally `platform`, `tags`,
    /// `inputs`, `outputs`, `params`, `image`, `limits`, `timeout_seconds` and `profile: true` to sample the task
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Folder to upload as an input of the task [default: the current folder, if the task has one input]
    #[arg(short, long, value_name = "NAME=FOLDER", value_parser = mapping)]
    input: Vec<(String, PathBuf)>,
    /// Folder to download an output of the task to; it must be empty or absent
    #[arg(short, long, value_name = "NAME=FOLDER", value_parser = mapping)]
    output: Vec<(String, PathBuf)>,
    #[command(flatten)]
    server: Server,
    /// Arguments for the command, after those of the file
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

fn mapping(text: &str) -> Result<(String, PathBuf), String> {
    let (name, folder) = text
        .split_once('=')
        .ok_or("expected NAME=FOLDER, such as src=.")?;
    davy_model::name::check("name", name).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), folder.into()))
}

#[derive(Deserialize)]
struct Created {
    id: i64,
}

/// Runs a task on a worker. Interrupting the command leaves the build running.
pub(crate) fn execute(options: &ExecuteOptions) -> Result<(), Failure> {
    let task = task(options)?;
    let inputs = inputs(options, &task)?;
    for (name, folder) in &options.output {
        if !task.outputs.iter().any(|output| output.name == *name) {
            return Err(Failure::usage(format!("the task has no output {name:?}")));
        }
        let is_empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
        if !is_empty {
            return Err(Failure::usage(format!(
                "output folder {} is not empty; choose another one",
                folder.display()
            )));
        }
    }
    let client = Client::new(&options.server)?;
    let operator = operator();
    let body = client.change("POST", "/api/v1/builds", &json!(task), &operator)?;
    let Created { id } = from_json(&body)?;
    for (name, packed) in &inputs {
        for (part, bytes) in (1..).zip(packed.chunks(PART_BYTES)) {
            let path = format!("/api/v1/builds/{id}/inputs/{name}/{part}");
            client.upload(&path, bytes, &operator)?;
        }
    }
    if !task.inputs.is_empty() {
        let path = format!("/api/v1/builds/{id}/start");
        client.change("POST", &path, &json!({}), &operator)?;
    }
    stderr::print_line(format_args!(
        "davy: build {id}; `davy builds abort {id}` aborts it"
    ));
    let end: BuildRow = events::follow(&client, id)?;
    if matches!(&*end.state, "succeeded" | "failed") {
        for (name, folder) in &options.output {
            download(&client, id, name, folder)?;
        }
    }
    end.result()
}

/// Reads and checks the task.
fn task(options: &ExecuteOptions) -> Result<Task, Failure> {
    let path = options.config.display();
    let mut text = String::new();
    let read = fs::File::open(&options.config)
        .and_then(|file| file.take(TASK_BYTES_MAX + 1).read_to_string(&mut text));
    read.map_err(Failure::invalid(format!("cannot read {path}")))?;
    if text.len() as u64 > TASK_BYTES_MAX {
        return Err(Failure::usage(format!(
            "{path} is larger than {TASK_BYTES_MAX} bytes"
        )));
    }
    let mut task: Task = serde_saphyr::from_str(&text)
        .map_err(|error| Failure::usage(format!("invalid task {path}: {error}")))?;
    task.run.args.extend(options.args.iter().cloned());
    task.check()
        .map_err(|error| Failure::usage(format!("invalid task {path}: {error}")))?;
    Ok(task)
}

/// Packs the inputs before the build is created, so that a folder that cannot be read leaves no build behind.
fn inputs(options: &ExecuteOptions, task: &Task) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut folders: Vec<(String, &Path)> = Vec::new();
    for input in &task.inputs {
        let named = options.input.iter().find(|(name, _)| *name == input.name);
        let folder = match named {
            Some((_, folder)) => folder.as_path(),
            None if task.inputs.len() == 1 && options.input.is_empty() => Path::new("."),
            None => {
                return Err(Failure::usage(format!(
                    "missing input {0:?}; pass its folder with --input {0}=FOLDER",
                    input.name
                )));
            }
        };
        folders.push((input.name.clone(), folder));
    }
    let is_input = |name: &str| task.inputs.iter().any(|input| input.name == name);
    if let Some((name, _)) = options.input.iter().find(|(name, _)| !is_input(name)) {
        return Err(Failure::usage(format!("the task has no input {name:?}")));
    }
    let pack = |(name, folder): (String, &Path)| {
        let packed = tree::pack(folder);
        let packed = packed.map_err(Failure::because(format!("cannot upload input {name}")))?;
        Ok((name, packed))
    };
    folders.into_iter().map(pack).collect()
}

fn download(client: &Client, build: i64, name: &str, folder: &Path) -> Result<(), Failure> {
    let message = format!("cannot download output {name} of build {build}");
    let mut packed = Vec::new();
    for part in 1.. {
        let path = format!("/api/v1/builds/{build}/outputs/{name}/{part}");
        let bytes = client.get(&path, &[])?;
        if bytes.is_empty() || packed.len() > tree::PACKED_BYTES_MAX {
            break;
        }
        packed.extend(bytes);
    }
    fs::create_dir_all(folder).map_err(Failure::because(&*message))?;
    if packed.is_empty() {
        return Ok(());
    }
    tree::unpack(&packed, folder).map_err(Failure::because(message))
}
