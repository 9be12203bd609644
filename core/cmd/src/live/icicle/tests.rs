use super::*;
use davy_profile::flame::Grain;
use davy_profile::{Limits, folded};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn icicle(stacks: &str) -> Icicle {
    let profile = folded::decode(stacks.as_bytes(), &Limits::default()).expect("decode the stacks");
    let mut tree = FlameTree::new();
    tree.add_profile(&profile, 0, Grain::Function);
    let mut icicle = Icicle::default();
    icicle.show(tree, "nanoseconds".to_owned());
    icicle
}

fn drawn(icicle: &Icicle, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("create a terminal");
    let drawn = terminal.draw(|frame| icicle.draw(frame, "head"));
    drawn.expect("draw the flame graph");
    let buffer = terminal.backend().buffer();
    let line = |row: u16| -> String {
        let cells = (0..width).map(|column| buffer[(column, row)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

fn press(icicle: &mut Icicle, keys: &[KeyCode]) {
    for key in keys {
        assert_eq!(icicle.key(*key, KeyModifiers::NONE), KeyAction::None);
    }
}

const SHOP: &str = "main;pay;bank 600000000\nmain;list 300000000\nidle 100000000\n";

#[test]
fn box_width_is_proportional_and_siblings_are_sorted_by_name() {
    insta::assert_snapshot!(drawn(&icicle(SHOP), 40, 7), @r"
    head
    all
    idl main
        list        pay
                    bank
    100.0 %, 1.00 s: all
    q quit  arrows select  enter zoom  esc b
    ");
}

#[test]
fn zoomed_box_fills_the_width_below_its_callers() {
    let mut icicle = icicle(SHOP);
    press(&mut icicle, &[KeyCode::Down, KeyCode::Down, KeyCode::Enter]);
    insta::assert_snapshot!(drawn(&icicle, 30, 8), @r"
    head
    all
    main
    pay
    bank

    60.0 %, 600 ms: pay
    q quit  arrows select  enter z
    ");
    // If the next tree lacks the function, its nearest caller is selected.
    let mut without = self::icicle("main;list 300000000\n");
    without.zoom.clone_from(&icicle.zoom);
    without.selected.clone_from(&icicle.selected);
    assert!(drawn(&without, 30, 8).contains("100.0 %, 300 ms: main"));
    press(&mut icicle, &[KeyCode::Esc, KeyCode::Esc]);
    assert!(drawn(&icicle, 30, 8).contains("100.0 %, 1.00 s: all"));
}

#[test]
fn arrows_select_callers_callees_and_siblings() {
    let mut icicle = icicle(SHOP);
    let check = |icicle: &mut Icicle, keys: &[KeyCode], expected: &[&str]| {
        press(icicle, keys);
        assert_eq!(icicle.selected, expected);
    };
    check(&mut icicle, &[KeyCode::Up, KeyCode::Left], &[]);
    check(
        &mut icicle,
        &[KeyCode::Down, KeyCode::Down],
        &["main", "pay"],
    );
    check(&mut icicle, &[KeyCode::Right], &["main", "pay"]);
    check(&mut icicle, &[KeyCode::Left], &["main", "list"]);
    check(&mut icicle, &[KeyCode::Down], &["main", "list"]);
    check(&mut icicle, &[KeyCode::Up, KeyCode::Left], &["idle"]);
}

#[test]
fn selected_box_is_scrolled_into_view() {
    let mut icicle = icicle("a;b;c;d;e;f;g;h 1\n");
    press(&mut icicle, &[KeyCode::Down; 8]);
    let picture = drawn(&icicle, 20, 6);
    assert!(picture.contains("\ng\nh\n"), "{picture}");
    assert!(!picture.contains("\na\n"), "{picture}");
}

#[test]
fn control_characters_in_names_are_visible() {
    let picture = drawn(&icicle("a\x1b[2J\rb 1\n"), 40, 5);
    assert!(picture.contains("\na\\x1b[2J\\x0db\n"), "{picture}");
}

#[test]
fn empty_tree_and_tiny_terminal_are_drawn() {
    for (width, height) in [(1, 1), (3, 2), (200, 60)] {
        drawn(&Icicle::default(), width, height);
        drawn(&icicle(SHOP), width, height);
    }
}

#[test]
fn search_shows_the_share_of_matching_stacks_and_selects_them() {
    let mut icicle = icicle(SHOP);
    press(
        &mut icicle,
        &[KeyCode::Char('/'), KeyCode::Char('A'), KeyCode::Char('N')],
    );
    // Letters are part of the text while one is typed.
    press(&mut icicle, &[KeyCode::Char('q'), KeyCode::Backspace]);
    let picture = drawn(&icicle, 60, 7);
    assert!(picture.contains("/an_  60.0 % match"), "{picture}");
    press(&mut icicle, &[KeyCode::Enter, KeyCode::Char('n')]);
    assert_eq!(icicle.selected, ["main", "pay", "bank"]);
    press(&mut icicle, &[KeyCode::Esc]);
    assert!(!drawn(&icicle, 60, 7).contains("match"));
}

#[test]
fn mouse_selects_zooms_and_goes_back() {
    let mut icicle = icicle(SHOP);
    drawn(&icicle, 40, 7);
    let event = |kind, column, row| MouseEvent {
        kind,
        column,
        row,
        modifiers: KeyModifiers::NONE,
    };
    let left = MouseEventKind::Down(MouseButton::Left);
    icicle.mouse(event(left, 20, 3));
    assert_eq!(
        (&*icicle.selected, icicle.zoom.len()),
        (&["main".to_owned(), "pay".to_owned()][..], 0)
    );
    icicle.mouse(event(left, 20, 3));
    assert_eq!(icicle.zoom, ["main", "pay"]);
    icicle.mouse(event(MouseEventKind::Down(MouseButton::Right), 0, 0));
    assert_eq!(icicle.zoom, ["main"]);
    icicle.mouse(event(MouseEventKind::ScrollDown, 0, 0));
    assert_eq!(icicle.selected, ["main", "pay"]);
    icicle.mouse(event(left, 39, 6));
    assert_eq!(icicle.selected, ["main", "pay"], "no box is there");
}

#[test]
fn q_and_ctrl_c_quit() {
    let mut icicle = Icicle::default();
    let none = KeyModifiers::NONE;
    assert_eq!(icicle.key(KeyCode::Char('q'), none), KeyAction::Quit);
    assert_eq!(
        icicle.key(KeyCode::Char('c'), KeyModifiers::CONTROL),
        KeyAction::Quit
    );
    assert_eq!(icicle.key(KeyCode::Char(' '), none), KeyAction::TogglePause);
}
