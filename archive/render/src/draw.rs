//! Draws some stacks: the graph, the reversed graph, and the folded log.

use crate::graph::{self, Graph, NODES};
use crate::stacks::Stacks;
use crate::{log, reverse};
use davy_archive::query::svg::{self, Drawing};
use davy_profile::units;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// What graphs of the same stacks say besides them.
#[derive(Clone, Debug, Default)]
pub struct Drawer {
    /// The title.
    pub title: String,
    /// The unit of the values.
    pub unit: String,
    /// Lines below the title.
    pub notes: Vec<String>,
    /// The address of the same range in Davy's page.
    pub link: Option<String>,
}

/// The bytes of the artefacts of some stacks, before compression.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// The graph.
    pub graph: Vec<u8>,
    /// The reversed graph.
    pub reversed: Vec<u8>,
}

/// Compression of folded logs. Their lines repeat each other, so a higher level takes much longer and saves little.
const LEVEL: Compression = Compression::new(3);

impl Drawer {
    /// Draws both graphs.
    pub fn draw(&self, stacks: &Stacks) -> davy_archive::Result<Drawn> {
        Ok(Drawn {
            graph: self.graph(stacks, &graph::forward(stacks, NODES), false)?,
            reversed: self.graph(stacks, &reverse::reversed(stacks, NODES), true)?,
        })
    }

    fn graph(
        &self,
        stacks: &Stacks,
        graph: &Graph,
        is_reversed: bool,
    ) -> davy_archive::Result<Vec<u8>> {
        let title = if is_reversed {
            format!("{}, reversed", self.title)
        } else {
            self.title.clone()
        };
        let mut notes = self.notes.clone();
        let total = stacks.total();
        let share = 100.0 * graph.narrow as f64 / total.max(1) as f64;
        if share >= 0.005 {
            let closer = if is_reversed { "callees" } else { "callers" };
            notes.push(format!(
                "frames too narrow to be seen are drawn as part of their {closer}: {share:.2} % of the total"
            ));
        }
        let negative = stacks.negative();
        if negative != 0 {
            let value = i64::try_from(negative).unwrap_or(i64::MIN);
            let value = units::format(value, &self.unit);
            notes.push(format!("negative values, which are not drawn: {value}"));
        }
        let drawing = Drawing {
            title: &title,
            unit: &self.unit,
            notes,
            link: self
                .link
                .as_ref()
                .map(|link| ("the same range in Davy", link.clone())),
            is_reversed,
            is_scaled: true,
        };
        svg::draw(&graph.tree, &drawing)
    }

    /// Writes the folded log.
    pub fn log(stacks: &Stacks, out: impl Write) -> std::io::Result<()> {
        log::write(stacks, out)
    }
}

/// The folded log of some stacks, compressed.
pub(crate) fn packed_log(stacks: &Stacks) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), LEVEL);
    let written = log::write(stacks, &mut encoder).and_then(|()| encoder.finish());
    written.expect("writing to a Vec cannot fail")
}
