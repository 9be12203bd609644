#![doc = include_str!("../README.md")]

use proc_macro::{Delimiter, TokenStream, TokenTree};

/// Runs an `async fn main` on a multi-threaded tokio runtime, with a profiler, in place of `#[tokio::main]`.
///
/// `#[davy_profiler::main(jemalloc)]` also makes jemalloc the allocator of the program, for heap profiles (feature
/// `jemalloc`), as `davy_profiler::use_jemalloc!()` does.
///
/// The settings are in the environment: `DAVY_ARCHIVER` has the address of an archiver, without which the program runs
/// without a profiler, and `Builder::from_env` of davy-profiler lists the others.
///
/// Everything that `main` does has the name of the service as its member and `main` as its operation. What the threads
/// of the runtime do between tasks is attributed to the tasks. When `main` returns, the last window is delivered, within
/// 10 s. If the profiler cannot start, standard error has the reason, and the program runs without it.
///
/// A program that needs other settings builds its runtime and starts the profiler itself, by `davy_profiler::Builder`.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let expanded = expand(&arguments.to_string(), function);
    expanded.unwrap_or_else(|reason| {
        let error = format!("::core::compile_error!({reason:?});");
        error.parse().unwrap_or_default()
    })
}

fn expand(arguments: &str, function: TokenStream) -> Result<TokenStream, &'static str> {
    let allocator = match arguments {
        "" => "",
        "jemalloc" => "::davy_profiler::use_jemalloc!();",
        _ => {
            return Err(
                "expected #[davy_profiler::main] or #[davy_profiler::main(jemalloc)]; a program that needs other \
                 settings starts the profiler by davy_profiler::Builder",
            );
        }
    };
    let tokens: Vec<TokenTree> = function.clone().into_iter().collect();
    let is = |at: usize, name: &str| {
        tokens
            .get(at)
            .is_some_and(|token| token.to_string() == name)
    };
    let name = (0..tokens.len()).find(|at| is(*at, "fn")).map(|at| at + 1);
    let name = name.filter(|name| *name >= 2 && is(name - 2, "async") && is(*name, "main"));
    let name = name.ok_or("#[davy_profiler::main] needs an `async fn main()`")?;
    let has_block = matches!(tokens.last(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace);
    if !is(name + 1, "()") || !has_block {
        return Err("#[davy_profiler::main] needs an `async fn main()` without arguments");
    }
    // The result, with its arrow.
    let output: TokenStream = tokens[name + 2..tokens.len() - 1].iter().cloned().collect();
    // The function stays as it is, within a function of the same name, so that its types and errors stay, too.
    let text = format!("{allocator} fn main() {output} {{ ::davy_profiler::run(main()) }}");
    let outer: TokenStream = text
        .parse()
        .map_err(|_| "unexpected tokens in the result of `main`")?;
    let mut outer: Vec<TokenTree> = outer.into_iter().collect();
    if let Some(TokenTree::Group(block)) = outer.pop() {
        let inner = function.into_iter().chain(block.stream()).collect();
        outer.push(proc_macro::Group::new(Delimiter::Brace, inner).into());
    }
    Ok(outer.into_iter().collect())
}
