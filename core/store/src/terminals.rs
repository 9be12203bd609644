//! Terminals in the containers of builds. What each side sends is kept until the other one has fetched it.

use crate::args::args;
use crate::session::Session;
use crate::{Error, Store};
use davy_model::handle::TERMINAL_KEPT;
use serde::Serialize;
use sqlx::AssertSqlSafe;

/// Output that the person has not read, in bytes, at most; the worker waits.
const UNREAD_MAX: i64 = 1 << 20;
/// Output that was read is kept for a reader that lost its connection, in bytes.
const READ_KEPT: i64 = 256 << 10;

/// A terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct TerminalRow {
    /// Its id.
    pub id: String,
    /// Its build.
    pub build: i64,
    /// The container that it is in.
    pub container: String,
    /// The command, as a JSON array; empty for a shell.
    pub command: String,
    /// `waiting`, `open` or `closed`.
    pub state: String,
    /// Columns.
    pub width: i64,
    /// Rows.
    pub height: i64,
    /// The exit code of the command.
    pub exit_code: Option<i64>,
    /// Why it could not be opened or was closed.
    pub error: Option<String>,
}

/// A terminal that a person opens.
#[derive(Clone, Copy, Debug)]
pub struct NewTerminal<'a> {
    /// Its id.
    pub id: &'a str,
    /// The build.
    pub build: i64,
    /// The person.
    pub operator: &'a str,
    /// The command, as a JSON array.
    pub command: &'a str,
    /// Columns and rows.
    pub size: (u32, u32),
}

/// What a person does at a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalAction<'a> {
    /// Types bytes.
    Type(&'a [u8]),
    /// Sends a signal to the command; its name without `SIG`.
    Signal(&'a str),
}

/// Bytes or a signal that was sent.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct TerminalChunk {
    /// Of inputs and signals: counted from 1. Of outputs: the number of bytes up to the end.
    pub number: i64,
    /// The bytes, or the name of the signal.
    pub bytes: Vec<u8>,
    /// Whether it is a signal.
    pub is_signal: bool,
}

/// The directions in which something is sent.
#[derive(Clone, Copy)]
enum Direction {
    /// To the command.
    In,
    /// From the command.
    Out,
}

impl Direction {
    /// The kinds of what is sent.
    const fn kinds(self) -> [&'static str; 2] {
        match self {
            Self::In => ["input", "signal"],
            Self::Out => ["output", "output"],
        }
    }
}

/// What happened to output of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalAppended {
    /// It is stored; the next output begins here.
    Stored(i64),
    /// The person has to read first.
    Full,
    /// The terminal is closed.
    Closed,
}

const COLUMNS: &str = "id, build, container, command, state, width, height, exit_code, error";

