//! A sampler's exporters, from configuration to running.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tailgate_common::client::{ClientSettings, Compression, OtlpGrpcClient};
use tailgate_common::clock::Clock;
use tailgate_common::config;
use tailgate_common::config::{Authenticator, Named, Queue};
use tailgate_common::net::tls::{ClientFiles, Versions, client_config};
use tailgate_sampler::config::{AwsXray, Exporter};
use tailgate_sampler::export::xray::{
    SdkClient, SendSettings, XrayExporter, XraySettings, XrayWatch,
};
use tailgate_sampler::export::{
    Builder, DebugExporter, Exports, FileExporter, FileSettings, NopExporter, OtlpExporter,
    QueueSettings, Retry,
};
use tailgate_xray::Options;

use crate::auth;

/// Time for one attempt if none is configured: it must end somewhen.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(60);

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
    let mut xray = Vec::new();
    for Named { id, config } in exporters {
        let name = id.to_string();
        let context = || format!("exporter {name}");
        let queue = |queue: &Queue| QueueSettings::new(queue, queue_bytes);
        let plain = QueueSettings { bytes: queue_bytes, ..QueueSettings::default() };
        builder = match config {
            Exporter::AwsXray(aws) => {
                let client = SdkClient::new(&xray_settings(aws)).await.with_context(context)?;
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
                let client = otlp_client(otlp, known).with_context(context)?;
                let exporter = OtlpExporter::new(&name, client);
                builder.add(&name, exporter, queue(&otlp.queue), otlp.retry.clone())
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
    Ok(Started { exports: builder.start(clock.clone()), xray })
}

/// A client of one OTLP/gRPC endpoint.
pub fn otlp_client(
    otlp: &config::OtlpClient,
    known: &[Named<Authenticator>],
) -> anyhow::Result<OtlpGrpcClient> {
    Ok(OtlpGrpcClient::new(client_settings(otlp, known)?)?)
}

/// The settings of such a client.
pub fn client_settings(
    otlp: &config::OtlpClient,
    known: &[Named<Authenticator>],
) -> anyhow::Result<ClientSettings> {
    let tls = &otlp.tls;
    let files = ClientFiles {
        ca_file: tls.ca_file.clone(),
        identity: tls.cert_file.clone().zip(tls.key_file.clone()),
        include_system_roots: tls.include_system_roots,
        insecure_skip_verify: tls.insecure_skip_verify,
        versions: versions(tls.min_version, tls.max_version),
        reload: tls.reload,
    };
    let tls_config = match tls.insecure {
        true => None,
        false => Some(client_config(&files, &[b"h2"])?),
    };
    let name = &tls.server_name_override;
    let headers = otlp.headers.iter();
    Ok(ClientSettings {
        tls: tls_config,
        server_name: (!name.is_empty()).then(|| name.clone()),
        compression: match otlp.compression {
            config::Compression::None => Compression::None,
            config::Compression::Gzip => Compression::Gzip,
            config::Compression::Zstd => Compression::Zstd,
        },
        auth: auth::credentials(otlp.auth.as_ref(), known)?,
        headers: headers.map(|(name, value)| (name.clone(), value.expose().to_owned())).collect(),
        timeout: if otlp.timeout.is_zero() { LONGEST_ATTEMPT } else { otlp.timeout },
        ..ClientSettings::new(&otlp.endpoint)
    })
}

/// The TLS versions between two bounds.
pub fn versions(min: config::TlsVersion, max: config::TlsVersion) -> Versions {
    match (min, max) {
        (config::TlsVersion::V13, _) => Versions::Only13,
        (_, config::TlsVersion::V12) => Versions::Only12,
        _ => Versions::Both,
    }
}

fn xray_settings(aws: &AwsXray) -> XraySettings {
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    XraySettings {
        endpoint: given(&aws.endpoint),
        region: given(&aws.region),
        local_mode: aws.local_mode,
        role_arn: given(&aws.role_arn),
        external_id: given(&aws.external_id),
        request_timeout: aws.request_timeout,
        no_verify_ssl: aws.no_verify_ssl,
        proxy_address: given(&aws.proxy_address),
    }
}

fn xray_options(aws: &AwsXray) -> Options {
    Options {
        indexed_attributes: aws.indexed_attributes.clone(),
        index_all_attributes: aws.index_all_attributes,
        aws_log_groups: aws.aws_log_groups.clone(),
        ..Options::default()
    }
}
