use super::*;

const NAMED: FunctionTexts<'_> = FunctionTexts {
    name: "f",
    system_name: "",
    file: "",
    start_line: 0,
};

#[test]
fn frames_and_functions_that_differ_in_any_field_get_different_indices() {
    let name = FunctionTexts {
        name: "1",
        ..FunctionTexts::default()
    };
    let mut functions = vec![FunctionTexts::default(), name];
    let in_function = |function| Frame {
        function,
        ..Frame::default()
    };
    let mut frames = vec![in_function(0), in_function(1)];
    for n in [2, 5, i32::MAX as u32] {
        let (text, address) = (n.to_string().leak() as &str, u64::from(n));
        functions.extend([
            FunctionTexts { name: text, ..name },
            FunctionTexts {
                system_name: text,
                ..name
            },
            FunctionTexts { file: text, ..name },
            FunctionTexts {
                start_line: n,
                ..name
            },
        ]);
        let (unnamed, named) = (in_function(0), in_function(1));
        frames.extend([
            Frame { line: n, ..named },
            Frame { column: n, ..named },
            Frame {
                mapping: n,
                ..named
            },
            Frame {
                address,
                mapping: 7,
                ..named
            },
            Frame {
                address: address << 32,
                mapping: 7,
                ..named
            },
            Frame { address, ..unnamed },
            Frame {
                address,
                is_inlined: true,
                ..unnamed
            },
            Frame {
                is_inlined: true,
                line: n,
                ..named
            },
            Frame {
                is_folded: true,
                line: n,
                ..named
            },
        ]);
    }
    let mut batch = Batch::new();
    for round in 0..2 {
        for (index, function) in functions.iter().enumerate() {
            assert_eq!(batch.function(*function), index as u32, "round {round}");
        }
        for (index, frame) in frames.iter().enumerate() {
            assert_eq!(batch.frame(*frame), index as u32, "round {round}");
        }
    }
    assert_eq!(batch.functions.len(), functions.len());
    assert_eq!(batch.frames, frames);
}

#[test]
fn address_of_a_function_without_a_mapping_does_not_count_and_the_lowest_is_kept() {
    for addresses in [[0, 9, 5], [5, 9, 0], [9, 0, 5]] {
        let mut batch = Batch::new();
        let function = batch.function(NAMED);
        let at = |address| Frame {
            function,
            address,
            ..Frame::default()
        };
        assert_eq!(addresses.map(|address| batch.frame(at(address))), [0; 3]);
        assert_eq!(batch.frames, [at(5)]);
    }
}

#[test]
fn inlined_function_is_one_frame_wherever_it_was_inlined() {
    let mut batch = Batch::new();
    let function = batch.function(NAMED);
    let inlined = |address, is_folded| Frame {
        function,
        mapping: 1,
        address,
        is_inlined: true,
        is_folded,
        ..Frame::default()
    };
    assert_eq!(batch.frame(inlined(5, false)), 0);
    assert_eq!(batch.frame(inlined(9, true)), 0);
    assert_eq!(batch.frames, [inlined(0, false)]);
}

#[test]
fn folded_batch_has_the_same_sums_and_totals() {
    let mut batch = Batch::new();
    let function = batch.function(NAMED);
    let frame = batch.frame(Frame {
        function,
        ..Frame::default()
    });
    let node = batch.stacks.child(davy_profile::NodeId::ROOT, frame).0;
    let source = batch.source(&Source::default());
    let series = batch.one_series(Series {
        source,
        kind: "cpu".into(),
        labels: Arc::default(),
        header: Arc::default(),
    });
    let window = Window {
        source,
        id: 7,
        start_ms: 0,
        duration_ms: 0,
        time_nanos: 0,
        duration_nanos: 0,
        count: 1,
    };
    let totals = [((series, 0), 3), ((series, 1), 5)];
    batch.totals = Some(totals.into_iter().collect());
    for (day, value) in [(0, 1), (0, 2), (1, 5)] {
        // Cells of different days can have the same id.
        batch.cell(day, day as i64, window);
        let row = |node| Row {
            series,
            node,
            window: 0,
            value,
        };
        batch.rows.extend([row(node), row(0)]);
    }
    batch.fold();
    let mut sums: Vec<(u32, i64)> = batch.rows.iter().map(|of| (of.node, of.value)).collect();
    sums.sort_unstable();
    assert_eq!(sums, [(0, 8), (node, 8)]);
    let ordered = crate::format::order::ordered(batch, crate::format::order::Dictionaries::Sorted);
    assert_eq!(ordered.totals, Some(vec![(0, 0, 3), (0, 1, 5)]));
    let counts: Vec<u32> = ordered.windows.iter().map(|of| of.count).collect();
    assert_eq!(counts, [2, 1]);
}
