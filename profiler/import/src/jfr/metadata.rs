//! The classes of the values in a chunk, which the chunk itself describes.

use super::cursor::{Cursor, Text};
use crate::Error;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::cell::Cell;

/// Depth of values within values.
const DEPTH: usize = 16;

/// Bytes of an attribute that are kept.
const ATTRIBUTE_BYTES: usize = 256;

/// How a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An integer or a float of this many bytes.
    Fixed(usize),
    Short,
    Int,
    Long,
    String,
    /// The fields of the class, one by one.
    Fields,
}

/// A class.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: String,
    pub(super) kind: Kind,
    fields: Vec<Field>,
}

/// A field of a class.
#[derive(Debug)]
pub(super) struct Field {
    name: String,
    shape: Shape,
}

/// How the value of a field is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) class: i64,
    /// Whether the value is a key into the constants of its class.
    pub(super) is_constant: bool,
    pub(super) is_array: bool,
}

/// All classes of a chunk.
#[derive(Debug, Default)]
pub(super) struct Classes {
    all: Vec<Class>,
    by_id: FxHashMap<i64, u32>,
    /// Values that may still be read. Classes without bytes could otherwise nest without end.
    steps: Cell<u64>,
}

impl Classes {
    pub(super) fn get(&self, id: i64) -> Option<&Class> {
        self.by_id.get(&id).map(|index| &self.all[*index as usize])
    }

    /// Limits the values that are read to a multiple of the chunk's bytes.
    pub(super) fn limit_steps(&mut self, chunk_bytes: usize) {
        self.steps.set(chunk_bytes as u64 * 8 + 1_000);
    }

    /// Adds the classes of a metadata event, whose header has been read.
    pub(super) fn read(&mut self, event: &mut Cursor<'_>) -> Result<(), Error> {
        event.long()?; // start
        event.long()?; // duration
        event.long()?; // id
        let count = event.count()?;
        let mut strings = Vec::new();
        for _ in 0..count {
            strings.push(event.string()?.decode());
        }
        // Children that are still to come, and the class that they belong to, of each open element.
        let mut open = vec![(1, None)];
        while let Some((children, class)) = open.last_mut() {
            if *children == 0 {
                open.pop();
                continue;
            }
            *children -= 1;
            let class = *class;
            let element = string(&strings, event)?;
            let attributes = event.count()?;
            let mut pairs = Vec::new();
            for _ in 0..attributes {
                pairs.push((string(&strings, event)?, string(&strings, event)?));
            }
            let class = match (element, class) {
                ("class", _) => Some(self.add(&pairs)),
                ("field", Some(class)) => {
                    let class: &mut Class = &mut self.all[class];
                    class.fields.push(field(&pairs));
                    None
                }
                _ => None,
            };
            open.push((event.count()?, class));
        }
        Ok(())
    }

    fn add(&mut self, pairs: &[(&str, &str)]) -> usize {
        let name = attribute(pairs, "name");
        let kind = match name {
            "boolean" | "byte" => Kind::Fixed(1),
            "float" => Kind::Fixed(4),
            "double" => Kind::Fixed(8),
            "char" | "short" => Kind::Short,
            "int" => Kind::Int,
            "long" => Kind::Long,
            "java.lang.String" => Kind::String,
            _ => Kind::Fields,
        };
        let id = attribute(pairs, "id").parse().unwrap_or(0);
        self.by_id.insert(id, self.all.len() as u32);
        self.all.push(Class {
            name: name.to_owned(),
            kind,
            fields: Vec::new(),
        });
        self.all.len() - 1
    }

    fn step(&self, cursor: &Cursor<'_>) -> Result<(), Error> {
        match self.steps.get().checked_sub(1) {
            Some(steps) => {
                self.steps.set(steps);
                Ok(())
            }
            None => cursor.fail("more values than bytes"),
        }
    }

