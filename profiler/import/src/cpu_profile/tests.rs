use crate::outline::outline;
use crate::{Format, Options, Skipped, decode, detect};

const NODES: &str = r#"[
    {"id":1,"callFrame":{"functionName":"(root)","scriptId":"0","url":"","lineNumber":-1,"columnNumber":-1},"hitCount":0,"children":[2,4]},
    {"id":2,"callFrame":{"functionName":"main","scriptId":"7","url":"file:///a.js","lineNumber":0,"columnNumber":9},"hitCount":1,"children":[3]},
    {"id":3,"callFrame":{"functionName":"","scriptId":"7","url":"file:///a.js","lineNumber":11,"columnNumber":2},"hitCount":2},
    {"id":4,"callFrame":{"functionName":"(idle)","scriptId":"0","url":"","lineNumber":-1,"columnNumber":-1},"hitCount":1}]"#;

fn check(rest: &str, expected: &str) -> Skipped {
    let input = format!("{{\"nodes\":{NODES},{rest}}}");
    assert_eq!(detect(input.as_bytes()), Ok(Format::CpuProfile));
    match decode(input.as_bytes(), Format::CpuProfile, &Options::default()) {
        Ok(import) => {
            assert_eq!(outline(&import), expected, "{rest}");
            import.skipped
        }
        Err(error) => {
            assert_eq!(error.to_string(), expected, "{rest}");
            Skipped::default()
        }
    }
}

#[test]
fn sample_lasts_until_the_next_one() {
    check(
        r#""startTime":1000,"endTime":2000,"samples":[2,3,3,4],"timeDeltas":[100,200,300,50]"#,
        "[process_cpu samples:count cpu:nanoseconds]\n\
         main@file:///a.js:1 1,200000\n\
         main@file:///a.js:1;(anonymous)@file:///a.js:12 2,350000\n\
         [wall samples:count wall:nanoseconds]\n\
         main@file:///a.js:1 1,200000\n\
         main@file:///a.js:1;(anonymous)@file:///a.js:12 2,350000\n\
         (idle) 1,350000\n",
    );
}

#[test]
fn samples_out_of_order_do_not_change_the_total() {
    // Times 1100, 1300, 1250, 1400, end 1500: together 400 us.
    check(
        r#""startTime":1000,"endTime":1500,"samples":[2,3,2,3],"timeDeltas":[100,200,-50,150]"#,
        "[process_cpu samples:count cpu:nanoseconds]\n\
         main@file:///a.js:1 2,300000\n\
         main@file:///a.js:1;(anonymous)@file:///a.js:12 2,100000\n\
         [wall samples:count wall:nanoseconds]\n\
         main@file:///a.js:1 2,300000\n\
         main@file:///a.js:1;(anonymous)@file:///a.js:12 2,100000\n",
    );
}

#[test]
fn profile_without_samples_has_the_hits_and_their_share_of_the_time() {
    check(
        r#""startTime":1000,"endTime":2001"#,
        "[process_cpu samples:count cpu:nanoseconds]\n\
         main@file:///a.js:1 1,250000\n\
         main@file:///a.js:1;(anonymous)@file:///a.js:12 2,500000\n\
         [wall samples:count wall:nanoseconds]\n\
         main@file:///a.js:1 1,250000\n\
         main@file:///a.js:1;(anonymous)@file:///a.js:12 2,500000\n\
         (idle) 1,251000\n",
    );
}

#[test]
fn faults_are_named_or_counted() {
    check(
        r#""startTime":0,"samples":[2,3],"timeDeltas":[1]"#,
        "invalid CPU profile: sample 1 has no time delta; expected one for each sample",
    );
    check(
        r#""startTime":0,"samples":[],"timeDeltas":[]"#,
        "invalid CPU profile: no samples",
    );
    let skipped = check(
        r#""startTime":0,"endTime":9,"samples":[2,77],"timeDeltas":[1,5]"#,
        "[process_cpu samples:count cpu:nanoseconds]\nmain@file:///a.js:1 1,5000\n\
         [wall samples:count wall:nanoseconds]\nmain@file:///a.js:1 1,5000\n",
    );
    assert_eq!(
        skipped,
        Skipped {
            count: 1,
            first: Some((1, "the sample refers to a node that does not exist"))
        }
    );
}

#[test]
fn nodes_that_are_their_own_ancestors_end() {
    let frame = r#"{"functionName":"f","url":"","lineNumber":-1,"columnNumber":-1}"#;
    let input = format!(
        r#"{{"nodes":[{{"id":1,"callFrame":{frame},"children":[2]}},{{"id":2,"callFrame":{frame},"children":[1]}}],
            "startTime":0,"endTime":9,"samples":[1],"timeDeltas":[1]}}"#
    );
    let import = decode(input.as_bytes(), Format::CpuProfile, &Options::default()).expect("valid");
    assert_eq!(import.profiles[0].profile.samples.values, [1, 8_000]);
}
