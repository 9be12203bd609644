//! Profiles of generated programs.

use crate::program::Program;
use davy_base::{Random, Timestamp};
use davy_profile::{Function, LabelSetId, Line, Mapping, NodeId, Profile};

/// A profile of ten seconds with this many samples, whose stacks are distributed by Zipf's law.
pub(crate) fn window(
    program: &Program,
    samples: usize,
    time: Timestamp,
    random: &mut Random,
) -> Profile {
    let mut profile = Profile::new();
    profile.add_sample_type("cpu", "nanoseconds");
    profile.period_type = profile.sample_types[0];
    profile.period = 10_000_000;
    profile.time_nanos = time.nanos();
    profile.duration_nanos = 10_000_000_000;
    let (file, build_id) = (
        profile.strings.intern("/usr/bin/service"),
        profile.strings.intern("4f6d1c2b9a8e7d60"),
    );
    profile.mappings.push(Mapping {
        start: 0x40_0000,
        limit: 0x440_0000,
        file,
        build_id,
        ..Mapping::default()
    });
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..samples {
        // Zipf with exponent 1: the rank is the number of stacks to the power of a uniform number.
        let rank = (program.stacks.len() as f64).powf(random.unit()) as usize - 1;
        *counts.entry(rank).or_insert(0i64) += 1 + random.below(2) as i64;
    }
    for (rank, count) in counts {
        let mut at = NodeId::ROOT;
        let stack = &program.stacks[rank];
        let mut depth = 0;
        while depth < stack.len() {
            // Every fourth function is inlined into its caller.
            let inlined = stack[depth + 1..]
                .iter()
                .take_while(|(function, _)| function % 4 == 0);
            let end = depth + 1 + inlined.count();
            // Inlined code is within the function that contains it.
            let mut offset = 0u64;
            let lines: Vec<Line> = stack[depth..end]
                .iter()
                .map(|(function, line)| {
                    offset = offset * 61 + u64::from(*function) * 64 + u64::from(*line);
                    let name = profile.strings.intern(&program.names[*function as usize]);
                    let file = profile
                        .strings
                        .intern(&format!("/src/service/module_{}.rs", function / 40));
                    let function = profile.function(Function {
                        name,
                        file,
                        ..Function::default()
                    });
                    Line {
                        function,
                        line: i64::from(*line),
                        column: 0,
                    }
                })
                .rev()
                .collect();
            let address = 0x40_0000 + u64::from(stack[depth].0) * 2_048 + offset % 2_048;
            let location = profile.location(Some(0), address, &lines);
            at = profile.stacks.child(at, location);
            depth = end;
        }
        profile.add_sample(at, LabelSetId(0), &[count * 10_000_000]);
    }
    profile
}
