//! `davy mcp`: tools for assistants, over the Model Context Protocol on standard input and output.

mod answer;
mod protocol;
mod tools;

use crate::client::Client;
use crate::failure::Failure;
use crate::server::Server;
use protocol::Session;
use std::io::{BufRead as _, Write as _};
use tools::Tools;

/// Maximum length of a message, in bytes.
const MESSAGE_BYTES: u64 = 1 << 20;

/// Options of `davy mcp`.
#[derive(Debug, clap::Args)]
pub(crate) struct McpOptions {
    /// Offer tools that enable, disable and limit members and endpoints, too
    #[arg(long)]
    allow_changes: bool,
    #[command(flatten)]
    server: Server,
}

/// Serves until the end of the input: a message in each line.
pub(crate) fn run(options: &McpOptions) -> Result<(), Failure> {
    let tools = Tools::new(Client::new(&options.server)?, options.allow_changes);
    let mut session = Session::new(tools);
    let mut input = std::io::stdin().lock();
    let mut output = std::io::stdout().lock();
    let unread = || Failure::because("cannot read a message from standard input");
    loop {
        let mut line = Vec::new();
        let mut limited = std::io::Read::take(&mut input, MESSAGE_BYTES);
        limited.read_until(b'\n', &mut line).map_err(unread())?;
        if line.is_empty() {
            return Ok(());
        }
        if line.len() as u64 == MESSAGE_BYTES && !line.ends_with(b"\n") {
            return Err(Failure::failed(format!(
                "a message has more than {MESSAGE_BYTES} bytes, the limit"
            )));
        }
        let Some(response) = session.handle(&line) else {
            continue;
        };
        let written = writeln!(output, "{response}").and_then(|()| output.flush());
        match written {
            // The client has gone.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            result => result.map_err(Failure::because("cannot write to standard output"))?,
        }
    }
}
