//! OTLP clients with their queues and retries.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::retry::Retry;

/// Clients that are refused, and the first line of the error.
const BAD_CLIENTS: &[(&str, &str)] = &[
    ("{}", "f.yaml:1:1: endpoint: is missing"),
    ("endpoint: h", "f.yaml:1:11: endpoint: \"h\" is not host:port"),
    ("endpoint: unix:///x", "f.yaml:1:11: endpoint: unix sockets are not supported yet"),
    (
        "{endpoint: h:1, compression: lz4}",
        "f.yaml:1:30: compression: compression \"lz4\" is not supported yet",
    ),
    ("{endpoint: h:1, compression: gz}", "f.yaml:1:30: compression: \"gz\" is no compression"),
    ("{endpoint: h:1, auth: {}}", "f.yaml:1:23: auth.authenticator: is missing"),
    ("{endpoint: h:1, timeout: 5}", "f.yaml:1:26: timeout: \"5\" is not a duration"),
    ("{endpoint: h:1, timeout: -5s}", "f.yaml:1:26: timeout: \"-5s\" is negative"),
    ("{endpoint: h:1, timeout: [5s]}", "f.yaml:1:26: timeout: a list where a duration is wanted"),
    (
        "{endpoint: h:1, tls: {insecure: yes}}",
        "f.yaml:1:33: tls.insecure: \"yes\" is not true or false",
    ),
    ("{endpoint: h:1, tls: {cert_file: x}}", "f.yaml:1:22: tls.key_file: is missing"),
    (
        "{endpoint: h:1, tls: {min_version: \"1.0\"}}",
        "f.yaml:1:36: tls.min_version: TLS \"1.0\" is not supported",
    ),
    ("{endpoint: h:1, tls: true}", "f.yaml:1:22: tls: a single value where a mapping is wanted"),
    (
        "{endpoint: h:1, sending_queue: {queue_size: 0}}",
        "f.yaml:1:45: sending_queue.queue_size: 0 is out of range",
    ),
    (
        "{endpoint: h:1, sending_queue: {sizer: byte}}",
        "f.yaml:1:40: sending_queue.sizer: \"byte\" is not known here",
    ),
    (
        "{endpoint: h:1, sending_queue: {storage: f}}",
        "f.yaml:1:33: sending_queue.storage: is not supported yet",
    ),
    (
        "{endpoint: h:1, sending_queue: {batch: {min_size: 5, max_size: 4}}}",
        "f.yaml:1:64: sending_queue.batch.max_size: is below min_size",
    ),
    (
        "{endpoint: h:1, sending_queue: {batch: {flush_timeout: 0}}}",
        "f.yaml:1:56: sending_queue.batch.flush_timeout: is zero",
    ),
    (
        "{endpoint: h:1, sending_queue: {batch: {sizer: requests}}}",
        "f.yaml:1:48: sending_queue.batch.sizer: \"requests\" is not known here",
    ),
    (
        "{endpoint: h:1, retry_on_failure: {initial_interval: 0}}",
        "f.yaml:1:54: retry_on_failure.initial_interval: is too short",
    ),
    (
        "{endpoint: h:1, retry_on_failure: {randomization_factor: 2}}",
        "f.yaml:1:58: retry_on_failure.randomization_factor: 2 is out of range",
    ),
    (
        "{endpoint: h:1, headers: {\"a b\": c}}",
        "f.yaml:1:27: headers: \"a b\" is no name of a header",
    ),
];

#[test]
fn otlp_clients() {
    let client = |yaml: &str| read(yaml, OtlpClient::read);
    let plain = client("endpoint: h:4317").unwrap();
    assert_eq!(plain.compression, Compression::Gzip);
    assert_eq!(plain.timeout, Duration::from_secs(5));
    assert_eq!((plain.retry, plain.queue), (Retry::default(), Queue::default()));
    assert!(!plain.tls.insecure && plain.headers.is_empty());

    let full = "endpoint: http://h:4317/\ncompression: zstd\nheaders: {X-Team: hush}\ntimeout: 1s\n\
                tls: {ca_file: ca, cert_file: c, key_file: k, server_name_override: n, \
                insecure_skip_verify: true}\n\
                retry_on_failure: {enabled: false, initial_interval: 1s, max_interval: 2s, \
                multiplier: 2, randomization_factor: 0, max_elapsed_time: 0}\n\
                sending_queue: {num_consumers: 2, queue_size: 7, sizer: bytes, \
                batch: {min_size: 5, max_size: 9}}\n";
    let full = client(full).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(full.endpoint, "h:4317");
    assert!(full.tls.insecure && full.tls.insecure_skip_verify);
    assert_eq!(full.tls.ca_file, Some(PathBuf::from("ca")));
    assert_eq!(full.headers, [("x-team".to_owned(), Secret::new("hush"))]);
    assert!(!format!("{full:?}").contains("hush"));
    let (retry, queue) = (&full.retry, &full.queue);
    assert!(!retry.enabled && retry.max_elapsed_time.is_zero() && retry.multiplier == 2.0);
    assert_eq!((queue.sizer, queue.size, queue.num_consumers), (Sizer::Bytes, Some(7), 2));
    let batch = queue.batch.as_ref().unwrap();
    assert_eq!((batch.sizer, batch.min_size, batch.max_size), (Sizer::Bytes, 5, 9));
    assert_eq!(batch.flush_timeout, Duration::from_millis(200));
    let items = client("{endpoint: h:1, sending_queue: {batch: {flush_timeout: 1s}}}").unwrap();
    let batch = items.queue.batch.unwrap();
    assert_eq!((batch.sizer, batch.min_size, batch.max_size), (Sizer::Items, 8192, 0));
    assert_eq!((items.queue.size, batch.flush_timeout), (None, Duration::from_secs(1)));

    for (yaml, want) in BAD_CLIENTS {
        let errors = client(yaml).expect_err(yaml);
        assert_eq!(heads(&errors), [*want], "{errors}");
    }
}
