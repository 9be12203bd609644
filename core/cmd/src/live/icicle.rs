//! A flame graph as text with the root at the top: its layout and its keys.

use davy_profile::names::visible;
use davy_profile::{FlameTree, NodeId};
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::Paragraph;
use std::cell::RefCell;

/// Colours of the 256-colour palette that are dark enough for white text.
const COLOURS: [u8; 6] = [124, 130, 166, 160, 94, 131];

/// What the caller must do after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyAction {
    None,
    TogglePause,
    /// Group by member, or stop grouping.
    ToggleGroups,
    Quit,
}

/// A box of the flame graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    node: NodeId,
    row: usize,
    left: u16,
    width: u16,
}

/// The flame graph. The zoomed and the selected node are paths of names, so that they stay valid when
/// the tree is replaced.
#[derive(Debug, Default)]
pub(super) struct Icicle {
    tree: FlameTree,
    unit: String,
    totals: Vec<i64>,
    children: Vec<Vec<NodeId>>,
    /// The node that fills the width.
    zoom: Vec<String>,
    selected: Vec<String>,
    search: Search,
    /// Whether the caller can group by member.
    pub(super) can_group: bool,
    /// The boxes on the screen, for the mouse.
    shown: RefCell<Vec<(Rect, Vec<String>)>>,
}

/// A search in names.
#[derive(Debug, Default)]
struct Search {
    /// In lower case.
    text: String,
    is_typing: bool,
}

impl Search {
    fn matches(&self, name: &str) -> bool {
        !self.text.is_empty() && name.to_lowercase().contains(&self.text)
    }

    /// Handles a key while a text is typed.
    fn key(&mut self, key: KeyCode) {
        match key {
            KeyCode::Char(letter) => self.text.extend(letter.to_lowercase()),
            KeyCode::Backspace => {
                self.text.pop();
            }
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => *self = Self::default(),
            _ => {}
        }
    }
}

impl Icicle {
    /// Replaces the tree.
    pub(super) fn show(&mut self, tree: FlameTree, unit: String) {
        self.totals = tree.totals();
        let parents = tree.stacks.parents();
        let mut children = vec![Vec::new(); parents.len()];
        for node in 1..parents.len() as u32 {
            children[parents[node as usize] as usize].push(NodeId(node));
        }
        for siblings in &mut children {
            // Sorted by name, so that boxes keep their order while their values change.
            siblings.sort_by_cached_key(|node| name(&tree, *node));
        }
        self.children = children;
        (self.tree, self.unit) = (tree, unit);
    }

