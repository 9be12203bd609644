//! What `davy record` prints on standard error after a recording.

use crate::stderr;

use super::command::CommandEnd;
use davy_profile::units::count;
use davy_record::{Mechanism, Recording};

/// Prints how the command ended, the number of samples and what is missing from the profile.
pub(super) fn print(recording: &Recording, ended: CommandEnd) {
    let Recording { samples, lost, .. } = recording;
    if let Some(sentence) = ended.sentence() {
        stderr::print_line(format_args!("davy: {sentence}"));
    }
    let samples = count(*samples as usize, "sample", "samples");
    stderr::print_line(format_args!("davy: {samples}, {lost} lost"));
    for sentence in notes(recording) {
        stderr::print_line(format_args!("davy: {sentence}"));
    }
}

/// Maximum number of files without symbols that are listed.
const NAMELESS_MAX: usize = 5;

fn notes(recording: &Recording) -> Vec<String> {
    let mut notes = Vec::new();
    if recording.samples == 0 {
        notes.push(
            "no samples: the program used less CPU time than one sampling interval".to_owned(),
        );
    }
    if recording.mechanism == Some(Mechanism::Processes) {
        notes.push(
            "the processes of the cgroup were listed 20 times per second: the kernel samples only cgroups of version 2 and of the controller perf_event, and only for root or with CAP_PERFMON"
                .to_owned(),
        );
    }
    if let Some(refusal) = &recording.refusal {
        let processes = count(recording.refused as usize, "process", "processes");
        notes.push(format!("{processes} not sampled; the last one: {refusal}"));
    }
    if recording.throttled > 0 {
        notes.push(format!(
            "the kernel throttled sampling {} because it took too long",
            count(recording.throttled as usize, "time", "times")
        ));
    }
    if recording.cut > 0 {
        let hint = if recording.short > recording.cut / 2 {
            "; pass a larger --stack-bytes to unwind deeper"
        } else {
            ""
        };
        let stacks = count(recording.cut as usize, "stack is", "stacks are");
        notes.push(format!("{stacks} truncated{hint}"));
    }
    if !recording.has_kernel {
        notes.push(
            "time in the kernel is not recorded; set kernel.perf_event_paranoid=1 or grant CAP_PERFMON"
                .to_owned(),
        );
    }
    let nameless = recording.nameless.iter();
    notes.extend(
        nameless
            .take(NAMELESS_MAX)
            .map(|(file, why)| format!("no symbols for {file}: {why}")),
    );
    if recording.nameless.len() > NAMELESS_MAX {
        let more = recording.nameless.len() - NAMELESS_MAX;
        let more = count(more, "more file", "more files");
        notes.push(format!("no symbols for {more}"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_record::CallGraph;

    #[test]
    fn summary_lists_what_is_missing_from_the_profile() {
        let recording = Recording {
            profile: davy_profile::Profile::new(),
            samples: 10,
            lost: 0,
            throttled: 2,
            cut: 3,
            short: 2,
            has_kernel: false,
            call_graph: CallGraph::Auto,
            mechanism: Some(Mechanism::Processes),
            refused: 1,
            refusal: Some("process 7 not found".to_owned()),
            nameless: vec![("/bin/x".to_owned(), "it was replaced by another".to_owned()); 7],
        };
        let text = notes(&recording).join("\n");
        for part in [
            "throttled sampling 2 times",
            "3 stacks are truncated; pass a larger --stack-bytes",
            "the processes of the cgroup were listed",
            "1 process not sampled; the last one: process 7 not found",
            "time in the kernel is not recorded",
            "no symbols for /bin/x: it was replaced by another",
            "no symbols for 2 more files",
        ] {
            assert!(text.contains(part), "{part:?} is missing from {text}");
        }
        let whole = Recording {
            throttled: 0,
            cut: 0,
            has_kernel: true,
            nameless: Vec::new(),
            mechanism: Some(Mechanism::Kernel),
            refused: 0,
            refusal: None,
            ..recording
        };
        assert_eq!(notes(&whole), Vec::<String>::new());
    }
}
