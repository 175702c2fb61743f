//! `exporters`: where kept traces go.

use std::path::PathBuf;
use std::time::Duration;

use tailgate_common::config::{
    AuthRef, Document, Named, OtlpClient, OtlpHttpClient, Queue, Reader, Referrer, Section, Tier,
    named,
};

use super::xray::AwsXray;

/// One exporter.
#[derive(Clone, Debug, PartialEq)]
pub enum Exporter {
    /// `awsxray`.
    AwsXray(Box<AwsXray>),
    /// `otlp_grpc`, also called `otlp`.
    Otlp(Box<OtlpClient>),
    /// `otlp_http`, also called `otlphttp`.
    OtlpHttp(Box<OtlpHttpClient>),
    /// `file`.
    File(FileExporter),
    /// `debug`.
    Debug(DebugExporter),
    /// `nop`: takes everything, keeps nothing.
    Nop,
}

/// `file`: one OTLP/JSON object a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileExporter {
    /// The file.
    pub path: PathBuf,
    /// Keep what is in it; default false: it is emptied at start.
    pub append: bool,
    /// Time after which buffered lines are written out; default 1 s.
    pub flush_interval: Duration,
}

/// `debug`: kept traces as log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugExporter {
    /// How much of them; default basic.
    pub verbosity: Verbosity,
}

/// `debug.verbosity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Counts.
    Basic,
    /// A line for each span.
    Normal,
    /// All of each span.
    Detailed,
}

/// The exporters that the pipelines have.
pub(super) fn read(document: &Document<'_>) -> Vec<Named<Exporter>> {
    let mut found = Vec::new();
    for component in document.wanted(Tier::Sampler, Section::Exporters) {
        let read: fn(&Reader<'_>) -> Exporter = match component.id.kind.as_str() {
            "awsxray" => |r| Exporter::AwsXray(Box::new(AwsXray::read(r))),
            "otlp_grpc" | "otlp" => |r| Exporter::Otlp(Box::new(OtlpClient::read(r))),
            "otlp_http" | "otlphttp" => |r| Exporter::OtlpHttp(Box::new(OtlpHttpClient::read(r))),
            "file" => |r| Exporter::File(FileExporter::read(r)),
            "debug" => |r| Exporter::Debug(DebugExporter::read(r)),
            "nop" => |_| Exporter::Nop,
            _ => continue,
        };
        found.extend(named(component, read));
    }
    found
}

/// Without a buffer before them queues do what `block_on_overflow` asks for anyway.
pub(super) fn note_queues(document: &Document<'_>, exporters: &[Named<Exporter>]) {
    for Named { id, config } in exporters {
        if config.queue().is_some_and(|queue| queue.block_on_overflow) {
            let path = format!("exporters.{id}.sending_queue.block_on_overflow");
            document.diag().note(path, BLOCKS);
        }
    }
}

/// Contributors can be receivers in the collector; here only exporters count.
pub(super) fn note_contributors(document: &Document<'_>, exporters: &[Named<Exporter>]) {
    let counts = |name: &String| {
        let found = exporters.iter().find(|Named { id, .. }| id.to_string() == *name);
        found.is_some_and(|found| matches!(found.config, Exporter::AwsXray(_)))
    };
    for Named { id, config } in exporters {
        let Exporter::AwsXray(xray) = config else { continue };
        if !xray.telemetry.contributors.iter().all(counts) {
            let path = format!("exporters.{id}.telemetry.contributors");
            document.diag().note(path, NO_CONTRIBUTOR);
        }
    }
}

const NO_CONTRIBUTOR: &str =
    "names what is no awsxray exporter of a pipeline: that has nothing to count";

const BLOCKS: &str = "accepted, has no effect without tail_sampling: a full queue refuses new spans, with the advice \
    to send them again, whether this is set or not";

// === impl Exporter ===

impl Exporter {
    /// Its `sending_queue`, if it has one.
    fn queue(&self) -> Option<&Queue> {
        match self {
            Self::AwsXray(client) => Some(&client.queue),
            Self::Otlp(client) => Some(&client.queue),
            Self::OtlpHttp(client) => Some(&client.queue),
            Self::File(_) | Self::Debug(_) | Self::Nop => None,
        }
    }

    /// Whose credentials its requests have, and what it is to them.
    pub(super) fn auth(&self) -> Option<(&AuthRef, Referrer<'_>)> {
        match self {
            Self::Otlp(client) => Some((client.auth.as_ref()?, Referrer::Grpc)),
            Self::OtlpHttp(client) => Some((client.auth.as_ref()?, Referrer::Http(client))),
            Self::AwsXray(_) | Self::File(_) | Self::Debug(_) | Self::Nop => None,
        }
    }
}

// === impl FileExporter ===

impl FileExporter {
    fn read(r: &Reader<'_>) -> Self {
        r.refuse(&["rotation"], "leave it out, and rotate with logrotate and a restart");
        r.refuse(&["group_by", "encoding"], "leave it out: the file holds OTLP/JSON lines");
        r.refuse(&["compression_params"], "leave it out: the file is not compressed");
        r.refuse(&["create_directory", "directory_permissions"], "create the directory beforehand");
        for (key, good) in [("format", "json"), ("compression", "")] {
            if let Some(item) = r.take(key)
                && let Some(text) = item.string()
                && text != good
                && !text.is_empty()
            {
                let help = if good.is_empty() { "leave it out" } else { "use json, the default" };
                item.error(&format!("{key} {text:?} is not supported yet"), help);
            }
        }
        let flush_interval = r.duration_or("flush_interval", Duration::from_secs(1));
        if flush_interval.is_zero() {
            r.error("flush_interval", "is zero", "write a time such as 1s");
        }
        if r.has("flush_interval") {
            r.note("flush_interval", "accepted, not needed: each line is written out at once");
        }
        Self {
            path: PathBuf::from(r.required("path", "write path: /var/lib/traces.json")),
            append: r.bool_or("append", false),
            flush_interval,
        }
    }
}

// === impl DebugExporter ===

impl DebugExporter {
    fn read(r: &Reader<'_>) -> Self {
        let inert = ["sampling_initial", "sampling_thereafter", "use_internal_logger"];
        r.accept(&inert, "has no effect");
        r.accept(&["output_paths"], "has no effect: logs go to standard error");
        r.accept(&["sending_queue"], "not needed: lines are logged at once");
        let verbosity = r.typed("verbosity");
        let names = ["basic", "normal", "detailed"];
        let verbosity = match verbosity.and_then(|i| i.choice(&names)) {
            Some(1) => Verbosity::Normal,
            Some(2) => Verbosity::Detailed,
            _ => Verbosity::Basic,
        };
        if verbosity != Verbosity::Basic {
            r.note("verbosity", "accepted, has no effect yet: a line for each batch is logged");
        }
        Self { verbosity }
    }
}
