//! Running processes whose file was replaced, that are in a container, or that belong to another user.

#[path = "programs/mod.rs"]
mod programs;

use davy_record::{RecordOptions, Recorder, Recording, Target};
use programs::{built, recorder, share};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// A process that is killed when the test ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Records half a second, once the process runs a file of this name.
    fn recorded(&self, name: &str) -> Option<Recording> {
        let exe = format!("/proc/{}/exe", self.0.id());
        let has_started = || std::fs::read_link(&exe).is_ok_and(|exe| exe.ends_with(name));
        while !has_started() {
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
    let complete = share(recording, &["/_start", "main", "turns", "sorts"]);
    assert!(complete > 0.95, "{complete:.3}; {:?}", recording.nameless);
    assert_eq!(recording.nameless, []);
}

#[test]
fn replaced_program_is_symbolized_from_the_file_that_ran() {
    let folder = tempfile::tempdir().expect("create a folder");
    let program = built(folder.path(), "libc", &[]);
    let process = Process(
        Command::new(&program)
            .arg("60")
            .spawn()
            .expect("start the program"),
    );
    let other = built(folder.path(), "deep", &[]);
    std::fs::rename(other, &program).expect("replace the program");
    if let Some(recording) = process.recorded("libc (deleted)") {
        assert_named(&recording);
    }
}

#[test]
fn program_in_a_container_is_symbolized_from_its_own_files() {
    let folder = tempfile::tempdir().expect("create a folder");
    let program = built(folder.path(), "libc", &[]);
    // The program's file is visible in its own mount namespace only.
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).expect("create a folder");
    let script =
        "mount -t tmpfs none \"$1\" && cp \"$0\" \"$1/contained\" && exec \"$1/contained\" 60";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]);
    let mut process = Process(
        command
            .arg(&program)
            .arg(&inside)
            .spawn()
            .expect("run unshare"),
    );
    let exe = format!("/proc/{}/exe", process.0.id());
    while std::fs::read_link(&exe).is_ok_and(|exe| !exe.ends_with("contained")) {
        if process.0.try_wait().expect("wait for unshare").is_some() {
            davy_test_support::skip("mount namespaces cannot be created");
            return;
        }
    }
    assert!(
        !inside.join("contained").exists(),
        "the file is visible outside its namespace"
    );
    if let Some(recording) = process.recorded("contained") {
        assert_named(&recording);
    }
}

/// Child process of the next test: starts a recording as another user.
#[test]
fn records_as_another_user() {
    if let Some(pid) = std::env::var("RECORD_PID")
        .ok()
        .and_then(|pid| pid.parse().ok())
    {
        let result = Recorder::start(Target::Pid(pid), RecordOptions::default());
        println!("{}", result.err().expect("another user's process"));
    }
}

#[test]
fn process_of_another_user_is_refused_with_owner_and_remedy() {
    let own = std::env::current_exe().expect("path of this test");
    let folder = tempfile::tempdir().expect("create a folder");
    let copy = folder.path().join("copy");
    std::fs::copy(own, &copy).expect("copy this test");
    let open = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
            .expect("set permissions");
    };
    open(folder.path());
    open(&copy);
    let output = Command::new(copy)
        .args(["--exact", "records_as_another_user", "--nocapture"])
        .env("RECORD_PID", std::process::id().to_string())
        .current_dir("/")
        .uid(65_534)
        .output();
    let Ok(output) = output else {
        davy_test_support::skip("only root can start a process as another user");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
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
        "it belongs to user 0"
    };
    assert!(text.contains(reason), "{text}");
}
