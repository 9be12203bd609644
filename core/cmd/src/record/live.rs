//! `davy record --live`: the flame graph of the last seconds, in the terminal.

mod icicle;

use super::{Options, how};
use crate::cli::Failure;
use davy_base::Clock;
use davy_profile::FlameTree;
use davy_profile::flame::Grain;
use davy_record::{Names, Recorder, Target};
use icicle::{Asked, Icicle};
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

/// Seconds that are shown together.
const SECONDS: usize = 10;
/// From one picture to the next.
const PICTURE: Duration = Duration::from_secs(1);
/// How often keys are looked for.
const KEYS: Duration = Duration::from_millis(50);

/// Shows it until `q`.
pub(super) fn run(pid: u32, options: &Options) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "--live needs a terminal; -o writes the flame graph to a file".to_owned(),
        ));
    }
    let mut recorder =
        Recorder::start(Target::Pid(pid), how(options)).map_err(super::failure_of)?;
    let mut terminal = ratatui::init();
    let result = show(&mut terminal, &mut recorder, pid);
    ratatui::restore();
    result.map_err(|error| Failure::Failed(format!("the terminal can't be used: {error}")))
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    recorder: &mut Recorder,
    pid: u32,
) -> std::io::Result<()> {
    let clock = Clock::system();
    let names = Names::new();
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let mut seconds: VecDeque<FlameTree> = VecDeque::new();
    let mut icicle = Icicle::default();
    let mut is_held = false;
    let mut next = clock.monotonic();
    loop {
        recorder.record_for(KEYS);
        let mut is_changed = false;
        while event::poll(Duration::ZERO)? {
            is_changed = true;
            let Event::Key(key) = event::read()? else {
                continue;
            };
            if key.kind != KeyEventKind::Press {
                continue;
            }
            match icicle.key(key.code, key.modifiers) {
                Asked::End => return Ok(()),
                Asked::Hold => is_held = !is_held,
                Asked::Nothing => {}
            }
        }
        let is_due = clock.monotonic() >= next;
        if is_due {
            next = clock.monotonic() + PICTURE;
            let mut second = FlameTree::new();
            // The CPU time, which comes after the number of samples.
            second.add_profile(&recorder.take_profile(&names), 1, Grain::Function);
            seconds.push_back(second);
            if seconds.len() > SECONDS {
                seconds.pop_front();
            }
            if !is_held {
                let mut all = FlameTree::new();
                for second in &seconds {
                    all.merge(second);
                }
                icicle.show(all);
            }
        }
        if is_due || is_changed {
            let state = match (folder.exists(), is_held) {
                (false, _) => ", which has ended",
                (true, true) => ", held: space goes on",
                (true, false) => "",
            };
            let span = seconds.len();
            let lost = match recorder.lost() {
                0 => String::new(),
                lost => format!(", {lost} records lost"),
            };
            let headline = format!(
                "davy record: {} ({pid}){state}: the last {span} s of CPU time{lost}",
                comm.trim()
            );
            terminal.draw(|frame| icicle.draw(frame, &headline))?;
        }
    }
}
