//! The screen of `davy top`.

use super::rows::{TopGrain, TopSort, fetch, rows};
use super::table::{COLUMNS, cells};
use crate::client::Client;
use crate::failure::Failure;
use clap::ValueEnum as _;
use davy_base::Clock;
use davy_control::MemberRow;
use davy_profile::units::count;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table};
use std::collections::{HashMap, VecDeque};
use std::io::IsTerminal as _;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// Points of a sparkline.
const POINTS: usize = 24;
/// Interval at which keys are polled.
const KEYS: Duration = Duration::from_millis(50);
/// Minimum width of a value such as `25.2 KiB`.
const VALUE_WIDTH: u16 = 8;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Fetched members, or the error.
type Updates = Receiver<Result<Vec<MemberRow>, String>>;

struct Screen {
    by: TopGrain,
    sort: TopSort,
    members: Vec<MemberRow>,
    /// The error of the last update.
    error: Option<String>,
    updated_at: Duration,
    scroll: usize,
    interval: Duration,
    /// Values of the last updates, by member and operation.
    history: HashMap<(String, String), VecDeque<f64>>,
}

/// Shows it until `q`.
pub(super) fn run(
    client: &Client,
    by: TopGrain,
    sort: TopSort,
    interval: Duration,
) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(Failure::usage(
            "davy top needs a terminal; pass --once to print the rows once, and --json to print JSON",
        ));
    }
    let clock = Clock::system();
    let mut screen = Screen {
        by,
        sort,
        members: fetch(client)?,
        error: None,
        updated_at: clock.monotonic(),
        scroll: 0,
        interval,
        history: HashMap::new(),
    };
    screen.remember();
    let result = std::thread::scope(|scope| {
        let (sender, updates) = mpsc::sync_channel(1);
        let (stop, stopped) = mpsc::channel::<()>();
        // Keys are handled while a server does not respond.
        scope.spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
                let update = fetch(client).map_err(|failure| failure.report());
                if sender.send(update).is_err() {
                    break;
                }
            }
        });
        let mut terminal = ratatui::init();
        let result = show(&mut terminal, &mut screen, &updates, &clock);
        ratatui::restore();
        drop(updates);
        drop(stop);
        result
    });
    result.map_err(Failure::because("cannot use the terminal"))
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    screen: &mut Screen,
    updates: &Updates,
    clock: &Clock,
) -> std::io::Result<()> {
    loop {
        while let Ok(update) = updates.try_recv() {
            match update {
                Ok(members) => {
                    screen.members = members;
                    screen.error = None;
                    screen.updated_at = clock.monotonic();
                    screen.remember();
                }
                Err(error) => screen.error = Some(error),
            }
        }
        let age = clock.monotonic().saturating_sub(screen.updated_at);
        terminal.draw(|frame| screen.draw(frame, age))?;
        if !event::poll(KEYS)? {
            continue;
        }
        let Event::Key(key) = event::read()? else {
            continue;
        };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
            KeyCode::Char('m') => screen.by = TopGrain::Member,
            KeyCode::Char('o') => screen.by = TopGrain::Operation,
            KeyCode::Char('s') | KeyCode::Right => screen.change_sort(1),
            KeyCode::Left => screen.change_sort(TopSort::value_variants().len() - 1),
            KeyCode::Down => screen.scroll += 1,
            KeyCode::Up => screen.scroll = screen.scroll.saturating_sub(1),
            _ => {}
        }
    }
}

impl Screen {
    fn change_sort(&mut self, by: usize) {
        let sorts = TopSort::value_variants();
        let now = sorts
            .iter()
            .position(|sort| *sort == self.sort)
            .unwrap_or(0);
        self.sort = sorts[(now + by) % sorts.len()];
        self.history.clear();
        self.remember();
    }

    /// Appends the current values to the sparklines.
    fn remember(&mut self) {
        for grain in [TopGrain::Member, TopGrain::Operation] {
            for row in rows(&self.members, grain, self.sort) {
                let value = self.sort.value(&row.usage);
                let points = self.history.entry((row.member, row.op)).or_default();
                points.push_back(value);
                if points.len() > POINTS {
                    points.pop_front();
                }
            }
        }
    }

