//! A sampler's exporters, from configuration to running.

use std::sync::Arc;

use anyhow::Context;
use tailgate_common::clock::Clock;
use tailgate_common::config::{Authenticator, Named, Queue};
use tailgate_sampler::config::{AwsXray, Exporter};
use tailgate_sampler::export::xray::{
    ApiClient, OriginSettings, SendSettings, XrayExporter, XraySettings, XrayWatch, report,
};
use tailgate_sampler::export::{
    Builder, DebugExporter, Exports, FileExporter, FileSettings, NopExporter, OtlpExporter,
    QueueSettings, Retry,
};
use tailgate_xray::Options;

use crate::clients;

/// The running exporters of a pipeline.
pub struct Started {
    /// All of them.
    pub exports: Exports,
    /// Those to X-Ray have more to show, by name.
    pub xray: Vec<(String, XrayWatch)>,
}

/// Starts the exporters of a pipeline; each may have `queue_bytes`.
pub async fn start(
    exporters: &[Named<Exporter>],
    known: &[Named<Authenticator>],
    queue_bytes: usize,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Started> {
    let mut builder = Builder::new();
    let (mut xray, mut reporting) = (Vec::new(), Vec::new());
    for Named { id, config } in exporters {
        let name = id.to_string();
        let context = || format!("exporter {name}");
        let queue = |queue: &Queue| QueueSettings::new(queue, queue_bytes);
        let plain = QueueSettings { bytes: queue_bytes, ..QueueSettings::default() };
        builder = match config {
            Exporter::AwsXray(aws) => {
                let client = ApiClient::new(&xray_settings(aws), clock.clone())
                    .await
                    .with_context(context)?;
                if aws.telemetry.enabled {
                    reporting.push((name.clone(), &**aws, client.clone()));
                }
                let send = SendSettings::new(aws.num_workers, aws.max_retries, &aws.retry);
                let options = xray_options(aws);
                let exporter = XrayExporter::new(&name, client, options, &send, clock.clone());
                xray.push((name.clone(), exporter.watch()));
                let queue = queue(&aws.queue);
                // A batch makes one call at a time.
                let consumers = queue.consumers.max(aws.num_workers);
                let queue = QueueSettings { consumers, ..queue };
                builder.add(&name, exporter, queue, aws.retry.clone())
            }
            Exporter::Otlp(otlp) => {
                let client = clients::grpc(otlp, known).with_context(context)?;
                let queue = queue(&otlp.queue);
                let exporter = OtlpExporter::new(&name, client, queue.batch);
                builder.add(&name, exporter, queue, otlp.retry.clone())
            }
            Exporter::OtlpHttp(otlp) => {
                let client = clients::http(otlp, known, clock).with_context(context)?;
                let queue = queue(&otlp.queue);
                let exporter = OtlpExporter::new(&name, client, queue.batch);
                let exporter = match clients::http_limits(otlp, known) {
                    Some(limits) => exporter.within(limits, clock.clone()),
                    None => exporter,
                };
                builder.add(&name, exporter, queue, otlp.retry.clone())
            }
            Exporter::File(file) => {
                let settings = FileSettings { path: file.path.clone(), append: file.append };
                let exporter = FileExporter::open(&settings).with_context(context)?;
                builder.add(&name, exporter, plain, Retry::default())
            }
            Exporter::Debug(_) => {
                let exporter = DebugExporter::new(&name);
                builder.add(&name, exporter, plain, Retry::default())
            }
            Exporter::Nop => builder.add(&name, NopExporter, plain, Retry::default()),
        };
    }
    for (name, aws, client) in reporting {
        let counts = |other: &String| *other == name || aws.telemetry.contributors.contains(other);
        let watches = xray.iter().filter(|(other, _)| counts(other));
        let watches = watches.map(|(_, watch)| watch.clone()).collect();
        builder = builder.beside(report(client, watches, xray_origin(aws), clock.clone()));
    }
    Ok(Started { exports: builder.start(clock.clone()), xray })
}

fn xray_settings(aws: &AwsXray) -> XraySettings {
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    XraySettings {
        endpoint: given(&aws.endpoint),
        region: given(&aws.region),
        local_mode: aws.local_mode,
        role_arn: given(&aws.role_arn),
        external_id: given(&aws.external_id),
        request_timeout: clients::at_most(aws.request_timeout),
        no_verify_ssl: aws.no_verify_ssl,
        proxy_address: aws.proxy_address.clone(),
    }
}

fn xray_origin(aws: &AwsXray) -> OriginSettings {
    let telemetry = &aws.telemetry;
    let own = &telemetry.resource_arn;
    OriginSettings {
        include_metadata: telemetry.include_metadata,
        hostname: telemetry.hostname.clone(),
        instance_id: telemetry.instance_id.clone(),
        resource_arn: if own.is_empty() { &aws.resource_arn } else { own }.clone(),
    }
}

fn xray_options(aws: &AwsXray) -> Options {
    Options {
        indexed_attributes: aws.indexed_attributes.clone(),
        index_all_attributes: aws.index_all_attributes,
        aws_log_groups: aws.aws_log_groups.clone(),
        skip_timestamp_validation: aws.skip_timestamp_validation,
        conventions: aws.conventions,
        told: aws.told,
        ..Options::default()
    }
}
