//! Names of functions as people read them.

/// Demangles a name: with generic arguments, without the hash.
pub(super) fn demangle(name: &str) -> String {
    if let Some(name) = demangle_cpp(name) {
        return name;
    }
    let name = format!("{:#}", rustc_demangle::demangle(name));
    // The same in both mangling schemes; the first closure of a function is usually the only one.
    if name.contains("{closure#0}") || name.contains("{{closure}}") {
        return name
            .replace("{closure#0}", "{closure}")
            .replace("{{closure}}", "{closure}");
    }
    name
}

/// The demangled name of a function of C++; none of other names. Names of Rust's older scheme look the same, but end with
/// a hash.
#[cfg(feature = "cpp")]
fn demangle_cpp(name: &str) -> Option<String> {
    if !name.starts_with("_Z") || rustc_demangle::try_demangle(name).is_ok() {
        return None;
    }
    let options = cpp_demangle::DemangleOptions::new().no_return_type();
    let symbol = cpp_demangle::Symbol::new(name).ok()?;
    symbol.demangle_with_options(&options).ok()
}

#[cfg(not(feature = "cpp"))]
fn demangle_cpp(_: &str) -> Option<String> {
    None
}

/// A demangled name whose last part says what it is, as debug information does: an async function, an async block or a
/// closure, and which one. In symbols, all of these are closures.
pub(super) fn with_kind(name: String, short: &str) -> String {
    let is_closure = name.ends_with('}');
    let (Some(kind), true) = (kind(short), is_closure) else {
        return name;
    };
    match name.rfind("{closure") {
        Some(at) if !name[at..].contains("::") => format!("{}{kind}", &name[..at]),
        _ => name,
    }
}

/// `{async fn}` of `{async_fn#0}`, `{closure#1}` of `{closure#1}<u64>`; none of other names.
fn kind(short: &str) -> Option<String> {
    let (name, _generics) = short.strip_prefix('{')?.split_once('}')?;
    let (kind, number) = name.split_once('#')?;
    let kind = match kind {
        "async_fn" => "async fn",
        "async_block" => "async block",
        "async_closure" => "async closure",
        "closure" => "closure",
        _ => return None,
    };
    Some(match number {
        "0" => format!("{{{kind}}}"),
        number => format!("{{{kind}#{number}}}"),
    })
}

/// Whether a name has no path at all, such as `{closure#0}`.
pub(super) fn is_unqualified(name: &str) -> bool {
    name.starts_with('{')
}

/// The name of a function without a linkage name, as debug information that consists of line tables has it. A name
/// without a path is qualified by its source file.
pub(super) fn qualified(short: &str, file: &str) -> String {
    let name = kind(short).unwrap_or_else(|| short.to_owned());
    if !is_unqualified(&name) {
        return name;
    }
    let mut parts = file.rsplitn(3, '/');
    match (parts.next(), parts.next()) {
        (Some(file), Some(folder)) if !file.is_empty() => format!("{folder}/{file}::{name}"),
        (Some(file), None) if !file.is_empty() => format!("{file}::{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closures_say_what_they_are_and_which_function_contains_them() {
        let check = |mangled: &str, short: &str, expected: &str| {
            assert_eq!(with_kind(demangle(mangled), short), expected);
        };
        let list = "_ZN8handlers4list28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE";
        check(list, "{async_block#0}", "handlers::list::{async block}");
        check(list, "{async_fn#0}", "handlers::list::{async fn}");
        check(list, "{closure#0}", "handlers::list::{closure}");
        check(list, "{closure#2}", "handlers::list::{closure#2}");
        check(list, "", "handlers::list::{closure}");
        check(
            "_RNCNvCs1234_1a4list0B3_",
            "{async_fn#0}",
            "a::list::{async fn}",
        );
        check(
            "_ZN8handlers4list17h0123456789abcdefE",
            "list",
            "handlers::list",
        );
        check("read", "read", "read");
    }

    #[cfg(feature = "cpp")]
    #[test]
    fn names_of_cpp_rust_and_c_are_demangled_by_their_own_rules() {
        let check = |mangled: &str, expected: &str| assert_eq!(demangle(mangled), expected);
        check("_ZN5shape6Circle4areaEv", "shape::Circle::area()");
        check(
            "_ZNSt6vectorIiSaIiEE9push_backEOi",
            "std::vector<int, std::allocator<int> >::push_back(int&&)",
        );
        check(
            "_ZN3std2io4Read4read17h0123456789abcdefE",
            "std::io::Read::read",
        );
        check("_RNvCs1234_1a4list", "a::list");
        check("main.(*server).handle", "main.(*server).handle");
        check("_Zinvalid", "_Zinvalid");
    }

    #[test]
    fn function_whose_argument_is_a_closure_keeps_its_name() {
        let name = "core::ops::call<a::list::{closure}>";
        assert_eq!(with_kind(name.to_owned(), "{closure#0}"), name);
    }

    #[test]
    fn closure_without_a_path_is_qualified_by_its_file() {
        let check = |short, file, expected: &str| assert_eq!(qualified(short, file), expected);
        check("{closure#0}", "/x/src/api.rs", "src/api.rs::{closure}");
        check("{async_fn#0}", "api.rs", "api.rs::{async fn}");
        check("{closure#1}", "", "{closure#1}");
        check(
            "{closure#0}<u64, a::{closure_env#0}>",
            "a/b.rs",
            "a/b.rs::{closure}",
        );
        check("list", "/x/src/api.rs", "list");
        check("{impl#0}", "a.rs", "a.rs::{impl#0}");
    }
}
