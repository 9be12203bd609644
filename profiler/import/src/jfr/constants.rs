//! The constant pools of a JFR chunk from which names and stacks are built: strings, classes, methods, stack traces.

use super::cursor::{Cursor, Text};
use super::metadata::Classes;
use crate::Error;
use davy_profile::Error as ProfileError;
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// A frame of a stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) method: i64,
    pub(super) line: i32,
}

/// The constants of a chunk by their keys.
#[derive(Debug, Default)]
pub(super) struct Constants<'a> {
    strings: FxHashMap<i64, Text<'a>>,
    symbols: FxHashMap<i64, Text<'a>>,
    /// Symbol with the name of each class.
    classes: FxHashMap<i64, Text<'a>>,
    /// States of threads.
    states: FxHashMap<i64, Text<'a>>,
    /// Name of each thread, as Java and as the system has it.
    threads: FxHashMap<i64, [Text<'a>; 2]>,
    /// Class and name of each method.
    methods: FxHashMap<i64, (i64, Text<'a>)>,
    /// Frames of each stack, from the leaf to the root, and whether the root side is missing.
    stacks: FxHashMap<i64, (u32, u32, bool)>,
    frames: Vec<Frame>,
    count: usize,
}

impl<'a> Constants<'a> {
    /// Adds the constants of a checkpoint event, whose header has been read.
    pub(super) fn read(
        &mut self,
        event: &mut Cursor<'a>,
        classes: &Classes,
        limit: usize,
    ) -> Result<(), Error> {
        event.long()?; // start
        event.long()?; // duration
        event.long()?; // offset of the previous checkpoint; the events are read in order instead
        event.byte()?; // kind of checkpoint
        for _ in 0..event.count()? {
            let class = event.long()?;
            let Some(name) = classes.get(class).map(|class| &class.name) else {
                return event.fail("constants of an unknown class");
            };
            let count = event.count()?;
            self.count += count;
            if self.count > limit {
                let (what, got) = ("constants", self.count);
                return Err(ProfileError::TooMany { what, got, limit }.into());
            }
            for _ in 0..count {
                let key = event.long()?;
                self.read_constant((class, name), key, event, classes)?;
            }
        }
        Ok(())
    }

    fn read_constant(
        &mut self,
        (class, name): (i64, &str),
        key: i64,
        event: &mut Cursor<'a>,
        classes: &Classes,
    ) -> Result<(), Error> {
        match name {
            "java.lang.String" => {
                self.strings.insert(key, event.string()?);
            }
            "jdk.types.Symbol" | "java.lang.Class" | "jdk.types.ThreadState" => {
                let mut found = Text::Empty;
                classes.fields(class, event, |field, shape, event| {
                    let is_text = matches!(field, "string" | "name");
                    if is_text {
                        found = classes.text(shape, event)?;
                    }
                    Ok(is_text)
                })?;
                let constants = match name {
                    "java.lang.Class" => &mut self.classes,
                    "jdk.types.ThreadState" => &mut self.states,
                    _ => &mut self.symbols,
                };
                constants.insert(key, found);
            }
            "java.lang.Thread" => {
                let mut names = [Text::Empty; 2];
                classes.fields(class, event, |field, shape, event| {
                    match field {
                        "javaName" => names[0] = classes.text(shape, event)?,
                        "osName" => names[1] = classes.text(shape, event)?,
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?;
                self.threads.insert(key, names);
            }
            "jdk.types.Method" => {
                let mut method = (0, Text::Empty);
                classes.fields(class, event, |field, shape, event| {
                    match field {
                        "type" => method.0 = classes.number(shape, event)?,
                        "name" => method.1 = classes.text(shape, event)?,
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?;
                self.methods.insert(key, method);
            }
            "jdk.types.StackTrace" => {
                let start = self.frames.len() as u32;
                let mut is_truncated = false;
                classes.fields(class, event, |field, shape, event| {
                    match field {
                        "truncated" => is_truncated = classes.number(shape, event)? != 0,
                        "frames" if shape.is_array && !shape.is_constant => {
                            for _ in 0..event.count()? {
                                let frame = frame(shape.class, event, classes)?;
                                self.frames.push(frame);
                            }
                        }
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?;
                self.stacks
                    .insert(key, (start, self.frames.len() as u32, is_truncated));
            }
            _ => classes.skip(class, event)?,
        }
        Ok(())
    }

    /// The frames of a stack from the leaf to the root, and whether the root side is missing.
    pub(super) fn stack(&self, key: i64) -> Option<(&[Frame], bool)> {
        let (start, end, is_truncated) = self.stacks.get(&key)?;
        Some((&self.frames[*start as usize..*end as usize], *is_truncated))
    }

    /// A text, or the symbol or string that it refers to.
    pub(super) fn text(&self, text: Text<'a>) -> Cow<'a, str> {
        let Text::Constant(key) = text else {
            return text.decode();
        };
        match self.symbols.get(&key).or_else(|| self.strings.get(&key)) {
            Some(Text::Constant(key)) => {
                self.strings.get(key).copied().unwrap_or_default().decode()
            }
            Some(text) => text.decode(),
            None => Cow::Borrowed(""),
        }
    }

    /// A string of an event, which may refer to a constant string.
    pub(super) fn string(&self, text: Text<'a>) -> Cow<'a, str> {
        match text {
            Text::Constant(key) => self.strings.get(&key).copied().unwrap_or_default().decode(),
            text => text.decode(),
        }
    }

    /// The name of a thread's state, such as `STATE_SLEEPING`.
    pub(super) fn state(&self, key: i64) -> Cow<'a, str> {
        self.string(self.states.get(&key).copied().unwrap_or_default())
    }

    /// The name of a thread; empty if it is unknown.
    pub(super) fn thread(&self, key: i64) -> Cow<'a, str> {
        let names = self.threads.get(&key).copied().unwrap_or_default();
        let names = names.map(|name| self.string(name));
        names
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default()
    }

    /// The name of a method: `java/lang/Thread.run`, or a function's name alone if it has no class.
    pub(super) fn method(&self, key: i64) -> String {
        let Some((class, name)) = self.methods.get(&key) else {
            return "(unknown)".to_owned();
        };
        let name = self.text(*name);
        let class = self
            .classes
            .get(class)
            .map(|text| self.text(*text))
            .unwrap_or_default();
        match (&*class, &*name) {
            ("", "") => "(unknown)".to_owned(),
            ("", name) => name.to_owned(),
            (class, "") => class.to_owned(),
            (class, name) => format!("{class}.{name}"),
        }
    }
}

fn frame(class: i64, event: &mut Cursor<'_>, classes: &Classes) -> Result<Frame, Error> {
    let mut frame = Frame { method: 0, line: 0 };
    classes.fields(class, event, |field, shape, event| {
        match field {
            "method" => frame.method = classes.number(shape, event)?,
            "lineNumber" => frame.line = classes.number(shape, event)? as i32,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(frame)
}