    fn draw(&mut self, frame: &mut Frame<'_>, age: Duration) {
        let [top, body, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(1),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let rows = rows(&self.members, self.by, self.sort);
        self.scroll = self.scroll.min(rows.len().saturating_sub(1));
        let shown = rows.iter().skip(self.scroll);
        let table: Vec<Vec<String>> = shown
            .map(|row| {
                let spark = self.history.get(&(row.member.clone(), row.op.clone()));
                let cells = cells(row).into_iter();
                cells.chain([sparkline(spark)]).collect()
            })
            .collect();
        let header: Vec<String> = COLUMNS.iter().map(|&name| name.to_owned()).collect();
        let header = [header, vec![self.sparkline_header()]].concat();
        let widths = fitting(&header, &table, body.width);
        let line =
            |cells: &[String]| TableRow::new(cells[..widths.len()].iter().cloned().map(Cell::from));
        let lines = table.iter().map(|cells| line(cells));
        let head = line(&header).style(Style::new().add_modifier(Modifier::BOLD));
        let constraints = widths.iter().copied().map(Constraint::Length);
        frame.render_widget(Table::new(lines, constraints).header(head), body);
        let mut headline = self.headline(age);
        if widths.len() < header.len() {
            let hidden = header[widths.len()..].join(", ");
            headline.push_str(&format!("  (hidden: {hidden})"));
        }
        frame.render_widget(Paragraph::new(headline), top);
        let keys = "q quit  m members  o operations  s/left/right sort  up/down scroll";
        frame.render_widget(
            Paragraph::new(keys).style(Style::new().add_modifier(Modifier::DIM)),
            foot,
        );
    }

    /// The header of the sparklines.
    fn sparkline_header(&self) -> String {
        let span = self.interval.as_secs() * POINTS as u64;
        format!("{} LAST {span} S", column(self.sort))
    }

    fn headline(&self, age: Duration) -> String {
        let processes: std::collections::BTreeSet<_> = self
            .members
            .iter()
            .map(|row| (&row.host, row.pid))
            .collect();
        let sort = self
            .sort
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned());
        let error = self.error.as_ref().map_or_else(String::new, |error| {
            format!("  NO UPDATE for {} s: {error}", age.as_secs())
        });
        let processes = count(processes.len(), "process", "processes");
        format!("davy top: {processes}, sorted by {sort}{error}")
    }
}

/// The column of a sort key.
const fn column(sort: TopSort) -> &'static str {
    match sort {
        TopSort::Heap | TopSort::Name => "HEAP",
        TopSort::Cpu => "CPU",
        TopSort::Alloc => "ALLOC/S",
        TopSort::Tasks => "TASKS",
        TopSort::Requests => "REQ/S",
        TopSort::P99 => "P99",
        TopSort::Db => "DB",
    }
}

/// The widths of the leftmost columns that fit. A column that does not fit is left out, because a
/// truncated value would read as a different one.
fn fitting(header: &[String], rows: &[Vec<String>], available: u16) -> Vec<u16> {
    let length = |text: &String| u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    let mut widths = Vec::new();
    let mut used = 0_u16;
    for (column, name) in header.iter().enumerate() {
        let widest = rows.iter().map(|cells| length(&cells[column])).max();
        // Values change with every update; the width of their columns must not.
        let least = match column {
            0 | 1 => 0,
            _ if column + 1 == header.len() => POINTS as u16,
            _ => VALUE_WIDTH,
        };
        let width = length(name).max(widest.unwrap_or(0)).max(least);
        used = used.saturating_add(width);
        if used > available {
            break;
        }
        widths.push(width);
        used = used.saturating_add(1);
    }
    widths
}

fn sparkline(points: Option<&VecDeque<f64>>) -> String {
    let Some(points) = points else {
        return String::new();
    };
    let most = points.iter().copied().fold(0.0, f64::max);
    let bar = |point: &f64| {
        let level = if most > 0.0 { point / most * 7.0 } else { 0.0 };
        BARS[(level.round() as usize).min(7)]
    };
    points.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The screen as text.
    fn drawn(columns: u16) -> String {
        let member = serde_json::json!({
            "name": "archive.compactor", "process": "web", "host": "h", "pid": 1, "debug": "",
            "state": "ready", "since": 0, "restarts": 0, "leaked": 0, "child_pid": null,
            "error": null, "note": null, "toggle": {}, "last_run": null, "connections": null,
            "since_seconds": 0.0, "age_seconds": 0.0, "kernel": {}, "operations": [],
            "heap_bytes": 25_804, "alloc_bytes_per_second": 25_804.0, "request_p99_seconds": 10.01,
        });
        let mut screen = Screen {
            by: TopGrain::Member,
            sort: TopSort::Heap,
            members: vec![serde_json::from_value(member).expect("deserialize a member")],
            error: None,
            updated_at: Duration::ZERO,
            scroll: 0,
            interval: Duration::from_secs(2),
            history: HashMap::new(),
        };
        screen.remember();
        let backend = ratatui::backend::TestBackend::new(columns, 4);
        let mut terminal = ratatui::Terminal::new(backend).expect("create a terminal");
        terminal
            .draw(|frame| screen.draw(frame, Duration::ZERO))
            .expect("draw the screen");
        terminal.backend().to_string()
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out_and_listed() {
        let wide = drawn(140);
        for text in ["1 process,", "25.2 KiB", "> 10 s", "HEAP LAST 48 S"] {
            assert!(wide.contains(text), "{wide}");
        }
        let narrow = drawn(74);
        assert_eq!(narrow.matches("25.2 KiB").count(), 2, "{narrow}");
        assert!(!narrow.contains("25.2 K "), "{narrow}");
        let smallest = drawn(50);
        let header = smallest.lines().nth(1).unwrap_or_default();
        assert!(
            header.contains("HEAP") && !header.contains("ALLOC"),
            "{smallest}"
        );
        let medium = drawn(120);
        assert!(medium.contains("(hidden: HEAP LAST 48 S)"), "{medium}");
    }

    #[test]
    fn sparkline_is_relative_to_its_maximum() {
        let check = |points: &[f64], expected: &str| {
            assert_eq!(sparkline(Some(&points.iter().copied().collect())), expected);
        };
        check(&[0.0, 5.0, 10.0], "▁▅█");
        check(&[0.0, 0.0], "▁▁");
        check(&[], "");
    }
}
