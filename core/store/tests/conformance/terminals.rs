//! Terminals in the containers of builds.

use crate::backend::Database;
use crate::workers::register;
use davy_store::{ClaimHandles, NewTerminal, Store, TerminalAction, TerminalAppended};

async fn started(store: &Store) -> (i64, i64) {
    let fence = register(store, "w").await;
    let task = r#"{"run": {"path": "true"}}"#;
    let id = store.create_build("alice", task, "linux", true).await;
    let handles = ClaimHandles {
        container: "c",
        volume: "v",
    };
    store.claim_build("w", fence, handles).await.unwrap();
    (id.unwrap(), fence)
}

const fn new(build: i64) -> NewTerminal<'static> {
    NewTerminal {
        id: "t",
        build,
        operator: "alice",
        command: "[]",
        size: (80, 24),
    }
}

pub(crate) async fn terminal_passes_bytes_on_in_both_directions_once(database: Database) {
    let store = database.store().await;
    let (build, fence) = started(&store).await;
    let created = store.create_terminal(new(build)).await.unwrap();
    assert!(!created, "the container is not created yet");
    store.created_handle("w", "c", true).await.unwrap();
    assert!(store.create_terminal(new(build)).await.unwrap());
    assert_eq!(
        store.latest_work().await.unwrap(),
        (None, Some("t".to_owned()))
    );
    let stale = store.open_terminals("w", fence - 1).await.unwrap();
    assert!(stale.is_empty(), "an earlier registration");
    let opened = store.open_terminals("w", fence).await.unwrap();
    assert_eq!((opened.len(), opened[0].width), (1, 80));
    let again = store.open_terminals("w", fence).await.unwrap();
    assert!(again.is_empty(), "it is opened once");
    for typed in ["a", "b"] {
        let typed = TerminalAction::Type(typed.as_bytes());
        assert!(store.add_terminal_input("t", typed).await.unwrap());
    }
    let signal = TerminalAction::Signal("INT");
    assert!(store.add_terminal_input("t", signal).await.unwrap());
    store.see_terminal("t", Some((100, 30))).await.unwrap();
    let read = async |after: i64| {
        let input = store.terminal_input("t", "w", after).await.unwrap();
        let (row, chunks) = input.expect("it is open");
        let sent = chunks.iter().map(|chunk| {
            let text = String::from_utf8_lossy(&chunk.bytes).into_owned();
            (chunk.number, text, chunk.is_signal)
        });
        (row.width, sent.collect::<Vec<_>>())
    };
    let sent = [(1, "a", false), (2, "b", false), (3, "INT", true)]
        .map(|(number, text, is_signal)| (number, text.to_owned(), is_signal));
    assert_eq!(read(0).await, (100, sent.to_vec()));
    assert_eq!(read(1).await, (100, sent[1..].to_vec()));
    assert_eq!(read(3).await, (100, vec![]), "a signal is fetched once");
    let foreign = store.terminal_input("t", "x", 0).await.unwrap();
    assert_eq!(foreign, None, "another worker");
    let append = async |position: i64, bytes: &[u8]| {
        let appended = store.append_terminal_output("t", "w", position, bytes);
        appended.await.unwrap()
    };
    for _ in 0..2 {
        assert_eq!(append(0, b"one").await, TerminalAppended::Stored(3));
    }
    // A reader that does not read stops the worker.
    assert_eq!(append(3, &vec![0; 2 << 20]).await, TerminalAppended::Full);
    let chunks = store.terminal_output("t", 0).await.unwrap();
    assert_eq!((chunks.len(), &*chunks[0].bytes), (1, &b"one"[..]));
    let by_other = store.close_terminal("t", Some("x"), None, None).await;
    assert!(!by_other.unwrap(), "another worker");
    let closed = store.close_terminal("t", Some("w"), Some(3), None).await;
    assert!(closed.unwrap());
    assert_eq!(append(3, b"late").await, TerminalAppended::Closed);
    let late = TerminalAction::Type(b"late");
    assert!(!store.add_terminal_input("t", late).await.unwrap());
    let row = store.terminal("t").await.unwrap().expect("it is kept");
    assert_eq!((&*row.state, row.exit_code), ("closed", Some(3)));
}

pub(crate) async fn unused_terminal_is_removed_with_what_was_sent(database: Database) {
    let store = database.store().await;
    let (build, _) = started(&store).await;
    store.created_handle("w", "c", true).await.unwrap();
    assert!(store.create_terminal(new(build)).await.unwrap());
    let typed = TerminalAction::Type(b"a");
    assert!(store.add_terminal_input("t", typed).await.unwrap());
    assert_eq!(
        store.mark_terminals(9).await.unwrap(),
        0,
        "it was just used"
    );
    database
        .execute("UPDATE terminals SET seen_at = seen_at - 301000")
        .await;
    assert_eq!(store.mark_terminals(9).await.unwrap(), 1);
    assert_eq!(store.terminal("t").await.unwrap(), None);
}
