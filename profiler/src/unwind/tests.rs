use super::eh_frame::Table;
use super::rule::Base;
use super::*;

/// Addresses in every function of every module: its prologue, and one in each of `parts` parts of it.
fn addresses(modules: &[Module], parts: u64) -> Vec<u64> {
    let mut all = Vec::new();
    for module in modules {
        let Some((header, _)) = &module.unwind else {
            continue;
        };
        let bytes = loader::bytes(header);
        let word = |at: usize| i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
        let starts = (0..word(8) as usize).map(|row| {
            header
                .start
                .wrapping_add_signed(i64::from(word(12 + row * 8)))
        });
        let starts: Vec<u64> = starts.collect();
        for pair in starts.windows(2) {
            // In the prologue the rule changes at each instruction.
            all.extend((pair[0]..pair[1]).take(6));
            let part = (pair[1] - pair[0]) / parts;
            all.extend((1..parts).map(|at| pair[0] + at * part));
            all.push(pair[1] - 1);
        }
    }
    all
}

#[test]
fn rules_agree_with_framehop_for_every_loaded_function() {
    let modules = loader::list();
    publish(&modules);
    // SAFETY: a table that `publish` leaked.
    let tables = unsafe { &*TABLES.load(Ordering::Acquire) };
    // A stack whose every word is its own address, so that all words differ.
    let mut words: Vec<u64> = vec![0; 16 << 10];
    let begin = words.as_ptr() as u64;
    for (at, word) in words.iter_mut().enumerate() {
        *word = begin + at as u64 * 8;
    }
    let end = begin + words.len() as u64 * 8;
    let mut cache = new_cache();
    let (mut simple, mut all) = (0, 0);
    for address in addresses(&modules, 7) {
        let start = Registers {
            pc: address,
            sp: begin + (16 << 10),
            fp: begin + (64 << 10),
        };
        for is_leaf in [true, false] {
            all += 1;
            let rule = tables.index.rule(address);
            if rule.base == Base::Complex {
                continue;
            }
            simple += 1;
            let stack = || StackReader::up_to(start.sp, end as usize);
            let mut ours = start;
            let step = rule.step(is_leaf, &mut ours, &mut stack());
            let mut theirs = start;
            // Callers are looked up one byte before their return address.
            theirs.pc += u64::from(!is_leaf);
            let expected = by_framehop(tables, &mut cache, is_leaf, &mut theirs, &mut stack());
            assert_eq!(step, expected, "{address:#x} {rule:?}");
            if let Step::Caller(_) = step {
                assert_eq!(ours, theirs, "{address:#x} {rule:?}");
            }
        }
    }
    println!("{simple} of {all} addresses have a rule of two offsets");
    // The rest lie between functions or have expressions.
    assert!(all > 50_000 && simple * 10 >= all * 8, "{simple} of {all}");
}

#[test]
fn rules_are_cached_until_the_index_changes() {
    let modules = loader::list();
    let index = Index::new(&modules);
    let here = rules_are_cached_until_the_index_changes as *const () as u64;
    let mut rules = RuleCache::new();
    rules.use_index(&index);
    let rule = rules.rule(here, &index);
    assert_ne!(rule.base, Base::Complex);
    // A cached rule does not depend on the index that is passed.
    let empty = Index::new(&[]);
    assert_eq!(rules.rule(here, &empty), rule);
    rules.use_index(&empty);
    assert_eq!(rules.rule(here, &empty).base, Base::Complex);
}

#[test]
fn truncated_and_corrupt_tables_do_not_panic() {
    let mut modules = loader::list();
    modules.retain(|module| module.is_executable);
    let (header, frames) = modules[0]
        .unwind
        .clone()
        .expect("the executable has unwind tables");
    let sampled: Vec<u64> = addresses(&modules, 2).into_iter().step_by(501).collect();
    let mut random = davy_base::Random::seeded(3);
    let original = loader::bytes(&frames);
    let mut bytes = original[..original.len().min(1 << 22)].to_vec();
    for _ in 0..20 {
        for _ in 0..2_000 {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.below(256) as u8;
        }
        let shared: &'static [u8] = bytes.clone().leak();
        let table = Table {
            range: modules[0].range.clone(),
            header: (header.start, loader::bytes(&header)),
            frames: (
                frames.start,
                &shared[..shared.len() - random.below(1 << 12) as usize],
            ),
        };
        for address in &sampled {
            table.rule(*address);
        }
    }
}
