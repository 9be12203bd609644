//! `davy profile`: profiles a running process of Davy now.

mod live;
mod options;
mod process;
mod request;

pub(crate) use options::ProfileOptions;

use crate::failure::Failure;
use crate::live::Snapshot;
use request::ProfileRequest;

/// Takes a profile and writes it.
pub(crate) fn run(options: &ProfileOptions) -> Result<(), Failure> {
    if options.live {
        return live::run(ProfileRequest::new(options)?, options);
    }
    let format = options.output.format()?;
    let request = ProfileRequest::new(options)?;
    let is_timed = options.metric.is_timed();
    let pprof = request.send(is_timed.then_some(options.seconds.into()))?;
    let Snapshot { tree, unit } = request.decode(&pprof)?;
    let title = format!("{} {}", options.metric.sample_type(), request.process);
    let output = &options.output;
    output.write(&output.render(format, &tree, (&title, &unit), || pprof)?)
}
