//! Flame graphs in the terminal: one that is updated every second, and one of a query.

mod icicle;

use crate::failure::Failure;
use crate::output::runs::fold;
use davy_profile::FlameTree;
use icicle::{Icicle, KeyAction};
use ratatui::crossterm::event::{
    self, DisableMouseCapture, EnableMouseCapture, Event, KeyEventKind,
};
use ratatui::crossterm::execute;
use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::time::Duration;

/// Time between two snapshots.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// Interval at which keys are polled.
const KEYS: Duration = Duration::from_millis(50);

/// A source of snapshots.
pub(crate) trait Source {
    /// The next snapshot, or `None` if there is none within `patience`.
    fn next(&mut self, patience: Duration) -> Option<Snapshot>;

    /// The line above the flame graph, which shows the last `seconds`.
    fn headline(&self, seconds: usize) -> String;
}

/// The flame graph of one interval.
pub(crate) struct Snapshot {
    pub(crate) tree: FlameTree,
    pub(crate) unit: String,
}

/// Shows the sum of the last `count` snapshots until `q`. Unless `all_frames` is set, long runs of
/// frames without a value of their own are folded.
pub(crate) fn run(source: &mut impl Source, count: usize, all_frames: bool) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(Failure::usage(
            "--live needs a terminal; pass -o to write the flame graph to a file",
        ));
    }
    let result = in_terminal(|terminal| show(terminal, source, count, all_frames));
    result.map_err(Failure::because("cannot use the terminal"))
}

/// Shows a flame graph that does not change until `q`. `fetch` returns it; if its argument is true, grouped by member.
pub(crate) fn browse(
    mut fetch: impl FnMut(bool) -> Result<FlameTree, Failure>,
    (headline, unit): (&str, &str),
    all_frames: bool,
) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(Failure::usage(
            "--format flame needs a terminal; use --format text or svg",
        ));
    }
    let folded = |tree: FlameTree| if all_frames { tree } else { fold(&tree).tree };
    let mut icicle = Icicle::default();
    icicle.can_group = true;
    icicle.show(folded(fetch(false)?), unit.to_owned());
    let mut is_grouped = false;
    let mut note = String::new();
    let shown = in_terminal(|terminal| {
        loop {
            terminal.draw(|frame| icicle.draw(frame, &format!("{headline}{note}")))?;
            match handle(&mut icicle, &event::read()?) {
                KeyAction::Quit => return Ok(()),
                KeyAction::ToggleGroups => match fetch(!is_grouped) {
                    Ok(tree) => {
                        is_grouped = !is_grouped;
                        let by = if is_grouped { ", by member" } else { "" };
                        by.clone_into(&mut note);
                        icicle.show(folded(tree), unit.to_owned());
                    }
                    Err(failure) => note = format!(": {}", failure.report()),
                },
                KeyAction::None | KeyAction::TogglePause => {}
            }
        }
    });
    shown.map_err(Failure::because("cannot use the terminal"))
}

/// Runs with a terminal that reports the mouse, and restores it.
fn in_terminal(
    run: impl FnOnce(&mut ratatui::DefaultTerminal) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut terminal = ratatui::init();
    let captured = execute!(std::io::stdout(), EnableMouseCapture);
    let result = captured.and_then(|()| run(&mut terminal));
    let _ = execute!(std::io::stdout(), DisableMouseCapture);
    ratatui::restore();
    result
}

/// Passes a key or the mouse to the flame graph.
fn handle(icicle: &mut Icicle, event: &Event) -> KeyAction {
    match event {
        Event::Key(key) if key.kind == KeyEventKind::Press => icicle.key(key.code, key.modifiers),
        Event::Mouse(mouse) => {
            icicle.mouse(*mouse);
            KeyAction::None
        }
        _ => KeyAction::None,
    }
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    source: &mut impl Source,
    count: usize,
    all_frames: bool,
) -> std::io::Result<()> {
    let mut snapshots: VecDeque<FlameTree> = VecDeque::new();
    let mut icicle = Icicle::default();
    let mut is_paused = false;
    loop {
        let state = if is_paused {
            ", paused: press space to resume"
        } else {
            ""
        };
        let headline = format!("{}{state}", source.headline(snapshots.len()));
        terminal.draw(|frame| icicle.draw(frame, &headline))?;
        if let Some(Snapshot { tree, unit }) = source.next(KEYS) {
            snapshots.push_back(tree);
            if snapshots.len() > count {
                snapshots.pop_front();
            }
            if !is_paused {
                icicle.show(merged(&snapshots, all_frames), unit);
            }
        }
        while event::poll(Duration::ZERO)? {
            match handle(&mut icicle, &event::read()?) {
                KeyAction::Quit => return Ok(()),
                KeyAction::TogglePause => is_paused = !is_paused,
                KeyAction::None | KeyAction::ToggleGroups => {}
            }
        }
    }
}

/// The sum of the snapshots.
fn merged(snapshots: &VecDeque<FlameTree>, all_frames: bool) -> FlameTree {
    let mut sum = FlameTree::new();
    for snapshot in snapshots {
        sum.merge(snapshot);
    }
    if all_frames { sum } else { fold(&sum).tree }
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_profile::flame::Grain;
    use davy_profile::{Limits, folded};

    #[test]
    fn runtime_frames_are_folded_unless_all_frames_are_requested() {
        let stacks = b"tokio::a;tokio::b;tokio::c;tokio::d;shop::pay 5\n";
        let profile = folded::decode(stacks, &Limits::default()).expect("decode the stacks");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        let snapshots = VecDeque::from([tree.clone(), tree]);
        assert_eq!(
            folded::encode(&merged(&snapshots, false)),
            "… 4 frames, tokio::a to tokio::d;shop::pay 10\n"
        );
        assert_eq!(
            folded::encode(&merged(&snapshots, true)),
            "tokio::a;tokio::b;tokio::c;tokio::d;shop::pay 10\n"
        );
    }
}