    /// Handles a key.
    pub(super) fn key(&mut self, key: KeyCode, modifiers: KeyModifiers) -> KeyAction {
        if key == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL) {
            return KeyAction::Quit;
        }
        if self.search.is_typing {
            self.search.key(key);
            return KeyAction::None;
        }
        match key {
            KeyCode::Char('q') => return KeyAction::Quit,
            KeyCode::Char('m') if self.can_group => return KeyAction::ToggleGroups,
            KeyCode::Char('/') => {
                self.search = Search {
                    text: String::new(),
                    is_typing: true,
                };
            }
            KeyCode::Char('n') => self.next_match(),
            KeyCode::Esc if !self.search.text.is_empty() => self.search = Search::default(),
            KeyCode::Char(' ') => return KeyAction::TogglePause,
            KeyCode::Up if self.selected.len() > self.zoom.len() => {
                self.selected.pop();
            }
            KeyCode::Down => {
                let (node, _) = self.find(&self.selected);
                let below = self.children_of(node).iter();
                let largest = below.max_by_key(|child| self.totals[child.index()]);
                if let Some(child) = largest {
                    let name = name(&self.tree, *child);
                    self.selected.push(name);
                }
            }
            KeyCode::Left => self.step(-1),
            KeyCode::Right => self.step(1),
            KeyCode::Enter => self.zoom.clone_from(&self.selected),
            KeyCode::Esc | KeyCode::Backspace => {
                self.zoom.pop();
                self.selected.clone_from(&self.zoom);
            }
            _ => {}
        }
        KeyAction::None
    }

    /// Handles the mouse: a click selects a box, a click on the selected box zooms, the right button goes back, and the
    /// wheel selects callers and callees.
    pub(super) fn mouse(&mut self, event: MouseEvent) {
        match event.kind {
            MouseEventKind::Down(MouseButton::Left) => {
                let hit = self.shown.borrow().iter().rev().find_map(|(area, path)| {
                    let is_in = area.contains((event.column, event.row).into());
                    is_in.then(|| path.clone())
                });
                match hit {
                    Some(path) if path == self.selected => self.zoom = path,
                    Some(path) => self.selected = path,
                    None => {}
                }
            }
            MouseEventKind::Down(MouseButton::Right) => {
                self.zoom.pop();
                self.selected.clone_from(&self.zoom);
            }
            MouseEventKind::ScrollDown => {
                self.key(KeyCode::Down, KeyModifiers::NONE);
            }
            MouseEventKind::ScrollUp => {
                self.key(KeyCode::Up, KeyModifiers::NONE);
            }
            _ => {}
        }
    }

    /// The names on the way from the root to a node.
    fn path(&self, mut node: NodeId) -> Vec<String> {
        let mut path = Vec::new();
        while node != NodeId::ROOT {
            path.push(name(&self.tree, node));
            node = self.tree.stacks.parent(node);
        }
        path.reverse();
        path
    }

    /// Selects the next box whose name matches the search, in the order of the picture, below the zoomed one.
    fn next_match(&mut self) {
        let (zoomed, _) = self.find(&self.zoom);
        let (selected, _) = self.find(&self.selected);
        let mut found = Vec::new();
        let mut pending = vec![zoomed];
        let mut after = 0;
        let mut seen = 0;
        while let Some(node) = pending.pop() {
            seen += 1;
            if node != NodeId::ROOT && self.search.matches(&name(&self.tree, node)) {
                found.push((seen, node));
            }
            if node == selected {
                after = seen;
            }
            pending.extend(self.children_of(node).iter().rev());
        }
        let next = found.iter().find(|(at, _)| *at > after).or(found.first());
        if let Some((_, node)) = next {
            self.selected = self.path(*node);
        }
    }

    /// The value of all stacks with a matching name.
    fn matched(&self) -> i64 {
        let mut sum = 0i64;
        let mut pending = vec![NodeId::ROOT];
        while let Some(node) = pending.pop() {
            if node != NodeId::ROOT && self.search.matches(&name(&self.tree, node)) {
                sum = sum.saturating_add(self.totals[node.index()]);
            } else {
                pending.extend(self.children_of(node));
            }
        }
        sum
    }

    /// Selects another child of the same caller.
    fn step(&mut self, by: isize) {
        if self.selected.len() <= self.zoom.len() {
            return;
        }
        let own = self.selected.pop().unwrap_or_default();
        let (parent, _) = self.find(&self.selected);
        let siblings = self.children_of(parent);
        let names: Vec<String> = siblings
            .iter()
            .map(|node| name(&self.tree, *node))
            .collect();
        let at = names.iter().position(|name| *name == own).unwrap_or(0);
        let next = at.checked_add_signed(by).and_then(|next| names.get(next));
        let next = next.cloned().unwrap_or(own);
        self.selected.push(next);
    }

    fn children_of(&self, node: NodeId) -> &[NodeId] {
        self.children.get(node.index()).map_or(&[], Vec::as_slice)
    }

    /// The deepest existing node of a path, and its depth.
    fn find(&self, path: &[String]) -> (NodeId, usize) {
        let mut node = NodeId::ROOT;
        for (depth, wanted) in path.iter().enumerate() {
            let mut below = self.children_of(node).iter();
            match below.find(|child| name(&self.tree, **child) == *wanted) {
                Some(child) => node = *child,
                None => return (node, depth),
            }
        }
        (node, path.len())
    }

    /// The boxes that are at least one column wide: the callers of the zoomed node, and all nodes below it.
    fn blocks(&self, width: u16) -> Vec<Block> {
        let mut blocks = Vec::new();
        if self.totals.is_empty() {
            return blocks;
        }
        let (zoomed, depth) = self.find(&self.zoom);
        for row in 0..depth {
            let (node, _) = self.find(&self.zoom[..row]);
            let (left, width) = (0, width);
            blocks.push(Block {
                node,
                row,
                left,
                width,
            });
        }
        let all = self.totals[zoomed.index()].max(1) as f64;
        let column = |value: i64| (value as f64 / all * f64::from(width)).round() as u16;
        let mut pending = vec![(zoomed, depth, 0_i64)];
        while let Some((node, row, start)) = pending.pop() {
            let end = start + self.totals[node.index()];
            let (left, right) = (column(start), column(end));
            if right <= left {
                continue;
            }
            blocks.push(Block {
                node,
                row,
                left,
                width: right - left,
            });
            let mut start = start;
            for child in self.children_of(node) {
                pending.push((*child, row + 1, start));
                start += self.totals[child.index()];
            }
        }
        blocks
    }

    /// Draws the flame graph with a line above it and two below.
    pub(super) fn draw(&self, frame: &mut Frame<'_>, headline: &str) {
        let line = Constraint::Length(1);
        let parts = Layout::vertical([line, Constraint::Min(1), line, line]);
        let [head, body, about, foot] = parts.areas(frame.area());
        let (selected, depth) = self.find(&self.selected);
        // Scrolls so that the selected node is visible.
        let first = (depth + 1).saturating_sub(usize::from(body.height));
        let mut shown = self.shown.borrow_mut();
        shown.clear();
        for block in self.blocks(body.width) {
            let Some(row) = block.row.checked_sub(first) else {
                continue;
            };
            if row < usize::from(body.height) {
                let area = Rect {
                    x: body.x + block.left,
                    y: body.y + row as u16,
                    // A gap of one column separates boxes that are wide enough.
                    width: (block.width - 1).max(1),
                    height: 1,
                };
                let name = name(&self.tree, block.node);
                let is_match = block.node != NodeId::ROOT && self.search.matches(&name);
                let style = style(&name, block.node == selected, is_match);
                shown.push((area, self.path(block.node)));
                frame.render_widget(Paragraph::new(visible(&name)).style(style), area);
            }
        }
        let all = self.totals.first().copied().unwrap_or(0);
        let own = self.totals.get(selected.index()).copied().unwrap_or(0);
        let details = if self.totals.is_empty() {
            "waiting for the first profile".to_owned()
        } else {
            format!(
                "{:.1} %, {}: {}",
                own as f64 * 100.0 / all.max(1) as f64,
                davy_profile::units::format(own, &self.unit),
                visible(&name(&self.tree, selected))
            )
        };
        let details = if self.search.text.is_empty() && !self.search.is_typing {
            details
        } else {
            let matched = self.matched();
            let cursor = if self.search.is_typing { "_" } else { "" };
            let share = matched as f64 * 100.0 / all.max(1) as f64;
            let text = visible(&self.search.text).into_owned();
            format!("/{text}{cursor}  {share:.1} % match  {details}")
        };
        let keys = if self.can_group {
            "q quit  arrows select  enter zoom  esc back  / search  n next  m by member  mouse"
        } else {
            "q quit  arrows select  enter zoom  esc back  / search  n next  space pause"
        };
        let dim = Style::new().add_modifier(Modifier::DIM);
        frame.render_widget(Paragraph::new(headline), head);
        frame.render_widget(Paragraph::new(details), about);
        frame.render_widget(Paragraph::new(keys).style(dim), foot);
    }
}

fn name(tree: &FlameTree, node: NodeId) -> String {
    if node == NodeId::ROOT {
        return "all".to_owned();
    }
    tree.frame_name(tree.stacks.item(node)).into_owned()
}

/// The style of a box. A function has the same colour in every snapshot.
fn style(name: &str, is_selected: bool, is_match: bool) -> Style {
    let sum = name.bytes().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    let style = Style::new().fg(Color::Indexed(231));
    if is_selected {
        return style.bg(Color::Indexed(25)).add_modifier(Modifier::BOLD);
    }
    if is_match {
        return style.bg(Color::Indexed(90)).add_modifier(Modifier::BOLD);
    }
    style.bg(Color::Indexed(COLOURS[sum % COLOURS.len()]))
}

#[cfg(test)]
mod tests;
