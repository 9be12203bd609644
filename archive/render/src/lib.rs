#![doc = include_str!("../README.md")]

mod calendar;
mod draw;
mod due;
mod error;
mod expire;
mod focus;
mod graph;
mod html;
mod keys;
mod log;
mod metrics;
mod names;
mod options;
mod page;
mod period;
mod presence;
mod renderer;
mod reverse;
mod round;
mod site;
mod span;
mod stacks;

pub use draw::{Drawer, Drawn};
pub use due::{Due, Shown};
pub use error::{Error, Result};
pub use expire::Retained;
pub use focus::Focus;
pub use html::STYLE as PAGE_STYLE;
pub use names::{Target, artefact_name, type_name};
pub use options::RenderOptions;
pub use renderer::{Rendered, Renderer};
pub use round::RenderRange;
pub use span::Span;
pub use stacks::Stacks;