impl Store {
    /// Creates a terminal in the container of a running build. Returns false if there is no such container.
    pub async fn create_terminal(&self, new: NewTerminal<'_>) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let now = transaction.now_sql();
        let created = transaction
            .execute(
                AssertSqlSafe(format!(
                    "INSERT INTO terminals (id, build, worker, container, command, state, created_at,
                        created_by, seen_at, width, height)
                     SELECT $1, b.id, b.worker, h.handle, $4, 'waiting', {now}, $3, {now}, $5, $6
                     FROM builds b JOIN handles h ON h.build = b.id
                     WHERE b.id = $2 AND b.state = 'started' AND h.kind = 'container'
                       AND h.state = 'created' AND h.worker = b.worker"
                )),
                args![
                    new.id,
                    new.build,
                    new.operator,
                    new.command,
                    new.size.0,
                    new.size.1
                ],
            )
            .await?;
        transaction
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE handles SET terminal_at = {now} WHERE build = $1 AND kind = 'container'"
                )),
                args![new.build],
            )
            .await?;
        transaction.commit().await?;
        Ok(created > 0)
    }

    /// A terminal.
    pub async fn terminal(&self, id: &str) -> Result<Option<TerminalRow>, Error> {
        self.session()
            .await?
            .optional(
                AssertSqlSafe(format!("SELECT {COLUMNS} FROM terminals WHERE id = $1")),
                args![id],
            )
            .await
    }

    /// The latest pending build that workers can claim, and the latest terminal that waits for its worker, so that waiting
    /// workers notice new ones.
    pub async fn latest_work(&self) -> Result<(Option<i64>, Option<String>), Error> {
        self.session()
            .await?
            .one(
                "SELECT (SELECT MAX(id) FROM builds WHERE state = 'pending' AND is_ready),
                        (SELECT MAX(id) FROM terminals WHERE state = 'waiting')",
                args![],
            )
            .await
    }

    /// Gives a worker the terminals that wait for it.
    pub async fn open_terminals(
        &self,
        worker: &str,
        registration: i64,
    ) -> Result<Vec<TerminalRow>, Error> {
        self.session()
            .await?
            .all(
                AssertSqlSafe(format!(
                    "UPDATE terminals SET state = 'open'
                     WHERE worker = $1 AND state = 'waiting' AND EXISTS (SELECT 1 FROM workers w
                        WHERE w.name = $1 AND w.registration = $2 AND w.nonce IS NOT NULL)
                     RETURNING {COLUMNS}"
                )),
                args![worker, registration],
            )
            .await
    }

    /// Adds what a person does. Returns false if the terminal is closed.
    pub async fn add_terminal_input(
        &self,
        id: &str,
        action: TerminalAction<'_>,
    ) -> Result<bool, Error> {
        let (kind, bytes) = match action {
            TerminalAction::Type(bytes) => ("input", bytes),
            TerminalAction::Signal(name) => ("signal", name.as_bytes()),
        };
        let mut transaction = self.begin().await?;
        let now = transaction.now_sql();
        let number: Option<(i64,)> = transaction
            .optional(
                AssertSqlSafe(format!(
                    "UPDATE terminals SET inputs = inputs + 1, seen_at = {now}
                     WHERE id = $1 AND state <> 'closed' RETURNING inputs"
                )),
                args![id],
            )
            .await?;
        if let Some((number,)) = number {
            transaction
                .execute(
                    "INSERT INTO terminal_chunks (terminal, direction, number, bytes)
                     VALUES ($1, $2, $3, $4)",
                    args![id, kind, number, bytes],
                )
                .await?;
        }
        transaction.commit().await?;
        Ok(number.is_some())
    }

    /// Records that the person is there, with the size of the window. The container is kept for a while.
    pub async fn see_terminal(&self, id: &str, size: Option<(u32, u32)>) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let now = transaction.now_sql();
        let (width, height) = size.unwrap_or_default();
        transaction
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE terminals SET seen_at = {now},
                        width = CASE WHEN $2 > 0 THEN $2 ELSE width END,
                        height = CASE WHEN $3 > 0 THEN $3 ELSE height END
                     WHERE id = $1"
                )),
                args![id, width, height],
            )
            .await?;
        transaction
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE handles SET terminal_at = {now}
                     WHERE handle = (SELECT container FROM terminals WHERE id = $1)"
                )),
                args![id],
            )
            .await?;
        transaction.commit().await
    }

    /// What the person has typed after a number, for the worker; what it has fetched before is deleted. `None` if the
    /// terminal is not open on this worker.
    pub async fn terminal_input(
        &self,
        id: &str,
        worker: &str,
        after: i64,
    ) -> Result<Option<(TerminalRow, Vec<TerminalChunk>)>, Error> {
        let mut session = self.session().await?;
        let row: Option<TerminalRow> = session
            .optional(
                AssertSqlSafe(format!(
                    "SELECT {COLUMNS} FROM terminals
                     WHERE id = $1 AND worker = $2 AND state = 'open'"
                )),
                args![id, worker],
            )
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let chunks = fetch(&mut session, id, Direction::In, after, after).await?;
        Ok(Some((row, chunks)))
    }

    /// Appends output of a worker. Output that does not begin at the end is not stored, so that a request can be
    /// repeated.
    pub async fn append_terminal_output(
        &self,
        id: &str,
        worker: &str,
        position: i64,
        bytes: &[u8],
    ) -> Result<TerminalAppended, Error> {
        let mut transaction = self.begin().await?;
        let open: Option<(i64, i64)> = transaction
            .optional(
                "UPDATE terminals SET state = state WHERE id = $1 AND worker = $2 AND state = 'open'
                 RETURNING output_bytes, read_bytes",
                args![id, worker],
            )
            .await?;
        let Some((end, read)) = open else {
            transaction.commit().await?;
            return Ok(TerminalAppended::Closed);
        };
        if position != end || bytes.is_empty() {
            transaction.commit().await?;
            return Ok(TerminalAppended::Stored(end));
        }
        let next = end + bytes.len() as i64;
        if next - read > UNREAD_MAX {
            transaction.commit().await?;
            return Ok(TerminalAppended::Full);
        }
        transaction
            .execute(
                "INSERT INTO terminal_chunks (terminal, direction, number, bytes)
                 VALUES ($1, 'output', $2, $3)",
                args![id, next, bytes],
            )
            .await?;
        transaction
            .execute(
                "UPDATE terminals SET output_bytes = $2 WHERE id = $1",
                args![id, next],
            )
            .await?;
        transaction.commit().await?;
        Ok(TerminalAppended::Stored(next))
    }

    /// Output after a position, for the person, who has read everything before it.
    pub async fn terminal_output(&self, id: &str, after: i64) -> Result<Vec<TerminalChunk>, Error> {
        let mut session = self.session().await?;
        let chunks = fetch(&mut session, id, Direction::Out, after, after - READ_KEPT).await?;
        if !chunks.is_empty() {
            session
                .execute(
                    "UPDATE terminals SET read_bytes = $2 WHERE id = $1 AND read_bytes < $2",
                    args![id, after],
                )
                .await?;
        }
        Ok(chunks)
    }

    /// Closes a terminal: by its worker if `worker` is set, otherwise by the person.
    pub async fn close_terminal(
        &self,
        id: &str,
        worker: Option<&str>,
        exit_code: Option<i64>,
        error: Option<&str>,
    ) -> Result<bool, Error> {
        let rows = self
            .session()
            .await?
            .execute(
                "UPDATE terminals SET state = 'closed', exit_code = $3, error = $4
                 WHERE id = $1 AND state <> 'closed' AND ($2 = '' OR worker = $2)",
                args![id, worker.unwrap_or_default(), exit_code, error],
            )
            .await?;
        Ok(rows > 0)
    }

    /// Removes terminals that nobody has used for a while (`gc.builds`). Returns how many.
    pub async fn mark_terminals(&self, batch: u32) -> Result<u64, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        session
            .execute(
                AssertSqlSafe(format!(
                    "DELETE FROM terminals WHERE id IN (SELECT id FROM terminals
                        WHERE seen_at <= {now} - $1 ORDER BY seen_at LIMIT $2)"
                )),
                args![TERMINAL_KEPT, batch],
            )
            .await
    }
}

/// What was sent in a direction after a number. If there is something, what is not after `kept_after` is deleted.
async fn fetch(
    session: &mut Session,
    id: &str,
    direction: Direction,
    after: i64,
    kept_after: i64,
) -> Result<Vec<TerminalChunk>, Error> {
    let [first, second] = direction.kinds();
    let chunks: Vec<TerminalChunk> = session
        .all(
            "SELECT number, bytes, direction = 'signal' AS is_signal FROM terminal_chunks
             WHERE terminal = $1 AND direction IN ($2, $3) AND number > $4
             ORDER BY number LIMIT 64",
            args![id, first, second, after],
        )
        .await?;
    if !chunks.is_empty() {
        session
            .execute(
                "DELETE FROM terminal_chunks
                 WHERE terminal = $1 AND direction IN ($2, $3) AND number <= $4",
                args![id, first, second, kept_after],
            )
            .await?;
    }
    Ok(chunks)
}
