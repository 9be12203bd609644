//! A flame graph in the terminal that is drawn again every second.

mod icicle;

use crate::cli::Failure;
use davy_profile::FlameTree;
use icicle::{Asked, Icicle};
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::time::Duration;

/// From one picture to the next.
pub(crate) const PICTURE: Duration = Duration::from_secs(1);
/// How often keys are looked for.
const KEYS: Duration = Duration::from_millis(50);

/// Where pictures come from.
pub(crate) trait Source {
    /// Waits about as long as `patience`; a picture, if one is there.
    fn next(&mut self, patience: Duration) -> Option<Picture>;

    /// What is shown, where so many pictures are shown together.
    fn headline(&self, together: usize) -> String;
}

/// What the last second was like.
pub(crate) struct Picture {
    pub(crate) tree: FlameTree,
    pub(crate) unit: String,
}

/// Shows the sum of the last `together` pictures until `q`.
pub(crate) fn run(source: &mut impl Source, together: usize) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "--live needs a terminal; -o writes the flame graph to a file".to_owned(),
        ));
    }
    let mut terminal = ratatui::init();
    let result = show(&mut terminal, source, together);
    ratatui::restore();
    result.map_err(|error| Failure::Failed(format!("the terminal can't be used: {error}")))
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    source: &mut impl Source,
    together: usize,
) -> std::io::Result<()> {
    let mut pictures: VecDeque<FlameTree> = VecDeque::new();
    let mut icicle = Icicle::default();
    let mut is_held = false;
    loop {
        let state = if is_held { ", held: space goes on" } else { "" };
        let headline = format!("{}{state}", source.headline(pictures.len()));
        terminal.draw(|frame| icicle.draw(frame, &headline))?;
        if let Some(Picture { tree, unit }) = source.next(KEYS) {
            pictures.push_back(tree);
            if pictures.len() > together {
                pictures.pop_front();
            }
            if !is_held {
                let mut all = FlameTree::new();
                for picture in &pictures {
                    all.merge(picture);
                }
                icicle.show(all, unit);
            }
        }
        while event::poll(Duration::ZERO)? {
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
    }
}
