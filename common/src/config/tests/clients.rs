//! OTLP clients with their queues and retries.

use std::time::Duration;

use super::*;
use crate::client::Ping;
use crate::retry::Retry;

/// Clients that are refused, and the first line of the error.
const BAD_CLIENTS: &[(&str, &str)] = &[
    ("{}", "f.yaml:1:1: endpoint: is missing"),
    ("endpoint: h", "f.yaml:1:11: endpoint: \"h\" is not host:port"),
    ("endpoint: unix://x", "f.yaml:1:11: endpoint: \"unix://x\" has no path"),
    ("{endpoint: h:1, authority: a b}", "f.yaml:1:28: authority: \"a b\" is no host"),
    ("{endpoint: h:1, proxy_url: a}", "f.yaml:1:17: proxy_url: is not supported yet"),
    ("{endpoint: h:1, keepalive: {timeout: 0}}", "f.yaml:1:38: keepalive.timeout: is zero"),
    (
        "{endpoint: h:1, compression: lz4}",
        "f.yaml:1:30: compression: compression \"lz4\" is not for gRPC",
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
    assert_eq!(full.tls.ca, Some(SecretSource::File("ca".into())));
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

/// What `endpoint` may be.
#[test]
fn grpc_targets() {
    for (text, endpoint, insecure) in [
        ("h:4317", "h:4317", false),
        ("http://h:4317", "h:4317", true),
        ("https://h:4317/", "h:4317", false),
        ("dns:///h:4317", "h:4317", false),
        ("passthrough:///h:4317", "h:4317", false),
        ("unix:///run/a.sock", "unix:/run/a.sock", false),
        ("unix:/run/a.sock", "unix:/run/a.sock", false),
    ] {
        let client = read(&format!("{{endpoint: '{text}'}}"), OtlpClient::read).unwrap();
        assert_eq!((client.endpoint.as_str(), client.tls.insecure), (endpoint, insecure), "{text}");
    }
}

#[test]
fn what_grpc_has_besides() {
    let text = "{endpoint: h:1, compression: snappy, authority: backend, wait_for_ready: true, \
                balancer_name: pick_first, keepalive: {time: 5s, timeout: 3s, \
                permit_without_stream: true}}";
    let (client, notes) = read_with(text, &unset, OtlpClient::read).unwrap();
    assert_eq!((client.compression, client.authority.as_str()), (Compression::Snappy, "backend"));
    let ping =
        Ping { after: Duration::from_secs(10), timeout: Duration::from_secs(3), while_idle: true };
    assert_eq!(client.keepalive, ping);
    assert_eq!(
        notes,
        [
            "wait_for_ready: accepted, has no effect: a request waits for its connection, within \
             timeout",
            "balancer_name: accepted, has no effect: there is one connection, to the first \
             address that answers",
            "keepalive.time: accepted, 10s is the least, as in grpc-go",
        ]
    );
}

#[test]
fn http_clients() {
    let client = |yaml: &str| read(yaml, OtlpHttpClient::read).unwrap_or_else(|e| panic!("{e}"));
    let plain = client("endpoint: https://h");
    assert_eq!(plain.url, "https://h/v1/traces");
    assert_eq!((plain.compression, plain.level, plain.json), (Compression::Gzip, None, false));
    assert_eq!(
        (plain.timeout, plain.idle_timeout),
        (Duration::from_secs(30), Duration::from_secs(90))
    );
    assert_eq!((plain.max_idle, plain.http2, plain.ping), (100, true, Some(Ping::default())));
    assert!(!plain.tls.insecure && plain.proxy_url.expose().is_empty());

    let full = "endpoint: http://h:4318/otlp/\ncompression: zstd\ncompression_params: {level: 9}\n\
                headers: {X-Team: hush}\ntimeout: 1s\nencoding: json\n\
                proxy_url: http://u:hush@p:3128\nmax_idle_conns: 7\nmax_idle_conns_per_host: 3\n\
                idle_conn_timeout: 5s\nforce_attempt_http2: false\nhttp2_read_idle_timeout: 0\n\
                sending_queue: {queue_size: 5}\nretry_on_failure: {enabled: false}\n";
    let full = client(full);
    assert_eq!(full.url, "http://h:4318/otlp/v1/traces");
    assert_eq!((full.compression, full.level, full.json), (Compression::Zstd, Some(9), true));
    assert_eq!((full.max_idle, full.http2, full.ping), (3, false, None));
    assert!(full.tls.insecure && !full.retry.enabled && full.queue.size == Some(5));
    assert!(!format!("{full:?}").contains("hush"));
    assert_eq!(client("{endpoint: http://h, traces_endpoint: https://t/x}").url, "https://t/x");
    assert_eq!(client("{endpoint: http://h, disable_keep_alives: true}").max_idle, 0);
    assert_eq!(client("{endpoint: http://h, max_idle_conns: 0}").max_idle, 100);
    for (name, compression) in [
        ("none", Compression::None),
        ("zlib", Compression::Zlib),
        ("deflate", Compression::Deflate),
        ("snappy", Compression::Snappy),
        ("x-snappy-framed", Compression::SnappyFramed),
        ("lz4", Compression::Lz4),
    ] {
        let text = format!("{{endpoint: http://h, compression: {name}}}");
        assert_eq!(client(&text).compression, compression);
    }
    for (level, is) in [(-1, None), (0, None), (-2, Some(1)), (9, Some(9))] {
        let text = format!("{{endpoint: http://h, compression_params: {{level: {level}}}}}");
        assert_eq!(client(&text).level, is, "{level}");
    }
}

#[test]
fn bad_http_clients() {
    for (yaml, want) in [
        ("{}", "f.yaml:1:1: endpoint: is missing"),
        ("endpoint: h:4318", "f.yaml:1:11: endpoint: \"h:4318\" is not a URL of http or https"),
        ("endpoint: https://u:hush@h", "f.yaml:1:1: endpoint: has a user in it"),
        (
            "{endpoint: http://h, compression: gz}",
            "f.yaml:1:35: compression: \"gz\" is no compression",
        ),
        ("{endpoint: http://h, encoding: xml}", "f.yaml:1:32: encoding: \"xml\" is not known here"),
        (
            "{endpoint: http://h, compression_params: {level: 10}}",
            "f.yaml:1:50: compression_params.level: 10 is out of range",
        ),
        (
            "{endpoint: http://h, compression: lz4, compression_params: {level: 1}}",
            "f.yaml:1:68: compression_params.level: 1 is out of range",
        ),
        (
            "{endpoint: http://h, proxy_url: socks5://hush}",
            "f.yaml:1:22: proxy_url: is not the URL of an HTTP proxy",
        ),
        ("{endpoint: http://h, compresion: lz4}", "f.yaml:1:22: compresion: unknown key"),
    ] {
        let errors = read(yaml, OtlpHttpClient::read).expect_err(yaml);
        assert_eq!(heads(&errors), [want], "{errors}");
        assert!(!errors.contains("hush"), "{errors}");
    }
}

#[test]
fn what_http_accepts_without_effect() {
    let text = "{endpoint: http://h, tls: {insecure: false}, cookies: {enabled: true}, \
                max_conns_per_host: 3, logs_endpoint: http://l, write_buffer_size: 1}";
    let (_, notes) = read_with(text, &unset, OtlpHttpClient::read).unwrap();
    assert_eq!(
        notes,
        [
            "logs_endpoint: accepted, has no effect: there are only traces",
            "write_buffer_size: accepted, has no effect: buffers have the size that is needed",
            "max_conns_per_host: accepted, has no effect: sending_queue.num_consumers bounds the \
             connections",
            "cookies: accepted, has no effect: cookies are not sent back",
            "tls.insecure: accepted, has no effect: the scheme of the endpoint decides",
        ]
    );
}

#[test]
fn credentials_in_the_clear_are_noted() {
    let said = "auth: credentials are sent in the clear: there is no tls";
    let auth = "auth: {authenticator: bearertokenauth}";
    for (endpoint, clear) in [
        ("h:1, tls: {insecure: true}", true),
        ("http://h:1", true),
        ("https://h:1", false),
        ("h:1", false),
        ("localhost:1, tls: {insecure: true}", false),
        ("unix:///run/a, tls: {insecure: true}", false),
    ] {
        let text = format!("{{endpoint: {endpoint}, {auth}}}");
        let (_, notes) = read_with(&text, &unset, OtlpClient::read).unwrap();
        assert_eq!(notes.contains(&said.to_owned()), clear, "{endpoint}: {notes:?}");
    }
    for (endpoint, clear) in
        [("http://h/v1", true), ("https://h", false), ("'http://[::1]:1'", false)]
    {
        let text = format!("{{endpoint: {endpoint}, {auth}}}");
        let (_, notes) = read_with(&text, &unset, OtlpHttpClient::read).unwrap();
        assert_eq!(notes.contains(&said.to_owned()), clear, "{endpoint}: {notes:?}");
    }
}
