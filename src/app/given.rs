//! A page that `once` is given instead of asking anybody for one.

use std::path::Path;

use crate::relay::parse::Format;
use crate::relay::{Counts, Page, Rewrite};
use crate::sample::{Batch, LabelName, Millis, Source, Text};

/// A page with the labels that its series get where they have none of these names.
#[derive(Clone, Debug)]
pub struct Given {
    /// Where it comes from, for errors.
    pub from: String,
    /// Its bytes: text 0.0.4, or OpenMetrics where the last line is `# EOF`.
    pub bytes: Vec<u8>,
    /// The label `job`.
    pub job: String,
    /// The label `instance`.
    pub instance: String,
}

impl Given {
    /// The job of a page in a file whose user names none: the file's name without its end.
    pub fn job_of(path: &Path) -> String {
        path.file_stem().map_or_else(|| "page".to_owned(), |stem| stem.to_string_lossy().into_owned())
    }

    /// Its series at `now`; their own labels win.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub(super) fn read(&self, now: Millis) -> Result<Batch, String> {
        let (job, instance): (Text, Text) = (self.job.as_str().into(), self.instance.as_str().into());
        let label = |name: &str, value: &Text| Some((LabelName::new(name).ok()?, value.clone()));
        let labels = [label("instance", &instance), label("job", &job)];
        let rewrite = Rewrite {
            labels: labels.into_iter().flatten().filter(|(_, value)| !value.is_empty()).collect(),
            honor_labels: true,
            honor_timestamps: true,
            ..Rewrite::default()
        };
        let wrong = |error: crate::relay::ScrapeError| format!("{}: {error}", self.from);
        let (mut page, mut counts) = (Page::new(rewrite), Counts::default());
        let mut reading = page.begin(self.format(), now);
        reading.feed(&self.bytes).map_err(wrong)?;
        let ended = reading.finish(&mut counts).map_err(wrong)?;
        if let Some(series) = counts.first_repeated {
            return Err(format!("{}: the series {series} stands there more than once", self.from));
        }
        let source = Source::Target { job, instance };
        Ok(page.batch(source, now, ended, Vec::new()))
    }

    fn format(&self) -> Format {
        let end = self.bytes.trim_ascii_end();
        let last = end.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        if last == b"# EOF" { Format::OpenMetrics } else { Format::Text }
    }
}
