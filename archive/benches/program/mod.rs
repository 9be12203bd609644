//! Generated programs, from a seed.

use davy_base::Random;

/// The program of a service: functions, and stacks by descending frequency.
pub(crate) struct Program {
    pub(crate) names: Vec<String>,
    pub(crate) stacks: Vec<Vec<(u32, u32)>>,
}

pub(crate) fn program(service: usize, random: &mut Random) -> Program {
    let names = (0..2_000)
        .map(|f| {
            format!(
                "service{}::module{}::Type{}::function_{f}",
                service % 7,
                random.below(60),
                random.below(300)
            )
        })
        .collect();
    let count = 4_000 + random.below(8_000) as usize;
    let mut stacks: Vec<Vec<(u32, u32)>> = vec![vec![(0, 1)]];
    while stacks.len() < count {
        let like = stacks[random.below(stacks.len() as u64) as usize].clone();
        let kept = 1 + random.below(like.len() as u64) as usize;
        let mut stack = like[..kept].to_vec();
        for _ in 0..=random.below(9) {
            // A function calls a few other ones, each from one line.
            let (caller, call) = (u64::from(stack[stack.len() - 1].0), random.below(6));
            if stack.len() < 70 {
                let callee = (caller * 31 + call * call * 977 + 17) * 0x9e37_79b9 % 2_000;
                stack.push((callee as u32, 1 + (caller * 7 + call * 5) as u32 % 60));
            }
        }
        stacks.push(stack);
    }
    Program { names, stacks }
}