    /// Reads a value of a class, field by field. `each` reads a field and returns true, or returns
    /// false and leaves it to be skipped.
    pub(super) fn fields<'a>(
        &self,
        class: i64,
        cursor: &mut Cursor<'a>,
        mut each: impl FnMut(&str, Shape, &mut Cursor<'a>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let Some(class) = self.get(class) else {
            return cursor.fail("value of an unknown class");
        };
        for field in &class.fields {
            self.step(cursor)?;
            if !each(&field.name, field.shape, cursor)? {
                self.skip_field(field.shape, cursor, DEPTH)?;
            }
        }
        Ok(())
    }

    fn skip_field(&self, shape: Shape, cursor: &mut Cursor<'_>, depth: usize) -> Result<(), Error> {
        let count = if shape.is_array { cursor.count()? } else { 1 };
        for _ in 0..count {
            self.step(cursor)?;
            if shape.is_constant {
                cursor.long()?;
            } else {
                self.skip_value(shape.class, cursor, depth)?;
            }
        }
        Ok(())
    }

    /// Skips a value that is not a constant.
    fn skip_value(&self, class: i64, cursor: &mut Cursor<'_>, depth: usize) -> Result<(), Error> {
        let Some(class) = self.get(class) else {
            return cursor.fail("value of an unknown class");
        };
        if depth == 0 {
            return cursor.fail("values nested too deep");
        }
        match class.kind {
            Kind::Fixed(bytes) => cursor.take(bytes).map(drop),
            Kind::Short => cursor.short().map(drop),
            Kind::Int => cursor.int().map(drop),
            Kind::Long => cursor.long().map(drop),
            Kind::String => cursor.string().map(drop),
            Kind::Fields => class
                .fields
                .iter()
                .try_for_each(|field| self.skip_field(field.shape, cursor, depth - 1)),
        }
    }

    /// Skips a value of a class.
    pub(super) fn skip(&self, class: i64, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        self.skip_value(class, cursor, DEPTH)
    }

    /// A number, or the key of a constant. Skips other values and returns 0.
    pub(super) fn number(&self, shape: Shape, cursor: &mut Cursor<'_>) -> Result<i64, Error> {
        let kind = self.get(shape.class).map(|class| class.kind);
        match kind {
            _ if shape.is_array => {}
            _ if shape.is_constant => return cursor.long(),
            Some(Kind::Long) => return cursor.long(),
            Some(Kind::Int) => return cursor.int().map(i64::from),
            Some(Kind::Short) => return cursor.short().map(i64::from),
            Some(Kind::Fixed(1)) => return cursor.byte().map(i64::from),
            _ => {}
        }
        self.skip_field(shape, cursor, DEPTH)?;
        Ok(0)
    }

    /// A string, or the key of a constant. Skips other values and returns an empty text.
    pub(super) fn text<'a>(
        &self,
        shape: Shape,
        cursor: &mut Cursor<'a>,
    ) -> Result<Text<'a>, Error> {
        if shape.is_constant && !shape.is_array {
            return cursor.long().map(Text::Constant);
        }
        if !shape.is_array
            && self
                .get(shape.class)
                .is_some_and(|class| class.kind == Kind::String)
        {
            return cursor.string();
        }
        self.skip_field(shape, cursor, DEPTH)?;
        Ok(Text::Empty)
    }
}

fn string<'s>(strings: &'s [Cow<'_, str>], event: &mut Cursor<'_>) -> Result<&'s str, Error> {
    let index = usize::try_from(event.int()?).unwrap_or(usize::MAX);
    match strings.get(index) {
        Some(text) => Ok(text),
        None => event.fail("index beyond the strings of the metadata"),
    }
}

fn attribute<'a>(pairs: &[(&'a str, &'a str)], key: &str) -> &'a str {
    let found = pairs.iter().find(|(name, _)| *name == key);
    let value = found.map_or("", |(_, value)| value);
    // Names are short; a long one that many classes share would multiply the input.
    &value[..value.floor_char_boundary(ATTRIBUTE_BYTES)]
}

fn field(pairs: &[(&str, &str)]) -> Field {
    Field {
        name: attribute(pairs, "name").to_owned(),
        shape: Shape {
            class: attribute(pairs, "class").parse().unwrap_or(0),
            is_constant: attribute(pairs, "constantPool") == "true",
            is_array: attribute(pairs, "dimension").parse().unwrap_or(0) > 0,
        },
    }
}
