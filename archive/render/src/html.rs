//! HTML of the pages: plain, without scripts and without anything from elsewhere.

use davy_profile::names::visible;

/// The content of the element `style` of every page, which a Content-Security-Policy can admit by its hash.
pub const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:70rem;padding:1rem}\
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%}\
caption{text-align:left;padding:.25rem 0}\
th,td{border-bottom:1px solid #8888;padding:.25rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
thead th{font-weight:600}tbody th{font-weight:400}\
td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
table.month{width:auto;display:inline-table;margin:0 2rem 1rem 0}table.month td{border:0;text-align:right}\
ol.hours{columns:6 6rem;list-style:none;padding:0}\
.none{opacity:.6}\
a{color:#0b57d0}@media(prefers-color-scheme:dark){a{color:#8ab4f8}}";

/// A text as content of an element or of an attribute. Characters that would act on the text around them are visible.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// A page. `head` and `body` are HTML.
pub(crate) fn page(title: &str, head: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n{head}\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// A text as a part of the query of a URL.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
