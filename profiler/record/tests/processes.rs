//! Processes that run already: whose file is gone, that see other files, that are somebody else's.

#[path = "programs/mod.rs"]
mod programs;

use davy_record::{RecordOptions, Recorder, Recording, Target};
use programs::{built, recorder, share};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// A process that is ended with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Half a second of it, from when it runs a file of this name.
    fn recorded(&self, name: &str) -> Option<Recording> {
        let exe = format!("/proc/{}/exe", self.0.id());
        let is_it = || std::fs::read_link(&exe).is_ok_and(|exe| exe.ends_with(name));
        while !is_it() {
            std::thread::yield_now();
        }
        let options = RecordOptions {
            hz: 997,
            ..RecordOptions::default()
        };
        let mut recorder = recorder(Target::Pid(self.0.id()), options)?;
        recorder.record_for(Duration::from_millis(500));
        Some(recorder.finish())
    }
}

fn assert_named(recording: &Recording) {
    let whole = share(recording, &["/_start", "main", "turns", "sorts"]);
    assert!(whole > 0.95, "{whole:.3}; {:?}", recording.nameless);
    assert_eq!(recording.nameless, []);
}

#[test]
fn a_program_that_was_replaced_has_its_own_names_and_not_those_of_its_successor() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = built(folder.path(), "libc", &[]);
    let process = Process(Command::new(&program).arg("60").spawn().expect("it runs"));
    let other = built(folder.path(), "deep", &[]);
    std::fs::rename(other, &program).expect("replaced");
    if let Some(recording) = process.recorded("libc (deleted)") {
        assert_named(&recording);
    }
}

#[test]
fn a_program_in_a_container_is_named_from_its_own_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = built(folder.path(), "libc", &[]);
    // A mount namespace of its own: what lies in this folder there is not there for us.
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).expect("a folder");
    let script =
        "mount -t tmpfs none \"$1\" && cp \"$0\" \"$1/contained\" && exec \"$1/contained\" 60";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]);
    let mut process = Process(command.arg(&program).arg(&inside).spawn().expect("unshare"));
    // Where namespaces can't be made there is nothing to show.
    let exe = format!("/proc/{}/exe", process.0.id());
    while std::fs::read_link(&exe).is_ok_and(|exe| !exe.ends_with("contained")) {
        if process
            .0
            .try_wait()
            .expect("it can be waited for")
            .is_some()
        {
            return;
        }
    }
    assert!(
        !inside.join("contained").exists(),
        "it can be seen from here"
    );
    if let Some(recording) = process.recorded("contained") {
        assert_named(&recording);
    }
}

/// The other half of the next test: tries it as somebody else.
#[test]
fn a_stranger() {
    if let Some(pid) = std::env::var("STRANGE_PID")
        .ok()
        .and_then(|pid| pid.parse().ok())
    {
        let result = Recorder::start(Target::Pid(pid), RecordOptions::default());
        println!("{}", result.err().expect("it is not theirs"));
    }
}

#[test]
fn a_process_of_another_user_is_refused_with_the_owner_and_the_way_out() {
    let own = std::env::current_exe().expect("this test's file");
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("stranger");
    std::fs::copy(own, &copy).expect("copied");
    let open = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("opened");
    };
    open(folder.path());
    open(&copy);
    let stranger = Command::new(copy)
        .args(["--exact", "a_stranger", "--nocapture"])
        .env("STRANGE_PID", std::process::id().to_string())
        .current_dir("/")
        .uid(65_534)
        .output();
    // Only root can become somebody else.
    let Ok(stranger) = stranger else { return };
    let text = String::from_utf8_lossy(&stranger.stdout);
    assert!(text.contains("does not allow"), "{text}");
    let is_strict =
        std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").is_ok_and(|text| {
            text.trim()
                .parse::<i32>()
                .is_ok_and(|paranoid| paranoid > 2)
        });
    let reason = if is_strict {
        "set it to 2"
    } else {
        "it is of user 0"
    };
    assert!(text.contains(reason), "{text}");
}
