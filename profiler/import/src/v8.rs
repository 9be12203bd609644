//! What the profiles of V8 have in common: call frames and trees of them.

use crate::Error;
use crate::builder::Builder;
use crate::json::Reader;

/// Name of V8's node above all others, which is not a function.
const ROOT: &str = "(root)";

/// Reads a call frame and returns its location, or `None` for the root.
pub(crate) fn call_frame(
    reader: &mut Reader<'_>,
    builder: &mut Builder,
) -> Result<Option<u32>, Error> {
    let (mut name, mut url, mut line, mut column) = (None, None, -1, -1);
    reader.begin_object()?;
    while let Some(key) = reader.next_key()? {
        match &*key {
            "functionName" => name = Some(reader.string()?),
            "url" => url = Some(reader.string()?),
            "lineNumber" => line = reader.integer()?,
            "columnNumber" => column = reader.integer()?,
            _ => {
                reader.skip()?;
            }
        }
    }
    let (name, url) = (name.unwrap_or_default(), url.unwrap_or_default());
    if name == ROOT && url.is_empty() {
        return Ok(None);
    }
    let name = if name.is_empty() {
        "(anonymous)"
    } else {
        &name
    };
    // V8 counts from 0, and -1 is unknown.
    let from_one = |number: i64| number.clamp(-1, i64::from(u32::MAX)) + 1;
    builder
        .frame_at(name, &url, from_one(line), from_one(column))
        .map(Some)
}
