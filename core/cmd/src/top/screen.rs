//! The screen of `davy top`.

use super::rows::{Grain, Sort, rows};
use super::{COLUMNS, cells, fetch};
use crate::cli::Failure;
use crate::client::Client;
use clap::ValueEnum as _;
use davy_base::Clock;
use davy_control::MemberRow;
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
/// How often keys are looked for.
const KEYS: Duration = Duration::from_millis(50);
/// Letters of a figure, such as `25.2 KiB`.
const FIGURE: u16 = 8;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Pictures as they come, or why there is none.
type Pictures = Receiver<Result<Vec<MemberRow>, String>>;

struct Screen {
    by: Grain,
    sort: Sort,
    members: Vec<MemberRow>,
    /// Why the last picture could not be had.
    trouble: Option<String>,
    seen_at: Duration,
    scroll: usize,
    interval: Duration,
    /// Figures of the last pictures, by member and operation.
    history: HashMap<(String, String), VecDeque<f64>>,
}

/// Shows it until `q`.
pub(super) fn run(
    client: &Client,
    by: Grain,
    sort: Sort,
    interval: Duration,
) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "davy top needs a terminal; --once prints a picture, --once --json one for programs"
                .to_owned(),
        ));
    }
    let clock = Clock::system();
    let mut screen = Screen {
        by,
        sort,
        members: fetch(client)?,
        trouble: None,
        seen_at: clock.monotonic(),
        scroll: 0,
        interval,
        history: HashMap::new(),
    };
    screen.remember();
    let result = std::thread::scope(|scope| {
        let (sender, pictures) = mpsc::sync_channel(1);
        let (stop, stopped) = mpsc::channel::<()>();
        // A server that does not answer must not keep the keys from being read.
        scope.spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
                let picture = fetch(client).map_err(|failure| failure.to_string());
                if sender.send(picture).is_err() {
                    break;
                }
            }
        });
        let mut terminal = ratatui::init();
        let result = show(&mut terminal, &mut screen, &pictures, &clock);
        ratatui::restore();
        drop(pictures);
        drop(stop);
        result
    });
    result.map_err(|error| Failure::Failed(format!("the terminal can't be used: {error}")))
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    screen: &mut Screen,
    pictures: &Pictures,
    clock: &Clock,
) -> std::io::Result<()> {
    loop {
        while let Ok(picture) = pictures.try_recv() {
            match picture {
                Ok(members) => {
                    screen.members = members;
                    screen.trouble = None;
                    screen.seen_at = clock.monotonic();
                    screen.remember();
                }
                Err(trouble) => screen.trouble = Some(trouble),
            }
        }
        let age = clock.monotonic().saturating_sub(screen.seen_at);
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
            KeyCode::Char('m') => screen.by = Grain::Member,
            KeyCode::Char('o') => screen.by = Grain::Operation,
            KeyCode::Char('s') | KeyCode::Right => screen.turn(1),
            KeyCode::Left => screen.turn(Sort::value_variants().len() - 1),
            KeyCode::Down => screen.scroll += 1,
            KeyCode::Up => screen.scroll = screen.scroll.saturating_sub(1),
            _ => {}
        }
    }
}

impl Screen {
    fn turn(&mut self, by: usize) {
        let sorts = Sort::value_variants();
        let now = sorts
            .iter()
            .position(|sort| *sort == self.sort)
            .unwrap_or(0);
        self.sort = sorts[(now + by) % sorts.len()];
        self.history.clear();
        self.remember();
    }

    /// Puts the figures of the picture at the end of each sparkline.
    fn remember(&mut self) {
        for grain in [Grain::Member, Grain::Operation] {
            for row in rows(&self.members, grain, self.sort) {
                let figure = self.sort.figure(&row.usage);
                let points = self.history.entry((row.member, row.op)).or_default();
                points.push_back(figure);
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
        let header = [header, vec![self.last()]].concat();
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
            headline.push_str(&format!("  (wider: {hidden})"));
        }
        frame.render_widget(Paragraph::new(headline), top);
        let keys = "q quit  m members  o operations  s/left/right sort by  up/down scroll";
        frame.render_widget(
            Paragraph::new(keys).style(Style::new().add_modifier(Modifier::DIM)),
            foot,
        );
    }

    /// What the sparklines draw.
    fn last(&self) -> String {
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
        let trouble = self.trouble.as_ref().map_or_else(String::new, |trouble| {
            format!("  NOT LIVE for {} s: {trouble}", age.as_secs())
        });
        let processes = match processes.len() {
            1 => "1 process".to_owned(),
            count => format!("{count} processes"),
        };
        format!("davy top: {processes}, by {sort}{trouble}")
    }
}

/// The column of a figure.
const fn column(sort: Sort) -> &'static str {
    match sort {
        Sort::Heap | Sort::Name => "HEAP",
        Sort::Cpu => "CPU",
        Sort::Alloc => "ALLOC/S",
        Sort::Tasks => "TASKS",
        Sort::Requests => "REQ/S",
        Sort::P99 => "P99",
        Sort::Db => "DB",
    }
}

/// The widths of the columns that have room, from the left: half a figure would be another one.
fn fitting(header: &[String], rows: &[Vec<String>], room: u16) -> Vec<u16> {
    let letters = |text: &String| u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    let mut widths = Vec::new();
    let mut taken = 0_u16;
    for (column, name) in header.iter().enumerate() {
        let widest = rows.iter().map(|cells| letters(&cells[column])).max();
        // Figures change from one picture to the next: their columns should not.
        let least = match column {
            0 | 1 => 0,
            _ if column + 1 == header.len() => POINTS as u16,
            _ => FIGURE,
        };
        let width = letters(name).max(widest.unwrap_or(0)).max(least);
        taken = taken.saturating_add(width);
        if taken > room {
            break;
        }
        widths.push(width);
        taken = taken.saturating_add(1);
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

    /// The screen as letters.
    fn drawn(columns: u16) -> String {
        let member = serde_json::json!({
            "name": "archive.compactor", "process": "web", "host": "h", "pid": 1, "debug": "",
            "state": "ready", "since": 0, "restarts": 0, "leaked": 0, "child_pid": null,
            "error": null, "note": null, "toggle": {}, "last_run": null, "connections": null,
            "age_seconds": 0.0, "kernel": {}, "operations": [],
            "heap_bytes": 25_804, "alloc_bytes_per_second": 25_804.0, "request_p99_seconds": 10.01,
        });
        let mut screen = Screen {
            by: Grain::Member,
            sort: Sort::Heap,
            members: vec![serde_json::from_value(member).expect("a member")],
            trouble: None,
            seen_at: Duration::ZERO,
            scroll: 0,
            interval: Duration::from_secs(2),
            history: HashMap::new(),
        };
        screen.remember();
        let backend = ratatui::backend::TestBackend::new(columns, 4);
        let mut terminal = ratatui::Terminal::new(backend).expect("a terminal");
        terminal
            .draw(|frame| screen.draw(frame, Duration::ZERO))
            .expect("it is drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn a_figure_is_whole_or_not_shown_and_what_is_not_is_said() {
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
        assert!(medium.contains("(wider: HEAP LAST 48 S)"), "{medium}");
    }

    #[test]
    fn a_sparkline_is_relative_to_its_highest_point() {
        let check = |points: &[f64], expected: &str| {
            assert_eq!(sparkline(Some(&points.iter().copied().collect())), expected);
        };
        check(&[0.0, 5.0, 10.0], "▁▅█");
        check(&[0.0, 0.0], "▁▁");
        check(&[], "");
    }
}
