//! Log lines: one event, one line, to standard output, in logfmt or JSON, UTC.
//!
//! Messages are constant sentences and variables are fields. Other crates' lines are let through from `error` up only: at lower levels
//! some of them print addresses, which this program never does (see [`crate::private`]).

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Log, LogFormat, LogLevel};

/// Starts logging for the whole process; a second call changes nothing.
pub fn start(log: Log) {
    // The only possible failure is that a subscriber is there already, as in tests.
    let _already = tracing::subscriber::set_global_default(subscriber(log, std::io::stdout));
}

fn subscriber<W>(log: Log, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(log.level))
        .with_writer(writer)
        .with_ansi(false);
    match log.format {
        LogFormat::Logfmt => Box::new(builder.fmt_fields(Logfmt).event_format(Logfmt).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    }
}

fn filter(level: LogLevel) -> EnvFilter {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    EnvFilter::new(format!("error,anchor_sft={level}"))
}

/// `ts=… level=info target=anchor_sft::server msg="listening" port=8585`, then the fields of the spans, innermost last.
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        writer.write_str("ts=")?;
        SystemTime.format_time(&mut writer)?;
        let level = metadata.level().as_str().to_ascii_lowercase();
        write!(writer, " level={level} target={}", metadata.target())?;
        context.format_fields(writer.by_ref(), event)?;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                writer.write_str(&fields.fields)?;
            }
        }
        writeln!(writer)
    }
}

impl<'w> FormatFields<'w> for Logfmt {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut pairs = Pairs { writer, result: Ok(()) };
        fields.record(&mut pairs);
        pairs.result
    }
}

/// Writes ` key=value`, with quotes where the value needs them.
struct Pairs<'w> {
    writer: Writer<'w>,
    result: fmt::Result,
}

impl Pairs<'_> {
    fn pair(&mut self, field: &Field, value: &str) {
        let name = if field.name() == "message" { "msg" } else { field.name() };
        // A line break or quote in a value must not make a second line or field of it.
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '"' | '=' | '\\');
        let written = if !value.is_empty() && value.chars().all(plain) {
            write!(self.writer, " {name}={value}")
        } else {
            write!(self.writer, " {name}={value:?}")
        };
        self.result = self.result.and(written);
    }
}

impl Visit for Pairs<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.pair(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.pair(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{self, Sender};

    use super::*;
    use crate::private::Private;

    struct Line(Sender<Vec<u8>>);

    impl Write for Line {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: Log, act: impl FnOnce()) -> String {
        let (sender, lines) = mpsc::channel();
        tracing::subscriber::with_default(subscriber(log, move || Line(sender.clone())), act);
        String::from_utf8(lines.iter().flatten().collect()).unwrap()
    }

    #[test]
    fn an_event_is_one_line_of_pairs_whatever_its_fields_hold() {
        let text = logged(Log::default(), || {
            let span = tracing::info_span!("link", link = 7);
            let _inside = span.enter();
            tracing::info!(peer = "b.example", code = "a\nlevel=error", at = ?Private::new("192.0.2.7"), "link is up");
        });
        let (stamp, rest) = text.split_once(" level=").unwrap();
        assert!(stamp.starts_with("ts=20") && stamp.ends_with('Z'), "{stamp}");
        assert_eq!(
            rest,
            "info target=anchor_sft::log::tests msg=\"link is up\" peer=b.example code=\"a\\nlevel=error\" at=… link=7\n"
        );
    }

    #[test]
    fn below_the_level_and_from_other_crates_nothing_is_told() {
        let text = logged(Log::default(), || {
            tracing::debug!("negotiated");
            tracing::warn!(target: "quinn_proto::connection", remote = "192.0.2.7", "packet lost");
        });
        assert_eq!(text, "");
    }

    #[test]
    fn json_lines_are_json() {
        let log = Log {
            format: LogFormat::Json,
            level: LogLevel::Debug,
        };
        let text = logged(log, || tracing::debug!(peer = "b.example", "link is up"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["peer"], "b.example");
        assert_eq!(line["message"], "link is up");
        assert_eq!(line["level"], "DEBUG");
    }
}
