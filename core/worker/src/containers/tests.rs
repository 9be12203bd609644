use super::*;
use crate::volumes::Volumes;
use davy_model::task::{Run, TaskLimits};

/// Containers whose shim is this test program: the test below runs it.
fn containers(folder: &Path) -> Containers {
    fs::create_dir(folder.join("containers")).expect("writable");
    let program = std::env::current_exe().expect("this program");
    let arguments = ["containers::tests::shim", "--exact", "--nocapture"];
    Containers {
        folder: folder.join("containers"),
        volumes: Volumes::new(folder.join("volumes"), false).expect("writable"),
        has_overlays: false,
        runtime: Runtime::Process,
        cgroups: None,
        limits: Limits::default(),
        shim: std::iter::once(program.into_os_string())
            .chain(arguments.map(OsString::from))
            .collect(),
        sampler: Vec::new(),
        worker: "w".to_owned(),
        clock: Clock::system(),
    }
}

fn assignment(container: &str, script: &str) -> Assignment {
    Assignment {
        id: 1,
        task: Task {
            platform: "linux".to_owned(),
            tags: [].into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            params: BTreeMap::new(),
            image: None,
            limits: TaskLimits::default(),
            profile: false,
            run: Run {
                path: "sh".to_owned(),
                args: vec!["-c".to_owned(), script.to_owned()],
                dir: None,
            },
            timeout_seconds: 60,
        },
        container: container.to_owned(),
        volume: format!("{container}-volume"),
    }
}

/// Not a test: the shim of the tests below, which run this program again.
#[test]
fn shim() {
    let folder = std::env::args().next_back().unwrap_or_default();
    if Path::new(&folder).join(SPEC).exists() {
        crate::shim(Path::new(&folder), &Clock::system()).expect("a folder of a container");
    }
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        std::thread::yield_now();
    }
}

fn output(containers: &Containers, container: &str) -> String {
    let path = containers.path(container).join(crate::shim::spec::OUTPUT);
    fs::read_to_string(path).unwrap_or_default()
}

fn exit(containers: &Containers, container: &str) -> crate::shim::spec::Exit {
    let path = containers.path(container).join(EXIT);
    until(|| read_json(&path).ok())
}

fn start(containers: &Containers, container: &str, script: &str) {
    let assignment = assignment(container, script);
    let created = containers.create(container, &assignment.volume);
    containers
        .start(&assignment, &created.expect("new"))
        .expect("started");
}

#[test]
fn shim_keeps_the_output_and_the_exit_code_of_a_task() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let containers = containers(folder.path());
    start(
        &containers,
        "c-shim",
        "echo ä; echo error >&2; kill -TERM $$",
    );
    let exit = exit(&containers, "c-shim");
    assert_eq!(exit.end, davy_model::wire::End::Exited { code: 143 });
    let mut lines: Vec<String> = output(&containers, "c-shim")
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    assert_eq!(lines, ["error", "ä"]);
    let found = containers.found().expect("readable");
    assert!(found[0].is_followed, "it has ended and was not reported");
    assert_eq!(found[0].assignment.volume, "c-shim-volume");
}

#[test]
fn destroy_kills_processes_that_left_their_group_and_removes_the_folders() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let containers = containers(folder.path());
    let script = "setsid sleep 600 & echo started; sleep 600";
    start(&containers, "c-destroy", script);
    until(|| {
        output(&containers, "c-destroy")
            .contains("started")
            .then_some(())
    });
    assert!(containers.is_shim_running("c-destroy").expect("readable"));
    let volume = containers.volume_of("c-destroy").expect("it has one");
    let entry = format!("{}=c-destroy", process::VARIABLE);
    let processes = || process::processes_with(entry.as_bytes()).expect("/proc");
    assert!(!processes().is_empty());
    containers
        .destroy("c-destroy", HandleKind::Container)
        .expect("killed");
    assert!(processes().is_empty());
    containers
        .destroy(&volume, HandleKind::Volume)
        .expect("removed");
    assert_eq!(containers.handles().expect("readable"), BTreeMap::new());
    containers
        .destroy("c-destroy", HandleKind::Container)
        .expect("gone already");
}

#[test]
fn task_whose_shim_was_killed_is_lost_and_nothing_of_it_is_left() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let containers = containers(folder.path());
    start(&containers, "c-lost", "echo started; sleep 600");
    until(|| {
        output(&containers, "c-lost")
            .contains("started")
            .then_some(())
    });
    let own = containers.path("c-lost").display().to_string();
    let shim = processes_of(&own);
    assert_eq!(shim.len(), 1);
    // SAFETY: kill has no memory effects; the process is the shim that this test has started.
    unsafe { libc::kill(shim[0], libc::SIGKILL) };
    until(|| (!containers.is_shim_running("c-lost").expect("readable")).then_some(()));
    let found = containers.found().expect("readable");
    assert!(!found[0].is_followed, "how it ended is unknown");
    containers.kill("c-lost").expect("killed");
    let entry = format!("{}=c-lost", process::VARIABLE);
    let left = process::processes_with(entry.as_bytes()).expect("/proc");
    assert!(left.is_empty(), "{left:?}");
}

/// Processes with this last argument.
fn processes_of(argument: &str) -> Vec<libc::pid_t> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let matching = processes.filter(|entry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let last = command
            .split(|byte| *byte == 0)
            .rfind(|part| !part.is_empty());
        last == Some(argument.as_bytes())
    });
    matching
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
